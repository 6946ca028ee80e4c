// How convolutions cut maps into tiles, and how a tile's pixels get into shared memory.
//
// A tile of y is TILE_N images, TILE_H rows and TILE_W columns; the windows of its PIXELS pixels see IN_PIXELS of x.
#include "device.cuh"

#define TAPS (R * S)
#define IN_H ((TILE_H - 1) * STRIDE + R)
#define IN_W ((TILE_W - 1) * STRIDE + S)
#define IN_PIXELS (TILE_N * IN_H * IN_W)
#define PLANE (TILE_H * TILE_W)
#define PIXELS (TILE_N * PLANE)
#define TILES_Y ((HO + TILE_H - 1) / TILE_H)
#define TILES_X ((WO + TILE_W - 1) / TILE_W)
#define VECTOR (4 * WORD_CHANNELS)  // channels in 16 bytes
#define THREADS 128

// `words` words of channels, from channel `first` on, of a tile's pixels: TILE_N images, rows x columns from (top, left)
// on, of maps x (n, h, w, channels) with dilate - 1 zeros between their pixels. A pixel's words begin every `row_words`
// words in `to`; there are zeros where there is no pixel or no channel.
__device__ inline void load_pixels(
    unsigned* to, int row_words, int words, const Element* x, int channels, int first, int image, int top, int left,
    int rows, int columns, int h, int w, int n, int dilate) {
    for (int i = threadIdx.x; i < TILE_N * rows * columns * (words / 4); i += THREADS) {
        int vector = i % (words / 4), pixel = i / (words / 4);
        int column = left + pixel % columns, row = top + pixel / columns % rows, of = image + pixel / columns / rows;
        int c = first + vector * VECTOR;
        bool there = of < n && row >= 0 && row <= (h - 1) * dilate && column >= 0 && column <= (w - 1) * dilate;
        there = there && row % dilate == 0 && column % dilate == 0;
        long place = there ? ((long(of) * h + row / dilate) * w + column / dilate) * channels : 0;
        unsigned* at = to + pixel * row_words + vector * 4;
        if (channels % VECTOR == 0) {
            there = there && c < channels;
            copy16(at, x + (there ? place + c : 0), there);
        } else {
            Element* one = (Element*)at;
            for (int j = 0; j < VECTOR; j++) one[j] = there && c + j < channels ? x[place + c + j] : narrow(0);
        }
    }
}
