// Batch normalization of [rows, channels] (rows: of all positions), y = act((x - mean) · rstd · scale + shift + residual),
// where rstd is 1 / √(variance + eps).
//
// A block has `columns` vectors of V channels of some rows; each thread has one of them in every blockDim.x / columns'th row, so
// that it loads what belongs to a channel once. `columns` is a power of two, at most 32. Sums over rows are partial sums of
// blocks: a block's threads are added as a tree, the blocks in order, in double. The order is the same in each run.

// Channels of a block that adds partial sums, and its threads for each of them.
#define FINAL_COLUMNS 8u
#define FINAL_LANES 32u

// How rows and channels are divided.
struct Tiling {
    u64 rows, rows_per_block;
    unsigned channels, columns;
};

// The rows and channels of a thread.
template <unsigned V> struct Part {
    unsigned channel, lane; // of the first channel
    u64 first, end;         // rows of the block
    unsigned block;         // of rows
    bool inside;
    DEVICE Part of(Tiling tiling) {
        const unsigned vectors = tiling.channels / V, slices = (vectors + tiling.columns - 1) / tiling.columns;
        const unsigned block = blockIdx.x / slices, column = threadIdx.x % tiling.columns;
        const unsigned vector = blockIdx.x % slices * tiling.columns + column;
        const u64 first = block * tiling.rows_per_block, end = first + tiling.rows_per_block;
        const u64 last = end < tiling.rows ? end : tiling.rows;
        return {vector * V, threadIdx.x / tiling.columns, first, last, block, vector < vectors};
    }
};

// Adds two vectors of each lane of a column: into those of the first.
template <unsigned V> DEVICE void add_threads(float *first, float *second, unsigned columns, unsigned lanes) {
    for (unsigned half = lanes / 2; half > 0; half /= 2) {
        EACH_THREAD {
            const unsigned a = threadIdx.x, b = a + half * columns;
            for (unsigned j = 0; a < half * columns && j < V; j++) {
                first[a * V + j] += first[b * V + j];
                second[a * V + j] += second[b * V + j];
            }
        }
        SYNC();
    }
}

// Mean and sum of squared deviations of each block's rows: partials [blocks, 2, channels].
// Sums are of deviations from the block's first row, which lose nothing where the mean is large.
template <typename T, unsigned V>
DEVICE void partial_statistics(const T *x, Tiling tiling, float *partials, char *memory) {
    const unsigned channels = tiling.channels, columns = tiling.columns, lanes = blockDim.x / columns;
    float *const sums = (float *)memory, *const squares = sums + blockDim.x * V;
    EACH_THREAD {
        const Part<V> part = Part<V>::of(tiling);
        float origin[V] = {}, sum[V] = {}, square[V] = {};
        if (part.inside) {
            const Vector<T, V> values = vector_at<T, V>(x + part.first * channels + part.channel);
            for (unsigned j = 0; j < V; j++) {
                origin[j] = to_f32(values.x[j]);
            }
        }
        for (u64 row = part.first + part.lane; part.inside && row < part.end; row += lanes) {
            const Vector<T, V> values = vector_at<T, V>(x + row * channels + part.channel);
            for (unsigned j = 0; j < V; j++) {
                const float deviation = to_f32(values.x[j]) - origin[j];
                sum[j] += deviation;
                square[j] = fused(deviation, deviation, square[j]);
            }
        }
        for (unsigned j = 0; j < V; j++) {
            sums[threadIdx.x * V + j] = sum[j];
            squares[threadIdx.x * V + j] = square[j];
        }
    }
    SYNC();
    add_threads<V>(sums, squares, columns, lanes);
    EACH_THREAD {
        const Part<V> part = Part<V>::of(tiling);
        if (part.inside && part.lane == 0) {
            const Vector<T, V> origin = vector_at<T, V>(x + part.first * channels + part.channel);
            float *const partial = partials + (u64)part.block * 2 * channels + part.channel;
            for (unsigned j = 0; j < V; j++) {
                const float sum = sums[threadIdx.x * V + j], mean = sum / (float)(part.end - part.first);
                const float rest = squares[threadIdx.x * V + j] - sum * mean;
                partial[j] = to_f32(origin.x[j]) + mean;
                // Not below 0 by rounding; NaN stays.
                partial[channels + j] = rest < 0.0f ? 0.0f : rest;
            }
        }
    }
}

// Adds a double of each lane of a channel: into that of the first.
DEVICE void add_lanes(double *sums) {
    for (unsigned half = FINAL_LANES / 2; half > 0; half /= 2) {
        EACH_THREAD {
            if (threadIdx.x < half * FINAL_COLUMNS) {
                sums[threadIdx.x] += sums[threadIdx.x + half * FINAL_COLUMNS];
            }
        }
        SYNC();
    }
}

// Statistics [2, channels], mean and rstd, of all blocks' partial ones; and updates the running ones with the mean and the
// unbiased variance.
KERNEL norm_statistics(const float *partials, unsigned blocks, u64 rows, unsigned channels, u64 rows_per_block, float eps,
                       float momentum, float *running_mean, float *running_variance, float *statistics) {
    SHARED_MEMORY(memory);
    double *const sums = (double *)memory, *const means = sums + FINAL_COLUMNS * FINAL_LANES;
    for (unsigned pass = 0; pass < 2; pass++) {
        EACH_THREAD {
            const unsigned lane = threadIdx.x / FINAL_COLUMNS, column = threadIdx.x % FINAL_COLUMNS;
            const unsigned c = blockIdx.x * FINAL_COLUMNS + column;
            double sum = 0.0;
            for (unsigned block = lane; c < channels && block < blocks; block += FINAL_LANES) {
                const u64 first = block * rows_per_block, rest = rows - first;
                const double count = (double)(rest < rows_per_block ? rest : rows_per_block);
                const float *const partial = partials + (u64)block * 2 * channels + c;
                const double mean = partial[0];
                if (pass == 0) {
                    sum += count * mean;
                } else {
                    const double apart = mean - means[column];
                    sum += partial[channels] + count * apart * apart;
                }
            }
            sums[threadIdx.x] = sum;
        }
        SYNC();
        add_lanes(sums);
        EACH_THREAD {
            const unsigned c = blockIdx.x * FINAL_COLUMNS + threadIdx.x;
            if (threadIdx.x < FINAL_COLUMNS && c < channels) {
                if (pass == 0) {
                    means[threadIdx.x] = sums[threadIdx.x] / (double)rows;
                } else {
                    const double mean = means[threadIdx.x], variance = sums[threadIdx.x] / (double)rows;
                    const double unbiased = sums[threadIdx.x] / (rows > 1 ? (double)(rows - 1) : 1.0);
                    statistics[c] = (float)mean;
                    statistics[channels + c] = (float)(1.0 / sqrt(variance + (double)eps));
                    running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * (float)mean;
                    running_variance[c] = (1.0f - momentum) * running_variance[c] + momentum * (float)unbiased;
                }
            }
        }
        SYNC();
    }
}

// Statistics [2, channels] for predictions.
KERNEL norm_running(const float *running_mean, const float *running_variance, unsigned channels, float eps,
                    float *statistics) {
    EACH_THREAD {
        const u64 c = thread_index();
        if (c < channels) {
            statistics[c] = running_mean[c];
            statistics[channels + c] = (float)(1.0 / sqrt((double)running_variance[c] + (double)eps));
        }
    }
}

// What a channel is multiplied and moved by.
struct Affine {
    float mean, rstd, scale, shift;
};

DEVICE Affine affine_of(const float *statistics, const float *scale, const float *shift, unsigned channels, unsigned c) {
    return {statistics[c], statistics[channels + c], scale[c], shift[c]};
}

DEVICE float normalized(Affine affine, float x) { return (x - affine.mean) * affine.rstd; }

// The argument of the activation: the same bits forward and backward.
DEVICE float before_activation(Affine affine, float normal, float residual) {
    return fused(normal, affine.scale, affine.shift) + residual;
}

template <typename T, unsigned V>
DEVICE void norm_apply(const T *x, const T *residual, Tiling tiling, const float *statistics, const float *scale,
                       const float *shift, unsigned activation, T *y) {
    EACH_THREAD {
        const Part<V> part = Part<V>::of(tiling);
        const unsigned lanes = blockDim.x / tiling.columns;
        Affine affine[V] = {};
        for (unsigned j = 0; part.inside && j < V; j++) {
            affine[j] = affine_of(statistics, scale, shift, tiling.channels, part.channel + j);
        }
        for (u64 row = part.first + part.lane; part.inside && row < part.end; row += lanes) {
            const u64 at = row * tiling.channels + part.channel;
            Vector<T, V> values = vector_at<T, V>(x + at);
            const Vector<T, V> other = residual ? vector_at<T, V>(residual + at) : Vector<T, V>();
            for (unsigned j = 0; j < V; j++) {
                const float normal = normalized(affine[j], to_f32(values.x[j]));
                const float z = before_activation(affine[j], normal, residual ? to_f32(other.x[j]) : 0.0f);
                values.x[j] = from_f32<T>(activate(activation, z));
            }
            *(Vector<T, V> *)(y + at) = values;
        }
    }
}

// y + bias, in place: y is [rows, channels], bias [channels].
template <typename T, unsigned V> DEVICE void add_bias(T *y, Tiling tiling, const float *bias) {
    EACH_THREAD {
        const Part<V> part = Part<V>::of(tiling);
        const unsigned lanes = blockDim.x / tiling.columns;
        float summand[V] = {};
        for (unsigned j = 0; part.inside && j < V; j++) {
            summand[j] = bias[part.channel + j];
        }
        for (u64 row = part.first + part.lane; part.inside && row < part.end; row += lanes) {
            T *const at = y + row * tiling.channels + part.channel;
            Vector<T, V> values = vector_at<T, V>(at);
            for (unsigned j = 0; j < V; j++) {
                values.x[j] = from_f32<T>(to_f32(values.x[j]) + summand[j]);
            }
            *(Vector<T, V> *)at = values;
        }
    }
}

// Partial sums [blocks, 2, channels] of the gradient before the activation, and of its products with the normalized x; without
// statistics only of grad_y.
template <typename T, unsigned V>
DEVICE void partial_gradients(const T *x, const T *residual, const T *grad_y, Tiling tiling, const float *statistics,
                              const float *scale, const float *shift, unsigned activation, float *partials,
                              char *memory) {
    const unsigned channels = tiling.channels, columns = tiling.columns, lanes = blockDim.x / columns;
    float *const sums = (float *)memory, *const products = sums + blockDim.x * V;
    EACH_THREAD {
        const Part<V> part = Part<V>::of(tiling);
        float sum[V], product[V];
        Affine affine[V] = {};
        for (unsigned j = 0; j < V; j++) {
            sum[j] = product[j] = 0.0f;
            if (part.inside && statistics) {
                affine[j] = affine_of(statistics, scale, shift, channels, part.channel + j);
            }
        }
        for (u64 row = part.first + part.lane; part.inside && row < part.end; row += lanes) {
            const u64 at = row * channels + part.channel;
            const Vector<T, V> dy = vector_at<T, V>(grad_y + at);
            const Vector<T, V> in = statistics ? vector_at<T, V>(x + at) : Vector<T, V>();
            const Vector<T, V> other = residual ? vector_at<T, V>(residual + at) : Vector<T, V>();
            for (unsigned j = 0; j < V; j++) {
                float slope = to_f32(dy.x[j]);
                if (statistics) {
                    const float normal = normalized(affine[j], to_f32(in.x[j]));
                    const float z = before_activation(affine[j], normal, residual ? to_f32(other.x[j]) : 0.0f);
                    slope *= activation_slope(activation, z);
                    product[j] = fused(slope, normal, product[j]);
                }
                sum[j] += slope;
            }
        }
        for (unsigned j = 0; j < V; j++) {
            sums[threadIdx.x * V + j] = sum[j];
            products[threadIdx.x * V + j] = product[j];
        }
    }
    SYNC();
    add_threads<V>(sums, products, columns, lanes);
    EACH_THREAD {
        const Part<V> part = Part<V>::of(tiling);
        if (part.inside && part.lane == 0) {
            float *const partial = partials + (u64)part.block * 2 * channels + part.channel;
            for (unsigned j = 0; j < V; j++) {
                partial[j] = sums[threadIdx.x * V + j];
                partial[channels + j] = products[threadIdx.x * V + j];
            }
        }
    }
}

// Adds the partial sums: sums [2, channels], grad_shift and grad_scale [channels]. What is null is not written.
KERNEL norm_gradients(const float *partials, unsigned blocks, unsigned channels, float *sums, float *grad_scale,
                      float *grad_shift) {
    SHARED_MEMORY(memory);
    double *const lanes = (double *)memory;
    for (unsigned kind = 0; kind < 2; kind++) {
        EACH_THREAD {
            const unsigned lane = threadIdx.x / FINAL_COLUMNS, c = blockIdx.x * FINAL_COLUMNS + threadIdx.x % FINAL_COLUMNS;
            double sum = 0.0;
            for (unsigned block = lane; c < channels && block < blocks; block += FINAL_LANES) {
                sum += partials[((u64)block * 2 + kind) * channels + c];
            }
            lanes[threadIdx.x] = sum;
        }
        SYNC();
        add_lanes(lanes);
        EACH_THREAD {
            const unsigned c = blockIdx.x * FINAL_COLUMNS + threadIdx.x;
            float *const gradient = kind == 0 ? grad_shift : grad_scale;
            if (threadIdx.x < FINAL_COLUMNS && c < channels) {
                if (sums) {
                    sums[kind * channels + c] = (float)lanes[threadIdx.x];
                }
                if (gradient) {
                    gradient[c] = (float)lanes[threadIdx.x];
                }
            }
        }
        SYNC();
    }
}

// grad_x = scale · rstd · (g - mean(g) - normal · mean(g · normal)), where g is the gradient before the activation, which is
// grad_residual; bit 0 of `accumulate` is of grad_x, bit 1 of grad_residual. What is null is not written.
template <typename T, unsigned V>
DEVICE void norm_backward(const T *x, const T *residual, const T *grad_y, Tiling tiling, const float *statistics,
                          const float *sums, const float *scale, const float *shift, unsigned activation,
                          unsigned accumulate, T *grad_x, T *grad_residual) {
    EACH_THREAD {
        const Part<V> part = Part<V>::of(tiling);
        const unsigned lanes = blockDim.x / tiling.columns, channels = tiling.channels;
        Affine affine[V] = {};
        float mean[V] = {}, mean_product[V] = {};
        for (unsigned j = 0; part.inside && j < V; j++) {
            const unsigned c = part.channel + j;
            affine[j] = affine_of(statistics, scale, shift, channels, c);
            mean[j] = sums[c] / (float)tiling.rows;
            mean_product[j] = sums[channels + c] / (float)tiling.rows;
        }
        for (u64 row = part.first + part.lane; part.inside && row < part.end; row += lanes) {
            const u64 at = row * channels + part.channel;
            const Vector<T, V> in = vector_at<T, V>(x + at), dy = vector_at<T, V>(grad_y + at);
            const Vector<T, V> other = residual ? vector_at<T, V>(residual + at) : Vector<T, V>();
            const Vector<T, V> before = accumulate & 1u ? vector_at<T, V>(grad_x + at) : Vector<T, V>();
            float slope[V];
            Vector<T, V> out;
            for (unsigned j = 0; j < V; j++) {
                const float normal = normalized(affine[j], to_f32(in.x[j]));
                const float z = before_activation(affine[j], normal, residual ? to_f32(other.x[j]) : 0.0f);
                slope[j] = to_f32(dy.x[j]) * activation_slope(activation, z);
                const float centered = slope[j] - mean[j] - normal * mean_product[j];
                const float dx = affine[j].scale * affine[j].rstd * centered;
                out.x[j] = from_f32<T>(accumulate & 1u ? to_f32(before.x[j]) + dx : dx);
            }
            if (grad_x) {
                *(Vector<T, V> *)(grad_x + at) = out;
            }
            if (grad_residual) {
                // After grad_x is written: they may be the same.
                const Vector<T, V> there = accumulate & 2u ? vector_at<T, V>(grad_residual + at) : Vector<T, V>();
                for (unsigned j = 0; j < V; j++) {
                    out.x[j] = from_f32<T>(accumulate & 2u ? to_f32(there.x[j]) + slope[j] : slope[j]);
                }
                *(Vector<T, V> *)(grad_residual + at) = out;
            }
        }
    }
}

// Calls `function` with vectors of 16 bytes where channels are a multiple of them, and otherwise with single channels.
#define BY_VECTOR(T, function, ...)                                                                                   \
    const Tiling tiling = {rows, rows_per_block, channels, columns};                                                  \
    if (channels % Line<T>::SIZE == 0) {                                                                              \
        function<T, Line<T>::SIZE>(__VA_ARGS__);                                                                      \
    } else {                                                                                                          \
        function<T, 1>(__VA_ARGS__);                                                                                  \
    }

#define PARTIAL_STATISTICS(name, T)                                                                                   \
    KERNEL name(const T *x, u64 rows, u64 rows_per_block, unsigned channels, unsigned columns, float *partials) {     \
        SHARED_MEMORY(memory);                                                                                        \
        BY_VECTOR(T, partial_statistics, x, tiling, partials, memory)                                                 \
    }
#define NORM_APPLY(name, T)                                                                                           \
    KERNEL name(const T *x, const T *residual, u64 rows, u64 rows_per_block, unsigned channels, unsigned columns,     \
                const float *statistics, const float *scale, const float *shift, unsigned activation, T *y) {         \
        BY_VECTOR(T, norm_apply, x, residual, tiling, statistics, scale, shift, activation, y)                        \
    }
#define ADD_BIAS(name, T)                                                                                             \
    KERNEL name(T *y, u64 rows, u64 rows_per_block, unsigned channels, unsigned columns, const float *bias) {         \
        BY_VECTOR(T, add_bias, y, tiling, bias)                                                                       \
    }
#define PARTIAL_GRADIENTS(name, T)                                                                                    \
    KERNEL name(const T *x, const T *residual, const T *grad_y, u64 rows, u64 rows_per_block, unsigned channels,      \
                unsigned columns, const float *statistics, const float *scale, const float *shift,                    \
                unsigned activation, float *partials) {                                                               \
        SHARED_MEMORY(memory);                                                                                        \
        BY_VECTOR(T, partial_gradients, x, residual, grad_y, tiling, statistics, scale, shift, activation, partials,  \
                  memory)                                                                                             \
    }
#define NORM_BACKWARD(name, T)                                                                                        \
    KERNEL name(const T *x, const T *residual, const T *grad_y, u64 rows, u64 rows_per_block, unsigned channels,      \
                unsigned columns, const float *statistics, const float *sums, const float *scale,                     \
                const float *shift, unsigned activation, unsigned accumulate, T *grad_x, T *grad_residual) {          \
        BY_VECTOR(T, norm_backward, x, residual, grad_y, tiling, statistics, sums, scale, shift, activation,          \
                  accumulate, grad_x, grad_residual)                                                                  \
    }

PARTIAL_STATISTICS(partial_statistics_f32, float)
PARTIAL_STATISTICS(partial_statistics_bf16, bf16)
NORM_APPLY(norm_apply_f32, float)
NORM_APPLY(norm_apply_bf16, bf16)
ADD_BIAS(add_bias_f32, float)
ADD_BIAS(add_bias_bf16, bf16)
PARTIAL_GRADIENTS(partial_gradients_f32, float)
PARTIAL_GRADIENTS(partial_gradients_bf16, bf16)
NORM_BACKWARD(norm_backward_f32, float)
NORM_BACKWARD(norm_backward_bf16, bf16)
