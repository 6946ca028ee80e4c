"""PyTorch's twin of every op: op name -> function of (torch, *tensors, **options), with the op's own options.

PyTorch is handed in, not imported, so that this table can be read without it.
"""

from __future__ import annotations

from functools import partial

from minise.ops import ACTIVATIONS


def axes(x, axis):
    """What PyTorch takes for any of the `axis` that minise takes."""
    return tuple(range(x.ndim)) if axis is None else axis


def pad(torch, x, *, widths):
    return torch.nn.functional.pad(x, [width for pair in reversed(widths) for width in pair])


def dropout(torch, x, *, p, rng):
    """PyTorch's own mask cannot be chosen: this is the formula, and a test of its own takes PyTorch's mask."""
    return x * torch.as_tensor(rng.random(tuple(x.shape)) >= p) / (1 - p)


def batch_norm(torch, x, w, b, *, running=None, train=True, momentum=0.1, eps=1e-5):
    mean, var = running or (None, None)
    return torch.nn.functional.batch_norm(x, mean, var, w, b, train, momentum, eps)


def activation(act, torch, *tensors, **options):
    from torch_models import function

    return function(act)(*tensors, *options.values())


def se(torch, u, w1, b1, w2, b2, alpha=None, *, act="relu"):
    linear = torch.nn.functional.linear
    parameters = () if alpha is None else (alpha,)
    a = TWINS[act](torch, linear(u.mean((2, 3)), w1, b1), *parameters)
    return u * torch.sigmoid(linear(a, w2, b2))[:, :, None, None]


def batch_norm_act(torch, x, w, b, residual=None, alpha=None, *gate, act=None, se_act=None, **options):
    y = batch_norm(torch, x, w, b, **options)
    if se_act is not None:
        y = se(torch, y, *gate, act=se_act)
    if residual is not None:
        y = y + residual
    parameters = () if alpha is None else (alpha,)
    return y if act is None else TWINS[act](torch, y, *parameters)


def functional(name, torch, *tensors, **options):
    return getattr(torch.nn.functional, name)(*tensors, **options)


TWINS = {
    "add": lambda torch, a, b: a + b,
    "subtract": lambda torch, a, b: a - b,
    "multiply": lambda torch, a, b: a * b,
    "divide": lambda torch, a, b: a / b,
    "negate": lambda torch, x: -x,
    "power": lambda torch, x, *, exponent: torch.pow(x, exponent),
    "exp": lambda torch, x: torch.exp(x),
    "log": lambda torch, x: torch.log(x),
    "sqrt": lambda torch, x: torch.sqrt(x),
    "sum": lambda torch, x, *, axis, keepdims: torch.sum(x, axes(x, axis), keepdims),
    "mean": lambda torch, x, *, axis, keepdims: torch.mean(x, axes(x, axis), keepdims),
    "max": lambda torch, x, *, axis, keepdims: torch.amax(x, axes(x, axis), keepdims),
    "reshape": lambda torch, x, *, shape: torch.reshape(x, shape),
    "transpose": lambda torch, x, *, axes: torch.permute(x, axes),
    "slice": lambda torch, x, *, index: x[index],
    "pad": pad,
    "matmul": lambda torch, a, b: torch.matmul(a, b),
    "linear": partial(functional, "linear"),
    **{act: partial(activation, act) for act in ACTIVATIONS},
    "conv2d": partial(functional, "conv2d"),
    "max_pool2d": lambda torch, x, *, kernel, **options: torch.max_pool2d(x, kernel, **options),
    "avg_pool2d": lambda torch, x, *, kernel, **options: functional(
        "avg_pool2d", torch, x, kernel, **options
    ),
    "global_avg_pool": lambda torch, x: torch.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1),
    "batch_norm": batch_norm,
    "dropout": dropout,
    "softmax_cross_entropy": lambda torch, x, labels, *, smoothing: functional(
        "cross_entropy", torch, x, labels, label_smoothing=smoothing
    ),
    "se": se,
    "batch_norm_act": batch_norm_act,
}
