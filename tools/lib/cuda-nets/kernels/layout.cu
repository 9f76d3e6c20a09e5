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
