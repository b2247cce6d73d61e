// An emulated CUDA driver: device memory is host memory, and kernels run on the CPU.
//
// Work is done as late as possible: a stream does nothing until the host waits for it, and then
// only what that wait needs. A missing wait therefore gives a wrong picture. With a seed, one
// stream in three runs as early as possible, or all run at random, which reveals other missing
// waits.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "shim.cpp"

enum Result : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_PTX = 218,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
};

struct Stream;

struct Event {
    Stream *stream = nullptr;
    u64 recorded = 0, done = 0;
    double milliseconds = 0;
};

struct Operation {
    std::function<void()> run;
    /// If set, waits until recording `generation` of `event` is done.
    std::shared_ptr<Event> event;
    u64 generation = 0;

    bool may_run() const { return !event || event->done >= generation; }
};

struct Stream {
    std::deque<Operation> work;
    /// Index in the order of creation.
    u64 number;
};

using Launcher = std::function<void()>;

struct Function {
    std::string name;
    std::function<Launcher(const void *, Dim, Dim)> prepare;
};

template <class Args>
static Function function(const char *name, void (*kernel)(Args)) {
    return {name, [kernel](const void *args, Dim grid, Dim block) {
                const Args copy = *(const Args *)args;
                return [=] { launch(kernel, &copy, sizeof copy, grid, block); };
            }};
}

#define FUNCTION(name) function(#name, name)
static std::vector<Function> functions = {
    FUNCTION(unpack_f32),     FUNCTION(unpack_f16),       FUNCTION(compare_blocks),
    FUNCTION(update_reference), FUNCTION(gather_f32),     FUNCTION(gather_f16),
    FUNCTION(scatter_f32),    FUNCTION(scatter_f16),      FUNCTION(finish_f32),
    FUNCTION(finish_f16),     FUNCTION(pack_f32),         FUNCTION(pack_f16),
};

enum Count : u32 { BUFFERS, PINNED, EVENTS, STREAMS, CONTEXTS, MODULES, FAULTS, UP, DOWN, LAUNCHES, UNPACKING, COMPILATIONS, COUNTERS };

static const size_t GUARD = 256;
static std::recursive_mutex mutex;
static int devices = 1, version = 12040, capability = 86;
static size_t limit = (size_t)1 << 40, used = 0;
static bool lost = false;
static int lost_status = LAUNCH_FAILED, cubin_status = SUCCESS, ptx_status = SUCCESS;
static long long launches_left = -1;
static u64 random_state = 0, eager = 3, streams_made = 0;
static u64 counts[COUNTERS];
static std::map<u8 *, size_t> memory, pinned;
static std::set<Stream *> streams;
static std::map<Event *, std::shared_ptr<Event>> events;
static std::string ptx;
static thread_local bool current = false;

using Lock = std::lock_guard<std::recursive_mutex>;
#define EXPORT extern "C" __attribute__((visibility("default")))

static void step(Stream *stream);

static void fault() { counts[FAULTS]++; }

/// Runs the event's stream until this recording of the event is done.
static void reach(Event *event, u64 generation) {
    while (!lost && event->done < generation) step(event->stream);
}

static void step(Stream *stream) {
    if (stream->work.empty())
        return;
    const Operation operation = stream->work.front();
    if (operation.event && !operation.run)
        reach(operation.event.get(), operation.generation);
    if (lost || stream->work.empty())
        return;
    stream->work.pop_front();
    if (operation.run)
        operation.run();
}

static void drain(Stream *stream) {
    while (!lost && !stream->work.empty()) step(stream);
}

static u64 next_random() {
    random_state = mix(random_state);
    return random_state;
}

/// Runs work that nothing waits for yet.
static void get_ahead() {
    if (random_state == 0 || streams.empty())
        return;
    if (eager < 3) {
        for (Stream *stream : streams)
            while (stream->number % 3 == eager && !stream->work.empty() &&
                   stream->work.front().may_run() && !lost)
                step(stream);
        return;
    }
    for (u64 steps = next_random() % 6; steps > 0; steps--) {
        auto place = streams.begin();
        std::advance(place, next_random() % streams.size());
        if (!(*place)->work.empty() && (*place)->work.front().may_run())
            step(*place);
    }
}

static int enqueue(void *raw, std::function<void()> run) {
    Stream *stream = (Stream *)raw;
    if (!streams.count(stream))
        return INVALID_HANDLE;
    stream->work.push_back({std::move(run), nullptr, 0});
    get_ahead();
    return SUCCESS;
}

/// Whether these bytes lie inside one live allocation.
static bool is_inside(const std::map<u8 *, size_t> &all, const void *at, size_t bytes) {
    auto place = all.upper_bound((u8 *)at);
    if (place == all.begin())
        return false;
    --place;
    return (u8 *)at + bytes <= place->first + place->second;
}

static void copy(void *to, const void *from, size_t bytes, bool up) {
    if (!is_inside(memory, up ? to : from, bytes) || !is_inside(pinned, up ? from : to, bytes))
        return fault();
    counts[up ? UP : DOWN] += bytes;
    std::memcpy(to, from, bytes);
}

#define ENTER()                                                                                   \
    Lock lock(mutex);                                                                             \
    if (lost)                                                                                     \
        return lost_status;
#define ENTER_BOUND()                                                                             \
    ENTER()                                                                                       \
    if (!current)                                                                                 \
        return INVALID_CONTEXT;

// The interface of the tests.

EXPORT void emulator_reset() {
    Lock lock(mutex);
    devices = 1, version = 12040, capability = 86, limit = (size_t)1 << 40, lost = false;
    cubin_status = ptx_status = SUCCESS;
    lost_status = LAUNCH_FAILED, launches_left = -1, random_state = 0;
    Warp::diverged = 0;
    counts[FAULTS] = counts[UP] = counts[DOWN] = counts[LAUNCHES] = counts[UNPACKING] = 0;
    counts[COMPILATIONS] = 0;
}
EXPORT void emulator_set_devices(int count) { devices = count; }
EXPORT void emulator_set_version(int value) { version = value; }
EXPORT void emulator_set_capability(int value) { capability = value; }
EXPORT void emulator_set_memory(size_t bytes) { limit = bytes; }
EXPORT void emulator_set_seed(u64 seed) {
    random_state = seed;
    eager = seed % 4;
}
/// After this many launches every call fails; negative: never.
EXPORT void emulator_lose_after(long long launches) {
    launches_left = launches;
    lost = launches == 0;
}
/// What every function returns once the GPU is lost.
EXPORT void emulator_set_lost_status(int status) { lost_status = status; }
/// What loading machine code and loading PTX return.
EXPORT void emulator_set_cubin_status(int status) { cubin_status = status; }
EXPORT void emulator_set_ptx_status(int status) { ptx_status = status; }
EXPORT u64 emulator_count(u32 what) {
    return what >= COUNTERS ? 0 : counts[what] + (what == FAULTS && is_faulty());
}
EXPORT size_t emulator_used() { return used; }
/// Queues work of a library on a stream.
EXPORT int emulator_enqueue(void *stream, void (*run)(void *), void *data) {
    ENTER_BOUND();
    return enqueue(stream, [=] { run(data); });
}

// The driver's functions.

EXPORT int cuDriverGetVersion(int *out) { return *out = version, SUCCESS; }
EXPORT int cuInit(unsigned) { return devices == 0 ? NO_DEVICE : SUCCESS; }
EXPORT int cuDeviceGetCount(int *out) { return *out = devices, SUCCESS; }
EXPORT int cuDeviceGet(int *out, int ordinal) {
    return ordinal < devices ? (*out = ordinal, SUCCESS) : INVALID_DEVICE;
}
EXPORT int cuDeviceGetName(char *out, int length, int) {
    std::strncpy(out, "Emulated GPU", length);
    return SUCCESS;
}
EXPORT int cuDeviceGetAttribute(int *out, int attribute, int) {
    *out = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 0;
    return SUCCESS;
}
EXPORT int cuDevicePrimaryCtxRetain(void **out, int device) {
    ENTER();
    counts[CONTEXTS]++;
    return *out = (void *)(size_t)(0x1000 + device), SUCCESS;
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int) {
    Lock lock(mutex);
    return counts[CONTEXTS]--, SUCCESS;
}
EXPORT int cuCtxSetCurrent(void *context) {
    ENTER();
    return current = context != nullptr, SUCCESS;
}
EXPORT int cuMemGetInfo_v2(size_t *free, size_t *total) {
    ENTER_BOUND();
    return *total = limit, *free = limit - used, SUCCESS;
}

/// The architecture that machine code is for, 10 · major + minor: flags of its ELF header, whose
/// place depends on the version of the ABI.
static int architecture(const u8 *image) {
    u32 flags;
    std::memcpy(&flags, image + 48, sizeof flags);
    return image[8] >= 8 ? flags >> 8 & 0xFF : flags & 0xFF;
}
EXPORT int cuModuleLoadData(void **out, const void *image) {
    ENTER_BOUND();
    if (std::memcmp(image, "\x7f" "ELF", 4) == 0) {
        const int built_for = architecture((const u8 *)image);
        if (cubin_status != SUCCESS)
            return cubin_status;
        if (built_for / 10 != capability / 10 || built_for > capability)
            return NO_BINARY_FOR_GPU;
        ptx.clear();
    } else {
        if (ptx_status != SUCCESS)
            return ptx_status;
        ptx = (const char *)image;
        if (ptx.find(".target sm_75") == std::string::npos)
            return INVALID_PTX;
        counts[COMPILATIONS]++;
    }
    counts[MODULES]++;
    return *out = (void *)0x2000, SUCCESS;
}
EXPORT int cuModuleUnload(void *) {
    Lock lock(mutex);
    return counts[MODULES]--, SUCCESS;
}
EXPORT int cuModuleGetFunction(void **out, void *, const char *name) {
    ENTER_BOUND();
    for (Function &function : functions)
        if (function.name == name &&
            (ptx.empty() || ptx.find(".entry " + function.name) != std::string::npos))
            return *out = &function, SUCCESS;
    return NOT_FOUND;
}
EXPORT int cuLaunchKernel(void *raw, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                          unsigned by, unsigned, unsigned, void *stream, void **args, void **) {
    ENTER_BOUND();
    if (launches_left == 0)
        return lost = true, lost_status;
    launches_left -= launches_left > 0;
    counts[LAUNCHES]++;
    // The limits of every GPU.
    if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by > 1024)
        return INVALID_VALUE;
    if (((Function *)raw)->name.rfind("unpack", 0) == 0)
        counts[UNPACKING] += (u64)gx * gy * gz * bx * by;
    return enqueue(stream, ((Function *)raw)->prepare(args[0], {gx, gy, gz}, {bx, by, 1}));
}

EXPORT int cuMemAlloc_v2(u64 *out, size_t bytes) {
    ENTER_BOUND();
    if (used + bytes > limit)
        return OUT_OF_MEMORY;
    u8 *block = (u8 *)std::aligned_alloc(256, (bytes + 255) / 256 * 256 + GUARD);
    std::memset(block, 0xA5, (bytes + 255) / 256 * 256 + GUARD);
    memory[block] = bytes;
    used += bytes;
    counts[BUFFERS]++;
    return *out = (u64)block, SUCCESS;
}
EXPORT int cuMemHostAlloc(void **out, size_t bytes, unsigned flags) {
    ENTER_BOUND();
    // Write-combined memory would be slow to read.
    if (flags != 0)
        fault();
    *out = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    pinned[(u8 *)*out] = bytes;
    return counts[PINNED]++, SUCCESS;
}

/// Freeing memory while work is queued is a fault.
static void check_idle() {
    for (Stream *stream : streams)
        if (!lost && !stream->work.empty())
            fault();
}

EXPORT int cuMemFree_v2(u64 address) {
    Lock lock(mutex);
    check_idle();
    auto place = memory.find((u8 *)address);
    if (place == memory.end())
        return fault(), INVALID_VALUE;
    for (size_t i = place->second; i < place->second + GUARD; i++)
        if (place->first[i] != 0xA5) {
            fault();
            break;
        }
    used -= place->second;
    counts[BUFFERS]--;
    std::free(place->first);
    memory.erase(place);
    return SUCCESS;
}
EXPORT int cuMemFreeHost(void *block) {
    Lock lock(mutex);
    check_idle();
    if (!pinned.erase((u8 *)block))
        return fault(), INVALID_VALUE;
    std::free(block);
    return counts[PINNED]--, SUCCESS;
}

EXPORT int cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t bytes, void *stream) {
    ENTER_BOUND();
    return enqueue(stream, [=] { copy((void *)to, from, bytes, true); });
}
EXPORT int cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t bytes, void *stream) {
    ENTER_BOUND();
    return enqueue(stream, [=] { copy(to, (void *)from, bytes, false); });
}

struct Copy2D {
    size_t from_x, from_y;
    unsigned from_kind;
    const u8 *from_host;
    u64 from_device;
    void *from_array;
    size_t from_pitch, to_x, to_y;
    unsigned to_kind;
    u8 *to_host;
    u64 to_device;
    void *to_array;
    size_t to_pitch, width, height;
};

EXPORT int cuMemcpy2DAsync_v2(const Copy2D *pointer, void *stream) {
    ENTER_BOUND();
    const Copy2D it = *pointer;
    if (it.from_kind != 2 || it.to_kind != 1)
        return INVALID_VALUE;
    return enqueue(stream, [=] {
        for (size_t y = 0; y < it.height; y++)
            copy(it.to_host + y * it.to_pitch, (u8 *)it.from_device + y * it.from_pitch, it.width,
                 false);
    });
}
EXPORT int cuMemsetD32Async(u64 to, unsigned word, size_t count, void *stream) {
    ENTER_BOUND();
    return enqueue(stream, [=] {
        if (!is_inside(memory, (void *)to, count * 4))
            return fault();
        for (size_t i = 0; i < count; i++) ((u32 *)to)[i] = word;
    });
}

EXPORT int cuStreamCreateWithPriority(void **out, unsigned, int) {
    ENTER_BOUND();
    Stream *stream = new Stream{{}, streams_made++};
    streams.insert(stream);
    counts[STREAMS]++;
    return *out = stream, SUCCESS;
}
EXPORT int cuStreamDestroy_v2(void *raw) {
    Lock lock(mutex);
    Stream *stream = (Stream *)raw;
    drain(stream);
    streams.erase(stream);
    delete stream;
    return counts[STREAMS]--, SUCCESS;
}
EXPORT int cuStreamSynchronize(void *raw) {
    ENTER_BOUND();
    drain((Stream *)raw);
    return lost ? lost_status : SUCCESS;
}
EXPORT int cuStreamWaitEvent(void *raw, void *raw_event, unsigned) {
    ENTER_BOUND();
    const std::shared_ptr<Event> event = events[(Event *)raw_event];
    ((Stream *)raw)->work.push_back({nullptr, event, event->recorded});
    get_ahead();
    return SUCCESS;
}

EXPORT int cuEventCreate(void **out, unsigned) {
    ENTER_BOUND();
    auto event = std::make_shared<Event>();
    events[event.get()] = event;
    counts[EVENTS]++;
    return *out = event.get(), SUCCESS;
}
EXPORT int cuEventDestroy_v2(void *raw) {
    Lock lock(mutex);
    counts[EVENTS] -= events.erase((Event *)raw);
    return SUCCESS;
}
EXPORT int cuEventRecord(void *raw, void *stream) {
    ENTER_BOUND();
    const std::shared_ptr<Event> event = events[(Event *)raw];
    event->stream = (Stream *)stream;
    const u64 generation = ++event->recorded;
    return enqueue(stream, [=] {
        event->done = generation;
        const auto now = std::chrono::steady_clock::now().time_since_epoch();
        event->milliseconds = std::chrono::duration<double, std::milli>(now).count();
    });
}
EXPORT int cuEventSynchronize(void *raw) {
    ENTER_BOUND();
    Event *event = (Event *)raw;
    reach(event, event->recorded);
    return lost ? lost_status : SUCCESS;
}
EXPORT int cuEventElapsedTime(float *out, void *first, void *last) {
    ENTER_BOUND();
    const Event *from = (Event *)first, *to = (Event *)last;
    if (from->done < from->recorded || to->done < to->recorded || !from->done || !to->done)
        return NOT_READY;
    return *out = (float)(to->milliseconds - from->milliseconds), SUCCESS;
}
