// Pooling over non-overlapping windows, `tall` × `wide`, of NHWC images; the edge remainder is dropped.

struct Pool {
    u64 rows;
    unsigned height, width, channels, tall, wide;
};

// The vector of an output's channels that a thread has, and its window in the input.
template <typename T, unsigned V> struct Window {
    u64 output, input; // of the first channel; the input's is that of the window's first row and column
    bool inside;
    DEVICE Window of(Pool pool, u64 i) {
        const unsigned vectors = pool.channels / V, columns = pool.width / pool.wide, lines = pool.height / pool.tall;
        const u64 position = divide(i, vectors), line = divide(position, columns), row = divide(line, lines);
        const unsigned c = (unsigned)(i - position * vectors) * V;
        const unsigned ox = (unsigned)(position - line * columns), oy = (unsigned)(line - row * lines);
        const u64 first = (row * pool.height + (u64)oy * pool.tall) * pool.width + (u64)ox * pool.wide;
        return {position * pool.channels + c, first * pool.channels + c, row < pool.rows};
    }
};

DEVICE u64 in_window(Pool pool, unsigned y, unsigned x) { return ((u64)y * pool.width + x) * pool.channels; }

template <typename T, unsigned V, bool MAX> DEVICE void pool_vectors(const T *x, Pool pool, T *y) {
    EACH_THREAD {
        const Window<T, V> window = Window<T, V>::of(pool, thread_index());
        if (window.inside) {
            float result[V] = {};
            for (unsigned wy = 0; wy < pool.tall; wy++) {
                for (unsigned wx = 0; wx < pool.wide; wx++) {
                    const Vector<T, V> element = vector_at<T, V>(x + window.input + in_window(pool, wy, wx));
                    for (unsigned j = 0; j < V; j++) {
                        const float value = to_f32(element.x[j]);
                        if (wy == 0 && wx == 0) {
                            result[j] = value;
                        } else if (MAX) {
                            // NaN is the maximum.
                            result[j] = value > result[j] || value != value ? value : result[j];
                        } else {
                            result[j] += value;
                        }
                    }
                }
            }
            Vector<T, V> out;
            for (unsigned j = 0; j < V; j++) {
                out.x[j] = from_f32<T>(MAX ? result[j] : result[j] / (float)(pool.tall * pool.wide));
            }
            *(Vector<T, V> *)(y + window.output) = out;
        }
    }
}

// The gradient of the window's elements: for a maximum that of the first one which has it, as in PyTorch.
template <typename T, unsigned V, bool MAX>
DEVICE void pool_gradients(const T *x, const T *grad_y, Pool pool, unsigned accumulate, T *grad_x) {
    EACH_THREAD {
        const Window<T, V> window = Window<T, V>::of(pool, thread_index());
        if (window.inside) {
            float maximum[V] = {};
            unsigned argmax[V] = {};
            for (unsigned at = 0; MAX && at < pool.tall * pool.wide; at++) {
                const u64 element_at = window.input + in_window(pool, at / pool.wide, at % pool.wide);
                const Vector<T, V> element = vector_at<T, V>(x + element_at);
                for (unsigned j = 0; j < V; j++) {
                    const float value = to_f32(element.x[j]);
                    if (at == 0 || value > maximum[j] || value != value) {
                        maximum[j] = value;
                        argmax[j] = at;
                    }
                }
            }
            const Vector<T, V> dy = vector_at<T, V>(grad_y + window.output);
            const float area = (float)(pool.tall * pool.wide);
            for (unsigned at = 0; at < pool.tall * pool.wide; at++) {
                T *const target = grad_x + window.input + in_window(pool, at / pool.wide, at % pool.wide);
                Vector<T, V> dx = accumulate ? vector_at<T, V>(target) : Vector<T, V>();
                for (unsigned j = 0; j < V; j++) {
                    const float before = accumulate ? to_f32(dx.x[j]) : 0.0f;
                    const float slope = MAX ? (argmax[j] == at ? to_f32(dy.x[j]) : 0.0f) : to_f32(dy.x[j]) / area;
                    dx.x[j] = from_f32<T>(before + slope);
                }
                *(Vector<T, V> *)target = dx;
            }
        }
    }
}

template <typename T, bool MAX>
DEVICE void pool_forward(const T *x, u64 rows, unsigned height, unsigned width, unsigned channels, unsigned tall,
                         unsigned wide, T *y) {
    const Pool pool = {rows, height, width, channels, tall, wide};
    if (channels % Line<T>::SIZE == 0) {
        pool_vectors<T, Line<T>::SIZE, MAX>(x, pool, y);
    } else {
        pool_vectors<T, 1, MAX>(x, pool, y);
    }
}

template <typename T, bool MAX>
DEVICE void pool_backward(const T *x, const T *grad_y, u64 rows, unsigned height, unsigned width, unsigned channels,
                          unsigned tall, unsigned wide, unsigned accumulate, T *grad_x) {
    const Pool pool = {rows, height, width, channels, tall, wide};
    if (channels % Line<T>::SIZE == 0) {
        pool_gradients<T, Line<T>::SIZE, MAX>(x, grad_y, pool, accumulate, grad_x);
    } else {
        pool_gradients<T, 1, MAX>(x, grad_y, pool, accumulate, grad_x);
    }
}

#define POOL_FORWARD(name, T, MAX)                                                                                    \
    KERNEL name(const T *x, u64 rows, unsigned height, unsigned width, unsigned channels, unsigned tall,              \
                unsigned wide, T *y) {                                                                                \
        pool_forward<T, MAX>(x, rows, height, width, channels, tall, wide, y);                                        \
    }
#define POOL_BACKWARD(name, T, MAX)                                                                                   \
    KERNEL name(const T *x, const T *grad_y, u64 rows, unsigned height, unsigned width, unsigned channels,            \
                unsigned tall, unsigned wide, unsigned accumulate, T *grad_x) {                                       \
        pool_backward<T, MAX>(x, grad_y, rows, height, width, channels, tall, wide, accumulate, grad_x);              \
    }

POOL_FORWARD(max_pool_f32, float, true)
POOL_FORWARD(max_pool_bf16, bf16, true)
POOL_FORWARD(average_pool_f32, float, false)
POOL_FORWARD(average_pool_bf16, bf16, false)
POOL_BACKWARD(max_pool_backward_f32, float, true)
POOL_BACKWARD(max_pool_backward_bf16, bf16, true)
POOL_BACKWARD(average_pool_backward_f32, float, false)
POOL_BACKWARD(average_pool_backward_bf16, bf16, false)
