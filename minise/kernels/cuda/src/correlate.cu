// A convolution's forward, and its gradient of x, as one product on tensor cores whose rows are pixels:
//
//     y[n, p, q, k] = b[k] + Σ_{r, s, c} x[n, p·STRIDE + r - PAD_Y, q·STRIDE + s - PAD_X, c] w[r, s, k, c]
//
// x (n, H, W, C) and y (n, HO, WO, K) have their channels side by side in memory. The gradient of x is the same sum
// over gy, with the taps turned by 180 degrees, the channels exchanged, and with DILATE - 1 zeros between gy's pixels
// where the convolution had a stride.
//
// A block makes NT channels of PIXELS pixels of y: TILE_N images, TILE_H rows, TILE_W columns. It brings the pixels of x
// that these see into shared memory once, CHUNK words of channels at a time, and every tap reads them there,
// shifted. Rows in shared memory are 4 words longer than they need be, so that the 16 bytes of eight rows which a warp
// reads at once lie in different banks; with a stride of 2, two rows share theirs.
#include "tiles.cuh"

#define ROW (CHUNK + 4)
#define CHUNK_CHANNELS (CHUNK * WORD_CHANNELS)
#define CHUNKS ((C + CHUNK_CHANNELS - 1) / CHUNK_CHANNELS)
#define K_PADDED ((K + NT - 1) / NT * NT)
#define OUT_ROW (NT + VECTOR)
#define WARP_PIXELS (PIXELS * WARP / THREADS)
#define ROW_TILES (WARP_PIXELS / 16)
#define COLUMN_TILES (NT / 8)

// Weights in the order in which blocks read them, [chunk][tap][k][channel of the chunk], with zeros where there are none.
// w: (K, C, TAPS), or (C, K, TAPS) of the convolution whose gradient of x this is (`turned`).
extern "C" __global__ void __launch_bounds__(THREADS) pack(const float* w, Element* packed, int turned) {
    long i = (long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (long)CHUNKS * TAPS * K_PADDED * CHUNK_CHANNELS) return;
    int row = i / CHUNK_CHANNELS, k = row % K_PADDED, tap = row / K_PADDED % TAPS;
    int c = row / K_PADDED / TAPS * CHUNK_CHANNELS + i % CHUNK_CHANNELS;
    bool there = c < C && k < K;
    long place = turned ? ((long)c * K + k) * TAPS + TAPS - 1 - tap : ((long)k * C + c) * TAPS + tap;
    packed[i] = narrow(there ? w[place] : 0);
}

// A chunk of the packed weights of this block's channels of y, for every tap.
__device__ inline void load_taps(unsigned* taps, const Element* packed, int chunk, int k) {
    for (int i = threadIdx.x; i < TAPS * NT * CHUNK / 4; i += THREADS) {
        int vector = i % (CHUNK / 4), row = i / (CHUNK / 4) % NT, tap = i / (CHUNK / 4) / NT;
        long place = (long(chunk * TAPS + tap) * K_PADDED + k + row) * CHUNK_CHANNELS + vector * VECTOR;
        copy16(taps + (tap * NT + row) * ROW + vector * 4, packed + place, true);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    correlate(const Element* x, const Element* packed, const float* bias, Element* y, int n) {
    SHARED_MEMORY(memory);
    int tile_x = blockIdx.x % TILES_X, tile_y = blockIdx.x / TILES_X % TILES_Y;
    int image = blockIdx.x / TILES_X / TILES_Y * TILE_N, k = blockIdx.y * NT;
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, g = lane / 4, q = lane % 4;

    // Where the rows of matrices that this lane loads begin: a pixel in `maps` at the first tap, a channel of y in `taps`.
    int place[ROW_TILES], column = (lane / 16 * 8 + lane % 8) * ROW + lane / 8 % 2 * 4;
    UNROLL
    for (int i = 0; i < ROW_TILES; i++) {
        int m = warp * WARP_PIXELS + i * 16 + lane % 16;
        int row = m / PLANE * IN_H + m / TILE_W % TILE_H * STRIDE;
        place[i] = (row * IN_W + m % TILE_W * STRIDE) * ROW + lane / 16 * 4;
    }

    unsigned *maps = (unsigned*)memory, *taps = maps + IN_PIXELS * ROW;
    float sum[ROW_TILES][COLUMN_TILES][4] = {};
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
        __syncthreads();  // of the chunk before, nobody reads any more
        load_pixels(maps, ROW, CHUNK, x, C, chunk * CHUNK_CHANNELS, image, tile_y * TILE_H * STRIDE - PAD_Y,
                    tile_x * TILE_W * STRIDE - PAD_X, IN_H, IN_W, H, W, n, DILATE);
        load_taps(taps, packed, chunk, k);
        wait_for_copies();
        __syncthreads();
        for (int r = 0; r < R; r++)
            for (int s = 0; s < S; s++)
                for (int word = 0; word < CHUNK; word += STEP_WORDS) {
                    unsigned a[ROW_TILES][4], b[2][2];
                    UNROLL
                    for (int i = 0; i < ROW_TILES; i++)
                        load_matrices(a[i][0], a[i][1], a[i][2], a[i][3], maps + place[i] + (r * IN_W + s) * ROW + word);
                    UNROLL
                    for (int j = 0; j < COLUMN_TILES; j += 2) {
                        const unsigned* from = taps + column + ((r * S + s) * NT + j * 8) * ROW + word;
                        bool two = j + 1 < COLUMN_TILES;
                        if (two) load_matrices(b[0][0], b[0][1], b[1][0], b[1][1], from);
                        else load_two_matrices(b[0][0], b[0][1], from);
                        UNROLL
                        for (int i = 0; i < ROW_TILES; i++) {
                            multiply(sum[i][j], a[i], b[0]);
                            if (two) multiply(sum[i][j + two], a[i], b[1]);
                        }
                    }
                }
    }

    // Through shared memory, so that neighbouring threads write neighbouring channels.
    __syncthreads();
    Element* out = (Element*)memory;
    UNROLL
    for (int j = 0; j < COLUMN_TILES; j++)
        UNROLL
        for (int e = 0; e < 2; e++) {
            int column = j * 8 + 2 * q + e;
            float b = bias && k + column < K ? bias[k + column] : 0;
            UNROLL
            for (int i = 0; i < ROW_TILES; i++)
                UNROLL
                for (int high = 0; high < 2; high++)
                    out[(warp * WARP_PIXELS + i * 16 + high * 8 + g) * OUT_ROW + column] = narrow(sum[i][j][2 * high + e] + b);
        }
    __syncthreads();
    for (int i = threadIdx.x; i < PIXELS * NT / VECTOR; i += THREADS) {
        int m = i / (NT / VECTOR), column = i % (NT / VECTOR) * VECTOR;
        int of = image + m / PLANE, row = tile_y * TILE_H + m / TILE_W % TILE_H, at = tile_x * TILE_W + m % TILE_W;
        if (of >= n || row >= HO || at >= WO) continue;
        Element* to = y + ((long(of) * HO + row) * WO + at) * K + k + column;
        if (K % VECTOR == 0) {
            if (k + column < K) *(uint4*)to = *(uint4*)(out + m * OUT_ROW + column);
        } else {
            for (int j = 0; j < VECTOR && k + column + j < K; j++) to[j] = out[m * OUT_ROW + column + j];
        }
    }
}
