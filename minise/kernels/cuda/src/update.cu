// The steps of optimisers, over all parameters in one launch: the formulas of minise/optim/optimizers.py.
//
// A block row has one parameter, and a block BLOCK numbers of it. The table of parameters is passed by value, which
// takes 3 of the 4 KiB that arguments may have; a captured step keeps it. What changes from step to step lies on the
// device: `now` is (learning rate, steps taken before, loss scale, steps since the scale last changed, whether this step
// is skipped).
#define THREADS 256
#define BLOCK 4096
#define ROWS 64

// Where a parameter, its gradient and its two states lie (a state may be missing); the learning rate's factor, the
// weight decay and the norm that is kept; how many numbers it has.
struct Row {
    float *p, *g, *m, *v;
    float rate, decay, norm;
    int size;
};
struct Table {
    Row rows[ROWS];
};
enum { RATE, STEPS, SCALE, CALM, SKIP };

// All numbers i of this block's part of a row.
#define FOR_NUMBERS(i, size) \
    for (int i = blockIdx.x * BLOCK + threadIdx.x; i < min((int)(blockIdx.x + 1) * BLOCK, size); i += THREADS)

// What the host knows of the step to come.
extern "C" __global__ void begin(float* now, float rate, float steps) {
    now[RATE] = rate;
    now[STEPS] = steps;
}

// now[SKIP] = 1 if any gradient is not finite.
extern "C" __global__ void __launch_bounds__(THREADS) look(const Table table, float* now) {
    const Row& at = table.rows[blockIdx.y];
    bool bad = false;
    FOR_NUMBERS(i, at.size) bad |= !(fabsf(at.g[i]) <= 3e38f);
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

extern "C" __global__ void __launch_bounds__(THREADS) sgd(const Table table, const float* now, float momentum, int nesterov) {
    const Row& at = table.rows[blockIdx.y];
    if (now[SKIP] != 0) return;
    float rate = now[RATE] * at.rate, scale = now[SCALE];
    FOR_NUMBERS(i, at.size) {
        float g = at.g[i] / scale;
        if (at.decay != 0) g += at.decay * at.p[i];
        float v = momentum * at.m[i] + g;
        at.m[i] = v;
        at.p[i] -= rate * (nesterov ? g + momentum * v : v);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    adamw(const Table table, const float* now, float beta1, float beta2, float eps) {
    const Row& at = table.rows[blockIdx.y];
    if (now[SKIP] != 0) return;
    float t = now[STEPS] + 1, rate = now[RATE], scale = now[SCALE];
    float to_m = 1 / (1 - powf(beta1, t)), to_v = 1 / (1 - powf(beta2, t));
    FOR_NUMBERS(i, at.size) {
        float g = at.g[i] / scale;
        float m = beta1 * at.m[i] + (1 - beta1) * g, v = beta2 * at.v[i] + (1 - beta2) * g * g;
        at.m[i] = m;
        at.v[i] = v;
        at.p[i] = at.p[i] * (1 - rate * at.decay) - rate * m * to_m / (sqrtf(v * to_v) + eps);
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
// squares: (rows, blocks, 2): of the direction and of the parameter, for their norms.
extern "C" __global__ void __launch_bounds__(THREADS)
    move(const Table table, const float* now, float* squares, float momentum, int nesterov) {
    const Row& at = table.rows[blockIdx.y];
    float of_direction = 0, of_p = 0;
    if (now[SKIP] == 0)
        FOR_NUMBERS(i, at.size) {
            float g = at.g[i] / now[SCALE], v = momentum * at.m[i] + g, direction = nesterov ? g + momentum * v : v;
            at.m[i] = v;
            at.v[i] = direction;
            of_direction += direction * direction;
            of_p += at.p[i] * at.p[i];
        }
    sum_block(of_direction, of_p);
    if (threadIdx.x == 0) {
        float* to = squares + 2 * (blockIdx.y * gridDim.x + blockIdx.x);
        to[0] = of_direction;
        to[1] = of_p;
    }
}

// The norm of what the row's blocks have in column `which` of `squares`; every thread gets it.
__device__ inline float norm_of(const float* squares, int which) {
    float sum = 0, nothing = 0;
    for (int i = threadIdx.x; i < gridDim.x; i += THREADS) sum += squares[2 * (blockIdx.y * gridDim.x + i) + which];
    sum_block(sum, nothing);
    return sqrtf(sum);
}

// Muon, second: the direction, divided by its norm.
extern "C" __global__ void __launch_bounds__(THREADS) to_unit(const Table table, const float* squares) {
    const Row& at = table.rows[blockIdx.y];
    float norm = norm_of(squares, 0) + 1e-7f;
    FOR_NUMBERS(i, at.size) at.v[i] /= norm;
}

// Muon, last, after the products have made the direction orthogonal: p = norm p / ‖p‖ - rate direction.
extern "C" __global__ void __launch_bounds__(THREADS) turn(const Table table, const float* now, const float* squares) {
    const Row& at = table.rows[blockIdx.y];
    float factor = at.norm / (norm_of(squares, 1) + 1e-7f);
    if (now[SKIP] != 0) return;
    FOR_NUMBERS(i, at.size) at.p[i] = at.p[i] * factor - now[RATE] * at.v[i];
}
