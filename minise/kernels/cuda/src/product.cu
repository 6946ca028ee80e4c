// Products of matrices, with float32's exactness on tensor cores: y = scale · a b + add_scale · added + bias.
//
// a (m, k) may be float16. a and b (k, n) may lie in any order: their rows and columns are some steps apart in memory.
// A block has 64 rows and columns of y.
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

// TILE rows of a matrix (rows, k), from column `first` on.
template <class T>
__device__ inline void load_rows(float* to, const T* from, int row, int rows, int first, int k, int row_step, int column_step) {
    for (int i = threadIdx.x; i < TILE * CHUNK; i += THREADS) {  // neighbouring threads read neighbouring numbers
        int r = row_step == 1 ? i % TILE : i / CHUNK, column = row_step == 1 ? i / TILE : i % CHUNK;
        bool there = row + r < rows && first + column < k;
        to[r * ROW + column] = there ? number(from[(long)(row + r) * row_step + (long)(first + column) * column_step]) : 0;
    }
}

// added, bias: or null.
extern "C" __global__ void __launch_bounds__(THREADS)
    product(const A* a, const float* b, const float* added, const float* bias, float* y, float scale, float add_scale,
            int m, int n, int k, int a_row, int a_column, int b_row, int b_column) {
    __shared__ float of_a[TILE * ROW], of_b[TILE * ROW];
    int row = blockIdx.y * TILE, column = blockIdx.x * TILE;
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
    int top = warp / 2 * 32, left = warp % 2 * 32;
    float sum[2][4][4] = {};
    for (int first = 0; first < k; first += CHUNK) {
        __syncthreads();
        load_rows(of_a, a, row, m, first, k, a_row, a_column);
        load_rows(of_b, b, column, n, first, k, b_column, b_row);
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
                float value = scale * sum[i][j][e];
                if (added) value += add_scale * added[(long)r * n + c];
                if (bias) value += bias[c];
                y[(long)r * n + c] = value;
            }
}
