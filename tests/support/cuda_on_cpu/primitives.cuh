// CUDA C++ on a CPU, for tests: stands in for minise/kernels/cuda/src/primitives.cuh.
//
// This is what a kernel sees of the machine that `machine.cpp` is: where its thread is, barriers, and the instructions
// that a warp executes together.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

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
#define SHARED_MEMORY(name) unsigned char* name = cpu::here->shared

struct uint4 { unsigned x, y, z, w; };
struct dim3 { unsigned x, y, z; };

extern "C" {
extern char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));
}

namespace cpu {

// The thread that runs now.
struct Here {
    dim3 thread, block, block_size, grid;
    unsigned char* shared;
};
extern const Here* here;

void wait_for_block();
void wait_for_warp();
unsigned exchange(unsigned word, int lane);
void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], bool half);
void load_matrices(unsigned** to, int count, const void* row, bool turned);
void copy16(void* shared, const void* global, bool there);
void wait_for_copies();

// Where a kernel's static shared memory lies, and how its body runs for the current thread.
struct Kernel {
    void (*body)();
    char *shared_begin, *shared_end;
};
int launch(const Kernel& kernel, const int* grid, const int* block, int shared_bytes, int backwards);

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
    return launch(Kernel{Call<A...>::body, __start_cuda_shared, __stop_cuda_shared}, grid, block, shared_bytes, backwards);
}

}  // namespace cpu

#define threadIdx (cpu::here->thread)
#define blockIdx (cpu::here->block)
#define blockDim (cpu::here->block_size)
#define gridDim (cpu::here->grid)

template <class T> inline T min(T a, T b) { return b < a ? b : a; }
template <class T> inline T max(T a, T b) { return a < b ? b : a; }

inline void __syncthreads() { cpu::wait_for_block(); }
inline void __syncwarp() { cpu::wait_for_warp(); }
inline unsigned __float_as_uint(float x) { unsigned y; memcpy(&y, &x, 4); return y; }
inline float __uint_as_float(unsigned x) { float y; memcpy(&y, &x, 4); return y; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline float __shfl_xor_sync(unsigned, float x, int mask) {
    return __uint_as_float(cpu::exchange(__float_as_uint(x), (threadIdx.x % 32) ^ mask));
}

struct Half { _Float16 value; };
inline float from_half(Half x) { return float(x.value); }
inline Half to_half(float x) { return {_Float16(x)}; }

inline void mma_f16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { cpu::multiply(c, a, b, true); }
inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { cpu::multiply(c, a, b, false); }
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
inline void copy16(void* shared, const void* global, bool there) { cpu::copy16(shared, global, there); }
inline void wait_for_copies() { cpu::wait_for_copies(); }
