/* Libraries in place of CUDA's runtime, cuBLAS, cuDNN and cuFFT, under the real CUDA provider of
 * ONNX Runtime. Device memory is host memory, kernels compute nothing, and every call is written
 * to the file that STUB_LOG names, a line each. scripts/provider.py adds functions that only
 * succeed for all other symbols that the provider needs.
 *
 * cuDNN offers two engines for every convolution: the first uses tensor cores, the second does not.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver_types.h"

typedef void *Pointer;

static void note(const char *format, ...) {
    static FILE *file;
    if (!file) {
        const char *path = getenv("STUB_LOG");
        file = path ? fopen(path, "a") : stderr;
        setvbuf(file, NULL, _IOLBF, 0);
    }
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
}

static Pointer handle(void) { return calloc(1, 64); }
static Pointer memory(size_t bytes) { return aligned_alloc(256, (bytes + 511) / 256 * 256); }

/* The device. */

int cudaGetDeviceCount(int *count) { return *count = 1, 0; }
int cudaGetDevice(int *device) { return *device = 0, 0; }
int cudaSetDevice(int device) { return note("set device %d", device), 0; }
int cudaDriverGetVersion(int *version) { return *version = 12080, 0; }
int cudaRuntimeGetVersion(int *version) { return *version = 12080, 0; }
int cudaMemGetInfo(size_t *available, size_t *total) {
    return *available = (size_t)15 << 30, *total = (size_t)16 << 30, 0;
}
int cudaGetDeviceProperties_v2(struct cudaDeviceProp *it, int device) {
    memset(it, 0, 704);
    strcpy(it->name, "Stub");
    it->major = 9;
    it->multiProcessorCount = 132;
    it->totalGlobalMem = (size_t)16 << 30;
    it->maxThreadsPerBlock = 1024;
    it->warpSize = 32;
    it->maxThreadsPerMultiProcessor = 2048;
    it->sharedMemPerBlock = 49152;
    it->sharedMemPerBlockOptin = it->sharedMemPerMultiprocessor = 232448;
    it->regsPerBlock = 65536;
    it->maxGridSize[0] = 2147483647;
    it->maxGridSize[1] = it->maxGridSize[2] = 65535;
    it->maxThreadsDim[0] = it->maxThreadsDim[1] = 1024;
    it->maxThreadsDim[2] = 64;
    return 0;
}
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == cudaDevAttrComputeCapabilityMajor   ? 9
             : attribute == cudaDevAttrComputeCapabilityMinor ? 0
             : attribute == cudaDevAttrMultiProcessorCount    ? 132
                                                              : 1024;
    return 0;
}
const char *cudaGetErrorString(int error) { return "an error of the stub"; }
const char *cudaGetErrorName(int error) { return "stub"; }

/* Memory. */

int cudaMalloc(Pointer *to, size_t bytes) { return note("allocate %zu", bytes), *to = memory(bytes), 0; }
int cudaMallocHost(Pointer *to, size_t bytes) { return note("allocate host %zu", bytes), *to = memory(bytes), 0; }
int cudaHostAlloc(Pointer *to, size_t bytes, unsigned flags) { return cudaMallocHost(to, bytes); }
int cudaFree(Pointer it) { return note("free"), free(it), 0; }
int cudaFreeHost(Pointer it) { return note("free host"), free(it), 0; }
int cudaMemcpy(Pointer to, const Pointer from, size_t bytes, int kind) {
    return memcpy(to, from, bytes), note("synchronous copy %zu", bytes), 0;
}
int cudaMemcpyAsync(Pointer to, const Pointer from, size_t bytes, int kind, Pointer stream) {
    return memcpy(to, from, bytes), note("copy %zu on stream %p", bytes, stream), 0;
}
int cudaMemset(Pointer to, int value, size_t bytes) {
    return memset(to, value, bytes), note("fill %zu on stream (nil)", bytes), 0;
}
int cudaMemsetAsync(Pointer to, int value, size_t bytes, Pointer stream) {
    return memset(to, value, bytes), note("fill %zu on stream %p", bytes, stream), 0;
}

/* Streams and events. */

int cudaStreamCreateWithFlags(Pointer *to, unsigned flags) { return *to = handle(), 0; }
int cudaStreamSynchronize(Pointer stream) { return note("synchronize stream %p", stream), 0; }
int cudaDeviceSynchronize(void) { return note("synchronize device"), 0; }
int cudaEventCreateWithFlags(Pointer *to, unsigned flags) { return *to = handle(), 0; }
int cudaEventCreate(Pointer *to) { return *to = handle(), 0; }
int cudaEventSynchronize(Pointer event) { return note("synchronize event"), 0; }
int cudaLaunchHostFunc(Pointer stream, void (*run)(Pointer), Pointer argument) {
    return note("host function on stream %p", stream), run(argument), 0;
}

/* Kernels. */

typedef struct {
    unsigned x, y, z;
} Dim;
static __thread Dim pushed_grid, pushed_block;
static __thread size_t pushed_shared;
static __thread Pointer pushed_stream;

Pointer *__cudaRegisterFatBinary(Pointer binary) { return handle(); }
void __cudaRegisterFatBinaryEnd(Pointer *binary) {}
void __cudaUnregisterFatBinary(Pointer *binary) {}
void __cudaRegisterFunction(Pointer *binary, const char *function, char *name, const char *other,
                            int limit, Pointer a, Pointer b, Pointer c, Pointer d, int *e) {}
void __cudaRegisterVar(Pointer *binary, Pointer a, Pointer b, Pointer c, int d, size_t e, int f,
                       int g) {}
unsigned __cudaPushCallConfiguration(Dim grid, Dim block, size_t shared, Pointer stream) {
    pushed_grid = grid, pushed_block = block, pushed_shared = shared, pushed_stream = stream;
    return 0;
}
int __cudaPopCallConfiguration(Dim *grid, Dim *block, size_t *shared, Pointer *stream) {
    *grid = pushed_grid, *block = pushed_block, *shared = pushed_shared, *stream = pushed_stream;
    return 0;
}
int cudaLaunchKernel(const void *kernel, Dim grid, Dim block, Pointer *arguments, size_t shared,
                     Pointer stream) {
    return note("launch on stream %p", stream), 0;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *kernel,
                                                           int threads, size_t shared,
                                                           unsigned flags) {
    return *blocks = 8, 0;
}

/* cuBLAS and cuDNN. */

int cublasCreate_v2(Pointer *to) { return *to = handle(), 0; }
int cublasSetStream_v2(Pointer blas, Pointer stream) { return note("cublas on stream %p", stream), 0; }
int cublasLtCreate(Pointer *to) { return *to = handle(), 0; }
size_t cudnnGetVersion(void) { return 91002; }
const char *cudnnGetErrorString(int error) { return "stub"; }
void cudnnGetLastErrorString(char *to, size_t length) {
    if (length)
        *to = 0;
}
int cudnnCreate(Pointer *to) { return note("cudnn handle"), *to = handle(), 0; }
int cudnnSetStream(Pointer dnn, Pointer stream) { return note("cudnn on stream %p", stream), 0; }
int cudnnCreateTensorDescriptor(Pointer *to) { return *to = handle(), 0; }
int cudnnAddTensor(Pointer a, const Pointer b, Pointer c, const Pointer d, const Pointer e,
                   Pointer f, Pointer g) {
    return note("bias in a pass of its own"), 0;
}

/* The graph API of cuDNN 9 (cudnn_graph.h): types of descriptors and names of attributes. */
enum { HEURISTICS = 4, PLAN = 5 };
enum {
    HEURISTICS_RESULTS = 202,
    CONFIG_ENGINE = 300,
    CONFIG_OTHER_FIRST = 301,
    CONFIG_OTHER_LAST = 302,
    PLAN_CONFIG = 401,
    PLAN_WORKSPACE = 402,
    ENGINE_INDEX = 1301,
    ENGINE_KNOBS = 1302,
    ENGINE_NUMERICAL_NOTE = 1303,
    ENGINE_LAYOUT = 1304,
    ENGINE_BEHAVIOR_NOTE = 1305,
};

typedef struct {
    int type;
    /* Of the two engines. */
    int engine;
} Descriptor;

static const char *kind(const Descriptor *it) {
    return it->engine == 0 ? "with tensor cores" : "without tensor cores";
}

int cudnnBackendCreateDescriptor(int type, Descriptor **to) {
    *to = calloc(1, sizeof(Descriptor));
    (*to)->type = type;
    return 0;
}
int cudnnBackendDestroyDescriptor(Descriptor *it) { return 0; }
int cudnnBackendSetAttribute(Descriptor *it, int attribute, int type, int64_t count,
                             const void *value) {
    if (count == 1 && (attribute == CONFIG_ENGINE || attribute == PLAN_CONFIG))
        it->engine = (*(Descriptor *const *)value)->engine;
    return 0;
}
int cudnnBackendFinalize(Descriptor *it) {
    if (it->type == PLAN)
        note("plan %s", kind(it));
    return 0;
}
int cudnnBackendGetAttribute(Descriptor *it, int attribute, int type, int64_t wanted, int64_t *got,
                             void *out) {
    int64_t count = 1;
    Descriptor **descriptors = out;
    switch (attribute) {
    case HEURISTICS_RESULTS:
        count = 2;
        if (out && wanted > 0) {
            count = wanted < 2 ? wanted : 2;
            for (int i = 0; i < count; i++)
                if (descriptors[i])
                    descriptors[i]->engine = i;
        }
        break;
    case CONFIG_ENGINE:
        if (out && wanted > 0 && *descriptors)
            (*descriptors)->engine = it->engine;
        break;
    case ENGINE_NUMERICAL_NOTE:
        /* CUDNN_NUMERICAL_NOTE_TENSOR_CORE is 0. */
        count = it->engine == 0;
        if (count && out && wanted > 0)
            *(int *)out = 0;
        break;
    case CONFIG_OTHER_FIRST:
    case CONFIG_OTHER_LAST:
    case ENGINE_KNOBS:
    case ENGINE_LAYOUT:
    case ENGINE_BEHAVIOR_NOTE: count = 0; break;
    case ENGINE_INDEX:
        if (out)
            *(int64_t *)out = it->engine;
        break;
    case PLAN_WORKSPACE:
        if (out)
            *(int64_t *)out = 0;
        break;
    default:
        if (out && wanted > 0)
            memset(out, 0, 4);
    }
    if (got)
        *got = count;
    return 0;
}
int cudnnBackendExecute(Pointer dnn, Descriptor *plan, Descriptor *variables) {
    return note("convolution %s", kind(plan)), 0;
}
