// How a CPU runs the kernels' text, as C++: a block at a time, its threads in a loop within each phase (device.cuh). The loops
// of one block begin at its first thread, those of the next at its last: a phase whose threads depend on each other differs.

#include <cmath>
#include <cstring>

struct Index {
    unsigned x;
};
static thread_local Index blockIdx, threadIdx, blockDim, gridDim;
static thread_local bool backwards;
alignas(16) static thread_local char shared_memory[1 << 17];

// Chooses the block that the next call of a kernel is. Its shared memory holds no leftovers of another block, but NaN.
extern "C" void shim_block(unsigned block, unsigned blocks, unsigned threads) {
    blockIdx = {block}, gridDim = {blocks}, blockDim = {threads}, backwards = !backwards;
    memset(shared_memory, 0xff, sizeof shared_memory);
}

#define KERNEL extern "C" void
#define DEVICE static inline
#define CONSTANT static const
#define EACH_THREAD                                                                                                    \
    for (unsigned thread = 0; thread < blockDim.x && (threadIdx.x = backwards ? blockDim.x - 1 - thread : thread, true);   \
         thread++)
#define SYNC()
#define SHARED_MEMORY(name) char *const name = shared_memory

template <typename To, typename From> static To cast(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

DEVICE float fused(float a, float b, float c) { return std::fma(a, b, c); }
DEVICE double fused(double a, double b, double c) { return std::fma(a, b, c); }
DEVICE unsigned bits(float x) { return cast<unsigned>(x); }
DEVICE unsigned long long bits(double x) { return cast<unsigned long long>(x); }
DEVICE float real(unsigned x) { return cast<float>(x); }
DEVICE double real(unsigned long long x) { return cast<double>(x); }
DEVICE void minimum_at(unsigned *target, unsigned value) { *target = value < *target ? value : *target; }
