// Backward of y = act(s · u + residual) with u = w x̂ + b, where g = gy · act'(s · u + residual):
//
//     two sums a plane        A = Σ g,  B = Σ g x̂                                                  `sums`
//     the gate                gs = Σ g u = w B + b A, and through the excitation gz                `gates`
//     by u                    gu = s g + gz / hw
//     the parameters          gw = Σ gu x̂ = Σ_n s B + gz mean(x̂),  gb = Σ gu = Σ_n s A + gz         `parameters`
//     by x                    gx = w (gu - gb / m - x̂ gw / m) / √(σ² + eps), affine in g and x      `combine`
//
// Outside training μ and σ² are constants, and gx = w gu / √(σ² + eps). Without a residual the slope is that at
// s · u = scale x + shift, which is computed again; with one, ReLU's is read off y.
#include "maps.cuh"
#include "activation.cuh"

#define FROM_Y (RELU && RESIDUAL)
#define FROM_X (GELU || RELU && !RESIDUAL)

// What reaches the number that went into the activation; y and that number, each where it is asked for.
__device__ inline float upstream(Element gy, Element y, float input) {
    if (GELU) return wide(gy) * gelu_slope(input);
    return !RELU || (FROM_Y ? wide(y) : input) > 0 ? wide(gy) : 0;
}

// scale and shift of a thread's channels, as `normalise` computed them.
__device__ inline void affine(const Walk& at, const float* mean, const float* inv, const float* w, const float* b,
                              const float* gate, float* scale, float* shift) {
    if (!FROM_X || !at.on) return;
    UNROLL
    for (int j = 0; j < V; j++) {
        int c = at.channel + j;
        scale[j] = w[c] * inv[c];
        shift[j] = b[c] - mean[c] * scale[j];
        if (!D) continue;
        float s = sigmoid(gate[(long)at.image * C + c]);
        scale[j] *= s;
        shift[j] *= s;
    }
}

// parts: (n, PIECES, 2, C), A and B of each piece.
extern "C" __global__ void __launch_bounds__(THREADS)
    sums(const Element* gy, const Element* y, const Element* x, const float* mean, const float* inv, const float* w,
         const float* b, const float* gate, float* parts) {
    __shared__ float rows[2 * ROWS * C], found[2 * C];
    Walk at;
    float by_one[V] = {}, by_x[V] = {}, scale[V] = {}, shift[V] = {};
    affine(at, mean, inv, w, b, gate, scale, shift);
    if (at.on)
        for (int pixel = at.row; pixel < PIECE; pixel += ROWS) {
            Vector g = load(gy, at.place(pixel)), v = load(x, at.place(pixel)), out;
            if (FROM_Y) out = load(y, at.place(pixel));
            UNROLL
            for (int j = 0; j < V; j++) {
                float up = upstream(g.of[j], FROM_Y ? out.of[j] : g.of[j], scale[j] * wide(v.of[j]) + shift[j]);
                by_one[j] += up;
                by_x[j] += up * (wide(v.of[j]) - mean[at.channel + j]) * inv[at.channel + j];
            }
        }
    sum_over_rows(at, by_one, by_x, rows, found);
    for (int i = threadIdx.x; i < 2 * C; i += THREADS) parts[(long)blockIdx.x * 2 * C + i] = found[i];
}

// A block an image. gate: (n, C), what went into its sigmoid. planes: (n, 2, C), its share of gb and gw; gz, by_gate:
// (n, C), by_hidden, by_alpha: (n, D): the gradients of what goes into the gate's sigmoid and into the hidden units, and
// the shares of alpha's.
extern "C" __global__ void __launch_bounds__(THREADS)
    gates(const float* parts, const float* z, const float* mean, const float* inv, const float* w, const float* b,
          const float* w1, const float* w2, const float* alpha, float fixed_alpha, const float* hidden, const float* gate,
          float* planes, float* gz, float* by_gate, float* by_hidden, float* by_alpha) {
    __shared__ float one[C], other[C], at_gate[C], at_hidden[D + 1];
    long image = blockIdx.x;
    for (int c = threadIdx.x; c < C; c += THREADS) {
        float a = 0, by_x = 0;
        for (int piece = 0; piece < PIECES; piece++) {
            const float* part = parts + (image * PIECES + piece) * 2 * C + c;
            a += part[0];
            by_x += part[C];
        }
        float v = gate[image * C + c];
        one[c] = a;
        other[c] = by_x;
        by_gate[image * C + c] = at_gate[c] = (w[c] * by_x + b[c] * a) * sigmoid(v) * sigmoid(-v);
    }
    __syncthreads();
    for (int d = threadIdx.x / WARP; d < D; d += THREADS / WARP) {
        float sum = 0;
        for (int c = threadIdx.x % WARP; c < C; c += WARP) sum += w2[c * D + d] * at_gate[c];
        sum = sum_warp(sum);
        if (threadIdx.x % WARP == 0) {
            float q = hidden[image * D + d];
            by_hidden[image * D + d] = at_hidden[d] = sum * slope(q, alpha ? alpha[ALPHAS > 1 ? d : 0] : fixed_alpha);
            if (alpha) by_alpha[image * D + d] = sum * by_parameter(q);
        }
    }
    __syncthreads();
    for (int c = threadIdx.x; c < C; c += THREADS) {
        float by_z = 0, s = sigmoid(gate[image * C + c]);
        for (int d = 0; d < D; d++) by_z += w1[d * C + c] * at_hidden[d];
        gz[image * C + c] = by_z;
        planes[(image * 2) * C + c] = s * one[c] + by_z;
        planes[(image * 2 + 1) * C + c] = s * other[c] + by_z * (z[image * C + c] - mean[c]) * inv[c];
    }
}

// Sums over the images, one for each block row: gb, gw, and with an SE block gb2, the rows of gw1, the columns of
// gw2, gb1 and galpha. A block has 32 columns of one; planes has `count` entries.
extern "C" __global__ void __launch_bounds__(1024)
    parameters(const float* planes, int count, const float* z, const float* mean, const float* inv, const float* w,
               const float* b, const float* hidden, const float* alpha, float fixed_alpha, const float* by_gate,
               const float* by_hidden, const float* by_alpha, float* gw, float* gb, float* gw1, float* gb1,
               float* gw2, float* gb2, float* galpha) {
    __shared__ float rows[32][33];
    int lane = threadIdx.x % 32, row = threadIdx.x / 32, i = blockIdx.x * 32 + lane, kind = blockIdx.y;
    bool over_units = kind >= 3 + 2 * D;  // gb1 and galpha have D numbers, all others C
    float sum = 0;
    if (i < (over_units ? D : C))
        for (long n = row; n < count; n += 32) {
            float term;
            if (kind < 2) term = planes[(n * 2 + kind) * C + i];
            else if (kind == 2) term = by_gate[n * C + i];
            else if (kind < 3 + D) {
                float scale = w[i] * inv[i];
                term = by_hidden[n * D + kind - 3] * (scale * (z[n * C + i] - mean[i]) + b[i]);
            } else if (kind < 3 + 2 * D) {
                int d = kind - 3 - D;
                term = by_gate[n * C + i] * activate(hidden[n * D + d], alpha ? alpha[ALPHAS > 1 ? d : 0] : fixed_alpha);
            } else if (kind == 3 + 2 * D) term = by_hidden[n * D + i];
            else if (ALPHAS > 1) term = by_alpha[n * D + i];
            else {  // one alpha for all units
                term = 0;
                for (int d = 0; d < D && i == 0; d++) term += by_alpha[n * D + d];
            }
            sum += term;
        }
    rows[row][lane] = sum;
    __syncthreads();
    if (row != 0 || i >= (over_units ? D : C)) return;
    sum = 0;
    for (int r = 0; r < 32; r++) sum += rows[r][lane];
    if (kind == 0) gb[i] = sum;
    else if (kind == 1) gw[i] = sum;
    else if (kind == 2) { if (gb2) gb2[i] = sum; }
    else if (kind < 3 + D) gw1[(kind - 3) * C + i] = sum;
    else if (kind < 3 + 2 * D) gw2[i * D + kind - 3 - D] = sum;
    else if (kind == 3 + 2 * D) { if (gb1) gb1[i] = sum; }
    else if (galpha && i < ALPHAS) galpha[i] = sum;
}

// gx, and g as the residual's gradient where that is wanted (else null).
extern "C" __global__ void __launch_bounds__(THREADS)
    combine(const Element* gy, const Element* y, const Element* x, const float* mean, const float* inv, const float* w,
            const float* b, const float* gw, const float* gb, const float* gate, const float* gz, Element* gx, Element* gr,
            int n) {
    __shared__ float by_g[C], by_x[C], rest[C];
    Walk at;
    float m = (float)n * HW, scale[V] = {}, shift[V] = {};
    affine(at, mean, inv, w, b, gate, scale, shift);
    for (int c = threadIdx.x; c < C; c += THREADS) {
        float by_u = w[c] * inv[c], through = D ? gz[(long)at.image * C + c] / HW : 0;
        by_g[c] = D ? by_u * sigmoid(gate[(long)at.image * C + c]) : by_u;
        by_x[c] = TRAIN ? -by_u * inv[c] * gw[c] / m : 0;
        rest[c] = by_u * (TRAIN ? through - gb[c] / m : through) - by_x[c] * mean[c];
    }
    __syncthreads();
    if (!at.on) return;
    for (int pixel = at.row; pixel < PIECE; pixel += ROWS) {
        Vector g = load(gy, at.place(pixel)), v = load(x, at.place(pixel)), out;
        if (FROM_Y) out = load(y, at.place(pixel));
        UNROLL
        for (int j = 0; j < V; j++) {
            float up = upstream(g.of[j], FROM_Y ? out.of[j] : g.of[j], scale[j] * wide(v.of[j]) + shift[j]);
            int c = at.channel + j;
            v.of[j] = narrow(by_g[c] * up + by_x[c] * wide(v.of[j]) + rest[c]);
            g.of[j] = narrow(up);
        }
        store(gx, at.place(pixel), v);
        if (gr) store(gr, at.place(pixel), g);
    }
}
