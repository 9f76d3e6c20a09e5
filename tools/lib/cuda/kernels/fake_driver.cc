// A CUDA driver and an NVRTC for tests without a GPU: memory is the machine's, a launch runs the kernels' text as C++ (shim.h,
// before this text), and everything is done when a call returns. Only what cudarc calls here is in it.

#include <cstdint>
#include <cstdlib>
#include <utility>

#define API extern "C" int
typedef uint64_t Pointer;

namespace {

struct Function {
    const char *name;
    void (*call)(void **arguments);
};

// Calls a kernel with the arguments that a launch points to.
template <auto kernel> struct Call;
template <typename... Arguments, void (*kernel)(Arguments...)> struct Call<kernel> {
    template <size_t... i> static void with(void **arguments, std::index_sequence<i...>) {
        kernel(*(Arguments *)arguments[i]...);
    }
    static void all(void **arguments) { with(arguments, std::index_sequence_for<Arguments...>()); }
};

template <auto kernel> void call(void **arguments) { Call<kernel>::all(arguments); }

// The host writes the entries.
Function functions[] = {
    KERNELS
};

const char IMAGE[] = "machine code";
const int INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_IMAGE = 200, NOT_FOUND = 500;

int devices() {
    const char *count = getenv("FAKE_GPUS");
    return count ? atoi(count) : 1;
}

int allocate(void **memory, size_t bytes) {
    // As cuMemAlloc aligns.
    *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (*memory) {
        memset(*memory, 0xff, bytes);
    }
    return *memory ? 0 : OUT_OF_MEMORY;
}

} // namespace

API cuDriverGetVersion(int *version) {
    const char *number = getenv("FAKE_DRIVER");
    *version = number ? atoi(number) : 13000;
    return 0;
}
API cuInit(unsigned) { return devices() ? 0 : NO_DEVICE; }
API cuDeviceGetCount(int *count) { return *count = devices(), 0; }
API cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
API cuDeviceGetName(char *name, int length, int) { return strncpy(name, "fake", length), 0; }
// Compute capability 9.0.
API cuDeviceGetAttribute(int *value, int attribute, int) { return *value = attribute == 75 ? 9 : 0, 0; }
API cuDevicePrimaryCtxRetain(void **context, int) { return *context = functions, 0; }
API cuDevicePrimaryCtxRelease_v2(int) { return 0; }
API cuCtxSetCurrent(void *) { return 0; }
API cuCtxGetCurrent(void **context) { return *context = functions, 0; }
API cuCtxSynchronize() { return 0; }
API cuStreamCreate(void **stream, unsigned) { return *stream = functions, 0; }
API cuStreamDestroy_v2(void *) { return 0; }
API cuStreamSynchronize(void *) { return 0; }
API cuStreamWaitEvent(void *, void *, unsigned) { return 0; }
API cuEventCreate(void **event, unsigned) { return *event = functions, 0; }
API cuEventDestroy_v2(void *) { return 0; }
API cuEventRecord(void *, void *) { return 0; }
API cuEventSynchronize(void *) { return 0; }
API cuEventQuery(void *) { return 0; }
// FAKE_MEMORY: the most bytes of an allocation.
API cuMemAlloc_v2(Pointer *memory, size_t bytes) {
    const char *most = getenv("FAKE_MEMORY");
    return most && bytes > strtoull(most, nullptr, 10) ? OUT_OF_MEMORY : allocate((void **)memory, bytes);
}
API cuMemFree_v2(Pointer memory) { return free((void *)memory), 0; }
API cuMemHostAlloc(void **memory, size_t bytes, unsigned) { return allocate(memory, bytes); }
API cuMemFreeHost(void *memory) { return free(memory), 0; }
API cuMemsetD8_v2(Pointer to, unsigned char value, size_t bytes) { return memset((void *)to, value, bytes), 0; }
API cuMemsetD8Async(Pointer to, unsigned char value, size_t bytes, void *) { return cuMemsetD8_v2(to, value, bytes); }
API cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t bytes, void *) { return memcpy((void *)to, from, bytes), 0; }
API cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t bytes, void *) { return memcpy(to, (void *)from, bytes), 0; }
API cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, void *) {
    return memcpy((void *)to, (void *)from, bytes), 0;
}
API cuModuleLoadData(void **module, const void *image) {
    *module = functions;
    return memcmp(image, IMAGE, sizeof IMAGE) ? INVALID_IMAGE : 0;
}
API cuModuleUnload(void *) { return 0; }
API cuModuleGetFunction(Function **function, void *, const char *name) {
    for (Function &candidate : functions) {
        if (!strcmp(candidate.name, name)) {
            return *function = &candidate, 0;
        }
    }
    return NOT_FOUND;
}
API cuLaunchKernel(Function *function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned,
                   unsigned shared, void *, void **arguments, void **) {
    // What every GPU has.
    if (!blocks || blocks > 0x7fffffff || !threads || threads > 1024 || shared > 48 << 10) {
        return INVALID;
    }
    // Every other launch begins with the last block: none may depend on another.
    static thread_local bool backwards;
    backwards = !backwards;
    for (unsigned i = 0; i < blocks; i++) {
        shim_block(backwards ? blocks - 1 - i : i, blocks, threads);
        function->call(arguments);
    }
    return 0;
}
API cuGetErrorName(int error, const char **text) {
    return *text = error == INVALID_IMAGE ? "CUDA_ERROR_INVALID_IMAGE" : "CUDA_ERROR_OTHER", 0;
}
API cuGetErrorString(int error, const char **text) {
    return *text = error == INVALID_IMAGE ? "device kernel image is invalid" : "another error", 0;
}

API nvrtcVersion(int *major, int *minor) { return *major = 13, *minor = 0, 0; }
API nvrtcGetNumSupportedArchs(int *count) { return *count = 1, 0; }
API nvrtcGetSupportedArchs(int *architectures) { return *architectures = 90, 0; }
API nvrtcCreateProgram(void **program, const char *, const char *, int, const char *const *, const char *const *) {
    return *program = functions, 0;
}
API nvrtcDestroyProgram(void **) { return 0; }
API nvrtcCompileProgram(void *, int, const char *const *) { return getenv("FAKE_COMPILE_ERROR") ? 6 : 0; }
API nvrtcGetProgramLogSize(void *, size_t *size) { return *size = sizeof "kernels.cu(1): error: fake", 0; }
API nvrtcGetProgramLog(void *, char *log) { return strcpy(log, "kernels.cu(1): error: fake"), 0; }
API nvrtcGetCUBINSize(void *, size_t *size) { return *size = sizeof IMAGE, 0; }
API nvrtcGetCUBIN(void *, char *code) { return memcpy(code, IMAGE, sizeof IMAGE), 0; }
API nvrtcGetPTXSize(void *, size_t *size) { return *size = sizeof IMAGE, 0; }
API nvrtcGetPTX(void *, char *code) { return memcpy(code, IMAGE, sizeof IMAGE), 0; }
