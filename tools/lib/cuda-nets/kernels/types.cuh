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

// V elements of the same, at their own alignment.
template <typename T, unsigned V> struct alignas(V * sizeof(T)) Vector {
    T x[V];
};

template <typename T, unsigned V> DEVICE Vector<T, V> vector_at(const T *x) { return *(const Vector<T, V> *)x; }

// The element of the grid that this thread has.
DEVICE u64 thread_index() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }

// Line number i of `count` elements at x, which is aligned to 16 bytes; zeros after the last element.
template <typename T> DEVICE Line<T> load_line(const T *x, u64 i, u64 count) {
    const u64 first = i * Line<T>::SIZE;
    if (first + Line<T>::SIZE <= count) {
        return ((const Line<T> *)x)[i];
    }
    Line<T> line;
    for (unsigned j = 0; j < Line<T>::SIZE; j++) {
        line.x[j] = first + j < count ? x[first + j] : from_f32<T>(0.0f);
    }
    return line;
}

template <typename T> DEVICE void store_line(T *x, u64 i, u64 count, Line<T> line) {
    const u64 first = i * Line<T>::SIZE;
    if (first + Line<T>::SIZE <= count) {
        ((Line<T> *)x)[i] = line;
        return;
    }
    for (unsigned j = 0; j < Line<T>::SIZE && first + j < count; j++) {
        x[first + j] = line.x[j];
    }
}

// The quotient, mostly without a division of 64 bits.
DEVICE u64 divide(u64 x, unsigned divisor) { return x >> 32 ? x / divisor : (unsigned)x / divisor; }
