// max(0, x), or slope * x for a negative x, of each element: the bits of kernels::leaky_relu. NaN stays the NaN that it is.

// 16 bytes, which a thread loads at once.
template <typename T> struct alignas(16) Line {
    T x[16 / sizeof(T)];
};
// Lines that a thread loads before it stores one.
#define LINES 4u

template <typename T> DEVICE T leaky(T x, T slope) {
    // Not 0 * x, which is -0, and NaN for an infinite x.
    const T negative = slope == (T)0 ? (T)0 : x * slope;
    return x < (T)0 ? negative : x;
}

// Each block has LINES lines a thread; the first block the elements after the last line too. `x` and `out` may be the same.
template <typename T> DEVICE void relu(const T *x, unsigned long long count, T slope, T *out) {
    const unsigned per_line = 16 / (unsigned)sizeof(T);
    const unsigned long long lines = count / per_line, first = (unsigned long long)blockIdx.x * LINES * blockDim.x;
    EACH_THREAD {
        Line<T> line[LINES];
#pragma unroll
        for (unsigned i = 0; i < LINES; i++) {
            const unsigned long long at = first + i * blockDim.x + threadIdx.x;
            if (at < lines) {
                line[i] = ((const Line<T> *)x)[at];
            }
        }
#pragma unroll
        for (unsigned i = 0; i < LINES; i++) {
            const unsigned long long at = first + i * blockDim.x + threadIdx.x;
            if (at < lines) {
                for (unsigned j = 0; j < per_line; j++) {
                    line[i].x[j] = leaky(line[i].x[j], slope);
                }
                ((Line<T> *)out)[at] = line[i];
            }
        }
        const unsigned long long at = lines * per_line + threadIdx.x;
        if (blockIdx.x == 0 && at < count) {
            out[at] = leaky(x[at], slope);
        }
    }
}

KERNEL relu_f32(const float *x, unsigned long long count, float slope, float *out) { relu(x, count, slope, out); }
KERNEL relu_f64(const double *x, unsigned long long count, double slope, double *out) { relu(x, count, slope, out); }
