// Products of matrices, with float32's exactness on tensor cores: y = scale · a b + add_scale · added + bias.
//
// a (m, k) and b (k, n) may lie transposed in memory; either may be float16. A block has 64 rows and columns of y and
// a part of k; where there are several parts, a second kernel adds them up.
#define HALF 0
#include "device.cuh"

#define THREADS 128
#define TILE 64
#define CHUNK 32
#define ROW (CHUNK + 4)

#if A_HALF
typedef Half A;
#else
typedef float A;
#endif
__device__ inline float number(float x) { return x; }
__device__ inline float number(Half x) { return from_half(x); }

// TILE rows of a matrix (rows, k), or of one that lies as (k, rows), from column `first` on.
template <class T>
__device__ inline void load_rows(float* to, const T* from, int row, int rows, int first, int k, bool transposed) {
    for (int i = threadIdx.x; i < TILE * CHUNK; i += THREADS) {
        int r = transposed ? i % TILE : i / CHUNK, column = transposed ? i / TILE : i % CHUNK;
        bool there = row + r < rows && first + column < k;
        long place = transposed ? (long)(first + column) * rows + row + r : (long)(row + r) * k + first + column;
        to[r * ROW + column] = there ? number(from[place]) : 0;
    }
}

__device__ inline void write(float* y, const float* added, const float* bias, float scale, float add_scale, long place, int column, float sum) {
    float value = scale * sum;
    if (added) value += add_scale * added[place];
    if (bias) value += bias[column];
    y[place] = value;
}

// A block's part of a product, from (row, column) of y on, and from `first` to `end` in k. a_lies: whether a lies as (k, m);
// b_lies: whether b lies as (n, k). part: (m, n), where the sum goes if it is but a part; null if it is all.
template <class T>
__device__ inline void product_block(const T* a, const float* b, const float* added, const float* bias, float* y, float* part,
                                     float scale, float add_scale, int m, int n, int k, bool a_lies, bool b_lies, int row,
                                     int column, int first, int end) {
    __shared__ float of_a[TILE * ROW], of_b[TILE * ROW];
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
    int top = warp / 2 * 32, left = warp % 2 * 32;
    float sum[2][4][4] = {};
    for (; first < end; first += CHUNK) {
        __syncthreads();
        load_rows(of_a, a, row, m, first, k, a_lies);
        load_rows(of_b, b, column, n, first, k, !b_lies);
        __syncthreads();
        for (int word = 0; word < CHUNK; word += STEP_WORDS) {
            unsigned rows[2][4];
            UNROLL
            for (int i = 0; i < 2; i++)
                UNROLL
                for (int e = 0; e < 4; e++)
                    rows[i][e] = bits_of(of_a[(top + i * 16 + e % 2 * 8 + g) * ROW + word + q + e / 2 * 4]);
            UNROLL
            for (int j = 0; j < 4; j++) {
                const float* at = of_b + (left + j * 8 + g) * ROW + word + q;
                unsigned columns[2] = {bits_of(at[0]), bits_of(at[4])};
                UNROLL
                for (int i = 0; i < 2; i++) multiply(sum[i][j], rows[i], columns);
            }
        }
    }
    UNROLL
    for (int i = 0; i < 2; i++)
        UNROLL
        for (int j = 0; j < 4; j++)
            UNROLL
            for (int e = 0; e < 4; e++) {
                int r = row + top + i * 16 + e / 2 * 8 + g, c = column + left + j * 8 + 2 * q + e % 2;
                if (r >= m || c >= n) continue;
                long place = (long)r * n + c;
                if (part) part[place] = sum[i][j][e];
                else write(y, added, bias, scale, add_scale, place, c, sum[i][j][e]);
            }
}

// Number i of y, the sum of `count` parts (count, m, n).
__device__ inline void add_number(const float* parts, const float* added, const float* bias, float* y, float scale,
                                  float add_scale, int m, int n, int count, long i) {
    if (i >= (long)m * n) return;
    float sum = 0;
    UNROLL_BY(8)
    for (int part = 0; part < count; part++) sum += parts[(long)part * m * n + i];
    write(y, added, bias, scale, add_scale, i, i % n, sum);
}

// parts: (gridDim.z, m, n), or null for one part.
extern "C" __global__ void __launch_bounds__(THREADS)
    product(const A* a, const float* b, const float* added, const float* bias, float* y, float* parts,
            float scale, float add_scale, int m, int n, int k, int per_part) {
    int part = blockIdx.z, first = part * per_part;
    product_block(a, b, added, bias, y, parts ? parts + (long)part * m * n : parts, scale, add_scale, m, n, k, A_LIES, B_LIES,
                  blockIdx.y * TILE, blockIdx.x * TILE, first, min(k, first + per_part));
}

extern "C" __global__ void __launch_bounds__(THREADS)
    add_parts(const float* parts, const float* added, const float* bias, float* y, float scale, float add_scale, int m, int n, int count) {
    add_number(parts, added, bias, y, scale, add_scale, m, n, count, (long)blockIdx.x * THREADS + threadIdx.x);
}

// Many products at once, of float32's: a row of the table each. A block has one tile of one part, which `blocks` names:
// (row of the table, row of y, column of y, part).
struct Product {
    const float *a, *b, *added;
    float *y, *parts;
    long long m, n, k, a_lies, b_lies;
};
extern "C" __global__ void __launch_bounds__(THREADS, 3)
    products(const Product* table, const int* blocks, float scale, float add_scale, int per_part) {
    const int* block = blocks + 4 * blockIdx.x;
    Product of = table[block[0]];
    int m = of.m, n = of.n, k = of.k, first = block[3] * per_part;
    product_block(of.a, of.b, of.added, (const float*)0, of.y, of.parts ? of.parts + (long)block[3] * m * n : of.parts, scale,
                  add_scale, m, n, k, of.a_lies, of.b_lies, block[1], block[2], first, min(k, first + per_part));
}

// … and the sums of those that have several parts. A block has THREADS numbers of one: (row of the table, first number).
extern "C" __global__ void __launch_bounds__(THREADS)
    add_all_parts(const Product* table, const int* blocks, float scale, float add_scale, int per_part) {
    Product of = table[blocks[2 * blockIdx.x]];
    int count = (of.k + per_part - 1) / per_part;
    add_number(of.parts, of.added, (const float*)0, of.y, scale, add_scale, of.m, of.n, count,
               (long)blocks[2 * blockIdx.x + 1] + threadIdx.x);
}
