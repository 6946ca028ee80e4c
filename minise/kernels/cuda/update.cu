// The steps of optimisers, over all parameters in one launch: the formulas of minise/optim.py.
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

// now[SKIP] = 1 if any gradient is not finite.
extern "C" __global__ void __launch_bounds__(THREADS) look(const Row* table, const int* parts, const int* sizes, float* now) {
    int row = parts[2 * blockIdx.x], first = parts[2 * blockIdx.x + 1];
    const float* g = table[row].g;
    if (!g) return;
    bool bad = false;
    for (int i = first + threadIdx.x; i < min(first + BLOCK, sizes[row]); i += THREADS) bad |= !(fabsf(g[i]) <= 3e38f);
    if (bad) now[SKIP] = 1;
}

// After a step: count it, or halve the scale; double it after `patience` steps without a skip.
extern "C" __global__ void settle(float* now, int patience) {
    if (now[SKIP] != 0) {
        now[SCALE] = fmaxf(now[SCALE] * 0.5f, 1);
        now[CALM] = 0;
    } else {
        now[STEPS] += 1;
        now[CALM] += 1;
        if (patience && now[CALM] >= patience) {
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
