// Depthwise convolution as one kernel: a thread makes one pixel of `WIDTH` neighbouring channels.
//
// Weights are `[kh, kw, C]`, bias is `[C]` in single precision; sums are made in single precision.
#pragma once

#include "call.cuh"

// Neighbouring channels, which are loaded and stored at once.
template <typename T, int WIDTH> struct alignas(sizeof(T) * WIDTH) Channels {
    T values[WIDTH];
};

template <typename In, typename Out, int WIDTH> DEVICE void depthwise_body(const Call& call) {
    typedef Channels<In, WIDTH> Piece;
    const int groups = call.output.channels / WIDTH;
    const int64_t count = (int64_t)call.batch * call.output.height * call.output.width * groups;
    const int64_t number = thread_number();
    if (number >= count) return;
    Place at = place_of(number, call.output, groups);
    at.channel *= WIDTH;
    float sums[WIDTH];
    for (int i = 0; i < WIDTH; i++) sums[i] = call.bias[at.channel + i];
    for (int y = 0; y < call.window[0]; y++) {
        const int row = at.row * call.step[0] + y - call.padding[0];
        if (row < 0 || row >= call.input.height) continue;
        for (int x = 0; x < call.window[1]; x++) {
            const int column = at.column * call.step[1] + x - call.padding[1];
            if (column < 0 || column >= call.input.width) continue;
            const int64_t from = offset_of(call.input, at.image, row, column, at.channel);
            const int64_t tap = (int64_t)(y * call.window[1] + x) * call.output.channels + at.channel;
            const Piece pixel = *(const Piece*)((const In*)call.input.data + from);
            const Piece weights = *(const Piece*)((const In*)call.weights + tap);
            for (int i = 0; i < WIDTH; i++)
                sums[i] = fmaf(to_float(pixel.values[i]), to_float(weights.values[i]), sums[i]);
        }
    }
    Channels<Out, WIDTH> result;
    for (int i = 0; i < WIDTH; i++) keep(result.values[i], clamped(sums[i], call));
    *(Channels<Out, WIDTH>*)((Out*)call.output.data + offset_of(call.output, at)) = result;
}
