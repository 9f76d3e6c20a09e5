// A thin backend of Triton that runs ONNX models with ONNX Runtime's C API, so that Triton and `serve` execute the same library.
// It is ours, not NVIDIA's: PyPI carries `tritonserver` without its ONNX Runtime backend, and without headers.
//
// A model has one input, whose first axis is the batch, and any number of outputs. Triton batches; this concatenates the
// requests of a batch into one buffer, runs the session once and splits the outputs. A single request runs on Triton's own buffer,
// without a copy.
//
//   cc -O2 -shared -fPIC -o backends/thin_onnxruntime/libtriton_thin_onnxruntime.so backend.c -ldl

#include "../onnxruntime.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// Triton: tritonbackend.h and tritonserver.h, what is used of them. Every call returns an error, or NULL.
typedef struct TRITONSERVER_Error Error;
typedef struct TRITONBACKEND_Model Model;
typedef struct TRITONBACKEND_ModelInstance Instance;
typedef struct TRITONBACKEND_Request Request;
typedef struct TRITONBACKEND_Response Response;
typedef struct TRITONBACKEND_Input Input;
typedef struct TRITONBACKEND_Output Output;

Error *TRITONSERVER_ErrorNew(int code, const char *message);
Error *TRITONBACKEND_ModelInstanceModel(Instance *, Model **);
Error *TRITONBACKEND_ModelRepository(Model *, int *artifact, const char **path);
Error *TRITONBACKEND_ModelVersion(Model *, uint64_t *);
Error *TRITONBACKEND_ModelInstanceSetState(Instance *, void *);
Error *TRITONBACKEND_ModelInstanceState(Instance *, void **);
Error *TRITONBACKEND_RequestInputByIndex(Request *, uint32_t, Input **);
Error *TRITONBACKEND_InputProperties(Input *, const char **name, int *datatype, const int64_t **shape, uint32_t *dims,
                                     uint64_t *bytes, uint32_t *buffers);
Error *TRITONBACKEND_InputBuffer(Input *, uint32_t, const void **, uint64_t *bytes, int *memory, int64_t *memory_id);
Error *TRITONBACKEND_ResponseNew(Response **, Request *);
Error *TRITONBACKEND_ResponseOutput(Response *, Output **, const char *name, int datatype, const int64_t *shape, uint32_t dims);
Error *TRITONBACKEND_OutputBuffer(Output *, void **, uint64_t bytes, int *memory, int64_t *memory_id);
Error *TRITONBACKEND_ResponseSend(Response *, uint32_t flags, Error *);
Error *TRITONBACKEND_RequestRelease(Request *, uint32_t flags);
Error *TRITONBACKEND_ModelInstanceReportStatistics(Instance *, Request *, bool success, uint64_t start, uint64_t compute_start,
                                                   uint64_t compute_end, uint64_t end);
Error *TRITONBACKEND_ModelInstanceReportBatchStatistics(Instance *, uint64_t batch, uint64_t start, uint64_t compute_start,
                                                        uint64_t compute_end, uint64_t end);

enum { INTERNAL = 1, FINAL = 1, RELEASE_ALL = 1 }; // an error code, a response flag, a release flag

// Data types, by ONNX Runtime's number: Triton's number, and bytes.
static const struct { int triton, bytes; } TYPES[] = {
    [1] = {11, 4}, [2] = {2, 1}, [3] = {6, 1}, [4] = {3, 2}, [5] = {7, 2}, [6] = {8, 4}, [7] = {9, 8},
    [9] = {1, 1}, [10] = {10, 2}, [11] = {12, 8}, [12] = {4, 4}, [13] = {5, 8},
};
enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

static void *environment, *memory;
enum { MAX_OUTPUTS = 16, MAX_DIMS = 8, MAX_BATCH = 1024 };

typedef struct {
    void *session;
    char *input, *outputs[MAX_OUTPUTS];
    size_t output_count;
    char *buffer; // the inputs of a batch
    size_t capacity;
} State;

static Error *failed(void *status) {
    if (!status) return NULL;
    Error *error = TRITONSERVER_ErrorNew(INTERNAL, (const char *)ORT(GET_ERROR_MESSAGE, status));
    ORT(RELEASE_STATUS, status);
    return error;
}
#define TRY(call) do { Error *error_ = (call); if (error_) return error_; } while (0)
#define TRY_ORT(place, ...) TRY(failed(ORT(place, __VA_ARGS__)))

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time); // as Triton's own times
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static Error *load_library(void) {
    if (environment) return NULL;
    const char *problem = load_onnxruntime();
    if (problem) return TRITONSERVER_ErrorNew(INTERNAL, problem);
    TRY_ORT(CREATE_ENV, LOG_WARNING, "bench", &environment);
    TRY_ORT(DISABLE_TELEMETRY, environment);
    TRY_ORT(CPU_MEMORY, ARENA, DEFAULT_MEMORY, &memory);
    return NULL;
}

static Error *open_session(State *state, const char *path) {
    void *options, *allocator;
    TRY_ORT(CREATE_OPTIONS, &options);
    TRY_ORT(SET_INTRA_THREADS, options, thread_count());
    TRY_ORT(CREATE_SESSION, environment, path, options, &state->session);
    ORT(RELEASE_OPTIONS, options);
    TRY_ORT(DEFAULT_ALLOCATOR, &allocator);
    size_t inputs;
    TRY_ORT(INPUT_COUNT, state->session, &inputs);
    TRY_ORT(OUTPUT_COUNT, state->session, &state->output_count);
    if (inputs != 1 || state->output_count > MAX_OUTPUTS) return TRITONSERVER_ErrorNew(INTERNAL, "one input, up to 16 outputs");
    TRY_ORT(INPUT_NAME, state->session, (size_t)0, allocator, &state->input);
    for (size_t i = 0; i < state->output_count; i++) TRY_ORT(OUTPUT_NAME, state->session, i, allocator, &state->outputs[i]);
    return NULL;
}

Error *TRITONBACKEND_ModelInstanceInitialize(Instance *instance) {
    Model *model;
    int artifact;
    const char *folder;
    uint64_t version;
    char path[4096];
    TRY(TRITONBACKEND_ModelInstanceModel(instance, &model));
    TRY(TRITONBACKEND_ModelRepository(model, &artifact, &folder));
    TRY(TRITONBACKEND_ModelVersion(model, &version));
    snprintf(path, sizeof path, "%s/%llu/model.onnx", folder, (unsigned long long)version);
    TRY(load_library());
    State *state = calloc(1, sizeof *state);
    TRY(TRITONBACKEND_ModelInstanceSetState(instance, state));
    return open_session(state, path);
}

Error *TRITONBACKEND_ModelInstanceFinalize(Instance *instance) {
    State *state; // also of an instance that could not be initialized
    TRY(TRITONBACKEND_ModelInstanceState(instance, (void **)&state));
    if (!state) return NULL;
    if (state->session) ORT(RELEASE_SESSION, state->session);
    free(state->buffer);
    free(state);
    return NULL;
}

// The requests of a batch as one tensor: `data`, of `shape`, whose first axis is the sum of `rows`.
typedef struct {
    const void *data;
    uint64_t bytes;
    int64_t shape[MAX_DIMS];
    uint32_t dims;
    int datatype;
    int64_t rows[MAX_BATCH];
} Batch;

static Error *append(State *state, Batch *batch, Input *input, uint32_t buffers, bool alone) {
    for (uint32_t i = 0; i < buffers; i++) {
        const void *data;
        uint64_t bytes;
        int kind = 0;
        int64_t id = 0;
        TRY(TRITONBACKEND_InputBuffer(input, i, &data, &bytes, &kind, &id));
        if (alone && buffers == 1) {
            batch->data = data;
            batch->bytes = bytes;
            return NULL;
        }
        if (batch->bytes + bytes > state->capacity) {
            state->capacity = 2 * (batch->bytes + bytes);
            state->buffer = realloc(state->buffer, state->capacity);
        }
        memcpy(state->buffer + batch->bytes, data, bytes);
        batch->bytes += bytes;
        batch->data = state->buffer;
    }
    return NULL;
}

static Error *gather(State *state, Request **requests, uint32_t count, Batch *batch) {
    if (count > MAX_BATCH) return TRITONSERVER_ErrorNew(INTERNAL, "batch too large");
    for (uint32_t i = 0; i < count; i++) {
        Input *input;
        const char *name;
        const int64_t *shape;
        uint32_t buffers;
        uint64_t bytes;
        TRY(TRITONBACKEND_RequestInputByIndex(requests[i], 0, &input));
        TRY(TRITONBACKEND_InputProperties(input, &name, &batch->datatype, &shape, &batch->dims, &bytes, &buffers));
        if (!batch->dims || batch->dims > MAX_DIMS) return TRITONSERVER_ErrorNew(INTERNAL, "1 to 8 dimensions");
        int64_t rows = batch->shape[0];
        memcpy(batch->shape, shape, batch->dims * sizeof *shape);
        batch->rows[i] = shape[0];
        batch->shape[0] += rows;
        TRY(append(state, batch, input, buffers, count == 1));
    }
    return NULL;
}

static Error *run(State *state, Batch *batch, void **outputs) {
    int element = 0;
    for (int i = 1; i < TYPE_COUNT; i++)
        if (TYPES[i].triton == batch->datatype) element = i;
    void *input;
    TRY_ORT(CREATE_TENSOR, memory, batch->data, (size_t)batch->bytes, batch->shape, (size_t)batch->dims, element, &input);
    void *status = ORT(RUN, state->session, NULL, &state->input, &input, (size_t)1, state->outputs, state->output_count, outputs);
    ORT(RELEASE_VALUE, input);
    return failed(status);
}

// The rows of `output` for each response in turn; releases it.
static Error *scatter(const char *name, void *output, Batch *batch, Response **responses, uint32_t count) {
    void *shape_info;
    int64_t shape[MAX_DIMS];
    size_t dims;
    int element;
    const char *data;
    TRY_ORT(TYPE_AND_SHAPE, output, &shape_info);
    TRY_ORT(ELEMENT_TYPE, shape_info, &element);
    TRY_ORT(DIMS_COUNT, shape_info, &dims);
    if (!dims || dims > MAX_DIMS) return TRITONSERVER_ErrorNew(INTERNAL, "1 to 8 dimensions");
    TRY_ORT(DIMS, shape_info, shape, dims);
    ORT(RELEASE_SHAPE, shape_info);
    TRY_ORT(TENSOR_DATA, output, &data);
    uint64_t row = TYPES[element].bytes;
    for (size_t i = 1; i < dims; i++) row *= shape[i];
    for (uint32_t i = 0; i < count; i++) {
        Output *part;
        void *buffer;
        int kind = 0;
        int64_t id = 0;
        uint64_t bytes = row * batch->rows[i];
        shape[0] = batch->rows[i];
        TRY(TRITONBACKEND_ResponseOutput(responses[i], &part, name, TYPES[element].triton, shape, dims));
        TRY(TRITONBACKEND_OutputBuffer(part, &buffer, bytes, &kind, &id));
        memcpy(buffer, data, bytes);
        data += bytes;
    }
    ORT(RELEASE_VALUE, output);
    return NULL;
}

static Error *answer(State *state, Request **requests, uint32_t count, Batch *batch, Response **responses, uint64_t *times) {
    void *outputs[MAX_OUTPUTS] = {0};
    for (uint32_t i = 0; i < count; i++) TRY(TRITONBACKEND_ResponseNew(&responses[i], requests[i]));
    TRY(gather(state, requests, count, batch));
    times[1] = now();
    TRY(run(state, batch, outputs));
    times[2] = now();
    for (size_t i = 0; i < state->output_count; i++) TRY(scatter(state->outputs[i], outputs[i], batch, responses, count));
    return NULL;
}

Error *TRITONBACKEND_ModelInstanceExecute(Instance *instance, Request **requests, const uint32_t count) {
    State *state;
    Batch batch = {0};
    Response *responses[MAX_BATCH] = {0};
    uint64_t times[4] = {now()};
    TRY(TRITONBACKEND_ModelInstanceState(instance, (void **)&state));
    Error *error = answer(state, requests, count, &batch, responses, times);
    for (uint32_t i = 0; i < count; i++)
        if (responses[i]) TRITONBACKEND_ResponseSend(responses[i], FINAL, error);
    times[3] = now();
    for (uint32_t i = 0; i < count; i++) {
        TRITONBACKEND_ModelInstanceReportStatistics(instance, requests[i], !error, times[0], times[1], times[2], times[3]);
        TRITONBACKEND_RequestRelease(requests[i], RELEASE_ALL);
    }
    TRITONBACKEND_ModelInstanceReportBatchStatistics(instance, batch.shape[0], times[0], times[1], times[2], times[3]);
    return NULL;
}
