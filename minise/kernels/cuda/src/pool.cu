// Pooling of maps (n, H, W, C) whose channels lie side by side: the maximum of windows, and the mean of whole planes.
// A thread has V neighbouring channels of one pixel.
#include "vectors.cuh"

#define THREADS 256

struct __align__(V) Taps { unsigned char of[V]; };

// y: (n, HO, WO, C); winner: like y, the tap that y came from, the first in reading order where values tie or are NaN.
extern "C" __global__ void __launch_bounds__(THREADS)
    max_forward(const Element* x, Element* y, unsigned char* winner, int n) {
    long i = (long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (long)n * HO * WO * GROUPS) return;
    int c = i % GROUPS * V, column = i / GROUPS % WO, row = i / GROUPS / WO % HO;
    long image = i / GROUPS / WO / HO;
    Vector best;
    Taps taps;
    bool found = false;
    for (int tap = 0; tap < KERNEL * KERNEL; tap++) {
        int yy = row * STRIDE + tap / KERNEL - PAD, xx = column * STRIDE + tap % KERNEL - PAD;
        if (yy < 0 || yy >= H || xx < 0 || xx >= W) continue;
        Vector v = load(x, ((image * H + yy) * W + xx) * C + c);
        UNROLL
        for (int j = 0; j < V; j++)
            if (!found || (!(wide(v.of[j]) <= wide(best.of[j])) && wide(best.of[j]) == wide(best.of[j]))) {  // the first NaN wins
                best.of[j] = v.of[j];
                taps.of[j] = tap;
            }
        found = true;
    }
    store(y, i * V, best);
    *(Taps*)(winner + i * V) = taps;
}

// gx: every pixel adds up what the windows it won hand back.
extern "C" __global__ void __launch_bounds__(THREADS)
    max_backward(const Element* gy, const unsigned char* winner, Element* gx, int n) {
    long i = (long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (long)n * H * W * GROUPS) return;
    int c = i % GROUPS * V, column = i / GROUPS % W, row = i / GROUPS / W % H;
    long image = i / GROUPS / W / H;
    float sum[V] = {};
    for (int tap = 0; tap < KERNEL * KERNEL; tap++) {
        int yy = row + PAD - tap / KERNEL, xx = column + PAD - tap % KERNEL;
        if (yy < 0 || yy % STRIDE || yy / STRIDE >= HO || xx < 0 || xx % STRIDE || xx / STRIDE >= WO) continue;
        long place = ((image * HO + yy / STRIDE) * WO + xx / STRIDE) * C + c;
        Taps taps = *(const Taps*)(winner + place);
        Vector g = load(gy, place);
        UNROLL
        for (int j = 0; j < V; j++)
            if (taps.of[j] == tap) sum[j] += wide(g.of[j]);
    }
    Vector g;
    UNROLL
    for (int j = 0; j < V; j++) g.of[j] = narrow(sum[j]);
    store(gx, i * V, g);
}

// y: (n, C) in float32; a block an image.
extern "C" __global__ void __launch_bounds__(THREADS) mean_forward(const Element* x, float* y) {
    for (int c = threadIdx.x; c < C; c += THREADS) {
        float sum = 0;
        for (int pixel = 0; pixel < H * W; pixel++) sum += wide(x[((long)blockIdx.x * H * W + pixel) * C + c]);
        y[(long)blockIdx.x * C + c] = sum / (H * W);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) mean_backward(const float* gy, Element* gx, int n) {
    long i = (long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (long)n * H * W * GROUPS) return;
    int c = i % GROUPS * V;
    long image = i / GROUPS / (H * W);
    Vector g;
    UNROLL
    for (int j = 0; j < V; j++) g.of[j] = narrow(gy[image * C + c + j] / (H * W));
    store(gx, i * V, g);
}
