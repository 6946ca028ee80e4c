// A batch from images that lie on the device: gather, crop, mirror, normalise, cut out, as minise/data/augment.py
// does it, in one pass. A thread makes a pixel. What is random depends on (seed, epoch, image) alone.
#include "device.cuh"
#include "philox.cuh"

#define THREADS 256

__device__ inline int reflected(int i, int size) { return i < 0 ? -i : i >= size ? 2 * size - 2 - i : i; }

// images: uint8 (N, C, H, W); order: (n,) which of them; mirrored: (N,) 0 or 1, or null; scale, shift: (C,).
// x: (n, H, W, C) = image · scale + shift.
extern "C" __global__ void __launch_bounds__(THREADS)
    augment(const unsigned char* images, const int* order, const unsigned char* mirrored, const float* scale,
            const float* shift, Element* x, int n, unsigned seed0, unsigned seed1, unsigned epoch) {
    long i = (long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (long)n * H * W) return;
    int column = i % W, row = i / W % H, image = order[i / W / H];
    Random random(seed0, seed1, (unsigned)image, epoch, 0, 0);
    int from_column = mirrored && mirrored[image] ? W - 1 - column : column, from_row = row;
    if (CROP) {
        from_row = reflected(row + random.below(0, 2 * CROP + 1) - CROP, H);
        from_column = reflected(from_column + random.below(1, 2 * CROP + 1) - CROP, W);
    }
    bool hole = false;
    if (CUTOUT) {
        int down = row - (random.below(2, H) - CUTOUT / 2), across = column - (random.below(3, W) - CUTOUT / 2);
        hole = down >= 0 && down < CUTOUT && across >= 0 && across < CUTOUT;
    }
    for (int c = 0; c < C; c++) {
        float value = images[(((long)image * C + c) * H + from_row) * W + from_column] * scale[c] + shift[c];
        x[i * C + c] = narrow(hole ? 0 : value);
    }
}

// For tests: the four numbers of counter (c, 0, 0, 0), or whatever is asked for.
extern "C" __global__ void numbers(const unsigned* counters, const unsigned* keys, unsigned* y) {
    Random random(keys[0], keys[1], counters[0], counters[1], counters[2], counters[3]);
    for (int i = 0; i < 4; i++) y[i] = random.of[i];
}
