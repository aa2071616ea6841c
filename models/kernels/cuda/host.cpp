// A host that plays a GPU: runs the kernels of `kernels.cu` block by block, for tests.
//
// Threads of a block that wait for one another are coroutines which take turns, one round a barrier. A barrier that only
// some threads of a block reach, which hangs a GPU or worse, stops the program here.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <ucontext.h>

#include "kernels.cu"

thread_local Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

// A thread of a block.
struct Coroutine {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    bool ended;
};

constexpr size_t STACK_BYTES = 64 << 10;
thread_local ucontext_t scheduler;
thread_local Coroutine* current = nullptr;

// What a launched kernel is: a function and its operands.
struct Launch {
    void (*network)(Call);
    void (*sampler)(SampleCall);
    const void* operands;

    void run() const {
        if (network) network(*(const Call*)operands);
        if (sampler) sampler(*(const SampleCall*)operands);
    }
};
thread_local const Launch* running;

void enter() {
    running->run();
    current->ended = true;
}

// Runs the threads of one block from barrier to barrier.
void run_block(std::vector<Coroutine>& threads) {
    for (Coroutine& thread : threads) {
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.get();
        thread.context.uc_stack.ss_size = STACK_BYTES;
        thread.context.uc_link = &scheduler;
        thread.ended = false;
        makecontext(&thread.context, enter, 0);
    }
    for (size_t ended = 0; ended < threads.size();) {
        ended = 0;
        for (size_t number = 0; number < threads.size(); number++) {
            threadIdx = {(unsigned)number, 0, 0};
            current = &threads[number];
            swapcontext(&scheduler, &current->context);
            ended += current->ended;
        }
        if (ended != 0 && ended != threads.size()) {
            std::fprintf(stderr, "a barrier was not reached by all threads of a block\n");
            std::abort();
        }
    }
    current = nullptr;
}

struct Known {
    const char* name;
    void (*network)(Call);
    void (*sampler)(SampleCall);
    bool has_barriers;
};

#define PLAIN_KNOWN(body) \
    {#body "_half_half", body##_half_half, nullptr, false}, {#body "_half_float", body##_half_float, nullptr, false}, \
        {#body "_float_float", body##_float_float, nullptr, false}

const Known KERNELS[] = {
    {"load_half", load_half, nullptr, false},
    {"load_float", load_float, nullptr, false},
    {"conv_tiles_half_half", conv_tiles_half_half, nullptr, true},
    {"conv_tiles_half_float", conv_tiles_half_float, nullptr, true},
    {"conv_direct_float_float", conv_direct_float_float, nullptr, false},
    {"depthwise_8_half_half", depthwise_8_half_half, nullptr, false},
    {"depthwise_1_half_half", depthwise_1_half_half, nullptr, false},
    {"depthwise_1_half_float", depthwise_1_half_float, nullptr, false},
    {"depthwise_4_float_float", depthwise_4_float_float, nullptr, false},
    {"depthwise_1_float_float", depthwise_1_float_float, nullptr, false},
    PLAIN_KNOWN(add),
    PLAIN_KNOWN(resize),
    PLAIN_KNOWN(max_pool),
    PLAIN_KNOWN(depth_to_space),
    PLAIN_KNOWN(logistic),
    {"sample_nv12", nullptr, sample_nv12, false},
    {"sample_p010", nullptr, sample_p010, false},
};

}  // namespace

void block_barrier() { swapcontext(&current->context, &scheduler); }

// Runs a kernel; gives 0, or 1 when there is none of that name. `operands` is what the kernel takes.
extern "C" int kinora_host_launch(const char* name, const void* operands, unsigned grid_x, unsigned grid_y, unsigned block) {
    const Known* kernel = nullptr;
    for (const Known& known : KERNELS)
        if (std::strcmp(known.name, name) == 0) kernel = &known;
    if (!kernel) return 1;
    const Launch launch = {kernel->network, kernel->sampler, operands};
    running = &launch;
    gridDim = {grid_x, grid_y, 1};
    blockDim = {block, 1, 1};
    std::vector<Coroutine> threads(kernel->has_barriers ? block : 0);
    for (Coroutine& thread : threads) thread.stack.reset(new char[STACK_BYTES]);
    for (unsigned y = 0; y < grid_y; y++)
        for (unsigned x = 0; x < grid_x; x++) {
            blockIdx = {x, y, 0};
            if (kernel->has_barriers) {
                run_block(threads);
                continue;
            }
            for (unsigned number = 0; number < block; number++) {
                threadIdx = {number, 0, 0};
                launch.run();
            }
        }
    return 0;
}
