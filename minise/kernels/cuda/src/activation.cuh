// The activations of an SE block's hidden units by number, in the order of `SE_ACTS` in `norm.py`; `a` is the
// learnable or fixed parameter of those that have one. The formulas: minise/ops/activation.py.
enum { ACT_RELU, ACT_FELU, ACT_ELU, ACT_LEAKY_RELU, ACT_PRELU, ACT_SIGMOID, ACT_TANH, ACT_GELU };

constexpr float GELU_SCALE = 1.5957691216f, GELU_CUBIC = 0.044715f;

__device__ inline float sigmoid(float x) { return 1 / (1 + expf(-x)); }

__device__ inline float gelu_gate(float x) { return sigmoid(GELU_SCALE * (x + GELU_CUBIC * x * x * x)); }
__device__ inline float gelu(float x) { return x * gelu_gate(x); }
__device__ inline float gelu_slope(float x) {
    float s = gelu_gate(x);
    return s + x * s * (1 - s) * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
}

__device__ inline float activate(float x, float a) {
    switch (SE_ACT) {
        case ACT_RELU: return x < 0 ? 0 : x;  // a NaN stays one
        case ACT_SIGMOID: return sigmoid(x);
        case ACT_TANH: return tanhf(x);
        case ACT_GELU: return gelu(x);
        case ACT_LEAKY_RELU: case ACT_PRELU: return x > 0 ? x : a * x;
        default: return x > 0 ? x : a * expm1f(x);
    }
}

// act'(x)
__device__ inline float slope(float x, float a) {
    float y;
    switch (SE_ACT) {
        case ACT_RELU: return x > 0;
        case ACT_SIGMOID: y = sigmoid(x); return y * (1 - y);
        case ACT_TANH: y = tanhf(x); return 1 - y * y;
        case ACT_GELU: return gelu_slope(x);
        case ACT_LEAKY_RELU: case ACT_PRELU: return x > 0 ? 1 : a;
        default: return x > 0 ? 1 : a * expf(x);
    }
}

// The derivative of act(x) with respect to its learnable parameter.
__device__ inline float by_parameter(float x) {
    switch (SE_ACT) {
        case ACT_PRELU: return x > 0 ? 0 : x;
        case ACT_FELU: return x > 0 ? 0 : expm1f(x);
        default: return 0;
    }
}
