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

// A_LIES: whether a lies as (k, m); B_LIES: whether b lies as (n, k). parts: (gridDim.z, m, n), or null for one part.
extern "C" __global__ void __launch_bounds__(THREADS)
    product(const A* a, const float* b, const float* added, const float* bias, float* y, float* parts,
            float scale, float add_scale, int m, int n, int k, int per_part) {
    __shared__ float of_a[TILE * ROW], of_b[TILE * ROW];
    int row = blockIdx.y * TILE, column = blockIdx.x * TILE;
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
    int top = warp / 2 * 32, left = warp % 2 * 32;
    float sum[2][4][4] = {};
    int end = min(k, (int)(blockIdx.z + 1) * per_part);
    for (int first = blockIdx.z * per_part; first < end; first += CHUNK) {
        __syncthreads();
        load_rows(of_a, a, row, m, first, k, A_LIES);
        load_rows(of_b, b, column, n, first, k, !B_LIES);
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
                if (parts) parts[(long)blockIdx.z * m * n + place] = sum[i][j][e];
                else write(y, added, bias, scale, add_scale, place, c, sum[i][j][e]);
            }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    add_parts(const float* parts, const float* added, const float* bias, float* y, float scale, float add_scale, int m, int n, int count) {
    long i = (long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (long)m * n) return;
    float sum = 0;
    for (int part = 0; part < count; part++) sum += parts[(long)part * m * n + i];
    write(y, added, bias, scale, add_scale, i, i % n, sum);
}
