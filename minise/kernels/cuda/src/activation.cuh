// The activation of an SE block's hidden units, by the formulas of its row in minise/ops/activation.py: BELOW, SLOPE and
// LEARNS for x <= 0, ABOVE and SLOPE_ABOVE otherwise, so that a NaN stays one. `a` is its parameter, if it has one.

__device__ inline float activate(float x, float a) { return x <= 0 ? BELOW : ABOVE; }

// act'(x); of an infinite x that of the largest number, where no term of a formula is 0 · inf.
__device__ inline float slope(float x, float a) {
    x = x > 3e38f ? 3e38f : x < -3e38f ? -3e38f : x;
    [[maybe_unused]] float y = activate(x, a);
    return x <= 0 ? SLOPE : SLOPE_ABOVE;
}

// The derivative of act(x) with respect to its learnable parameter.
__device__ inline float by_parameter(float x) { return x <= 0 ? LEARNS : 0; }

__device__ inline float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// GELU outside SE blocks.
constexpr float GELU_SCALE = 1.5957691216f, GELU_CUBIC = 0.044715f;

__device__ inline float gelu_input(float x) { return GELU_SCALE * (x + GELU_CUBIC * x * x * x); }
__device__ inline float gelu(float x) { return x < -40 ? 0 : x * sigmoid(gelu_input(x)); }
__device__ inline float gelu_slope(float x) {
    if (x < -40 || x > 40) return x > 0;  // where the powers of x may overflow
    float t = gelu_input(x), s = sigmoid(t);
    return s + x * s * sigmoid(-t) * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x);
}
