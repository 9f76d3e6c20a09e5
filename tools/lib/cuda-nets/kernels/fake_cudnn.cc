// A cuDNN for tests without a GPU: convolutions as NVIDIA documents them (cross-correlation, NHWC tensors and filters, sums in
// float, alpha and beta on the host), for the types and options that cudnn.rs uses. What the real library refuses is refused;
// so are algorithms that it does not call deterministic.

#include <vector>

namespace cudnn {

enum Status { SUCCESS = 0, BAD_PARAM = 2000, NOT_SUPPORTED = 3000 };
enum Type { FLOAT = 0, BFLOAT16 = 9 };
enum Math { DEFAULT, TENSOR_OP, TENSOR_OP_ALLOW_CONVERSION, FMA };
const int NHWC = 1, CROSS_CORRELATION = 1, DETERMINISTIC = 1;
// The algorithm that is deterministic, and that which is not.
const int ALGORITHM = 1, OTHER = 0;

// A tensor [n, c, h, w], or a filter [k, c, h, w].
struct Shape {
    int type, format, n, c, h, w;
    size_t count() const { return (size_t)n * c * h * w; }
};

struct Convolution {
    int pad_h, pad_w, stride_h, stride_w, compute, math;
};

struct Performance {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
};

struct Handle {
    bool has_stream;
};

typedef std::vector<float> Values;

// Of each image; the workspace of a call holds nothing that another needs.
size_t workspace(const Shape *x) { return 64 * (size_t)x->n; }

bool fits(const Shape *x, const Shape *w, const Convolution *conv, const Shape *y) {
    const int h = (x->h + 2 * conv->pad_h - w->h) / conv->stride_h + 1;
    const int v = (x->w + 2 * conv->pad_w - w->w) / conv->stride_w + 1;
    return x->n == y->n && x->c == w->c && y->c == w->n && y->h == h && y->w == v && x->format == NHWC &&
           w->format == NHWC && y->format == NHWC && x->type == w->type && x->type == y->type && conv->compute == FLOAT;
}

Values read(const Shape *shape, const void *from) {
    Values values(shape->count());
    for (size_t i = 0; i < values.size(); i++) {
        if (shape->type == FLOAT) {
            values[i] = ((const float *)from)[i];
        } else {
            const unsigned bits = (unsigned)((const unsigned short *)from)[i] << 16;
            memcpy(&values[i], &bits, 4);
        }
    }
    return values;
}

// to = alpha · values + beta · to; `to` is not read where beta is 0.
void write(const Shape *shape, Values values, float alpha, float beta, void *to) {
    const Values before = beta == 0 ? Values(values.size()) : read(shape, to);
    for (size_t i = 0; i < values.size(); i++) {
        const float x = alpha * values[i] + beta * before[i];
        if (shape->type == FLOAT) {
            ((float *)to)[i] = x;
            continue;
        }
        unsigned u;
        memcpy(&u, &x, 4);
        ((unsigned short *)to)[i] = std::isnan(x) ? 0x7fc0 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
    }
}

// Calls `each` with the first channel's index in x [n, h, w, c], in w [k, r, s, c] for k = 0, and in y [n, h, w, k], for each
// pair of an output position and a position in its window.
template <typename F> void each_pair(const Shape &x, const Shape &w, const Convolution &conv, const Shape &y, F each) {
    for (int n = 0; n < y.n; n++)
        for (int oy = 0; oy < y.h; oy++)
            for (int ox = 0; ox < y.w; ox++)
                for (int r = 0; r < w.h; r++)
                    for (int s = 0; s < w.w; s++) {
                        const int iy = oy * conv.stride_h - conv.pad_h + r, ix = ox * conv.stride_w - conv.pad_w + s;
                        if (iy >= 0 && iy < x.h && ix >= 0 && ix < x.w) {
                            each((((size_t)n * x.h + iy) * x.w + ix) * x.c, ((size_t)r * w.w + s) * w.c,
                                 (((size_t)n * y.h + oy) * y.w + ox) * y.c);
                        }
                    }
}

int find(const Shape *x, const Shape *w, const Convolution *conv, const Shape *y, int requested, int *returned,
         Performance *results) {
    if (!fits(x, w, conv, y) || requested < 1) {
        return BAD_PARAM;
    }
    const int math = x->type == BFLOAT16 ? (int)TENSOR_OP : conv->math;
    const Performance all[] = {
        {OTHER, SUCCESS, 1, 0, 0, math, {}},
        {7, NOT_SUPPORTED, -1, 0, DETERMINISTIC, math, {}},
        {ALGORITHM, SUCCESS, 2, workspace(x), DETERMINISTIC, math, {}},
    };
    *returned = requested < 3 ? requested : 3;
    memcpy(results, all, *returned * sizeof *all);
    return SUCCESS;
}

int refusal(Handle *handle, const Shape *x, const Shape *w, const Convolution *conv, const Shape *y,
            std::initializer_list<const void *> pointers, int algorithm, void *memory, size_t size) {
    if (!handle || !handle->has_stream || !fits(x, w, conv, y) || size < workspace(x) || !memory) {
        return BAD_PARAM;
    }
    for (const void *pointer : pointers) {
        if (!pointer || (uintptr_t)pointer % 16) {
            return BAD_PARAM;
        }
    }
    // bf16 is only for tensor cores.
    if (algorithm != ALGORITHM || (x->type == BFLOAT16 && conv->math != TENSOR_OP)) {
        return NOT_SUPPORTED;
    }
    memset(memory, 0xff, size);
    return SUCCESS;
}

} // namespace cudnn

API cudnnCreate(cudnn::Handle **handle) { return *handle = new cudnn::Handle(), 0; }
API cudnnDestroy(cudnn::Handle *handle) { return delete handle, 0; }
API cudnnSetStream(cudnn::Handle *handle, void *stream) { return handle->has_stream = stream, 0; }
API cudnnCreateTensorDescriptor(cudnn::Shape **shape) { return *shape = new cudnn::Shape(), 0; }
API cudnnDestroyTensorDescriptor(cudnn::Shape *shape) { return delete shape, 0; }
API cudnnCreateFilterDescriptor(cudnn::Shape **shape) { return *shape = new cudnn::Shape(), 0; }
API cudnnDestroyFilterDescriptor(cudnn::Shape *shape) { return delete shape, 0; }
API cudnnCreateConvolutionDescriptor(cudnn::Convolution **conv) { return *conv = new cudnn::Convolution(), 0; }
API cudnnDestroyConvolutionDescriptor(cudnn::Convolution *conv) { return delete conv, 0; }
API cudnnSetTensor4dDescriptor(cudnn::Shape *shape, int format, int type, int n, int c, int h, int w) {
    *shape = {type, format, n, c, h, w};
    return n > 0 && c > 0 && h > 0 && w > 0 ? cudnn::SUCCESS : cudnn::BAD_PARAM;
}
API cudnnSetFilter4dDescriptor(cudnn::Shape *shape, int type, int format, int k, int c, int h, int w) {
    return cudnnSetTensor4dDescriptor(shape, format, type, k, c, h, w);
}
API cudnnSetConvolution2dDescriptor(cudnn::Convolution *conv, int pad_h, int pad_w, int stride_h, int stride_w,
                                    int dilation_h, int dilation_w, int mode, int compute) {
    *conv = {pad_h, pad_w, stride_h, stride_w, compute, cudnn::DEFAULT};
    const bool ours = dilation_h == 1 && dilation_w == 1 && mode == cudnn::CROSS_CORRELATION;
    return ours && pad_h >= 0 && pad_w >= 0 && stride_h > 0 && stride_w > 0 ? cudnn::SUCCESS : cudnn::BAD_PARAM;
}
API cudnnSetConvolutionMathType(cudnn::Convolution *conv, int math) { return conv->math = math, 0; }
API cudnnGetConvolutionForwardAlgorithm_v7(cudnn::Handle *, cudnn::Shape *x, cudnn::Shape *w, cudnn::Convolution *conv,
                                           cudnn::Shape *y, int requested, int *returned, cudnn::Performance *results) {
    return cudnn::find(x, w, conv, y, requested, returned, results);
}
API cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn::Handle *, cudnn::Shape *w, cudnn::Shape *y,
                                                cudnn::Convolution *conv, cudnn::Shape *x, int requested, int *returned,
                                                cudnn::Performance *results) {
    return cudnn::find(x, w, conv, y, requested, returned, results);
}
API cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn::Handle *, cudnn::Shape *x, cudnn::Shape *y,
                                                  cudnn::Convolution *conv, cudnn::Shape *w, int requested,
                                                  int *returned, cudnn::Performance *results) {
    return cudnn::find(x, w, conv, y, requested, returned, results);
}
API cudnnConvolutionForward(cudnn::Handle *handle, const float *alpha, cudnn::Shape *x_shape, const void *x,
                            cudnn::Shape *w_shape, const void *w, cudnn::Convolution *conv, int algorithm, void *memory,
                            size_t size, const float *beta, cudnn::Shape *y_shape, void *y) {
    using namespace cudnn;
    const int refused = refusal(handle, x_shape, w_shape, conv, y_shape, {x, w, y}, algorithm, memory, size);
    if (refused) {
        return refused;
    }
    const Values input = read(x_shape, x), filter = read(w_shape, w);
    Values output(y_shape->count());
    const size_t channels = x_shape->c, window = filter.size() / w_shape->n;
    each_pair(*x_shape, *w_shape, *conv, *y_shape, [&](size_t in, size_t at, size_t out) {
        for (int k = 0; k < w_shape->n; k++)
            for (size_t c = 0; c < channels; c++) {
                output[out + k] += input[in + c] * filter[k * window + at + c];
            }
    });
    return write(y_shape, output, *alpha, *beta, y), SUCCESS;
}
API cudnnConvolutionBackwardData(cudnn::Handle *handle, const float *alpha, cudnn::Shape *w_shape, const void *w,
                                 cudnn::Shape *y_shape, const void *dy, cudnn::Convolution *conv, int algorithm,
                                 void *memory, size_t size, const float *beta, cudnn::Shape *x_shape, void *dx) {
    using namespace cudnn;
    const int refused = refusal(handle, x_shape, w_shape, conv, y_shape, {w, dy, dx}, algorithm, memory, size);
    if (refused) {
        return refused;
    }
    const Values slope = read(y_shape, dy), filter = read(w_shape, w);
    Values input(x_shape->count());
    const size_t channels = x_shape->c, window = filter.size() / w_shape->n;
    each_pair(*x_shape, *w_shape, *conv, *y_shape, [&](size_t in, size_t at, size_t out) {
        for (int k = 0; k < w_shape->n; k++)
            for (size_t c = 0; c < channels; c++) {
                input[in + c] += slope[out + k] * filter[k * window + at + c];
            }
    });
    return write(x_shape, input, *alpha, *beta, dx), SUCCESS;
}
API cudnnConvolutionBackwardFilter(cudnn::Handle *handle, const float *alpha, cudnn::Shape *x_shape, const void *x,
                                   cudnn::Shape *y_shape, const void *dy, cudnn::Convolution *conv, int algorithm,
                                   void *memory, size_t size, const float *beta, cudnn::Shape *w_shape, void *dw) {
    using namespace cudnn;
    const int refused = refusal(handle, x_shape, w_shape, conv, y_shape, {x, dy, dw}, algorithm, memory, size);
    if (refused) {
        return refused;
    }
    const Values slope = read(y_shape, dy), input = read(x_shape, x);
    Values filter(w_shape->count());
    const size_t channels = x_shape->c, window = filter.size() / w_shape->n;
    each_pair(*x_shape, *w_shape, *conv, *y_shape, [&](size_t in, size_t at, size_t out) {
        for (int k = 0; k < w_shape->n; k++)
            for (size_t c = 0; c < channels; c++) {
                filter[k * window + at + c] += slope[out + k] * input[in + c];
            }
    });
    return write(w_shape, filter, *alpha, *beta, dw), SUCCESS;
}
