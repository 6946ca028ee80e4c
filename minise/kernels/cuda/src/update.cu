// The steps of optimisers, over all parameters in one launch: the formulas of minise/optim/optimizers.py.
//
// A row of `table` holds where a parameter, its gradient and its two states lie (a state may be missing). A block has
// BLOCK numbers of one parameter, which `part` names: (row, first number). What changes from step to step lies
// on the device, so that a captured step can be repeated: `now` is (learning rate, steps taken before, loss scale, steps
// since the scale last changed, whether this step is skipped).
#define THREADS 256
#define BLOCK 4096

struct Row {
    float *p, *g, *m, *v;
};
enum { RATE, STEPS, SCALE, CALM, SKIP };

// What the host knows of the step to come.
extern "C" __global__ void begin(float* now, float rate, float steps) {
    now[RATE] = rate;
    now[STEPS] = steps;
}

// now[SKIP] = 1 if any gradient is not finite.
extern "C" __global__ void __launch_bounds__(THREADS) look(const Row* table, const int* parts, const int* sizes, float* now) {
    int row = parts[2 * blockIdx.x], first = parts[2 * blockIdx.x + 1];
    const float* g = table[row].g;
    if (!g) return;
    bool bad = false;
    for (int i = first + threadIdx.x; i < min(first + BLOCK, sizes[row]); i += THREADS) bad |= !(fabsf(g[i]) <= 3e38f);
    if (bad) now[SKIP] = 1;
}

// After a step of a scaled loss: halve the scale if it was skipped, double it after `patience` that were not.
extern "C" __global__ void settle(float* now, int patience) {
    if (now[SKIP] != 0) {
        now[SCALE] = fmaxf(now[SCALE] * 0.5f, 1);
        now[CALM] = 0;
    } else {
        now[CALM] += 1;
        if (now[CALM] >= patience) {
            now[SCALE] *= 2;
            now[CALM] = 0;
        }
    }
    now[SKIP] = 0;
}

// rates, decays: (rows,), the learning rate's factor and the weight decay of each parameter; momenta likewise.
extern "C" __global__ void __launch_bounds__(THREADS)
    sgd(const Row* table, const int* parts, const int* sizes, const float* rates, const float* decays,
        const float* momenta, const float* now, int nesterov) {
    int row = parts[2 * blockIdx.x], first = parts[2 * blockIdx.x + 1];
    Row at = table[row];
    if (!at.g || now[SKIP] != 0) return;
    float rate = now[RATE] * rates[row], decay = decays[row], momentum = momenta[row], scale = now[SCALE];
    for (int i = first + threadIdx.x; i < min(first + BLOCK, sizes[row]); i += THREADS) {
        float g = at.g[i] / scale;
        if (decay != 0) g += decay * at.p[i];
        float v = momentum * at.m[i] + g;
        at.m[i] = v;
        at.p[i] -= rate * (nesterov ? g + momentum * v : v);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    adamw(const Row* table, const int* parts, const int* sizes, const float* decays, const float* now, float beta1,
          float beta2, float eps) {
    int row = parts[2 * blockIdx.x], first = parts[2 * blockIdx.x + 1];
    Row at = table[row];
    if (!at.g || now[SKIP] != 0) return;
    float t = now[STEPS] + 1, rate = now[RATE], decay = decays[row], scale = now[SCALE];
    float to_m = 1 / (1 - powf(beta1, t)), to_v = 1 / (1 - powf(beta2, t));
    for (int i = first + threadIdx.x; i < min(first + BLOCK, sizes[row]); i += THREADS) {
        float g = at.g[i] / scale;
        float m = beta1 * at.m[i] + (1 - beta1) * g, v = beta2 * at.v[i] + (1 - beta2) * g * g;
        at.m[i] = m;
        at.v[i] = v;
        at.p[i] = at.p[i] * (1 - rate * decay) - rate * m * to_m / (sqrtf(v * to_v) + eps);
    }
}

// Σ over a block of two numbers a thread; every thread gets them.
__device__ inline void sum_block(float& one, float& other) {
    __shared__ float sums[2][THREADS];
    sums[0][threadIdx.x] = one;
    sums[1][threadIdx.x] = other;
    __syncthreads();
    for (int half = THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half)
            for (int i = 0; i < 2; i++) sums[i][threadIdx.x] += sums[i][threadIdx.x + half];
        __syncthreads();
    }
    one = sums[0][0];
    other = sums[1][0];
}

// Muon, first: v (in `m`) moves, and `v` of the row, which is no state here, becomes the direction.
// squares: (parts, 2): of the direction and of the parameter, for their norms.
extern "C" __global__ void __launch_bounds__(THREADS)
    move(const Row* table, const int* parts, const int* sizes, const float* now, float* squares, float momentum, int nesterov) {
    int row = parts[2 * blockIdx.x], first = parts[2 * blockIdx.x + 1];
    Row at = table[row];
    float of_direction = 0, of_p = 0;
    bool on = at.g && now[SKIP] == 0;
    for (int i = first + threadIdx.x; on && i < min(first + BLOCK, sizes[row]); i += THREADS) {
        float g = at.g[i] / now[SCALE], v = momentum * at.m[i] + g, direction = nesterov ? g + momentum * v : v;
        at.m[i] = v;
        at.v[i] = direction;
        of_direction += direction * direction;
        of_p += at.p[i] * at.p[i];
    }
    sum_block(of_direction, of_p);
    if (threadIdx.x == 0) {
        squares[2 * blockIdx.x] = of_direction;
        squares[2 * blockIdx.x + 1] = of_p;
    }
}

// The norm of what a row's parts have in column `which` of `squares`; every thread of a block with this row gets it.
__device__ inline float norm_of(const int* parts, const int* sizes, const float* squares, int which) {
    int row = parts[2 * blockIdx.x], begin = blockIdx.x - parts[2 * blockIdx.x + 1] / BLOCK;
    float sum = 0, nothing = 0;
    for (int i = threadIdx.x; i < (sizes[row] + BLOCK - 1) / BLOCK; i += THREADS) sum += squares[2 * (begin + i) + which];
    sum_block(sum, nothing);
    return sqrtf(sum);
}

// Muon, second: the direction, divided by its norm.
extern "C" __global__ void __launch_bounds__(THREADS)
    to_unit(const Row* table, const int* parts, const int* sizes, const float* squares) {
    int row = parts[2 * blockIdx.x], first = parts[2 * blockIdx.x + 1];
    float norm = norm_of(parts, sizes, squares, 0) + 1e-7f;
    for (int i = first + threadIdx.x; i < min(first + BLOCK, sizes[row]); i += THREADS) table[row].v[i] /= norm;
}

// Muon, last, after the products have made the direction orthogonal: p = norm p / ‖p‖ - rate direction.
extern "C" __global__ void __launch_bounds__(THREADS)
    turn(const Row* table, const int* parts, const int* sizes, const float* norms, const float* squares, const float* now) {
    int row = parts[2 * blockIdx.x], first = parts[2 * blockIdx.x + 1];
    Row at = table[row];
    float factor = norms[row] / (norm_of(parts, sizes, squares, 1) + 1e-7f);
    if (!at.g || now[SKIP] != 0) return;
    for (int i = first + threadIdx.x; i < min(first + BLOCK, sizes[row]); i += THREADS)
        at.p[i] = at.p[i] * factor - now[RATE] * at.v[i];
}
