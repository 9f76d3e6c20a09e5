// Conversions between types and layouts.

// Elements of a thread of `convert`.
#define CONVERTED 8u

template <typename T> struct alignas(16) Converted {
    T x[CONVERTED];
};

// to[i] = from[i]; both aligned to 16 bytes.
template <typename From, typename To> DEVICE void convert(const From *from, u64 count, To *to) {
    EACH_THREAD {
        const u64 first = thread_index() * CONVERTED;
        if (first + CONVERTED <= count) {
            const Converted<From> x = *(const Converted<From> *)(from + first);
            Converted<To> y;
            for (unsigned i = 0; i < CONVERTED; i++) {
                y.x[i] = from_f32<To>(to_f32(x.x[i]));
            }
            *(Converted<To> *)(to + first) = y;
        } else {
            for (u64 i = first; i < count; i++) {
                to[i] = from_f32<To>(to_f32(from[i]));
            }
        }
    }
}

KERNEL convert_f32_bf16(const float *from, u64 count, bf16 *to) { convert(from, count, to); }
KERNEL convert_bf16_f32(const bf16 *from, u64 count, float *to) { convert(from, count, to); }

// to[n][j][i] = from[n][i][j], or is added to it: from is [batch, rows, columns].
template <typename From, typename To>
DEVICE void transpose(const From *from, u64 batch, unsigned rows, unsigned columns, unsigned accumulate, To *to) {
    EACH_THREAD {
        const u64 at = thread_index();
        const unsigned matrix = rows * columns;
        if (at < batch * matrix) {
            const u64 n = divide(at, matrix);
            const unsigned within = (unsigned)(at - n * matrix), j = within / rows, i = within % rows;
            const float before = accumulate ? to_f32(to[at]) : 0.0f;
            to[at] = from_f32<To>(before + to_f32(from[n * matrix + (u64)i * columns + j]));
        }
    }
}

KERNEL transpose_f32_f32(const float *from, u64 batch, unsigned rows, unsigned columns, unsigned accumulate, float *to) {
    transpose(from, batch, rows, columns, accumulate, to);
}
KERNEL transpose_f32_bf16(const float *from, u64 batch, unsigned rows, unsigned columns, unsigned accumulate, bf16 *to) {
    transpose(from, batch, rows, columns, accumulate, to);
}
KERNEL transpose_bf16_bf16(const bf16 *from, u64 batch, unsigned rows, unsigned columns, unsigned accumulate, bf16 *to) {
    transpose(from, batch, rows, columns, accumulate, to);
}

// Consecutive elements of a weight, as packed: [out, area, inputs], from the element `first` of the weight on. As a parameter
// it is [out, inputs, area]. `parameter` and `packed` are where the weight begins in either buffer.
struct Segment {
    u64 parameter, packed;
    unsigned inputs, area, first, count;
};

// The index among the parameters of element i of a segment.
DEVICE u64 in_parameters(const Segment &segment, unsigned i) {
    const unsigned at = segment.first + i, position = at / segment.inputs, c = at % segment.inputs;
    const unsigned k = position / segment.area, p = position % segment.area;
    return segment.parameter + ((u64)k * segment.inputs + c) * segment.area + p;
}

// A block for each segment.
template <typename T> DEVICE void pack(const float *parameters, const Segment *segments, T *packed) {
    EACH_THREAD {
        const Segment segment = segments[blockIdx.x];
        for (unsigned i = threadIdx.x; i < segment.count; i += blockDim.x) {
            packed[segment.packed + segment.first + i] = from_f32<T>(parameters[in_parameters(segment, i)]);
        }
    }
}

template <typename T> DEVICE void unpack(const T *packed, const Segment *segments, float *parameters) {
    EACH_THREAD {
        const Segment segment = segments[blockIdx.x];
        for (unsigned i = threadIdx.x; i < segment.count; i += blockDim.x) {
            parameters[in_parameters(segment, i)] = to_f32(packed[segment.packed + segment.first + i]);
        }
    }
}

KERNEL pack_f32(const float *parameters, const Segment *segments, float *packed) { pack(parameters, segments, packed); }
KERNEL pack_bf16(const float *parameters, const Segment *segments, bf16 *packed) { pack(parameters, segments, packed); }
KERNEL unpack_f32(const float *packed, const Segment *segments, float *parameters) {
    unpack(packed, segments, parameters);
}
KERNEL unpack_bf16(const bf16 *packed, const Segment *segments, float *parameters) {
    unpack(packed, segments, parameters);
}
