// How the elementwise kernels walk over maps (n, HW, C): a block has a piece of one image, of HW / PIECES pixels; a
// thread has V neighbouring channels, 16 bytes where C allows it, and every ROWS-th pixel of the piece.
#include "vectors.cuh"

#define THREADS 256
#define ROWS (THREADS / GROUPS)
#define PIECE (HW / PIECES)

// The image, the first pixel, and the thread's channels and row; `on` is false for threads that are left over.
struct Walk {
    int image, piece, channel, row;
    bool on;
    __device__ Walk() {
        image = blockIdx.x / PIECES;
        piece = blockIdx.x % PIECES;
        channel = threadIdx.x % GROUPS * V;
        row = threadIdx.x / GROUPS;
        on = row < ROWS;
    }
    __device__ long place(int pixel) const { return ((long)image * HW + piece * PIECE + pixel) * C + channel; }
};

// Σ over the rows of two numbers a channel: found[q · C + channel], for all threads. rows: 2 · ROWS · C floats.
__device__ inline void sum_over_rows(const Walk& at, const float (&one)[V], const float (&other)[V], float* rows, float* found) {
    if (at.on)
        UNROLL
        for (int j = 0; j < V; j++) {
            rows[at.row * C + at.channel + j] = one[j];
            rows[(ROWS + at.row) * C + at.channel + j] = other[j];
        }
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * C; i += THREADS) {
        float sum = 0;
        for (int row = 0; row < ROWS; row++) sum += rows[(i / C * ROWS + row) * C + i % C];
        found[i] = sum;
    }
    __syncthreads();
}
