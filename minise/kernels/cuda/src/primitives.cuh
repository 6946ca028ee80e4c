// The instructions that C++ has no words for, and nothing else: all that is written in PTX stands here.
// So a kernel needs no header of CUDA's.

// Write the loop out: what it does to an array then stays in registers.
#define UNROLL _Pragma("unroll")
// Write `times` turns of it out: their loads are then under way together.
#define UNROLL_BY(times) AS_PRAGMA(unroll times)
#define AS_PRAGMA(text) _Pragma(#text)

struct Half { unsigned short bits; };
__device__ inline float from_half(Half x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}
__device__ inline Half to_half(float x) {
    Half y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

// Shared memory whose size is given at launch.
#define SHARED_MEMORY(name) extern __shared__ __align__(16) unsigned char name[]

// c += a b on the tensor cores: a (16, 16) and b (16, 8) in float16, c (16, 8) in float32.
__device__ inline void mma_f16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// c += a b: a (16, 8) and b (8, 8) in float32 of which the upper 19 bits count, c (16, 8) in float32.
__device__ inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four matrices of 8 rows of 16 bytes in shared memory: lane l says where row l % 8 of matrix l / 8 lies, and gets of
// each matrix, with g = l / 4 and q = l % 4, word q of row g; or if they are turned, the 16-bit numbers in column g of the
// rows 2q and 2q + 1.
__device__ inline void load_matrices(unsigned& a, unsigned& b, unsigned& c, unsigned& d, const void* row) {
    unsigned from = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "r"(from) : "memory");
}
__device__ inline void load_matrices_turned(unsigned& a, unsigned& b, unsigned& c, unsigned& d, const void* row) {
    unsigned from = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "r"(from) : "memory");
}
// Two of them; what the upper 16 lanes say does not matter.
__device__ inline void load_two_matrices(unsigned& a, unsigned& b, const void* row) {
    unsigned from = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(a), "=r"(b) : "r"(from) : "memory");
}

// Begin to copy 16 bytes from global to shared memory, or to write zeros there; both addresses are multiples of 16.
__device__ inline void copy16(void* shared, const void* global, bool there) {
    unsigned to = (unsigned)__cvta_generic_to_shared(shared);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(there ? 16 : 0));
}

// Wait until this thread's copies have arrived; a __syncthreads() then makes all threads' visible.
__device__ inline void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
