// A convolution's gradient of w, as a product on tensor cores that sums over pixels:
//
//     gw[k, c, r, s] = Σ_{n, p, q} gy[n, p, q, k] x[n, p·STRIDE + r - PAD, q·STRIDE + s - PAD, c]
//
// gy (n, HO, WO, K) and x (n, H, W, C) have their channels side by side in memory. A block makes KT · CT channels of gw,
// all taps of them, over the tiles of pixels that are its share, a warp 16 · 16 of them. The shares are added up
// afterwards; the shapes alone decide how many there are.
//
// The sum runs along the rows of both arrays, and tensor cores want it along a lane's words: float16 matrices are turned as
// they are loaded from shared memory, and of float32 a lane takes the words that it needs.
#include "tiles.cuh"

#define K_WORDS (KT / WORD_CHANNELS)
#define C_WORDS (CT / WORD_CHANNELS)
#if HALF  // so that 16 bytes of eight pixels lie in different banks
#define PADDED(words) ((words) + 4)
#else  // … or eight words of four
#define PADDED(words) ((words) % 16 == 8 ? (words) : (words) + 8)
#endif
#define K_ROW PADDED(K_WORDS)
#define C_ROW PADDED(C_WORDS)
#define K_PARTS (KT / 16)
#define C_PARTS (CT / 16)
#define PIXEL_PARTS (4 / (K_PARTS * C_PARTS))  // warps that share the channels share the pixels out
#define STEP_PIXELS (8 * WORD_CHANNELS)

// Where the pixels begin that this lane loads, of a step from pixel `step` on: one of 16 with float16, else q and q + 4.
#define LANE_PIXELS (2 / WORD_CHANNELS)
__device__ inline int pixel_of(int step, int e) {
    int lane = threadIdx.x % WARP;
    return step + (HALF ? lane / 8 % 2 * 8 + lane % 8 : lane % 4 + 4 * e);
}

// 16 channels of 8·WORD_CHANNELS pixels, `away` words from where these begin: words[t][h] of channels 8t + g, and pixels q of
// half h (float16: 2q and 2q + 1).
__device__ inline void turn(unsigned (&words)[2][2], const unsigned* (&pixel)[LANE_PIXELS], int away) {
    int lane = threadIdx.x % WARP;
#if HALF
    load_matrices_turned(words[0][0], words[0][1], words[1][0], words[1][1], pixel[0] + away + lane / 16 * 4);
#else
    UNROLL
    for (int h = 0; h < 2; h++)
        UNROLL
        for (int t = 0; t < 2; t++) words[t][h] = pixel[h][away + lane / 4 + 8 * t];
#endif
}

// shares: (gridDim.x, K, C, TAPS).
extern "C" __global__ void __launch_bounds__(THREADS)
    correlate_weights(const Element* x, const Element* gy, float* shares, int n) {
    SHARED_MEMORY(memory);
    int c_first = blockIdx.z * CT, k_first = blockIdx.y * KT;
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
    int k_part = warp % K_PARTS, c_part = warp / K_PARTS % C_PARTS, pixel_part = warp / (K_PARTS * C_PARTS);

    int tiles = (n + TILE_N - 1) / TILE_N * TILES_Y * TILES_X;
    unsigned *maps = (unsigned*)memory, *gradients = maps + IN_PIXELS * C_ROW;
    float sum[TAPS][2][4] = {};
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        int left = tile % TILES_X * TILE_W, top = tile / TILES_X % TILES_Y * TILE_H;
        int image = tile / TILES_X / TILES_Y * TILE_N;
        __syncthreads();  // of the tile before, nobody reads any more
        load_pixels(maps, C_ROW, C_WORDS, x, C, c_first, image, top * STRIDE - PAD, left * STRIDE - PAD, IN_H, IN_W, H, W, n, 1);
        load_pixels(gradients, K_ROW, K_WORDS, gy, K, k_first, image, top, left, TILE_H, TILE_W, HO, WO, n, 1);
        wait_for_copies();
        __syncthreads();
        for (int step = pixel_part * STEP_PIXELS; step < PIXELS; step += PIXEL_PARTS * STEP_PIXELS) {
            const unsigned *of_k[LANE_PIXELS], *of_c[LANE_PIXELS];
            UNROLL
            for (int e = 0; e < LANE_PIXELS; e++) {
                int m = pixel_of(step, e), row = m / PLANE * IN_H + m / TILE_W % TILE_H * STRIDE;
                of_k[e] = gradients + m * K_ROW + k_part * (16 / WORD_CHANNELS);
                of_c[e] = maps + (row * IN_W + m % TILE_W * STRIDE) * C_ROW + c_part * (16 / WORD_CHANNELS);
            }
            unsigned turned[2][2];
            turn(turned, of_k, 0);
            unsigned a[4] = {turned[0][0], turned[1][0], turned[0][1], turned[1][1]};
            UNROLL
            for (int tap = 0; tap < TAPS; tap++) {
                unsigned b[2][2];
                turn(b, of_c, (tap / S * IN_W + tap % S) * C_ROW);
                UNROLL
                for (int t = 0; t < 2; t++) multiply(sum[tap][t], a, b[t]);
            }
        }
    }

    // Warps that shared the pixels out add up, one after the other.
    float* total = (float*)memory;  // [KT][CT][TAPS]
    for (int turn_of = 0; turn_of < PIXEL_PARTS; turn_of++) {
        __syncthreads();
        if (pixel_part != turn_of) continue;
        UNROLL
        for (int tap = 0; tap < TAPS; tap++)
            UNROLL
            for (int t = 0; t < 2; t++)
                UNROLL
                for (int e = 0; e < 4; e++) {
                    int k = k_part * 16 + 8 * (e / 2) + g, c = c_part * 16 + 8 * t + 2 * q + e % 2;
                    float* to = total + (k * CT + c) * TAPS + tap;
                    *to = turn_of ? *to + sum[tap][t][e] : sum[tap][t][e];
                }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < KT * CT * TAPS; i += THREADS) {
        int c = c_first + i / TAPS % CT, k = k_first + i / TAPS / CT;
        if (c < C && k < K) shares[((long(blockIdx.x) * K + k) * C + c) * TAPS + i % TAPS] = total[i];
    }
}
