// A cuBLAS for tests without a GPU: matrix products as NVIDIA documents them (column-major; alpha and beta on the host),
// for the types and options that cublas.rs uses. What the real library refuses is refused.

namespace cublas {

enum Status { SUCCESS, NOT_INITIALIZED, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum Type { F32 = 0, BF16 = 14 };
enum Compute { COMPUTE_32F = 68, PEDANTIC = 69, FAST_TF32 = 77 };

struct Handle {
    bool has_stream;
};

float read(const void *matrix, int type, size_t i) {
    if (type == F32) {
        return ((const float *)matrix)[i];
    }
    const unsigned bits = (unsigned)((const unsigned short *)matrix)[i] << 16;
    float x;
    return memcpy(&x, &bits, 4), x;
}

void write(void *matrix, int type, size_t i, float x) {
    if (type == F32) {
        ((float *)matrix)[i] = x;
        return;
    }
    unsigned u;
    memcpy(&u, &x, 4);
    ((unsigned short *)matrix)[i] = std::isnan(x) ? 0x7fc0 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

bool misaligned(const void *matrix, int type) { return (uintptr_t)matrix % (type == F32 ? 4 : 2); }

} // namespace cublas

API cublasCreate_v2(cublas::Handle **handle) { return *handle = new cublas::Handle(), 0; }
API cublasDestroy_v2(cublas::Handle *handle) { return delete handle, 0; }
API cublasSetStream_v2(cublas::Handle *handle, void *stream) { return handle->has_stream = stream, 0; }
API cublasSetMathMode(cublas::Handle *, int mode) {
    const int base = mode & 15;
    return base == 0 || base == 2 || base == 3 ? cublas::SUCCESS : cublas::INVALID_VALUE;
}
// C = alpha · op(A) · op(B) + beta · C: op(A) is m × k, op(B) k × n. C is not read where beta is 0.
API cublasGemmEx(cublas::Handle *handle, int transpose_a, int transpose_b, int m, int n, int k, const float *alpha,
                 const void *a, int type_a, int lda, const void *b, int type_b, int ldb, const float *beta, void *c,
                 int type_c, int ldc, int compute, int algorithm) {
    using namespace cublas;
    if (!handle || !handle->has_stream) {
        return NOT_INITIALIZED;
    }
    const int rows_a = transpose_a ? k : m, rows_b = transpose_b ? n : k;
    if (m < 0 || n < 0 || k < 0 || transpose_a / 2 || transpose_b / 2 || lda < (rows_a > 1 ? rows_a : 1) ||
        ldb < (rows_b > 1 ? rows_b : 1) || ldc < (m > 1 ? m : 1) || misaligned(a, type_a) || misaligned(b, type_b) ||
        misaligned(c, type_c) || !alpha || !beta) {
        return INVALID_VALUE;
    }
    // bf16 has no TF32, and no pedantic product into another type.
    const bool types = type_a == type_b && (type_c == type_a || (type_a == BF16 && type_c == F32));
    const bool computes = compute == COMPUTE_32F || (type_a == F32 && (compute == PEDANTIC || compute == FAST_TF32));
    if (!types || !computes || algorithm != -1) {
        return NOT_SUPPORTED;
    }
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++) {
            float sum = 0;
            for (int l = 0; l < k; l++) {
                const size_t at_a = transpose_a ? l + (size_t)i * lda : i + (size_t)l * lda;
                const size_t at_b = transpose_b ? j + (size_t)l * ldb : l + (size_t)j * ldb;
                sum += read(a, type_a, at_a) * read(b, type_b, at_b);
            }
            const size_t at = i + (size_t)j * ldc;
            write(c, type_c, at, *alpha * sum + (*beta == 0 ? 0 : *beta * read(c, type_c, at)));
        }
    }
    return SUCCESS;
}
