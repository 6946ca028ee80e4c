// The activation of an SE block's hidden units, by the formulas of its row in minise/ops/activation.py: BELOW, SLOPE and
// LEARNS for x <= 0, ABOVE and SLOPE_ABOVE otherwise, so that a NaN stays one. `a` is its parameter, if it has one.

__device__ inline float activate(float x, float a) { return x <= 0 ? BELOW : ABOVE; }

// act'(x)
__device__ inline float slope(float x, float a) {
    [[maybe_unused]] float y = activate(x, a);
    return x <= 0 ? SLOPE : SLOPE_ABOVE;
}

// The derivative of act(x) with respect to its learnable parameter.
__device__ inline float by_parameter(float x) { return x <= 0 ? LEARNS : 0; }

__device__ inline float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// GELU outside SE blocks.
constexpr float GELU_SCALE = 1.5957691216f, GELU_CUBIC = 0.044715f;

__device__ inline float gelu_gate(float x) { return sigmoid(GELU_SCALE * (x + GELU_CUBIC * x * x * x)); }
__device__ inline float gelu(float x) { return x * gelu_gate(x); }
__device__ inline float gelu_slope(float x) {
    float s = gelu_gate(x);
    return s + x * s * (1 - s) * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
}
