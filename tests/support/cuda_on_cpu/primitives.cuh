// The machine of CUDA C++ on a CPU, for tests: stands in for minise/kernels/cuda/src/primitives.cuh.
//
// A block's threads are fibres that take turns: one runs until it reaches a barrier, and a warp until all its threads wait
// for other warps. Shared memory is full of NaNs when a block begins, and copies to it arrive only when they are waited
// for. `backwards` lets warps and threads take turns from the last to the first, and copies arrive at once: a kernel that
// lacks a barrier then gives another result.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>
#include <csetjmp>
#include <ucontext.h>

#define UNROLL
#define UNROLL_BY(times)
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __align__(n)
#define __shared__ static __attribute__((section("cuda_shared")))
#define SHARED_MEMORY(name) unsigned char* name = cpu::shared

struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
struct dim3 { unsigned x, y, z; };

extern "C" {
extern char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));
}

namespace cpu {

struct Copy { void* to; const void* from; bool there; };
struct Barrier { int size, arrived, turn; };
struct Fibre {
    ucontext_t context;  // to begin with; after that the cheaper jumps
    jmp_buf here;
    std::vector<char> stack;
    dim3 thread;
    int index;
    bool begun, done;
    int turn;  // how many collectives of its warp it has been through
    std::vector<Copy> copies;
};
struct Warp { Barrier barrier; uint64_t slots[2][32][8]; };

static jmp_buf scheduler;
static std::vector<Fibre> fibres;
static std::vector<Warp> warps;
static Barrier block_barrier;
static Fibre* now;
static dim3 block_index, block_size, grid_size;
static unsigned char* shared;
static bool copies_are_early;
static long moves;  // what has happened since the last round, to notice threads that wait for ever

inline void give_way() {
    if (!_setjmp(now->here)) _longjmp(scheduler, 1);
}

inline void go_on(Fibre* f) {
    now = f;
    if (_setjmp(scheduler)) return;
    if (now->begun) _longjmp(now->here, 1);
    now->begun = true;
    setcontext(&now->context);
}

inline void wait(Barrier& b) {
    int turn = b.turn;
    moves++;
    if (++b.arrived == b.size) { b.arrived = 0; b.turn++; return; }
    while (b.turn == turn) give_way();
}

// Each lane hands in up to 8 words and sees those of all lanes of its warp.
inline uint64_t (*collect(const uint64_t* words, int count))[8] {
    Warp& w = warps[now->index / 32];
    uint64_t(*slots)[8] = w.slots[now->turn++ % 2];
    for (int i = 0; i < count; i++) slots[now->index % 32][i] = words[i];
    wait(w.barrier);
    return slots;
}

inline void run_fibre(unsigned low, unsigned high) {
    auto body = reinterpret_cast<void (*)()>((uintptr_t(high) << 32) | low);
    body();
    now->done = true;
    moves++;
    give_way();
}

template <class... A> struct Call {
    static inline void (*kernel)(A...);
    static inline void** arguments;
    template <size_t... I> static void call(std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
    }
    static void body() { call(std::index_sequence_for<A...>()); }
};

template <class... A>
int launch(void (*kernel)(A...), const int* grid, const int* block, int shared_bytes, void** arguments, int backwards) {
    Call<A...>::kernel = kernel;
    Call<A...>::arguments = arguments;
    copies_are_early = backwards;
    grid_size = {unsigned(grid[0]), unsigned(grid[1]), unsigned(grid[2])};
    block_size = {unsigned(block[0]), unsigned(block[1]), unsigned(block[2])};
    int threads = block[0] * block[1] * block[2];
    fibres.resize(threads);
    warps.resize((threads + 31) / 32);
    shared = static_cast<unsigned char*>(aligned_alloc(64, (shared_bytes + 127) / 64 * 64));
    for (unsigned b = 0; b < grid_size.x * grid_size.y * grid_size.z; b++) {
        block_index = {b % grid_size.x, b / grid_size.x % grid_size.y, b / grid_size.x / grid_size.y};
        memset(shared, 0xff, shared_bytes);
        if (__start_cuda_shared) memset(__start_cuda_shared, 0xff, __stop_cuda_shared - __start_cuda_shared);
        block_barrier = {threads, 0, 0};
        for (int w = 0; w < int(warps.size()); w++) warps[w].barrier = {std::min(32, threads - 32 * w), 0, 0};
        for (int i = 0; i < threads; i++) {
            Fibre& f = fibres[i];
            f.stack.resize(1 << 16);
            f.thread = {i % block_size.x, i / block_size.x % block_size.y, i / block_size.x / block_size.y};
            f.index = i;
            f.begun = f.done = false;
            f.turn = 0;
            f.copies.clear();
            getcontext(&f.context);
            f.context.uc_stack.ss_sp = f.stack.data();
            f.context.uc_stack.ss_size = f.stack.size();
            f.context.uc_link = nullptr;
            uintptr_t body = reinterpret_cast<uintptr_t>(&Call<A...>::body);
            makecontext(&f.context, reinterpret_cast<void (*)()>(run_fibre), 2, unsigned(body), unsigned(body >> 32));
        }
        for (int left = threads; left;) {
            int before = left;
            long turn = block_barrier.turn;
            for (int i = 0; i < int(warps.size()); i++) {
                int first = 32 * (backwards ? int(warps.size()) - 1 - i : i), last = std::min(first + 32, threads) - 1;
                do {  // a warp goes on until it waits for others
                    moves = 0;
                    for (int j = first; j <= last; j++) {
                        Fibre* f = &fibres[backwards ? first + last - j : j];
                        if (f->done) continue;
                        go_on(f);
                        if (f->done) left--;
                    }
                } while (moves);
            }
            if (left == before && block_barrier.turn == turn) { free(shared); return 1; }  // for threads that will not come
        }
    }
    free(shared);
    return 0;
}

}  // namespace cpu

#define threadIdx (cpu::now->thread)
#define blockIdx (cpu::block_index)
#define blockDim (cpu::block_size)
#define gridDim (cpu::grid_size)

inline void __syncthreads() { cpu::wait(cpu::block_barrier); }
inline void __syncwarp() { cpu::wait(cpu::warps[cpu::now->index / 32].barrier); }
inline unsigned __float_as_uint(float x) { unsigned y; memcpy(&y, &x, 4); return y; }
inline float __uint_as_float(unsigned x) { float y; memcpy(&y, &x, 4); return y; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    uint64_t bytes = (uint64_t(b) << 32) | a;
    unsigned y = 0;
    for (int i = 0; i < 4; i++) y |= unsigned((bytes >> (8 * ((selector >> (4 * i)) & 7))) & 0xff) << (8 * i);
    return y;
}
inline float __shfl_xor_sync(unsigned, float x, int mask) {
    uint64_t word = __float_as_uint(x);
    return __uint_as_float(unsigned(cpu::collect(&word, 1)[(cpu::now->index % 32) ^ mask][0]));
}
using std::max;
using std::min;

struct Half { _Float16 value; };
inline float from_half(Half x) { return float(x.value); }
inline Half to_half(float x) { return {_Float16(x)}; }

namespace cpu {
inline float half_of(uint64_t word, int which) {
    uint16_t bits = uint16_t(word >> (16 * which));
    _Float16 y;
    memcpy(&y, &bits, 2);
    return float(y);
}
inline float tf32_of(uint64_t word) { return __uint_as_float(unsigned(word) & 0xffffe000u); }

// A lane's four of c += a b, where `part(word, i)` is number i of the `per_word` in a word.
template <class Part>
void mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], int per_word, Part part) {
    uint64_t words[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    auto all = collect(words, 6);
    int g = now->index % 32 / 4, q = now->index % 4;
    for (int e = 0; e < 4; e++) {
        int high = e / 2, column = 2 * q + e % 2;
        double sum = c[e];
        for (int word = 0; word < 8; word++)
            for (int i = 0; i < per_word; i++)
                sum += double(part(all[4 * g + word % 4][high + 2 * (word / 4)], i)) *
                       part(all[4 * column + word % 4][4 + word / 4], i);
        c[e] = float(sum);
        if (fabs(double(c[e])) > fabs(sum)) c[e] = nextafterf(c[e], 0);  // the hardware cuts off, it does not round
    }
}
}  // namespace cpu

inline void mma_f16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    cpu::mma(c, a, b, 2, cpu::half_of);
}
inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    cpu::mma(c, a, b, 1, [](uint64_t word, int) { return cpu::tf32_of(word); });
}
namespace cpu {
// `count` of a warp's matrices: which rows the lanes say, and what each lane gets.
inline void load_matrices(unsigned** to, int count, const void* row, bool turned) {
    uint64_t word = uintptr_t(row);
    auto rows = collect(&word, 1);
    int g = now->index % 32 / 4, q = now->index % 4;
    for (int i = 0; i < 8 * count; i++)
        if (rows[i][0] % 16) { fprintf(stderr, "load_matrices: an address is no multiple of 16\n"); abort(); }
    for (int i = 0; i < count; i++)
        if (turned) {
            auto number = [&](int of) { return unsigned(reinterpret_cast<const uint16_t*>(rows[8 * i + of][0])[g]); };
            *to[i] = number(2 * q) | number(2 * q + 1) << 16;
        } else *to[i] = reinterpret_cast<const unsigned*>(rows[8 * i + g][0])[q];
}
}  // namespace cpu

inline void load_matrices(unsigned& a, unsigned& b, unsigned& c, unsigned& d, const void* row) {
    unsigned* to[] = {&a, &b, &c, &d};
    cpu::load_matrices(to, 4, row, false);
}
inline void load_matrices_turned(unsigned& a, unsigned& b, unsigned& c, unsigned& d, const void* row) {
    unsigned* to[] = {&a, &b, &c, &d};
    cpu::load_matrices(to, 4, row, true);
}
inline void load_two_matrices(unsigned& a, unsigned& b, const void* row) {
    unsigned* to[] = {&a, &b};
    cpu::load_matrices(to, 2, row, false);
}
namespace cpu {
inline void arrive(const Copy& c) { c.there ? memcpy(c.to, c.from, 16) : memset(c.to, 0, 16); }
}  // namespace cpu
inline void copy16(void* shared, const void* global, bool there) {
    if (uintptr_t(shared) % 16 || (there && uintptr_t(global) % 16)) {
        fprintf(stderr, "copy16: an address is no multiple of 16\n");
        abort();
    }
    cpu::Copy copy = {shared, global, there};
    if (cpu::copies_are_early) cpu::arrive(copy);
    else cpu::now->copies.push_back(copy);
}
inline void wait_for_copies() {
    for (auto& c : cpu::now->copies) cpu::arrive(c);
    cpu::now->copies.clear();
}
