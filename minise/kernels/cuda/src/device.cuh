// What kernels need of the device beyond plain C++: the type of the maps, tensor cores, asynchronous copies.
//
// HALF 1: maps are float16, products run on tensor cores and are summed in float32.
// HALF 0: maps are float32. Tensor cores take 10 bits of a float32's 23; so each number is split into two such
//         numbers, and three of their four products are summed ("3xTF32"; Ootomo and Yokota, 2022, arXiv:2203.03341):
//         products as exact as float32's to about 2^-21.
//
// A *word* is 32 bits of channels, in either type: two float16 or one float32. A step of the tensor core takes
// 8 words from each row, and where a lane's part of a matrix lies is then the same for both types:
// with g = lane / 4 and q = lane % 4,
//     a (16 rows, 8 words): a[0] is row g, word q; a[1] row g + 8; a[2] and a[3] the same rows, word q + 4
//     b (8 words, 8 columns): b[0] is word q, column g; b[1] word q + 4
//     c (16 rows, 8 columns): c[0], c[1] are row g, columns 2q and 2q + 1; c[2], c[3] row g + 8
// Source: PTX ISA, "Matrix multiply-accumulate operation using mma instruction", m16n8k16 and m16n8k8.
#include "primitives.cuh"

#if HALF
typedef Half Element;
#define WORD_CHANNELS 2
__device__ inline float wide(Element x) { return from_half(x); }
__device__ inline Element narrow(float x) { return to_half(x); }
#else
typedef float Element;
#define WORD_CHANNELS 1
__device__ inline float wide(Element x) { return x; }
__device__ inline Element narrow(float x) { return x; }
#endif

#define WARP 32
#define STEP_WORDS 8

__device__ inline unsigned bits_of(float x) { return __float_as_uint(x); }
__device__ inline float float_of(unsigned x) { return __uint_as_float(x); }

// c += a b, for one warp: see above for what each lane holds.
__device__ inline void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if HALF
    mma_f16(c, a, b);
#else
    unsigned a_high[4], a_low[4], b_high[2], b_low[2];
    UNROLL
    for (int i = 0; i < 4; i++) {
        a_high[i] = a[i] & 0xffffe000u;
        a_low[i] = bits_of(float_of(a[i]) - float_of(a_high[i]));
    }
    UNROLL
    for (int i = 0; i < 2; i++) {
        b_high[i] = b[i] & 0xffffe000u;
        b_low[i] = bits_of(float_of(b[i]) - float_of(b_high[i]));
    }
    float sum[4] = {};  // tensor cores cut off what they add to, so the long sum is not theirs
    mma_tf32(sum, a_low, b_high);
    mma_tf32(sum, a_high, b_low);
    mma_tf32(sum, a_high, b_high);
    UNROLL
    for (int i = 0; i < 4; i++) c[i] += sum[i];
#endif
}

// The sum over the lanes of a warp; every lane gets it.
__device__ inline float sum_warp(float x) {
    UNROLL
    for (int step = 1; step < WARP; step *= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}
