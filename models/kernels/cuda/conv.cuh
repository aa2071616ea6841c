// Full convolutions, fused with bias, residual and clamp.
//
// `conv_tiles` is a matrix product on tensor cores that reads the image where it lies: row m of the left matrix is the
// patch of output pixel m (of the whole batch), column n of the right one is output channel n. In NHWC a patch is made of
// runs of channels, one for each tap; a pointwise convolution is the case of one tap. `conv_direct` makes one number a
// thread and takes every shape and precision.
#pragma once

#include "call.cuh"

// A block makes 64 pixels of 32 channels with four warps, each 16 pixels; the sum advances by 32 at a time.
constexpr int TILE_PIXELS = 64, TILE_COLUMNS = 32, TILE_DEPTH = 32, TILE_THREADS = 128;
// Rows in shared memory are longer than they need be, so that neighbouring rows begin in different banks.
constexpr int DEPTH_ROW = TILE_DEPTH + 8, COLUMN_ROW = TILE_COLUMNS + 8, SUM_ROW = TILE_COLUMNS + 4;

// Number `k` of the patch of an output pixel; 0 beyond the image and beyond the patch.
DEVICE half patch_number(const Call& call, const Place& at, int k) {
    const int channels = call.input.channels, tap = k / channels;
    if (tap >= call.window[0] * call.window[1]) return (half)0.0f;
    const int row = at.row * call.step[0] + tap / call.window[1] - call.padding[0];
    const int column = at.column * call.step[1] + tap % call.window[1] - call.padding[1];
    if (row < 0 || row >= call.input.height || column < 0 || column >= call.input.width) return (half)0.0f;
    return ((const half*)call.input.data)[offset_of(call.input, at.image, row, column, k % channels)];
}

// Eight numbers from `k` on, a multiple of eight.
DEVICE Eight patch_eight(const Call& call, const Place& at, int k) {
    Eight eight;
    const int channels = call.input.channels, tap = k / channels;
    if (channels % 8 != 0) {
        for (int i = 0; i < 8; i++) eight.values[i] = patch_number(call, at, k + i);
        return eight;
    }
    // Eight channels of one tap, which begin at a multiple of 16 bytes.
    const int row = at.row * call.step[0] + tap / call.window[1] - call.padding[0];
    const int column = at.column * call.step[1] + tap % call.window[1] - call.padding[1];
    const bool inside = tap < call.window[0] * call.window[1] && row >= 0 && row < call.input.height &&
                        column >= 0 && column < call.input.width;
    if (inside) {
        const int64_t from = offset_of(call.input, at.image, row, column, k % channels);
        return *(const Eight*)((const half*)call.input.data + from);
    }
    for (int i = 0; i < 8; i++) eight.values[i] = (half)0.0f;
    return eight;
}

// Bias, residual and clamp of one sum, and its place in the result.
template <typename In, typename Out> DEVICE void finish(const Call& call, const Place& at, float sum) {
    sum += call.bias[at.channel];
    if (call.beside.data) sum += to_float(((const In*)call.beside.data)[offset_of(call.beside, at)]);
    keep(((Out*)call.output.data)[offset_of(call.output, at)], clamped(sum, call));
}

template <typename Out> DEVICE void conv_tiles_body(const Call& call) {
    SHARED(half, patches, TILE_PIXELS * DEPTH_ROW);
    SHARED(half, weights, TILE_DEPTH * COLUMN_ROW);
    SHARED(float, results, TILE_PIXELS * SUM_ROW);
    const int thread = (int)threadIdx.x, warp = thread / 32;
    const int64_t pixels = (int64_t)call.batch * call.output.height * call.output.width;
    const int64_t first_pixel = (int64_t)blockIdx.x * TILE_PIXELS;
    const int first_column = (int)blockIdx.y * TILE_COLUMNS;

    // Two threads load a patch, sixteen numbers each; four load a row of weights, eight each.
    const int own_pixel = thread / 2, own_depth = thread % 2 * 16;
    const bool has_pixel = first_pixel + own_pixel < pixels;
    const Place own = place_of(has_pixel ? first_pixel + own_pixel : 0, call.output, 1);
    const int weight_row = thread / 4, weight_column = thread % 4 * 8;
    const half* packed = (const half*)call.weights + first_column + weight_column;

    Sums sums[TILE_COLUMNS / 16];
    for (int n = 0; n < TILE_COLUMNS / 16; n++) clear(sums[n]);
    for (int depth = 0; depth < call.depth; depth += TILE_DEPTH) {
        for (int part = 0; part < 16; part += 8) {
            Eight eight;
            if (has_pixel) {
                eight = patch_eight(call, own, depth + own_depth + part);
            } else {
                for (int i = 0; i < 8; i++) eight.values[i] = (half)0.0f;
            }
            *(Eight*)(patches + own_pixel * DEPTH_ROW + own_depth + part) = eight;
        }
        *(Eight*)(weights + weight_row * COLUMN_ROW + weight_column) =
            *(const Eight*)(packed + (int64_t)(depth + weight_row) * call.columns);
        block_barrier();
        for (int k = 0; k < TILE_DEPTH; k += 16) {
            TileA a;
            load(a, patches + warp * 16 * DEPTH_ROW + k, DEPTH_ROW);
            for (int n = 0; n < TILE_COLUMNS / 16; n++) {
                TileB b;
                load(b, weights + k * COLUMN_ROW + n * 16, COLUMN_ROW);
                multiply_add(sums[n], a, b);
            }
        }
        // Nobody overwrites what another warp still reads.
        block_barrier();
    }
    for (int n = 0; n < TILE_COLUMNS / 16; n++) store(results + warp * 16 * SUM_ROW + n * 16, sums[n], SUM_ROW);
    block_barrier();

    for (int number = thread; number < TILE_PIXELS * TILE_COLUMNS; number += TILE_THREADS) {
        const int pixel = number / TILE_COLUMNS, column = number % TILE_COLUMNS;
        if (first_pixel + pixel >= pixels || first_column + column >= call.output.channels) continue;
        Place at = place_of(first_pixel + pixel, call.output, 1);
        at.channel = first_column + column;
        finish<half, Out>(call, at, results[pixel * SUM_ROW + column]);
    }
}

// Weights are packed as for tiles: `depth` rows of `columns`.
template <typename In, typename Out> DEVICE void conv_direct_body(const Call& call) {
    const int64_t count = (int64_t)call.batch * call.output.height * call.output.width * call.output.channels;
    const int64_t number = thread_number();
    if (number >= count) return;
    const Place at = place_of(number, call.output, call.output.channels);
    const In* weights = (const In*)call.weights + at.channel;
    float sum = 0.0f;
    for (int y = 0; y < call.window[0]; y++) {
        const int row = at.row * call.step[0] + y - call.padding[0];
        if (row < 0 || row >= call.input.height) continue;
        for (int x = 0; x < call.window[1]; x++) {
            const int column = at.column * call.step[1] + x - call.padding[1];
            if (column < 0 || column >= call.input.width) continue;
            const In* pixel = (const In*)call.input.data + offset_of(call.input, at.image, row, column, 0);
            const int64_t first = (int64_t)(y * call.window[1] + x) * call.input.channels;
            for (int channel = 0; channel < call.input.channels; channel++)
                sum = fmaf(to_float(pixel[channel]), to_float(weights[(first + channel) * call.columns]), sum);
        }
    }
    finish<In, Out>(call, at, sum);
}
