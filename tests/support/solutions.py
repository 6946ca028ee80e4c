"""A right answer to every exercise of the lessons, by name."""

SOLUTIONS = {
    "tanh": """
def tanh_forward(x):
    y = np.tanh(x)
    return y, y

def tanh_backward(gy, saved):
    return (gy * (1 - saved**2),)
""",
    "accumulate": """
def accumulate(gradients, key, g):
    gradients[key] = gradients[key] + g if key in gradients else g
""",
    "unbroadcast": """
def unbroadcast(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g
""",
    "conv-gw": """
def conv_gw(gy, x, shape):
    gw = np.zeros(shape)
    for m, o, i, j in np.ndindex(*gy.shape):
        gw[o] += gy[m, o, i, j] * x[m, :, i : i + shape[2], j : j + shape[3]]
    return gw
""",
    "conv-stride": """
def conv_gx(gy, w, shape, stride):
    gx = np.zeros(shape)
    for m, o, i, j in np.ndindex(*gy.shape):
        i0, j0 = i * stride, j * stride
        gx[m, :, i0 : i0 + w.shape[2], j0 : j0 + w.shape[3]] += gy[m, o, i, j] * w[o]
    return gx
""",
    "avg-pool": """
def avg_pool_backward(gy, shape, kernel):
    gx = np.zeros(shape)
    for m, c, i, j in np.ndindex(*gy.shape):
        gx[m, c, i * kernel : (i + 1) * kernel, j * kernel : (j + 1) * kernel] = gy[m, c, i, j] / kernel**2
    return gx
""",
    "se-scale": """
def scale_backward(gy, u, s):
    return (gy * u).sum(axis=(2, 3)), gy * s[:, :, None, None]
""",
    "se-excite": """
def excite_backward(gs, z, q, a, s, w1, w2):
    gv = gs * s * (1 - s)
    gq = gv @ w2 * (q > 0)
    return gq @ w1, gq.T @ z, gq.sum(axis=0), gv.T @ a, gv.sum(axis=0)
""",
    "se-backward": """
def se_backward(gy, u, w1, b1, w2, b2):
    z = u.mean(axis=(2, 3))
    q, a, s = excite_forward(z, w1, b1, w2, b2)
    gs, direct = scale_backward(gy, u, s)
    gz, *rest = excite_backward(gs, z, q, a, s, w1, w2)
    return (direct + gz[:, :, None, None] / (u.shape[2] * u.shape[3]), *rest)
""",
    "chain": """
def chain_gradients(weights, slopes, error):
    gradients = []
    for w, slope in zip(weights[::-1], slopes[::-1]):
        gradients.insert(0, error * slope)
        error = error * slope * w
    return np.array(gradients)
""",
    "dead-units": """
def silent_and_dead(q, slope):
    silent = (q <= 0).all(axis=0)
    return silent.sum(), (silent & (slope == 0).all(axis=0)).sum()
""",
    "felu": """
def felu_forward(x, alpha):
    e = np.expm1(np.minimum(x, 0))
    return np.where(x > 0, x, alpha * e), (x, alpha, e)

def felu_backward(gy, saved, needs):
    x, alpha, e = saved
    return gy * np.where(x > 0, 1, alpha * (e + 1)), (gy * e).sum()
""",
    "mish": """
def mish_forward(x):
    t = np.tanh(np.logaddexp(0, x))
    return x * t, (x, t)

def mish_backward(gy, saved, needs):
    x, t = saved
    return (gy * (t + x * (1 - t * t) * np.exp(-np.logaddexp(0, -x))),)
""",
    "swish-channels": """
def swish_forward(x, beta):
    column = beta.reshape(-1, *[1] * (x.ndim - 2))
    s = 1 / (1 + np.exp(-column * x))
    return x * s, (x, column, s)

def swish_backward(gy, saved, needs):
    x, column, s = saved
    slope = x * s * (1 - s)
    gbeta = (gy * x * slope).sum(axis=(0, *range(2, x.ndim)))
    return gy * (s + column * slope), gbeta
""",
}
