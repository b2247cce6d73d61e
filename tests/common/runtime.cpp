// ONNX Runtime, except that it claims to have been built with CUDA and TensorRT, whose providers
// then do not load. The path of the real library, the offsets of the functions that list and
// release providers in its table, and the table's size come from the compiler's command line.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>

struct ApiBase {
    const void *(*get_api)(uint32_t);
    const char *(*get_version)();
};

using ListProviders = void *(*)(char ***, int *);

static char *names[] = {
    const_cast<char *>("TensorrtExecutionProvider"),
    const_cast<char *>("CUDAExecutionProvider"),
    const_cast<char *>("CPUExecutionProvider"),
};

static void *list_providers(char ***out, int *count) {
    *out = names;
    *count = 3;
    return nullptr;
}

static void *release_providers(char **, int) {
    return nullptr;
}

static const ApiBase *real() {
    static const ApiBase *base = [] {
        void *library = dlopen(RUNTIME, RTLD_NOW | RTLD_LOCAL);
        auto get = reinterpret_cast<const ApiBase *(*)()>(dlsym(library, "OrtGetApiBase"));
        return get();
    }();
    return base;
}

static const void *get_api(uint32_t version) {
    alignas(void *) static char table[API_SIZE];
    std::memcpy(table, real()->get_api(version), API_SIZE);
    void *(*list)(char ***, int *) = list_providers;
    void *(*release)(char **, int) = release_providers;
    std::memcpy(table + LIST_PROVIDERS, &list, sizeof list);
    std::memcpy(table + RELEASE_PROVIDERS, &release, sizeof release);
    return table;
}

static const char *get_version() {
    return real()->get_version();
}

extern "C" const ApiBase *OrtGetApiBase() {
    static const ApiBase base = {get_api, get_version};
    return &base;
}
