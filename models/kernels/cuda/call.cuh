// The operands of a kernel call. `src/device/call.rs` has the same structs; a test compares their sizes.
#pragma once

#include "portable.cuh"

// Images of a batch, NHWC; each begins `stride` elements after the one before.
struct Map {
    void* data;
    int64_t stride;
    int32_t height, width, channels, unused;
};

// What every kernel of a network is called with; each reads the members that concern it.
struct Call {
    Map input, beside, output;
    const void* weights;
    const float* bias;
    // Pairs are height, width.
    int32_t window[2], step[2], padding[2];
    float low, high;
    int32_t batch;
    // Of packed weights: rows (the depth of the sum) and columns, padded to whole tiles.
    int32_t depth, columns;
    // Side of the block of pixels that channels become.
    int32_t block;
};

// Which thread this is among all of the grid.
DEVICE int64_t thread_number() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }

// A place in a batch of images.
struct Place {
    int image, row, column, channel;
};

// The place of element `number` of a batch of images like `map`, whose pixels have `channels` elements. A batch has fewer
// than 2^31, which the host checks: divisions of 32 bits take a fraction of the time of longer ones.
DEVICE Place place_of(int64_t number, const Map& map, int channels) {
    uint32_t rest = (uint32_t)number;
    Place place;
    place.channel = (int)(rest % (uint32_t)channels);
    rest /= (uint32_t)channels;
    place.column = (int)(rest % (uint32_t)map.width);
    rest /= (uint32_t)map.width;
    place.row = (int)(rest % (uint32_t)map.height);
    place.image = (int)(rest / (uint32_t)map.height);
    return place;
}

// Where an element lies, in elements from `map.data`.
DEVICE int64_t offset_of(const Map& map, int image, int row, int column, int channel) {
    return image * map.stride + ((int64_t)row * map.width + column) * map.channels + channel;
}

DEVICE int64_t offset_of(const Map& map, const Place& at) {
    return offset_of(map, at.image, at.row, at.column, at.channel);
}

DEVICE float clamped(float value, const Call& call) { return fminf(fmaxf(value, call.low), call.high); }
