// Kernels without weights: one thread makes one number. They follow `src/rows/pixels.rs` and `src/resize.rs`.
#pragma once

#include "call.cuh"

// All numbers of the result.
DEVICE int64_t count_of(const Map& map, int batch) {
    return (int64_t)batch * map.height * map.width * map.channels;
}

// Brings the network's input, single precision, into the form that layers read.
template <typename Out> DEVICE void load_body(const Call& call) {
    const int64_t number = thread_number();
    if (number >= count_of(call.output, call.batch)) return;
    const Place at = place_of(number, call.output, call.output.channels);
    const float value = ((const float*)call.input.data)[offset_of(call.input, at)];
    keep(((Out*)call.output.data)[offset_of(call.output, at)], value);
}

template <typename In, typename Out> DEVICE void add_body(const Call& call) {
    const int64_t number = thread_number();
    if (number >= count_of(call.output, call.batch)) return;
    const Place at = place_of(number, call.output, call.output.channels);
    const float left = to_float(((const In*)call.input.data)[offset_of(call.input, at)]);
    const float right = to_float(((const In*)call.beside.data)[offset_of(call.beside, at)]);
    keep(((Out*)call.output.data)[offset_of(call.output, at)], clamped(left + right, call));
}

template <typename In, typename Out> DEVICE void logistic_body(const Call& call) {
    const int64_t number = thread_number();
    if (number >= count_of(call.output, call.batch)) return;
    const Place at = place_of(number, call.output, call.output.channels);
    const float value = to_float(((const In*)call.input.data)[offset_of(call.input, at)]);
    keep(((Out*)call.output.data)[offset_of(call.output, at)], 1.0f / (1.0f + expf(-value)));
}

template <typename In, typename Out> DEVICE void max_pool_body(const Call& call) {
    const int64_t number = thread_number();
    if (number >= count_of(call.output, call.batch)) return;
    const Place at = place_of(number, call.output, call.output.channels);
    float most = -INFINITY;
    for (int y = 0; y < call.window[0]; y++)
        for (int x = 0; x < call.window[1]; x++) {
            const int row = at.row * call.step[0] + y, column = at.column * call.step[1] + x;
            const int64_t from = offset_of(call.input, at.image, row, column, at.channel);
            most = fmaxf(most, to_float(((const In*)call.input.data)[from]));
        }
    keep(((Out*)call.output.data)[offset_of(call.output, at)], most);
}

template <typename In, typename Out> DEVICE void depth_to_space_body(const Call& call) {
    const int64_t number = thread_number();
    if (number >= count_of(call.output, call.batch)) return;
    const Place at = place_of(number, call.output, call.output.channels);
    const int group = (at.row % call.block) * call.block + at.column % call.block;
    const int channel = group * call.output.channels + at.channel;
    const int64_t from = offset_of(call.input, at.image, at.row / call.block, at.column / call.block, channel);
    keep(((Out*)call.output.data)[offset_of(call.output, at)], to_float(((const In*)call.input.data)[from]));
}

// Two neighbours along an axis and where between them a sample lies: pixel centres at half integers.
struct Between {
    int lower, upper;
    float part;
};

DEVICE Between between(int at, int size, int to_size) {
    const float scale = (float)size / (float)to_size;
    const float position = fminf(fmaxf(((float)at + 0.5f) * scale - 0.5f, 0.0f), (float)(size - 1));
    Between found;
    found.lower = (int)position < size - 1 ? (int)position : size - 1;
    found.upper = found.lower + 1 < size - 1 ? found.lower + 1 : size - 1;
    found.part = position - (float)found.lower;
    return found;
}

// Bilinear resizing; adds the image beside it, if there is one.
template <typename In, typename Out> DEVICE void resize_body(const Call& call) {
    const int64_t number = thread_number();
    if (number >= count_of(call.output, call.batch)) return;
    const Place at = place_of(number, call.output, call.output.channels);
    const Between y = between(at.row, call.input.height, call.output.height);
    const Between x = between(at.column, call.input.width, call.output.width);
    const In* input = (const In*)call.input.data;
    const float upper_left = to_float(input[offset_of(call.input, at.image, y.lower, x.lower, at.channel)]);
    const float upper_right = to_float(input[offset_of(call.input, at.image, y.lower, x.upper, at.channel)]);
    const float lower_left = to_float(input[offset_of(call.input, at.image, y.upper, x.lower, at.channel)]);
    const float lower_right = to_float(input[offset_of(call.input, at.image, y.upper, x.upper, at.channel)]);
    float value = upper_left * ((1.0f - x.part) * (1.0f - y.part)) + upper_right * (x.part * (1.0f - y.part)) +
                  lower_left * ((1.0f - x.part) * y.part) + lower_right * (x.part * y.part);
    if (call.beside.data) value += to_float(((const In*)call.beside.data)[offset_of(call.beside, at)]);
    keep(((Out*)call.output.data)[offset_of(call.output, at)], clamped(value, call));
}
