// y = act(s · (w x̂ + b) + residual), with x̂ = (x - μ) / √(σ² + eps) and s the gate of an SE block.
//
// Batch norm and gate are affine in x, so y = act(scale x + shift + residual), with two numbers for each image and
// channel. `moments` finds mean and squares of pieces of planes; `statistics` makes μ, 1 / √(σ² + eps) and each
// plane's mean z of them; in `normalise` every block computes its image's gate for itself, which needs no pass over the
// maps, since the mean of w x̂ + b over a plane is w, b applied to z.
#include "maps.cuh"
#include "activation.cuh"

// parts: (n, PIECES, 2, C): the mean of each piece and its squares about it.
extern "C" __global__ void __launch_bounds__(THREADS) moments(const Element* x, float* parts) {
    __shared__ float rows[2 * ROWS * C], found[2 * C];
    Walk at;
    float sum[V] = {}, squares[V] = {}, first[V];
    if (at.on) {
        Vector begin = load(x, at.place(0));
        UNROLL
        for (int j = 0; j < V; j++) first[j] = wide(begin.of[j]);  // taken off, so that squares do not cancel
        for (int pixel = at.row; pixel < PIECE; pixel += ROWS) {
            Vector v = load(x, at.place(pixel));
            UNROLL
            for (int j = 0; j < V; j++) {
                float d = wide(v.of[j]) - first[j];
                sum[j] += d;
                squares[j] += d * d;
            }
        }
    }
    sum_over_rows(at, sum, squares, rows, found);
    if (at.row == 0)
        UNROLL
        for (int j = 0; j < V; j++) {
            int c = at.channel + j;
            float* to = parts + (long)blockIdx.x * 2 * C + c;
            to[0] = first[j] + found[c] / PIECE;
            to[C] = fmaxf(found[C + c] - found[c] * found[c] / PIECE, 0);
        }
}

#define LANES 8
#define STATISTICS_ROWS 64
#define WARPS (LANES * STATISTICS_ROWS / WARP)
// Σ over the STATISTICS_ROWS rows of threads of two numbers; every thread gets its channel's.
__device__ inline void sum_channel(float& one, float& other, float (&rows)[2][WARPS * LANES]) {
    UNROLL
    for (int step = LANES; step < WARP; step *= 2) {  // the rows of a warp first
        one += __shfl_xor_sync(0xffffffffu, one, step);
        other += __shfl_xor_sync(0xffffffffu, other, step);
    }
    int lane = threadIdx.x % LANES;
    if (threadIdx.x % WARP < LANES) {
        rows[0][threadIdx.x / WARP * LANES + lane] = one;
        rows[1][threadIdx.x / WARP * LANES + lane] = other;
    }
    __syncthreads();
    one = other = 0;
    UNROLL
    for (int row = 0; row < WARPS; row++) {
        one += rows[0][row * LANES + lane];
        other += rows[1][row * LANES + lane];
    }
}

// A block has LANES channels. z: (n, C) or null; mean, inv: (C,); running_mean, running_var: (C,) or null.
// TRAIN 0: mean and variance are the running ones. parts may be null where neither z nor they depend on it.
//
// With d, a piece's mean less that of the first piece of all: σ² m = Σ (squares + PIECE d²) - PIECE (Σ d)² / pieces.
// z is added up without it: outside training, no image's gate depends on another image.
extern "C" __global__ void __launch_bounds__(LANES* STATISTICS_ROWS)
    statistics(const float* __restrict__ parts, float* __restrict__ z, float* mean, float* inv, float* running_mean, float* running_var, int n, float momentum, float eps) {
    __shared__ float rows[2][WARPS * LANES];
    int lane = threadIdx.x % LANES, row = threadIdx.x / LANES, c = blockIdx.x * LANES + lane;
    bool on = c < C;
    float first = on && parts ? parts[c] : 0, sum = 0, squares = 0;
    if (on && parts)
        UNROLL_BY(2)
        for (int image = row; image < n; image += STATISTICS_ROWS) {
            float plane = 0, from_first = 0;
            UNROLL_BY(8)
            for (int piece = 0; piece < PIECES; piece++) {
                const float* part = parts + ((long)image * PIECES + piece) * 2 * C + c;
                float d = part[0] - first;
                plane += part[0];
                from_first += d;
                squares += part[C] + PIECE * d * d;
            }
            if (z) z[(long)image * C + c] = plane / PIECES;
            sum += from_first;
        }
    if (!TRAIN) {
        if (on && row == 0) {
            mean[c] = running_mean[c];
            inv[c] = 1 / sqrtf(running_var[c] + eps);
        }
        return;
    }
    sum_channel(sum, squares, rows);
    if (on && row == 0) {
        float m = (float)n * HW, mu = first + sum / (n * PIECES);
        squares -= PIECE * sum * (sum / (n * PIECES));
        if (squares < 0) squares = 0;  // by rounding; a NaN stays one
        mean[c] = mu;
        inv[c] = 1 / sqrtf(squares / m + eps);
        if (running_mean) {
            running_mean[c] += momentum * (mu - running_mean[c]);
            running_var[c] += momentum * (squares / (m - 1) - running_var[c]);
        }
    }
}

// hidden: (n, D), what goes into the hidden units; gate: (n, C), what goes into the gate's sigmoid. Both null where D is
// 0, without an SE block.
extern "C" __global__ void __launch_bounds__(THREADS)
    normalise(const Element* x, const Element* residual, const float* z, const float* mean, const float* inv,
              const float* w, const float* b, const float* w1, const float* b1, const float* w2, const float* b2,
              const float* alpha, float fixed_alpha, float* hidden, float* gate, Element* y) {
    __shared__ float scale[C], shift[C], squeezed[C], units[D + 1];
    Walk at;
    for (int c = threadIdx.x; c < C; c += THREADS) {
        scale[c] = w[c] * inv[c];
        shift[c] = b[c] - mean[c] * scale[c];
        if (D) squeezed[c] = scale[c] * z[(long)at.image * C + c] + shift[c];
    }
    __syncthreads();
    if (D) {
        for (int d = threadIdx.x / WARP; d < D; d += THREADS / WARP) {
            float sum = 0;
            for (int c = threadIdx.x % WARP; c < C; c += WARP) sum += w1[d * C + c] * squeezed[c];
            sum = sum_warp(sum) + (b1 ? b1[d] : 0);
            if (threadIdx.x % WARP == 0) {
                units[d] = activate(sum, alpha ? alpha[ALPHAS > 1 ? d : 0] : fixed_alpha);
                if (at.piece == 0) hidden[(long)at.image * D + d] = sum;
            }
        }
        __syncthreads();
        for (int c = threadIdx.x; c < C; c += THREADS) {
            float sum = b2 ? b2[c] : 0;
            for (int d = 0; d < D; d++) sum += w2[c * D + d] * units[d];
            float s = sigmoid(sum);
            scale[c] *= s;
            shift[c] *= s;
            if (at.piece == 0) gate[(long)at.image * C + c] = sum;
        }
        __syncthreads();
    }
    if (!at.on) return;
    for (int pixel = at.row; pixel < PIECE; pixel += ROWS) {
        Vector v = load(x, at.place(pixel)), r;
        if (RESIDUAL) r = load(residual, at.place(pixel));
        UNROLL
        for (int j = 0; j < V; j++) {
            float value = scale[at.channel + j] * wide(v.of[j]) + shift[at.channel + j];
            if (RESIDUAL) value += wide(r.of[j]);
            v.of[j] = narrow(GELU ? gelu(value) : RELU && value < 0 ? 0 : value);  // a NaN stays one
        }
        store(y, at.place(pixel), v);
    }
}
