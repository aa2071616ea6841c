// What a kernel needs of its surroundings, answered twice: by CUDA, and by plain C++ on a host that plays a GPU.
//
// The kernels are written once. nvcc compiles them for devices; with KINORA_HOST an ordinary C++ compiler makes functions
// of them that `host.cpp` runs block by block, so that tests compare their very arithmetic with the CPU's kernels.
#pragma once

#include <cstdint>

#ifdef KINORA_HOST

#include <cmath>
#include <cstring>

#define DEVICE static inline
#define KERNEL(name) extern "C" void name
#define PARAMETER const
// One block runs at a time on a thread, so memory of the block is memory of the thread.
#define SHARED(type, name, count) alignas(16) static thread_local type name[count]

typedef _Float16 half;

struct Dim3 {
    unsigned x, y, z;
};
extern thread_local Dim3 threadIdx, blockIdx, blockDim, gridDim;

// Waits until all threads of the block are here. The host stops the program when some never come.
void block_barrier();

struct alignas(16) Eight {
    half values[8];
};

#else

#include <cuda_fp16.h>
#include <mma.h>

#define DEVICE static __device__ __forceinline__
#define KERNEL(name) extern "C" __global__ void name
// Read where the driver puts it, not from a copy of each thread.
#define PARAMETER const __grid_constant__
// Tiles are loaded from and stored to addresses that divide by 32.
#define SHARED(type, name, count) __shared__ alignas(32) type name[count]

DEVICE void block_barrier() { __syncthreads(); }

struct alignas(16) Eight {
    half values[8];
};

#endif

DEVICE float to_float(float value) { return value; }
DEVICE float to_float(half value) { return (float)value; }

// A number as it is kept in memory. Beyond what a half can hold it is the largest half: no infinity enters a network.
DEVICE void keep(float& to, float value) { to = value; }
DEVICE void keep(half& to, float value) { to = (half)fminf(fmaxf(value, -65504.0f), 65504.0f); }

// Products of 16 x 16 tiles, by a warp together: halves in, sums in single precision.
#ifdef KINORA_HOST

// On the host the first thread of a warp does the work of all; between barriers nobody sees the difference.
struct TileA {
    half values[16][16];
};
struct TileB {
    half values[16][16];
};
struct Sums {
    float values[16][16];
};

DEVICE bool speaks_for_warp() { return threadIdx.x % 32 == 0; }

DEVICE void clear(Sums& sums) { std::memset(&sums, 0, sizeof sums); }

template <typename Tile> DEVICE void load(Tile& tile, const half* from, int row_length) {
    if (!speaks_for_warp()) return;
    for (int row = 0; row < 16; row++) std::memcpy(tile.values[row], from + row * row_length, sizeof tile.values[row]);
}

DEVICE void multiply_add(Sums& sums, const TileA& a, const TileB& b) {
    if (!speaks_for_warp()) return;
    float wide[16][16];
    for (int k = 0; k < 16; k++)
        for (int n = 0; n < 16; n++) wide[k][n] = (float)b.values[k][n];
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < 16; k++) {
            const float factor = (float)a.values[m][k];
            for (int n = 0; n < 16; n++) sums.values[m][n] += factor * wide[k][n];
        }
}

DEVICE void store(float* to, const Sums& sums, int row_length) {
    if (!speaks_for_warp()) return;
    for (int row = 0; row < 16; row++) std::memcpy(to + row * row_length, sums.values[row], sizeof sums.values[row]);
}

#else

typedef nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, half, nvcuda::wmma::row_major> TileA;
typedef nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, 16, half, nvcuda::wmma::row_major> TileB;
typedef nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> Sums;

DEVICE void clear(Sums& sums) { nvcuda::wmma::fill_fragment(sums, 0.0f); }

template <typename Tile> DEVICE void load(Tile& tile, const half* from, int row_length) {
    nvcuda::wmma::load_matrix_sync(tile, from, row_length);
}

DEVICE void multiply_add(Sums& sums, const TileA& a, const TileB& b) { nvcuda::wmma::mma_sync(sums, a, b, sums); }

DEVICE void store(float* to, const Sums& sums, int row_length) {
    nvcuda::wmma::store_matrix_sync(to, sums, row_length, nvcuda::wmma::mem_row_major);
}

#endif
