// Elementwise operations, and their gradients. Where `accumulate` is not 0, a gradient adds to what is there.

// Numbers of activations, which element.rs has too.
#define IDENTITY 0u
#define RELU 1u
#define TANH 2u
#define SIGMOID 3u
#define GELU 4u

DEVICE float sigmoid(float z) {
    const float e = expf(-fabsf(z));
    return z >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e);
}

// The normal distribution's function.
DEVICE float normal(float z) { return 0.5f * (1.0f + erff(z * 0.70710678f)); }

DEVICE float activate(unsigned activation, float z) {
    switch (activation) {
    case RELU: return z < 0.0f ? 0.0f : z;
    case TANH: return tanhf(z);
    case SIGMOID: return sigmoid(z);
    case GELU: return z * normal(z);
    default: return z;
    }
}

// The derivative; at 0 that of ReLU is 0, as PyTorch's.
DEVICE float activation_slope(unsigned activation, float z) {
    switch (activation) {
    case RELU: return z > 0.0f ? 1.0f : 0.0f;
    case TANH: {
        const float y = tanhf(z);
        return 1.0f - y * y;
    }
    case SIGMOID: {
        const float y = sigmoid(z);
        return y * (1.0f - y);
    }
    // The density is exp(-z² / 2) / √(2π).
    case GELU: return normal(z) + z * 0.39894228f * expf(-0.5f * z * z);
    default: return 1.0f;
    }
}

template <typename T>
DEVICE void activation_forward(const T *x, u64 count, unsigned activation, T *y) {
    EACH_THREAD {
        const u64 i = thread_index();
        if (i * Line<T>::SIZE < count) {
            Line<T> line = load_line(x, i, count);
            for (unsigned j = 0; j < Line<T>::SIZE; j++) {
                line.x[j] = from_f32<T>(activate(activation, to_f32(line.x[j])));
            }
            store_line(y, i, count, line);
        }
    }
}

template <typename T>
DEVICE void activation_backward(const T *x, const T *grad_y, u64 count, unsigned activation, unsigned accumulate,
                                T *grad_x) {
    EACH_THREAD {
        const u64 i = thread_index();
        if (i * Line<T>::SIZE < count) {
            const Line<T> z = load_line(x, i, count), dy = load_line(grad_y, i, count);
            Line<T> dx = accumulate ? load_line((const T *)grad_x, i, count) : Line<T>();
            for (unsigned j = 0; j < Line<T>::SIZE; j++) {
                const float before = accumulate ? to_f32(dx.x[j]) : 0.0f;
                dx.x[j] = from_f32<T>(before + to_f32(dy.x[j]) * activation_slope(activation, to_f32(z.x[j])));
            }
            store_line(grad_x, i, count, dx);
        }
    }
}

// y = factor · x, or y + factor · x.
template <typename T> DEVICE void scale(const T *x, u64 count, float factor, unsigned accumulate, T *y) {
    EACH_THREAD {
        const u64 i = thread_index();
        if (i * Line<T>::SIZE < count) {
            const Line<T> line = load_line(x, i, count);
            Line<T> sum = accumulate ? load_line((const T *)y, i, count) : Line<T>();
            for (unsigned j = 0; j < Line<T>::SIZE; j++) {
                const float before = accumulate ? to_f32(sum.x[j]) : 0.0f;
                sum.x[j] = from_f32<T>(before + factor * to_f32(line.x[j]));
            }
            store_line(y, i, count, sum);
        }
    }
}

template <typename T> DEVICE void add(const T *a, const T *b, u64 count, T *y) {
    EACH_THREAD {
        const u64 i = thread_index();
        if (i * Line<T>::SIZE < count) {
            Line<T> sum = load_line(a, i, count);
            const Line<T> other = load_line(b, i, count);
            for (unsigned j = 0; j < Line<T>::SIZE; j++) {
                sum.x[j] = from_f32<T>(to_f32(sum.x[j]) + to_f32(other.x[j]));
            }
            store_line(y, i, count, sum);
        }
    }
}

KERNEL activation_forward_f32(const float *x, u64 count, unsigned activation, float *y) {
    activation_forward(x, count, activation, y);
}
KERNEL activation_forward_bf16(const bf16 *x, u64 count, unsigned activation, bf16 *y) {
    activation_forward(x, count, activation, y);
}
KERNEL activation_backward_f32(const float *x, const float *grad_y, u64 count, unsigned activation, unsigned accumulate,
                               float *grad_x) {
    activation_backward(x, grad_y, count, activation, accumulate, grad_x);
}
KERNEL activation_backward_bf16(const bf16 *x, const bf16 *grad_y, u64 count, unsigned activation, unsigned accumulate,
                                bf16 *grad_x) {
    activation_backward(x, grad_y, count, activation, accumulate, grad_x);
}
KERNEL scale_f32(const float *x, u64 count, float factor, unsigned accumulate, float *y) {
    scale(x, count, factor, accumulate, y);
}
KERNEL scale_bf16(const bf16 *x, u64 count, float factor, unsigned accumulate, bf16 *y) {
    scale(x, count, factor, accumulate, y);
}
KERNEL add_f32(const float *a, const float *b, u64 count, float *y) { add(a, b, count, y); }
KERNEL add_bf16(const bf16 *a, const bf16 *b, u64 count, bf16 *y) { add(a, b, count, y); }
