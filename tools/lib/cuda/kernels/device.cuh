// How a GPU runs the kernels' text. shim.h is the same for a CPU, where blocks and threads are loops.
//
// A kernel is a sequence of phases: EACH_THREAD { ... } is what each thread of a block does, SYNC() waits for all of them.
// No variable of a thread outlives its phase; what does is in the block's shared memory.

#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define CONSTANT static __device__ const
#define EACH_THREAD
#define SYNC() __syncthreads()
#define SHARED_MEMORY(name) extern __shared__ __align__(16) char name[]

DEVICE float fused(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEVICE double fused(double a, double b, double c) { return __fma_rn(a, b, c); }
DEVICE unsigned bits(float x) { return __float_as_uint(x); }
DEVICE unsigned long long bits(double x) { return (unsigned long long)__double_as_longlong(x); }
DEVICE float real(unsigned x) { return __uint_as_float(x); }
DEVICE double real(unsigned long long x) { return __longlong_as_double((long long)x); }
DEVICE void minimum_at(unsigned *target, unsigned value) { atomicMin(target, value); }
