"""Every op, and two tables by name that the tests and gradient checks walk: `OPS`, and `FUSED`, of compositions.

What is said nowhere else, since it holds for all: the arrays of an op are of one float type, float32 or float64 (on a
GPU float16 too), and so are y and the gradients; labels are integers. Activations, arithmetic, reductions and changes
of shape take arrays of any shape. Arrays and options that do not fit raise ShapeError, in one line that names the op.
"""

from minise.ops.activation import (
    ACTIVATIONS,
    Activation,
    elu,
    felu,
    gelu,
    leaky_relu,
    prelu,
    relu,
    sigmoid,
    tanh,
)
from minise.ops.basic import add, divide, exp, log, multiply, negate, power, sqrt, subtract
from minise.ops.batch_norm import batch_norm
from minise.ops.batch_norm_act import batch_norm_act, batch_norm_act_composed
from minise.ops.conv2d import conv2d
from minise.ops.dropout import dropout
from minise.ops.linear import linear, matmul
from minise.ops.loss import softmax_cross_entropy
from minise.ops.pool import avg_pool2d, global_avg_pool, max_pool2d
from minise.ops.reduce import max_, mean, sum_
from minise.ops.se import se, se_composed
from minise.ops.shape import pad, reshape, slice_, transpose
from minise.tape import FusedOp, Op

OPS: dict[str, Op] = {op.name: op for op in list(globals().values()) if isinstance(op, Op)}
FUSED: dict[str, FusedOp] = {op.name: op for op in list(globals().values()) if isinstance(op, FusedOp)}

__all__ = [
    "ACTIVATIONS",
    "FUSED",
    "OPS",
    "Activation",
    "add",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_act",
    "batch_norm_act_composed",
    "conv2d",
    "divide",
    "dropout",
    "elu",
    "exp",
    "felu",
    "gelu",
    "global_avg_pool",
    "leaky_relu",
    "linear",
    "log",
    "matmul",
    "max_",
    "max_pool2d",
    "mean",
    "multiply",
    "negate",
    "pad",
    "power",
    "prelu",
    "relu",
    "reshape",
    "se",
    "se_composed",
    "sigmoid",
    "slice_",
    "softmax_cross_entropy",
    "sqrt",
    "subtract",
    "sum_",
    "tanh",
    "transpose",
]
