// All kernels by the names that they are loaded by. Element types: what layers read, then what they make.

#include "conv.cuh"
#include "depthwise.cuh"
#include "pixels.cuh"
#include "sample.cuh"

static_assert(sizeof(Map) == 32 && sizeof(Call) == 160, "the structs of src/device/call.rs have these sizes");
static_assert(sizeof(SampleCall) == 200, "the struct of src/device/call.rs has this size");

KERNEL(load_half)(PARAMETER Call call) { load_body<half>(call); }
KERNEL(load_float)(PARAMETER Call call) { load_body<float>(call); }

KERNEL(conv_tiles_half_half)(PARAMETER Call call) { conv_tiles_body<half>(call); }
KERNEL(conv_tiles_half_float)(PARAMETER Call call) { conv_tiles_body<float>(call); }
KERNEL(conv_direct_float_float)(PARAMETER Call call) { conv_direct_body<float, float>(call); }

KERNEL(depthwise_8_half_half)(PARAMETER Call call) { depthwise_body<half, half, 8>(call); }
KERNEL(depthwise_1_half_half)(PARAMETER Call call) { depthwise_body<half, half, 1>(call); }
KERNEL(depthwise_1_half_float)(PARAMETER Call call) { depthwise_body<half, float, 1>(call); }
KERNEL(depthwise_4_float_float)(PARAMETER Call call) { depthwise_body<float, float, 4>(call); }
KERNEL(depthwise_1_float_float)(PARAMETER Call call) { depthwise_body<float, float, 1>(call); }

// The kernels that make one number a thread.
#define PLAIN(body)                                                                             \
    KERNEL(body##_half_half)(PARAMETER Call call) { body##_body<half, half>(call); }            \
    KERNEL(body##_half_float)(PARAMETER Call call) { body##_body<half, float>(call); }          \
    KERNEL(body##_float_float)(PARAMETER Call call) { body##_body<float, float>(call); }

PLAIN(add)
PLAIN(resize)
PLAIN(max_pool)
PLAIN(depth_to_space)
PLAIN(logistic)

KERNEL(sample_nv12)(PARAMETER SampleCall call) { sample_body<uint8_t>(call); }
KERNEL(sample_p010)(PARAMETER SampleCall call) { sample_body<uint16_t>(call); }
