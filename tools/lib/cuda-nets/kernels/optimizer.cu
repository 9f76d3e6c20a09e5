// The update of all parameters in one launch, and what precedes it: sums over gradients. Elements are computed as by
// kernels::update and optim::clip, in their order, so with the same bits; the sum of squares has another order, which depends
// on the number of gradients alone.

// Neighbouring elements that a block updates: Tile of optimizer.rs.
struct alignas(16) Tile {
    u64 start;
    unsigned count;
    unsigned group;  // NO_GROUP: frozen, but averaged
};
#define NO_GROUP 0xffffffffu

// Numbers of a group's coefficients.
#define COEFFICIENTS 8u

// What is known of a step's gradients: StepState of optimizer.rs.
struct alignas(16) StepState {
    double norm;      // of the mean gradients, before clipping
    float scale;      // of clipping by the norm, at most 1
    unsigned finite;  // whether they and the losses are
};

// From the sum of the batches' gradients to what the optimizer takes.
struct Clip {
    float mean, scale, limit;

    DEVICE float of(Clip self, float gradient) {
        const float g = gradient * self.mean * self.scale;
        return g < -self.limit ? -self.limit : g > self.limit ? self.limit : g;
    }
};

// Four elements of a buffer from a multiple of four on. Those outside [start, end) are neither read nor written.
DEVICE Line<float> load_line(const float *values, u64 at, u64 start, u64 end) {
    Line<float> line = {};
    if (at >= start && at + 4 <= end) {
        return *(const Line<float> *)(values + at);
    }
    for (unsigned i = 0; i < 4; i++) {
        if (at + i >= start && at + i < end) {
            line.x[i] = values[at + i];
        }
    }
    return line;
}

DEVICE void store_line(float *values, u64 at, u64 start, u64 end, Line<float> line) {
    if (at >= start && at + 4 <= end) {
        *(Line<float> *)(values + at) = line;
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (at + i >= start && at + i < end) {
            values[at + i] = line.x[i];
        }
    }
}

// Elements of a block of gradient_squares: those of optimizer.rs.
#define SQUARES 8192u

// partial_sums[block]: the sum of squares of a block's gradients after the mean and, with `clipped`, after clipping. A square
// is exact, and no sum of them overflows: it is finite where all are.
KERNEL gradient_squares(const float *__restrict__ gradients, u64 count, float mean, unsigned clipped, float limit,
                        const StepState *state, double *__restrict__ partial_sums) {
    SHARED_MEMORY(memory);
    double *const sums = (double *)memory;
    const Clip clip = {mean, clipped ? state->scale : 1.0f, limit};
    EACH_THREAD {
        double sum = 0;
        const u64 first = (u64)blockIdx.x * SQUARES;
#pragma unroll 8
        for (unsigned i = 4 * threadIdx.x; i < SQUARES; i += 4 * blockDim.x) {
            const Line<float> line = load_line(gradients, first + i, 0, count);
            for (unsigned j = 0; j < 4; j++) {
                const double g = (double)Clip::of(clip, line.x[j]);
                sum = fused(g, g, sum);
            }
        }
        sums[threadIdx.x] = sum;
    }
    SYNC();
    add_block(sums);
    EACH_THREAD {
        if (threadIdx.x == 0) {
            partial_sums[blockIdx.x] = sums[0];
        }
    }
}

// The norm, the scale of clipping to `max_norm`, and whether the sum and `losses` are finite. One block.
KERNEL gradient_finish(const double *__restrict__ partial_sums, u64 count, const double *__restrict__ losses,
                       unsigned loss_count, double max_norm, double eps, StepState *state) {
    SHARED_MEMORY(memory);
    double *const sums = (double *)memory;
    add_partial_sums(partial_sums, count, sums);
    EACH_THREAD {
        if (threadIdx.x == 0) {
            const double infinity = (double)real(0x7f800000u), norm = sqrt(sums[0]);
            // NaN is not below infinity.
            bool finite = sums[0] < infinity;
            for (unsigned i = 0; i < loss_count; i++) {
                finite = finite && magnitude(losses[i]) < infinity;
            }
            const float scale = (float)(max_norm / (norm + eps));
            *state = {norm, scale < 1.0f ? scale : 1.0f, finite ? 1u : 0u};
        }
    }
}

// Each rule updates an element by its gradient `g`, with the coefficients `c` of its group.
struct Sgd {
    DEVICE void update(const float *c, float g, float &p, float &velocity, float &) {
        const float learning_rate = c[0], momentum = c[1], weight_decay = c[2];
        g = g + weight_decay * p;
        velocity = momentum * velocity + g;
        const float direction = c[3] != 0 ? g + momentum * velocity : velocity;
        p = p - learning_rate * direction;
    }
};

struct Adam {
    DEVICE void update(const float *c, float g, float &p, float &m, float &v) {
        const float step_size = c[0], beta1 = c[1], beta2 = c[2], eps = c[3], root_scale = c[4], weight_decay = c[5];
        p = p * c[6];
        g = g + weight_decay * p;
        m = beta1 * m + (1.0f - beta1) * g;
        v = beta2 * v + (1.0f - beta2) * g * g;
        p = p - step_size * m / (sqrtf(v) * root_scale + eps);
    }
};

struct RmsProp {
    DEVICE void update(const float *c, float g, float &p, float &square, float &velocity) {
        const float learning_rate = c[0], alpha = c[1], eps = c[2], momentum = c[3], weight_decay = c[4];
        g = g + weight_decay * p;
        square = alpha * square + (1.0f - alpha) * g * g;
        velocity = momentum * velocity + g / (sqrtf(square) + eps);
        p = p - learning_rate * velocity;
    }
};

// A tile a block. `second` is not read where the rule has one array of state, nor `average` without `averaging`.
template <typename Rule, bool SECOND>
DEVICE void update(const Tile *__restrict__ tiles, const float *__restrict__ coefficients, const StepState *state,
                   float mean, float limit, float *__restrict__ parameters, const float *__restrict__ gradients,
                   float *__restrict__ first, float *__restrict__ second, unsigned averaging, float decay,
                   float *__restrict__ average) {
    if (!state->finite) {
        return;
    }
    const Tile tile = tiles[blockIdx.x];
    const u64 start = tile.start, end = tile.start + tile.count;
    const Clip clip = {mean, state->scale, limit};
    EACH_THREAD {
        float c[COEFFICIENTS];
        for (unsigned i = 0; i < COEFFICIENTS; i++) {
            c[i] = tile.group == NO_GROUP ? 0 : coefficients[tile.group * COEFFICIENTS + i];
        }
        for (u64 at = (start / 4 + threadIdx.x) * 4; at < end; at += 4 * blockDim.x) {
            Line<float> p = load_line(parameters, at, start, end);
            if (tile.group != NO_GROUP) {
                const Line<float> g = load_line(gradients, at, start, end);
                Line<float> a = load_line(first, at, start, end), b = {};
                if (SECOND) {
                    b = load_line(second, at, start, end);
                }
                for (unsigned i = 0; i < 4; i++) {
                    Rule::update(c, Clip::of(clip, g.x[i]), p.x[i], a.x[i], b.x[i]);
                }
                store_line(parameters, at, start, end, p);
                store_line(first, at, start, end, a);
                if (SECOND) {
                    store_line(second, at, start, end, b);
                }
            }
            if (averaging) {
                Line<float> mean_value = load_line(average, at, start, end);
                for (unsigned i = 0; i < 4; i++) {
                    mean_value.x[i] = decay * mean_value.x[i] + (1.0f - decay) * p.x[i];
                }
                store_line(average, at, start, end, mean_value);
            }
        }
    }
}

#define UPDATE(name, Rule, SECOND)                                                                                    \
    KERNEL name(const Tile *tiles, const float *coefficients, const StepState *state, float mean, float limit,        \
                float *parameters, const float *gradients, float *first, float *second, unsigned averaging,           \
                float decay, float *average) {                                                                        \
        update<Rule, SECOND>(tiles, coefficients, state, mean, limit, parameters, gradients, first, second,           \
                             averaging, decay, average);                                                              \
    }

UPDATE(update_sgd, Sgd, false)
UPDATE(update_adam, Adam, true)
UPDATE(update_rms_prop, RmsProp, true)

// sum[i] += x[i]
KERNEL add_gradients(float *__restrict__ sum, const float *__restrict__ x, u64 count) {
    EACH_THREAD {
        const u64 at = 4 * thread_index();
        if (at < count) {
            Line<float> line = load_line(sum, at, 0, count);
            const Line<float> other = load_line(x, at, 0, count);
            for (unsigned i = 0; i < 4; i++) {
                line.x[i] = line.x[i] + other.x[i];
            }
            store_line(sum, at, 0, count, line);
        }
    }
}
