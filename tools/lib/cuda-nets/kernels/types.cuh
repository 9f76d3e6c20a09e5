// Types of activations. All arithmetic is in float; bf16 is only how values are kept.

typedef unsigned long long u64;

struct bf16 {
    unsigned short bits;
};

DEVICE float to_f32(float x) { return x; }
DEVICE float to_f32(bf16 x) { return real((unsigned)x.bits << 16); }

template <typename T> struct Rounded;

template <> struct Rounded<float> {
    DEVICE float of(float x) { return x; }
};

template <> struct Rounded<bf16> {
    // To the nearest, ties to even; NaN stays NaN.
    DEVICE bf16 of(float x) {
        const unsigned u = bits(x);
        const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
        return {(unsigned short)(nan ? u >> 16 | 0x40u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
    }
};

template <typename T> DEVICE T from_f32(float x) { return Rounded<T>::of(x); }

// 16 bytes, which a thread loads at once.
template <typename T> struct alignas(16) Line {
    enum { SIZE = 16 / sizeof(T) };
    T x[SIZE];
};

// The element of the grid that this thread has.
DEVICE u64 thread_index() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
