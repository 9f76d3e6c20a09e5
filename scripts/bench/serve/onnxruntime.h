// What the benchmark uses of ONNX Runtime's C API, whose header PyPI's wheel does not carry: places in the table `OrtApi`, to
// which versions only append. A call returns a status, NULL for success, unless its name starts with RELEASE or GET.

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    GET_ERROR_MESSAGE = 2, CREATE_ENV = 3, DISABLE_TELEMETRY = 6, CREATE_SESSION = 7, RUN = 9, CREATE_OPTIONS = 10,
    SET_INTRA_THREADS = 24, INPUT_COUNT = 30, OUTPUT_COUNT = 31, INPUT_NAME = 36, OUTPUT_NAME = 37, CREATE_TENSOR = 49,
    TENSOR_DATA = 51, ELEMENT_TYPE = 60, DIMS_COUNT = 61, DIMS = 62, TYPE_AND_SHAPE = 65, CPU_MEMORY = 69,
    DEFAULT_ALLOCATOR = 78, RELEASE_STATUS = 93, RELEASE_SESSION = 95, RELEASE_VALUE = 96, RELEASE_SHAPE = 99,
    RELEASE_OPTIONS = 100,
};
enum { API_VERSION = 17, LOG_WARNING = 2, ARENA = 1, DEFAULT_MEMORY = 0 };

static void **ort;
#define ORT(place, ...) ((void *(*)())ort[place])(__VA_ARGS__)

// The table of the library that ORT_DYLIB_PATH names; returns what went wrong, or NULL.
static const char *load_onnxruntime(void) {
    const char *path = getenv("ORT_DYLIB_PATH");
    void *library = dlopen(path ? path : "libonnxruntime.so", RTLD_NOW | RTLD_LOCAL);
    if (!library) return dlerror();
    void **(*base)(void) = (void **(*)(void))dlsym(library, "OrtGetApiBase");
    if (!base) return "no OrtGetApiBase in the library";
    ort = ((void **(*)(uint32_t))base()[0])(API_VERSION);
    return ort ? NULL : "the library is too old";
}

// Intra-op threads of every session: BENCH_THREADS, 1 by default.
static int thread_count(void) {
    const char *threads = getenv("BENCH_THREADS");
    return threads ? atoi(threads) : 1;
}
