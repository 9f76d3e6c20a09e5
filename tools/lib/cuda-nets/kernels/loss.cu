// Losses and their gradients with respect to the outputs: nets::Loss, in double as there. What does not go through exp or log
// has the same bits; sums have another order, which depends on the shape alone.

// Threads of a block: those of loss.rs.
#define LOSS_THREADS 128u
// Threads of a row of cross_entropy.
#define LOSS_LANES 32u

// Adds the block's values, one a thread, as a tree; the sum is values[0]. As many threads as a power of two.
DEVICE void add_block(double *values) {
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        EACH_THREAD {
            if (threadIdx.x < half) {
                values[threadIdx.x] = values[threadIdx.x] + values[threadIdx.x + half];
            }
        }
        SYNC();
    }
}

// The sum of `count` partial sums, in a block that is alone; it is sums[0].
DEVICE void add_partial_sums(const double *__restrict__ partial_sums, u64 count, double *sums) {
    EACH_THREAD {
        double sum = 0;
        for (u64 i = threadIdx.x; i < count; i += blockDim.x) {
            sum = sum + partial_sums[i];
        }
        sums[threadIdx.x] = sum;
    }
    SYNC();
    add_block(sums);
}

DEVICE double weight_of(const float *weights, u64 count, u64 i) { return i < count ? (double)weights[i] : 1.0; }

DEVICE double magnitude(double x) { return real(bits(x) & 0x7fffffffffffffffull); }
DEVICE double sign(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : x; }

// An output's loss and its derivative.
struct Term {
    double loss, slope;
};

struct SquaredError {
    DEVICE Term of(float output, float target, double) {
        const double error = (double)(output - target);
        return {error * error, 2.0 * error};
    }
};

struct AbsoluteError {
    DEVICE Term of(float output, float target, double) {
        const double error = (double)(output - target);
        return {magnitude(error), error == 0 ? 0.0 : sign(error)};
    }
};

struct HuberError {
    DEVICE Term of(float output, float target, double delta) {
        const double error = (double)(output - target), far = magnitude(error);
        if (far <= delta) {
            return {0.5 * error * error, error};
        }
        return {delta * (far - 0.5 * delta), delta * sign(error)};
    }
};

struct BinaryCrossEntropy {
    DEVICE Term of(float output, float target, double) {
        const double logit = (double)output, e = exp(-magnitude(logit));
        const double sigmoid = logit >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
        // log(1 + exp(logit)) - target · logit, without overflow; NaN is not above 0, and stays one in the product
        return {(logit > 0 ? logit : 0.0) - (double)target * logit + log1p(e), sigmoid - (double)target};
    }
};

// outputs, targets, grad_output: [rows, width]; weights: [weight_count], [rows] or empty; class_weights: [classes], of a target
// below and above 1/2 where width is 1, or empty; partial_sums: [blocks].
template <typename Loss, bool CLASSES>
DEVICE void loss_of_elements(const float *__restrict__ outputs, const float *__restrict__ targets,
                             const float *__restrict__ weights, u64 weight_count,
                             const float *__restrict__ class_weights, unsigned classes, u64 count, unsigned width,
                             double factor, double delta, float *__restrict__ grad_output,
                             double *__restrict__ partial_sums, double *terms) {
    EACH_THREAD {
        const u64 i = thread_index();
        terms[threadIdx.x] = 0;
        if (i < count) {
            double weight = weight_of(weights, weight_count, i / width);
            if (CLASSES && width == 1) {
                weight = weight * weight_of(class_weights, classes, targets[i] > 0.5f ? 1 : 0);
            }
            const Term term = Loss::of(outputs[i], targets[i], delta);
            terms[threadIdx.x] = weight * term.loss;
            grad_output[i] = (float)(factor * weight * term.slope);
        }
    }
    SYNC();
    add_block(terms);
    EACH_THREAD {
        if (threadIdx.x == 0) {
            partial_sums[blockIdx.x] = terms[0];
        }
    }
}

#define LOSS_OF_ELEMENTS(name, Loss, CLASSES)                                                                         \
    KERNEL name(const float *outputs, const float *targets, const float *weights, u64 weight_count,                   \
                const float *class_weights, unsigned classes, u64 count, unsigned width, double factor, double delta, \
                float *grad_output, double *partial_sums) {                                                           \
        SHARED_MEMORY(memory);                                                                                        \
        loss_of_elements<Loss, CLASSES>(outputs, targets, weights, weight_count, class_weights, classes, count,       \
                                        width, factor, delta, grad_output, partial_sums, (double *)memory);           \
    }

LOSS_OF_ELEMENTS(loss_mse, SquaredError, false)
LOSS_OF_ELEMENTS(loss_mae, AbsoluteError, false)
LOSS_OF_ELEMENTS(loss_huber, HuberError, false)
LOSS_OF_ELEMENTS(loss_bce, BinaryCrossEntropy, true)

// What the classes of a row aim at: a class index where `width` classes have one target, otherwise a probability each.
struct ClassTargets {
    const float *target;  // the row's
    double row_weight, smoothing;
    const float *class_weights;
    unsigned classes, width, target_width;

    // The probability of a class after smoothing, times the weights of row and class.
    DEVICE double of(ClassTargets self, unsigned class_index) {
        double probability;
        if (self.target_width == 1 && self.width > 1) {
            const float index = self.target[0];
            // As Rust converts: no class is negative or NaN.
            probability = (index > 0 ? (unsigned)index : 0) == class_index ? 1.0 : 0.0;
        } else {
            probability = (double)self.target[class_index];
        }
        return ((1.0 - self.smoothing) * probability + self.smoothing / self.width) * self.row_weight *
               weight_of(self.class_weights, self.classes, class_index);
    }
};

// Of each thread; a row's in its first.
struct SoftmaxMemory {
    double max[LOSS_THREADS], sum[LOSS_THREADS], target_sum[LOSS_THREADS], terms[LOSS_THREADS];
};

// outputs, grad_output: [rows, width], logits; targets: [rows, target_width]; weights: [weight_count], [rows] or empty;
// class_weights: [classes], [width] or empty; partial_sums: [blocks].
KERNEL loss_cross_entropy(const float *__restrict__ outputs, const float *__restrict__ targets,
                          const float *__restrict__ weights, u64 weight_count,
                          const float *__restrict__ class_weights, unsigned classes, u64 rows, unsigned width,
                          unsigned target_width, double factor, double smoothing, float *__restrict__ grad_output,
                          double *__restrict__ partial_sums) {
    SHARED_MEMORY(memory);
    SoftmaxMemory &shared = *(SoftmaxMemory *)memory;
#define ROW() (thread_index() / LOSS_LANES)
#define LANE() (threadIdx.x % LOSS_LANES)
// Combines the values of a row's threads in the first one's.
#define EACH_HALF(statement)                                                                                          \
    for (unsigned half = LOSS_LANES / 2; half > 0; half /= 2) {                                                       \
        EACH_THREAD {                                                                                                 \
            const unsigned at = threadIdx.x, other = at + half;                                                       \
            if (LANE() < half) {                                                                                      \
                statement;                                                                                            \
            }                                                                                                         \
        }                                                                                                             \
        SYNC();                                                                                                       \
    }
    EACH_THREAD {
        double max = (double)real(0xff800000u);
        if (ROW() < rows) {
            const float *const logits = outputs + ROW() * width;
            for (unsigned i = LANE(); i < width; i += LOSS_LANES) {
                max = (double)logits[i] > max ? (double)logits[i] : max;
            }
        }
        shared.max[threadIdx.x] = max;
    }
    SYNC();
    EACH_HALF(shared.max[at] = shared.max[other] > shared.max[at] ? shared.max[other] : shared.max[at])
    EACH_THREAD {
        double sum = 0, target_sum = 0;
        if (ROW() < rows) {
            const float *const logits = outputs + ROW() * width;
            const double max = shared.max[threadIdx.x - LANE()];
            const ClassTargets all = {targets + ROW() * target_width, weight_of(weights, weight_count, ROW()), smoothing,
                                      class_weights, classes, width, target_width};
            for (unsigned i = LANE(); i < width; i += LOSS_LANES) {
                sum = sum + exp((double)logits[i] - max);
                target_sum = target_sum + ClassTargets::of(all, i);
            }
        }
        shared.sum[threadIdx.x] = sum;
        shared.target_sum[threadIdx.x] = target_sum;
    }
    SYNC();
    EACH_HALF(shared.sum[at] = shared.sum[at] + shared.sum[other];
              shared.target_sum[at] = shared.target_sum[at] + shared.target_sum[other])
    EACH_THREAD {
        double term = 0;
        if (ROW() < rows) {
            const unsigned first = threadIdx.x - LANE();
            const double max = shared.max[first], sum = shared.sum[first], log_sum = max + log(sum);
            const float *const logits = outputs + ROW() * width;
            float *const gradients = grad_output + ROW() * width;
            const ClassTargets all = {targets + ROW() * target_width, weight_of(weights, weight_count, ROW()), smoothing,
                                      class_weights, classes, width, target_width};
            for (unsigned i = LANE(); i < width; i += LOSS_LANES) {
                const double target = ClassTargets::of(all, i), probability = exp((double)logits[i] - max) / sum;
                term = term + target * (log_sum - (double)logits[i]);
                gradients[i] = (float)(factor * (probability * shared.target_sum[first] - target));
            }
        }
        shared.terms[threadIdx.x] = term;
    }
    SYNC();
    add_block(shared.terms);
    EACH_THREAD {
        if (threadIdx.x == 0) {
            partial_sums[blockIdx.x] = shared.terms[0];
        }
    }
#undef ROW
#undef LANE
#undef EACH_HALF
}

// *loss = factor · the sum of `count` partial sums. One block.
KERNEL loss_finish(const double *__restrict__ partial_sums, u64 count, double factor, double *loss) {
    SHARED_MEMORY(memory);
    double *const sums = (double *)memory;
    add_partial_sums(partial_sums, count, sums);
    EACH_THREAD {
        if (threadIdx.x == 0) {
            *loss = factor * sums[0];
        }
    }
}
