// Cross entropy after softmax, for logits x (n, K): the formulas of minise/ops/loss.py. A warp has a row.
#include "device.cuh"

#define THREADS 256

__device__ inline float max_warp(float x) {
    for (int step = 1; step < WARP; step *= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}

// log_p: (n, K); losses: (n,).
extern "C" __global__ void __launch_bounds__(THREADS)
    losses(const float* x, const long long* labels, float smoothing, float* log_p, float* losses, int n) {
    int row = blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (row >= n) return;
    x += (long)row * K;
    float top = x[0], sum = 0, all = 0;
    for (int k = lane; k < K; k += WARP) top = fmaxf(top, x[k]);
    top = max_warp(top);
    for (int k = lane; k < K; k += WARP) sum += expf(x[k] - top);
    float log_sum = logf(sum_warp(sum));
    for (int k = lane; k < K; k += WARP) {
        float value = x[k] - top - log_sum;
        log_p[(long)row * K + k] = value;
        all += value;
    }
    all = sum_warp(all);
    bool known = labels[row] >= 0 && labels[row] < K;  // a label that is no class makes the loss NaN
    if (lane == 0) losses[row] = known ? -(smoothing > 0 ? smoothing * all / K : 0) - (1 - smoothing) * (x[labels[row]] - top - log_sum) : __uint_as_float(0x7fc00000u);
}

// y: the mean of the n losses. One block.
extern "C" __global__ void __launch_bounds__(THREADS) mean(const float* losses, float* y, int n) {
    __shared__ float sums[THREADS / WARP];
    float sum = 0;
    for (int i = threadIdx.x; i < n; i += THREADS) sum += losses[i];
    sum = sum_warp(sum);
    if (threadIdx.x % WARP == 0) sums[threadIdx.x / WARP] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (int i = 1; i < THREADS / WARP; i++) sum += sums[i];
    *y = sum / n;
}

// gx = gy (p - t) / n, with gy a number on the device.
extern "C" __global__ void __launch_bounds__(THREADS)
    backward(const float* gy, const float* log_p, const long long* labels, float smoothing, float* gx, int n) {
    long i = (long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (long)n * K) return;
    float t = smoothing / K + (labels[i / K] == i % K ? 1 - smoothing : 0);
    gx[i] = *gy * (expf(log_p[i]) - t) / n;
}
