// The machine that kernels run on in tests: a block's threads are fibres that take turns.
//
// One runs until it reaches a barrier, and a warp until all its threads wait for other warps. Shared memory is full of
// NaNs when a block begins, and copies to it arrive only when they are waited for. `backwards` lets warps and threads
// take turns from the last to the first, and copies arrive at once: a kernel that lacks a barrier then gives another
// result.
#include "primitives.cuh"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <ucontext.h>
#include <vector>

namespace cpu {

constexpr int WARP = 32, STACK = 1 << 16;

struct Copy { void* to; const void* from; bool there; };
struct Barrier { int size, arrived, turn; };
struct Fibre {
    Here here;
    ucontext_t context;  // to begin with; after that the cheaper jumps
    jmp_buf jump;
    std::unique_ptr<char[]> stack;
    int index, turn;  // turn: how many instructions of its warp it has been through
    bool begun, done;
    std::vector<Copy> copies;
};
// What the lanes of a warp hand in to an instruction, and what they get.
struct Exchange {
    uint64_t given[WARP][6];
    float sums[WARP][4];
    unsigned words[WARP][4];
};
struct Warp { Barrier barrier; Exchange exchanges[2]; };

const Here* here;
static jmp_buf scheduler;
static std::vector<std::unique_ptr<Fibre>> fibres;
static std::vector<Warp> warps;
static Barrier block_barrier;
static Fibre* now;
static void (*body)();
static bool copies_are_early;
static long moves;  // what has happened since the last round, to notice threads that wait for ever

static void give_way() {
    if (!_setjmp(now->jump)) _longjmp(scheduler, 1);
}

static void go_on(Fibre* f) {
    now = f;
    here = &f->here;
    if (_setjmp(scheduler)) return;
    if (f->begun) _longjmp(f->jump, 1);
    f->begun = true;
    setcontext(&f->context);
}

// A fibre is the same thread of every block, one after the other.
static void run_fibre() {
    while (true) {
        body();
        now->done = true;
        moves++;
        give_way();
    }
}

static std::unique_ptr<Fibre> new_fibre(int index) {
    auto f = std::make_unique<Fibre>();
    f->index = index;
    f->stack.reset(new char[STACK]);
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack.get();
    f->context.uc_stack.ss_size = STACK;
    f->context.uc_link = nullptr;
    makecontext(&f->context, run_fibre, 0);
    return f;
}

static void wait(Barrier& b) {
    int turn = b.turn;
    moves++;
    if (++b.arrived == b.size) { b.arrived = 0; b.turn++; return; }
    while (b.turn == turn) give_way();
}

void wait_for_block() { wait(block_barrier); }
void wait_for_warp() { wait(warps[now->index / WARP].barrier); }

// An instruction that a warp executes together: each lane hands something in, and the last one does the work for all.
template <class Give, class Work> Exchange& together(Give give, Work work) {
    Warp& w = warps[now->index / WARP];
    Exchange& e = w.exchanges[now->turn++ % 2];
    give(e, now->index % WARP);
    if (w.barrier.arrived + 1 == w.barrier.size) work(e);
    wait(w.barrier);
    return e;
}

unsigned exchange(unsigned word, int lane) {
    return together([&](Exchange& e, int own) { e.given[own][0] = word; }, [](Exchange&) {}).given[lane][0];
}

static float float_of(unsigned bits) { float y; memcpy(&y, &bits, 4); return y; }

// All float16 numbers: their conversion takes long where the CPU has no instruction for it.
struct Halves {
    std::vector<float> of = std::vector<float>(1 << 16);
    Halves() {
        for (unsigned i = 0; i < of.size(); i++) {
            uint16_t bits = i;
            _Float16 x;
            memcpy(&x, &bits, 2);
            of[i] = x;
        }
    }
};
static const Halves halves;

// c += a b for a (16, 8 words) and b (8 words, 8), each word two float16 or one float32 of which 19 bits count.
template <bool half> static void multiply_all(Exchange& e) {
    constexpr int per_word = half ? 2 : 1, depth = 8 * per_word;
    auto number = [](uint64_t word, int i) -> double {
        return half ? halves.of[uint16_t(word >> (16 * i))] : float_of(unsigned(word) & 0xffffe000u);
    };
    double a[16][depth], b[depth][8], sum[16][8];
    for (int lane = 0; lane < WARP; lane++) {
        int g = lane / 4, q = lane % 4;
        for (int i = 0; i < per_word; i++) {
            for (int part = 0; part < 4; part++)
                a[g + part % 2 * 8][(q + part / 2 * 4) * per_word + i] = number(e.given[lane][part], i);
            for (int part = 0; part < 2; part++) b[(q + part * 4) * per_word + i][g] = number(e.given[lane][4 + part], i);
        }
        for (int k = 0; k < 4; k++) sum[g + k / 2 * 8][2 * q + k % 2] = e.sums[lane][k];
    }
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < depth; k++)
            for (int column = 0; column < 8; column++) sum[row][column] += a[row][k] * b[k][column];
    for (int lane = 0; lane < WARP; lane++)
        for (int k = 0; k < 4; k++) {
            double exact = sum[lane / 4 + k / 2 * 8][2 * (lane % 4) + k % 2];
            float y = float(exact);
            if (fabs(double(y)) > fabs(exact)) y = nextafterf(y, 0);  // the hardware cuts off, it does not round
            e.sums[lane][k] = y;
        }
}

void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], bool half) {
    auto give = [&](Exchange& e, int lane) {
        for (int i = 0; i < 4; i++) e.given[lane][i] = a[i];
        for (int i = 0; i < 2; i++) e.given[lane][4 + i] = b[i];
        memcpy(e.sums[lane], c, sizeof c);
    };
    memcpy(c, together(give, half ? multiply_all<true> : multiply_all<false>).sums[now->index % WARP], sizeof c);
}

static void must(bool holds, const char* what) {
    if (holds) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

// `count` of a warp's matrices: which rows the lanes say, and what each lane gets.
void load_matrices(unsigned** to, int count, const void* row, bool turned) {
    auto work = [&](Exchange& e) {
        for (int i = 0; i < 8 * count; i++) must(e.given[i][0] % 16 == 0, "load_matrices: an address is no multiple of 16");
        for (int lane = 0; lane < WARP; lane++)
            for (int i = 0; i < count; i++) {
                const uint64_t(*rows)[6] = e.given + 8 * i;
                int g = lane / 4, q = lane % 4;
                auto number = [&](int of) { return unsigned(reinterpret_cast<const uint16_t*>(rows[of][0])[g]); };
                e.words[lane][i] = turned ? number(2 * q) | number(2 * q + 1) << 16
                                          : reinterpret_cast<const unsigned*>(rows[g][0])[q];
            }
    };
    Exchange& e = together([&](Exchange& e, int lane) { e.given[lane][0] = uintptr_t(row); }, work);
    for (int i = 0; i < count; i++) *to[i] = e.words[now->index % WARP][i];
}

static void arrive(const Copy& c) { c.there ? memcpy(c.to, c.from, 16) : memset(c.to, 0, 16); }

void copy16(void* shared, const void* global, bool there) {
    must(uintptr_t(shared) % 16 == 0 && (!there || uintptr_t(global) % 16 == 0), "copy16: an address is no multiple of 16");
    Copy copy = {shared, global, there};
    if (copies_are_early) arrive(copy);
    else now->copies.push_back(copy);
}

void wait_for_copies() {
    for (auto& c : now->copies) arrive(c);
    now->copies.clear();
}

// Run the threads of a block to their end; false if they wait for threads that will not come.
static bool run_block(int threads, int warp_count, bool backwards) {
    for (int left = threads; left;) {
        int before = left;
        long turn = block_barrier.turn;
        for (int i = 0; i < warp_count; i++) {
            int first = WARP * (backwards ? warp_count - 1 - i : i), last = min(first + WARP, threads) - 1;
            do {  // a warp goes on until it waits for others
                moves = 0;
                for (int j = first; j <= last; j++) {
                    Fibre* f = fibres[backwards ? first + last - j : j].get();
                    if (f->done) continue;
                    go_on(f);
                    if (f->done) left--;
                }
            } while (moves);
        }
        if (left == before && block_barrier.turn == turn) return false;
    }
    return true;
}

int launch(const Kernel& kernel, const int* grid, const int* block, int shared_bytes, int backwards) {
    body = kernel.body;
    copies_are_early = backwards;
    int threads = block[0] * block[1] * block[2], warp_count = (threads + WARP - 1) / WARP;
    while (int(fibres.size()) < threads) fibres.push_back(new_fibre(fibres.size()));
    warps.resize(warp_count);
    dim3 all = {unsigned(grid[0]), unsigned(grid[1]), unsigned(grid[2])};
    dim3 each = {unsigned(block[0]), unsigned(block[1]), unsigned(block[2])};
    std::unique_ptr<unsigned char, decltype(&free)> shared(
        static_cast<unsigned char*>(aligned_alloc(64, (shared_bytes + 127) / 64 * 64)), free);
    for (unsigned b = 0; b < all.x * all.y * all.z; b++) {
        memset(shared.get(), 0xff, shared_bytes);
        if (kernel.shared_begin) memset(kernel.shared_begin, 0xff, kernel.shared_end - kernel.shared_begin);
        block_barrier = {threads, 0, 0};
        for (int w = 0; w < warp_count; w++) warps[w].barrier = {min(WARP, threads - WARP * w), 0, 0};
        for (unsigned i = 0; i < unsigned(threads); i++) {
            Fibre& f = *fibres[i];
            f.here = {{i % each.x, i / each.x % each.y, i / each.x / each.y},
                      {b % all.x, b / all.x % all.y, b / all.x / all.y}, each, all, shared.get()};
            f.done = false;
            f.turn = 0;
            f.copies.clear();
        }
        if (!run_block(threads, warp_count, backwards)) {
            fibres.clear();  // some are in the middle of a kernel
            return 1;
        }
    }
    return 0;
}

}  // namespace cpu
