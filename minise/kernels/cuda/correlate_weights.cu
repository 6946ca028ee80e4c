// A convolution's gradient of w, as a product on tensor cores that sums over pixels:
//
//     gw[k, c, r, s] = Σ_{n, p, q} gy[n, p, q, k] x[n, p·STRIDE + r - PAD, q·STRIDE + s - PAD, c]
//
// gy (n, HO, WO, K) and x (n, H, W, C) have their channels side by side in memory. A block makes KT · CT channels of gw,
// all taps of them, over the tiles of pixels that are its share; a second kernel adds the shares up, in
// an order that the shapes alone decide.
//
// The sum runs along the rows of both arrays, and tensor cores want it along a lane's words. With float16 a
// lane takes the words of two pixels and makes two others of them, one of either channel; which pixel is which in
// the sum does not matter as long as both factors agree: a step of 8·WORD_CHANNELS pixels takes q, q + 4, q + 8, ….
#include "tiles.cuh"

#define K_WORDS (KT / WORD_CHANNELS)
#define C_WORDS (CT / WORD_CHANNELS)
#define PADDED(words) ((words) % 16 == 8 ? (words) : (words) + 8)  // so that pixels 1 apart lie 8 banks apart, or 24
#define K_ROW PADDED(K_WORDS)
#define C_ROW PADDED(C_WORDS)
#define K_PARTS (KT / 16)
#define C_PARTS (CT / 16)
#define PIXEL_PARTS (4 / (K_PARTS * C_PARTS))  // warps that share the channels share the pixels out
#define STEP_PIXELS (8 * WORD_CHANNELS)

// 16 channels of the pixels of a step, as a lane of the tensor core wants them. pixel[e]: pixel q + 4e, of which word g (and
// g + 8 if a word is one channel). Channel tile t, pixels of register half h: words[t][h].
__device__ inline void turn(unsigned (&words)[2][2], const unsigned* (&pixel)[2 * WORD_CHANNELS], int g) {
#if HALF
    UNROLL
    for (int h = 0; h < 2; h++) {
        unsigned first = pixel[2 * h][g], second = pixel[2 * h + 1][g];
        words[0][h] = __byte_perm(first, second, 0x5410);  // the lower channels of both
        words[1][h] = __byte_perm(first, second, 0x7632);  // the upper ones
    }
#else
    UNROLL
    for (int h = 0; h < 2; h++)
        UNROLL
        for (int t = 0; t < 2; t++) words[t][h] = pixel[h][g + 8 * t];
#endif
}

// Which of 16 channels stands in row or column i of tile t.
__device__ inline int channel_of(int t, int i) { return HALF ? 2 * i + t : i + 8 * t; }

// shares: (gridDim.x, TAPS, K, C). Dynamic shared memory: one tile of x and one of gy.
extern "C" __global__ void __launch_bounds__(THREADS)
    correlate_weights(const Element* x, const Element* gy, float* shares, int n) {
    SHARED_MEMORY(memory);
    unsigned* maps = (unsigned*)memory;
    unsigned* gradients = maps + IN_PIXELS * C_ROW;
    int c_first = blockIdx.z * CT, k_first = blockIdx.y * KT;
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, q = threadIdx.x % 4;
    int k_part = warp % K_PARTS, c_part = warp / K_PARTS % C_PARTS, pixel_part = warp / (K_PARTS * C_PARTS);

    float sum[TAPS][2][4] = {};
    int tiles = (n + TILE_N - 1) / TILE_N * TILES_Y * TILES_X;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        int left = tile % TILES_X * TILE_W, top = tile / TILES_X % TILES_Y * TILE_H;
        int image = tile / TILES_X / TILES_Y * TILE_N;
        __syncthreads();
        load_pixels(maps, C_ROW, C_WORDS, x, C, c_first, image, top * STRIDE - PAD, left * STRIDE - PAD, IN_H, IN_W,
                    H, W, n, 1);
        load_pixels(gradients, K_ROW, K_WORDS, gy, K, k_first, image, top, left, TILE_H, TILE_W, HO, WO, n, 1);
        wait_for_copies();
        __syncthreads();
        for (int step = pixel_part * STEP_PIXELS; step < PIXELS; step += PIXEL_PARTS * STEP_PIXELS) {
            const unsigned* of_k[2 * WORD_CHANNELS];
            const unsigned* of_c[2 * WORD_CHANNELS];
            UNROLL
            for (int e = 0; e < 2 * WORD_CHANNELS; e++) {
                int m = step + q + 4 * e;
                int row = m / PLANE * IN_H + m / TILE_W % TILE_H * STRIDE;
                of_k[e] = gradients + m * K_ROW + k_part * (16 / WORD_CHANNELS);
                of_c[e] = maps + (row * IN_W + m % TILE_W * STRIDE) * C_ROW + c_part * (16 / WORD_CHANNELS);
            }
            unsigned turned[2][2];
            turn(turned, of_k, g);
            unsigned a[4] = {turned[0][0], turned[1][0], turned[0][1], turned[1][1]};
            UNROLL
            for (int tap = 0; tap < TAPS; tap++) {
                const unsigned* shifted[2 * WORD_CHANNELS];
                UNROLL
                for (int e = 0; e < 2 * WORD_CHANNELS; e++) shifted[e] = of_c[e] + (tap / S * IN_W + tap % S) * C_ROW;
                unsigned b[2][2];
                turn(b, shifted, g);
                UNROLL
                for (int t = 0; t < 2; t++) multiply(sum[tap][t], a, b[t]);
            }
        }
    }

    // Warps that shared the pixels out add up, one after the other.
    float* total = (float*)memory;  // [TAPS][KT][CT]
    for (int turn_of = 0; turn_of < PIXEL_PARTS; turn_of++) {
        __syncthreads();
        if (pixel_part != turn_of) continue;
        UNROLL
        for (int tap = 0; tap < TAPS; tap++)
            UNROLL
            for (int t = 0; t < 2; t++)
                UNROLL
                for (int e = 0; e < 4; e++) {
                    int k = k_part * 16 + channel_of(e / 2, g), c = c_part * 16 + channel_of(t, 2 * q + e % 2);
                    float* to = total + (tap * KT + k) * CT + c;
                    *to = turn_of ? *to + sum[tap][t][e] : sum[tap][t][e];
                }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < TAPS * KT * CT; i += THREADS) {
        int c = c_first + i % CT, k = k_first + i / CT % KT, tap = i / CT / KT;
        if (c < C && k < K) shares[((long(blockIdx.x) * TAPS + tap) * K + k) * C + c] = total[i];
    }
}

// gw (K, C, R, S), the sum of the shares. A block has 32 numbers of it, and ADD_ROWS rows of threads that take turns with
// the shares: one thread alone would wait for memory once a share.
extern "C" __global__ void __launch_bounds__(WARP* ADD_ROWS) add_shares(const float* shares, float* gw, int count) {
    __shared__ float rows[ADD_ROWS][WARP];
    int lane = threadIdx.x % WARP, row = threadIdx.x / WARP, i = blockIdx.x * WARP + lane;
    bool on = i < TAPS * K * C;
    float sum = 0;
    if (on)
        UNROLL_BY(8)
        for (int share = row; share < count; share += ADD_ROWS) sum += shares[long(share) * TAPS * K * C + i];
    rows[row][lane] = sum;
    __syncthreads();
    if (row != 0 || !on) return;
    for (int other = 1; other < ADD_ROWS; other++) sum += rows[other][lane];
    int c = i % C, k = i / C % K, tap = i / C / K;
    gw[(k * C + c) * TAPS + tap] = sum;
}
