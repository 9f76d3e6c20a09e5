// Entropies of rows of probabilities: the operations of kernels::entropy_rows in their order, so the same bits.
//
// A row that may be no probability vector, or whose entropy is tiny, is only flagged: `flagged` gets the index of the first,
// and the host computes and checks the rows from there with the CPU's kernel.

typedef unsigned long long u64;

// Bits of a type's numbers. LogarithmF32 and LogarithmF64, which the host writes, have the logarithm's constants.
template <typename T> struct Format;

template <> struct Format<float> {
    typedef unsigned Bits;
    typedef LogarithmF32 Logarithm;
    // As an integer e in the last bits of 2^23, less what that and the bias are: exact, and no conversion.
    DEVICE float exponent(Bits x) { return real(0x4b000000u | ((x >> 23) & 0xffu)) - (8388608.0f + 127.0f); }
    DEVICE float magnitude(float x) { return real(bits(x) & 0x7fffffffu); }
    DEVICE bool negative(Bits x) { return x >> 31; }
    DEVICE float infinity() { return real(0x7f800000u); }
};

template <> struct Format<double> {
    typedef u64 Bits;
    typedef LogarithmF64 Logarithm;
    DEVICE double exponent(Bits x) {
        return real(0x4330000000000000ull | ((x >> 52) & 0x7ffull)) - (4503599627370496.0 + 1023.0);
    }
    DEVICE double magnitude(double x) { return real(bits(x) & 0x7fffffffffffffffull); }
    DEVICE bool negative(Bits x) { return x >> 63; }
    DEVICE double infinity() { return real(0x7ff0000000000000ull); }
};

// Columns of a group, whose terms are added without compensation.
#define COLUMNS 8u
// Lanes of a vector of the CPU's: a wide row has so many threads.
#define LANES(T) (64u / (unsigned)sizeof(T))
// Lanes and group of a row's sum in double.
#define SUM_LANES 8u
#define SUM_GROUP 32u

// The table of the logarithm in shared memory: as many entries of each kind as a type's numbers fill 32 banks.
template <typename T> struct Table {
    const T *reciprocals, *logarithms;
};

template <typename T> DEVICE Table<T> table_in(char *memory) {
    const T *start = (const T *)memory;
    return {start, start + Format<T>::Logarithm::ENTRIES};
}

template <typename T> DEVICE void load_table(char *memory) {
    typedef typename Format<T>::Logarithm Log;
    T *table = (T *)memory;
    for (unsigned i = threadIdx.x; i < Log::ENTRIES; i += blockDim.x) {
        table[i] = Log::reciprocal(i);
        table[Log::ENTRIES + i] = Log::logarithm(i);
    }
}

template <typename T> DEVICE T ln(T x, Table<T> table) {
    typedef typename Format<T>::Bits Bits;
    typedef typename Format<T>::Logarithm Log;
    const Bits offset = bits((T)1) - (Bits)Log::LOW;
    const Bits x_bits = bits(x) + offset;
    const T mantissa = real((Bits)((x_bits & (Bits)Log::MANTISSA) + (Bits)Log::LOW));
    const unsigned entry = (unsigned)(x_bits >> Log::STEP) % Log::ENTRIES;
    const T f = fused(mantissa, table.reciprocals[entry], (T)-1);
    const T near_1 = fused(f * f, Log::series(f), f);
    return fused(Format<T>::exponent(x_bits), Log::ln_2(), table.logarithms[entry]) + near_1;
}

// Sums over the elements of a row, on their way.
template <typename T> struct Sums {
    T probs, terms, lost;
};

// The sums of `count` elements from `group`, `stride` apart, each divided by `divisor` with SCALE. `signs` collects bits.
template <typename T, bool SCALE, unsigned COUNT>
DEVICE void add_columns(const T *group, unsigned stride, unsigned count, T divisor, Table<T> table,
                        typename Format<T>::Bits &signs, T (&probs)[2], T (&terms)[2]) {
#pragma unroll
    for (unsigned i = 0; i < COUNT; i++) {
        if (COUNT == COLUMNS || i < count) {
            const T p = SCALE ? group[i * stride] / divisor : group[i * stride];
            signs |= bits(p);
            probs[i % 2] = probs[i % 2] + p;
            terms[i % 2] = fused(p, ln(p, table), terms[i % 2]);
        }
    }
}

template <typename T, bool SCALE>
DEVICE Sums<T> sums_of(const T *group, unsigned stride, unsigned count, T divisor, Table<T> table,
                       typename Format<T>::Bits &signs) {
    T probs[2] = {0, 0}, terms[2] = {0, 0};
    if (count == COLUMNS) {
        add_columns<T, SCALE, COLUMNS>(group, stride, count, divisor, table, signs, probs, terms);
    } else {
        add_columns<T, SCALE, COLUMNS - 1>(group, stride, count, divisor, table, signs, probs, terms);
    }
    return {probs[0] + probs[1], terms[0] + terms[1], 0};
}

// Adds a group; the terms with compensation (Knuth's two-sum).
template <typename T> DEVICE Sums<T> add(Sums<T> self, Sums<T> group) {
    const T terms = self.terms + group.terms;
    const T from_group = terms - self.terms;
    const T from_self = terms - from_group;
    const T lost = (self.terms - from_self) + (group.terms - from_group);
    return {self.probs + group.probs, terms, self.lost + lost};
}

// What rows are checked against.
template <typename T> struct Checks {
    T tolerance, tiny, divisor;
};

// Writes the entropy of row `row`. `sum` is what it was divided by, with SCALE.
template <typename T, bool SCALE>
DEVICE void finish_row(Sums<T> sums, typename Format<T>::Bits signs, T sum, Checks<T> checks, unsigned row, T *out,
                       unsigned *flagged) {
    const T entropy = (T)0 - (sums.terms + sums.lost) / checks.divisor;
    const T distance = Format<T>::magnitude(sums.probs - (T)1);
    const bool good = SCALE ? sum > (T)0 && sum < Format<T>::infinity() : distance <= checks.tolerance;
    const bool tiny = Format<T>::magnitude(entropy) < checks.tiny && entropy != (T)0;
    if (!good || tiny || Format<T>::negative(signs)) {
        minimum_at(flagged, row);
    }
    out[row] = entropy;
}

// A lane of a row's sum: the elements lane, lane + 8, ... in groups that are added with compensation; what is left of the row
// first, its last elements in the last lanes.
template <typename T> DEVICE void sum_lane(const T *row, unsigned width, unsigned lane, double &sum, double &lost) {
    lost = 0;
    if (width <= SUM_LANES) {
        sum = lane < width ? (double)row[lane] : 0;
        return;
    }
    const unsigned groups = width / SUM_GROUP, vectors = width % SUM_GROUP / SUM_LANES, last = width % SUM_LANES;
    sum = lane + last >= SUM_LANES ? (double)row[width - SUM_LANES + lane] : 0;
    for (unsigned i = 0; i < vectors; i++) {
        sum = sum + (double)row[groups * SUM_GROUP + i * SUM_LANES + lane];
    }
    for (unsigned group = 0; group < groups; group++) {
        double value = 0;
#pragma unroll
        for (unsigned i = 0; i < SUM_GROUP / SUM_LANES; i++) {
            value = value + (double)row[group * SUM_GROUP + i * SUM_LANES + lane];
        }
        const double next = sum + value, from_value = next - sum;
        lost = lost + ((sum - (next - from_value)) + (value - from_value));
        sum = next;
    }
}

DEVICE double sum_tree(const double *x) {
    const double a = x[0] + x[4], b = x[1] + x[5], c = x[2] + x[6], d = x[3] + x[7];
    return (a + c) + (b + d);
}

// Rows of at most 64 elements, one a thread. The block's rows go through shared memory, so that consecutive threads load
// consecutive elements; there a row has an odd number of elements, so that its threads' accesses fall in different banks.
template <typename T, bool SCALE>
DEVICE void narrow(const T *__restrict__ probs, unsigned rows, unsigned width, Checks<T> checks, T *__restrict__ out,
                   unsigned *flagged, char *memory) {
    T *const tile = (T *)memory + 2 * Format<T>::Logarithm::ENTRIES;
    const unsigned stride = width | 1;
    const unsigned first = blockIdx.x * blockDim.x;
    const unsigned count = rows - first < blockDim.x ? rows - first : blockDim.x;
    const T *const block = probs + (u64)first * width;
    // element / width as a product, exact for the elements of a tile: they are fewer than 2^20 / 64. 0 without padding.
    const unsigned reciprocal = stride == width ? 0 : (1u << 20) / width + 1;
    EACH_THREAD {
        load_table<T>(memory);
#pragma unroll 8
        for (unsigned i = threadIdx.x; i < count * width; i += blockDim.x) {
            tile[i + (i * reciprocal >> 20)] = block[i];
        }
    }
    SYNC();
    EACH_THREAD {
        if (threadIdx.x < count) {
            const Table<T> table = table_in<T>(memory);
            const T *const row = tile + threadIdx.x * stride;
            T sum = 1;
            if (SCALE) {
                double lanes[SUM_LANES], lost[SUM_LANES];
#pragma unroll
                for (unsigned lane = 0; lane < SUM_LANES; lane++) {
                    sum_lane(row, width, lane, lanes[lane], lost[lane]);
                }
                sum = (T)(sum_tree(lanes) + sum_tree(lost));
            }
            typename Format<T>::Bits signs = 0;
            unsigned at = width < COLUMNS ? width : COLUMNS;
            Sums<T> sums = sums_of<T, SCALE>(row, 1, at, sum, table, signs);
            for (; at < width; at += COLUMNS) {
                const unsigned left = width - at < COLUMNS ? width - at : COLUMNS;
                sums = add(sums, sums_of<T, SCALE>(row + at, 1, left, sum, table, signs));
            }
            finish_row<T, SCALE>(sums, signs, sum, checks, first + threadIdx.x, out, flagged);
        }
    }
}

// A thread's sums of a wide row, in shared memory.
template <typename T> struct WideMemory {
    T *probs, *terms;                 // [threads]
    typename Format<T>::Bits *signs;  // [threads]
    double *lanes, *lost;             // [rows, SUM_LANES]
    DEVICE WideMemory in(char *memory) {
        WideMemory all;
        all.probs = (T *)memory + 2 * Format<T>::Logarithm::ENTRIES;
        all.terms = all.probs + blockDim.x;
        all.signs = (typename Format<T>::Bits *)(all.terms + blockDim.x);
        all.lanes = (double *)(all.signs + blockDim.x);
        all.lost = all.lanes + blockDim.x / LANES(T) * SUM_LANES;
        return all;
    }
};

// Rows of more than 64 elements: as many threads a row as a vector of the CPU's has lanes, so that they load consecutive
// elements. The sums of a row's threads are added as a tree.
template <typename T, bool SCALE>
DEVICE void wide(const T *__restrict__ probs, unsigned rows, unsigned width, Checks<T> checks, T *__restrict__ out,
                 unsigned *flagged, char *memory) {
    const WideMemory<T> shared = WideMemory<T>::in(memory);
    const unsigned group = COLUMNS * LANES(T), first = blockIdx.x * (blockDim.x / LANES(T));
    EACH_THREAD {
        load_table<T>(memory);
        const unsigned in_block = threadIdx.x / LANES(T), lane = threadIdx.x % LANES(T);
        if (SCALE && lane < SUM_LANES && first + in_block < rows) {
            const unsigned at = in_block * SUM_LANES + lane;
            sum_lane(probs + (u64)(first + in_block) * width, width, lane, shared.lanes[at], shared.lost[at]);
        }
    }
    SYNC();
    EACH_THREAD {
        const unsigned in_block = threadIdx.x / LANES(T), lane = threadIdx.x % LANES(T);
        if (first + in_block < rows) {
            const Table<T> table = table_in<T>(memory);
            const unsigned at = in_block * SUM_LANES;
            const T sum = SCALE ? (T)(sum_tree(shared.lanes + at) + sum_tree(shared.lost + at)) : (T)1;
            const T *row = probs + (u64)(first + in_block) * width + lane;
            const unsigned groups = width / group, vectors = width % group / LANES(T), last = width % LANES(T);
            const T *const rest = row + groups * group;
            typename Format<T>::Bits signs = 0;
            const T element = lane < last ? rest[vectors * LANES(T)] : (T)0;
            Sums<T> sums = sums_of<T, SCALE>(&element, 0, 1, sum, table, signs);
            sums = add(sums, sums_of<T, SCALE>(rest, LANES(T), vectors, sum, table, signs));
            for (unsigned i = 0; i < groups; i++, row += group) {
                sums = add(sums, sums_of<T, SCALE>(row, LANES(T), COLUMNS, sum, table, signs));
            }
            shared.probs[threadIdx.x] = sums.probs;
            shared.terms[threadIdx.x] = sums.terms + sums.lost;
            shared.signs[threadIdx.x] = signs;
        }
    }
    SYNC();
    for (unsigned half = LANES(T) / 2; half > 0; half /= 2) {
        EACH_THREAD {
            const unsigned in_block = threadIdx.x / LANES(T), lane = threadIdx.x % LANES(T);
            if (lane < half && first + in_block < rows) {
                const unsigned at = threadIdx.x;
                shared.probs[at] = shared.probs[at] + shared.probs[at + half];
                shared.terms[at] = shared.terms[at] + shared.terms[at + half];
                shared.signs[at] |= shared.signs[at + half];
            }
        }
        SYNC();
    }
    EACH_THREAD {
        const unsigned in_block = threadIdx.x / LANES(T), lane = threadIdx.x % LANES(T);
        if (lane == 0 && first + in_block < rows) {
            const unsigned at = in_block * SUM_LANES;
            const T sum = SCALE ? (T)(sum_tree(shared.lanes + at) + sum_tree(shared.lost + at)) : (T)1;
            const Sums<T> sums = {shared.probs[threadIdx.x], shared.terms[threadIdx.x], 0};
            finish_row<T, SCALE>(sums, shared.signs[threadIdx.x], sum, checks, first + in_block, out, flagged);
        }
    }
}

#define ENTROPY(name, kernel, T, SCALE)                                                                          \
    KERNEL name(const T *probs, unsigned rows, unsigned width, T tolerance, T tiny, T divisor, T *out,            \
                unsigned *flagged) {                                                                              \
        SHARED_MEMORY(memory);                                                                                    \
        const Checks<T> checks = {tolerance, tiny, divisor};                                                      \
        kernel<T, SCALE>(probs, rows, width, checks, out, flagged, memory);                                       \
    }

ENTROPY(entropy_narrow_f32, narrow, float, false)
ENTROPY(entropy_narrow_f64, narrow, double, false)
ENTROPY(entropy_narrow_scaled_f32, narrow, float, true)
ENTROPY(entropy_narrow_scaled_f64, narrow, double, true)
ENTROPY(entropy_wide_f32, wide, float, false)
ENTROPY(entropy_wide_f64, wide, double, false)
ENTROPY(entropy_wide_scaled_f32, wide, float, true)
ENTROPY(entropy_wide_scaled_f64, wide, double, true)
