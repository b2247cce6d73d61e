// The kernels for a C++ compiler. They run on the CPU, one thread after the other. In the
// kernels whose threads wait for each other, the threads of a warp take turns.
#include <ucontext.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

struct Dim {
    unsigned x, y, z;
};

static thread_local Dim blockIdx, threadIdx, blockDim, gridDim;

#include "upscale.cu"

/// The 32 threads of a warp, each with a stack of its own.
class Warp {
    static const size_t STACK = 256 << 10;

    ucontext_t scheduler, contexts[LANES];
    std::vector<char> stacks = std::vector<char>(LANES * STACK);
    enum { READY, WAITING, DONE } states[LANES];
    void (*body)(const void *) = nullptr;
    const void *argument = nullptr;

    static Warp &get() {
        static thread_local Warp warp;
        return warp;
    }

    static void run_lane() {
        Warp &warp = get();
        warp.body(warp.argument);
        warp.states[threadIdx.x] = DONE;
    }

  public:
    /// Warps in which some threads waited while others had ended or never came.
    static inline u64 diverged = 0;

    /// Runs `body` in every thread of the warp `row` of a block.
    static void run(u32 row, void (*body)(const void *), const void *argument) {
        Warp &warp = get();
        warp.body = body;
        warp.argument = argument;
        for (u32 lane = 0; lane < LANES; lane++) {
            ucontext_t &context = warp.contexts[lane];
            getcontext(&context);
            context.uc_stack = {&warp.stacks[lane * STACK], 0, STACK};
            context.uc_link = &warp.scheduler;
            makecontext(&context, run_lane, 0);
            warp.states[lane] = READY;
        }
        bool alive = true;
        for (u32 round = 0; alive; round++) {
            u32 waiting = 0;
            for (u32 i = 0; i < LANES; i++) {
                // Every second round backwards, so that no thread can rely on the order.
                const u32 lane = round % 2 ? LANES - 1 - i : i;
                if (warp.states[lane] == DONE)
                    continue;
                threadIdx = {lane, row, 0};
                swapcontext(&warp.scheduler, &warp.contexts[lane]);
                waiting += warp.states[lane] == WAITING;
            }
            alive = waiting > 0;
            if (waiting != 0 && waiting != LANES)
                diverged++;
        }
    }

    static void wait() {
        Warp &warp = get();
        const u32 lane = threadIdx.x;
        warp.states[lane] = WAITING;
        swapcontext(&warp.contexts[lane], &warp.scheduler);
    }
};

void sync_warp() { Warp::wait(); }

#ifdef MACHINE_CODE
/// What the warps of a kernel asked of the memory, as a GPU counts it.
class Transactions {
    struct Access {
        u64 address;
        u32 bytes;
        bool shared;
    };

    /// By instruction, and how often the thread had executed it before.
    static inline std::map<std::pair<u32, u32>, std::vector<Access>> accesses;
    static inline std::map<std::pair<u32, u32>, u32> executed;

    static void add(u32 site, u64 address, u32 bytes, bool shared) {
        const u32 before = executed[{threadIdx.x, site}]++;
        accesses[{site, before}].push_back({address, bytes, shared});
    }

    /// Passes of 128 bytes through the 32 banks of the L1 cache: accesses of up to 4 bytes are
    /// served 32 threads at a time, of 8 bytes 16, of 16 bytes 8. Different words of one bank take
    /// one pass each.
    static u64 wavefronts_of(const std::vector<Access> &all) {
        const size_t together = all[0].bytes > 4 ? 128 / all[0].bytes : 32;
        u64 passes = 0;
        for (size_t first = 0; first < all.size(); first += together) {
            std::map<u64, std::set<u64>> banks;
            for (size_t i = first; i < std::min(first + together, all.size()); i++)
                for (u64 word = all[i].address / 4; word * 4 < all[i].address + all[i].bytes; word++)
                    banks[word % 32].insert(word);
            size_t most = 0;
            for (const auto &bank : banks) most = std::max(most, bank.second.size());
            passes += most;
        }
        return passes;
    }

  public:
    static inline bool counting = false;
    /// Instructions of warps that access memory, passes through the L1 cache, and 32-byte sectors
    /// of global memory.
    static inline u64 requests, wavefronts, sectors;

    static void begin() {
        machine_code::access = counting ? add : nullptr;
        accesses.clear();
        executed.clear();
    }

    static void end() {
        for (const auto &request : accesses) {
            requests++;
            wavefronts += wavefronts_of(request.second);
            std::set<u64> touched;
            for (const Access &access : request.second)
                if (!access.shared)
                    touched.insert(access.address / 32);
            sectors += touched.size();
        }
    }
};

extern "C" void count_transactions(bool count) {
    Transactions::counting = count;
    Transactions::requests = Transactions::wavefronts = Transactions::sectors = 0;
}
extern "C" u64 transactions(u32 what) {
    return what == 0   ? Transactions::requests
           : what == 1 ? Transactions::wavefronts
                       : Transactions::sectors;
}
extern "C" u64 misaligned_accesses() { return machine_code::misaligned; }
static bool is_faulty() { return Warp::diverged != 0 || machine_code::misaligned != 0; }
#else
struct Transactions {
    static const bool counting = false;
    static void begin() {}
    static void end() {}
};
static bool is_faulty() { return Warp::diverged != 0; }
#endif

/// Whether the threads of a kernel with these arguments wait for each other.
template <class Args>
constexpr bool waits = false;
template <class T>
constexpr bool waits<Unpack<T>> = true;
template <class T>
constexpr bool waits<Finish<T>> = true;
template <class T>
constexpr bool waits<Pack<T>> = true;

template <class Args>
static bool launch(void (*kernel)(Args), const void *args, u32 size, Dim grid, Dim block) {
    if (size != sizeof(Args) || block.x != LANES || block.y > WARPS)
        return false;
    gridDim = grid;
    blockDim = block;
    struct Call {
        void (*kernel)(Args);
        const Args *args;
    } call = {kernel, (const Args *)args};
    for (u32 i = 0; i < grid.x * grid.y * grid.z; i++) {
        blockIdx = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        for (u32 row = 0; row < block.y; row++) {
            if (waits<Args> || Transactions::counting) {
                const auto body = [](const void *it) {
                    const Call &call = *(const Call *)it;
                    call.kernel(*call.args);
                };
                Transactions::begin();
                Warp::run(row, body, &call);
                Transactions::end();
                continue;
            }
            for (u32 lane = 0; lane < LANES; lane++) {
                threadIdx = {lane, row, 0};
                kernel(*call.args);
            }
        }
    }
    return true;
}

#define LAUNCH(name)                                                                              \
    extern "C" bool launch_##name(const void *args, u32 size, Dim grid, Dim block) {              \
        return launch(name, args, size, grid, block) && !is_faulty();                      \
    }

LAUNCH(unpack_f32)
LAUNCH(unpack_f16)
LAUNCH(compare_blocks)
LAUNCH(update_reference)
LAUNCH(gather_f32)
LAUNCH(gather_f16)
LAUNCH(scatter_f32)
LAUNCH(scatter_f16)
LAUNCH(finish_f32)
LAUNCH(finish_f16)
LAUNCH(pack_f32)
LAUNCH(pack_f16)

extern "C" u32 half_of(float value) { return to_half(value).bits; }
extern "C" float float_of_half(u32 bits) { return to_float(Half{(u16)bits}); }
