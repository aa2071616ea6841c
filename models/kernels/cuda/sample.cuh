// From NV12 or P010 in memory of the device to a network's input, in one pass: display rotation, colour, crop, resize and
// scaling. One thread makes one pixel. It computes what `src/sample` computes, number for number: positions in double
// precision rounded to 1/32 pixel, whole-number weights, colours in single precision, and nothing fused.
#pragma once

#include "portable.cuh"

// One axis of a plane: see `Axis` in `src/sample/geometry.rs`.
struct SampleAxis {
    int32_t first, bits, last, length;
};

struct SampleCall {
    const void *luma, *chroma;
    float* output;
    // Bytes from one row to the next.
    int64_t luma_stride, chroma_stride;
    // Position of output pixel (0, 0) and its change by columns and rows; x, y.
    double origin[2], column[2], row[2];
    SampleAxis luma_axes[2], chroma_axes[2];
    // Y, its scale, zero of chroma, and what each of both adds to each colour: see `Yuv` in `src/sample/colour.rs`.
    float luma_black, luma_scale, chroma_zero, red_v, green_u, green_v, blue_u;
    // Value of black, and of one level above it.
    float black, level;
    int32_t size;
    // Of the stored picture, if black lies beyond it; else 0.
    int32_t width, height;
};

constexpr int FRACTION_BITS = 5;

struct SamplePair {
    int first, second, to_second, one;
};

DEVICE SamplePair sample_pair(const SampleAxis& axis, int position) {
    int at = position - axis.first;
    at = at < 0 ? 0 : at > axis.last ? axis.last : at;
    const int before_last = (axis.last >> axis.bits) > 1 ? (axis.last >> axis.bits) - 1 : 0;
    SamplePair pair;
    pair.first = (at >> axis.bits) < before_last ? at >> axis.bits : before_last;
    // Where an axis has one sample, the second is the first and has no weight.
    pair.second = pair.first + 1 < axis.length ? pair.first + 1 : axis.length - 1;
    pair.to_second = at - (pair.first << axis.bits);
    pair.one = 1 << axis.bits;
    return pair;
}

// Bilinear sample of channel `channel` of pixels of `CHANNELS` samples.
template <typename Sample, int CHANNELS>
DEVICE float sample_plane(const void* plane, int64_t stride, const SamplePair& x, const SamplePair& y, int channel) {
    const uint8_t* rows = (const uint8_t*)plane;
    const Sample* upper = (const Sample*)(rows + y.first * stride);
    const Sample* lower = (const Sample*)(rows + y.second * stride);
    const int left = x.first * CHANNELS + channel, right = x.second * CHANNELS + channel;
    const int above = upper[left] * (x.one - x.to_second) + upper[right] * x.to_second;
    const int below = lower[left] * (x.one - x.to_second) + lower[right] * x.to_second;
    const int sum = above * (y.one - y.to_second) + below * y.to_second;
    return (float)sum * (1.0f / (float)(x.one * y.one));
}

// A position in 1/32 pixel, rounded with ties to even: the sum's low bits are the whole number.
DEVICE int sample_position(const SampleCall& call, int axis, int row, int column) {
    const double fixed = (double)(1 << FRACTION_BITS);
    const double start = (call.origin[axis] + call.row[axis] * (double)row) * fixed;
    const double position = start + call.column[axis] * fixed * (double)column + 6755399441055744.0;
    int64_t bits;
    memcpy(&bits, &position, sizeof bits);
    return (int)(uint32_t)bits;
}

// How much of a position's two neighbours on an axis is one of `length` samples.
DEVICE float sample_inside(int position, int length) {
    const int one = 1 << FRACTION_BITS, to_end = (length << FRACTION_BITS) - position;
    int part = position + one < to_end ? position + one : to_end;
    part = part < 0 ? 0 : part > one ? one : part;
    return (float)part * (1.0f / (float)one);
}

DEVICE float sample_level(float value) { return fminf(fmaxf(value, 0.0f), 255.0f); }

template <typename Sample> DEVICE void sample_body(const SampleCall& call) {
    const int64_t number = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (number >= (int64_t)call.size * call.size) return;
    const int row = (int)(number / call.size), column = (int)(number % call.size);
    const int at_x = sample_position(call, 0, row, column), at_y = sample_position(call, 1, row, column);
    const SamplePair luma_x = sample_pair(call.luma_axes[0], at_x), luma_y = sample_pair(call.luma_axes[1], at_y);
    const SamplePair chroma_x = sample_pair(call.chroma_axes[0], at_x);
    const SamplePair chroma_y = sample_pair(call.chroma_axes[1], at_y);
    const float luma = sample_plane<Sample, 1>(call.luma, call.luma_stride, luma_x, luma_y, 0);
    const float u = sample_plane<Sample, 2>(call.chroma, call.chroma_stride, chroma_x, chroma_y, 0) - call.chroma_zero;
    const float v = sample_plane<Sample, 2>(call.chroma, call.chroma_stride, chroma_x, chroma_y, 1) - call.chroma_zero;
    const float y = (luma - call.luma_black) * call.luma_scale;
    float rgb[3];
    rgb[0] = sample_level(y + v * call.red_v);
    rgb[1] = sample_level((y + u * call.green_u) + v * call.green_v);
    rgb[2] = sample_level(y + u * call.blue_u);
    const float part = call.width > 0 ? sample_inside(at_x, call.width) * sample_inside(at_y, call.height) : 1.0f;
    for (int colour = 0; colour < 3; colour++)
        call.output[number * 3 + colour] = call.black + (rgb[colour] * part) * call.level;
}
