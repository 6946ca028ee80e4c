"""Every op, and two tables by name that the tests and gradient checks walk: `OPS`, and `FUSED`, of compositions.

What is said nowhere else, since it holds for all: the arrays of an op are of one float type, float32 or float64 (on a
GPU float16 too), and so are y and the gradients; labels are integers. Activations, arithmetic, reductions and changes
of shape take arrays of any shape. Arrays and options that do not fit raise ShapeError, in one line that names the op.
"""

from minise.ops.activation import ACTIVATIONS as ACTIVATIONS
from minise.ops.activation import Activation as Activation
from minise.ops.activation import elu as elu
from minise.ops.activation import felu as felu
from minise.ops.activation import gelu as gelu
from minise.ops.activation import leaky_relu as leaky_relu
from minise.ops.activation import prelu as prelu
from minise.ops.activation import relu as relu
from minise.ops.activation import sigmoid as sigmoid
from minise.ops.activation import tanh as tanh
from minise.ops.basic import add as add
from minise.ops.basic import divide as divide
from minise.ops.basic import exp as exp
from minise.ops.basic import log as log
from minise.ops.basic import multiply as multiply
from minise.ops.basic import negate as negate
from minise.ops.basic import power as power
from minise.ops.basic import sqrt as sqrt
from minise.ops.basic import subtract as subtract
from minise.ops.batch_norm import batch_norm as batch_norm
from minise.ops.batch_norm_act import batch_norm_act as batch_norm_act
from minise.ops.batch_norm_act import batch_norm_act_composed as batch_norm_act_composed
from minise.ops.conv2d import conv2d as conv2d
from minise.ops.dropout import dropout as dropout
from minise.ops.linear import linear as linear
from minise.ops.linear import matmul as matmul
from minise.ops.loss import softmax_cross_entropy as softmax_cross_entropy
from minise.ops.operators import install
from minise.ops.pool import avg_pool2d as avg_pool2d
from minise.ops.pool import global_avg_pool as global_avg_pool
from minise.ops.pool import max_pool2d as max_pool2d
from minise.ops.reduce import max_ as max_
from minise.ops.reduce import mean as mean
from minise.ops.reduce import sum_ as sum_
from minise.ops.se import se as se
from minise.ops.se import se_composed as se_composed
from minise.ops.shape import pad as pad
from minise.ops.shape import reshape as reshape
from minise.ops.shape import slice_ as slice_
from minise.ops.shape import transpose as transpose
from minise.tape import FusedOp, Op

OPS: dict[str, Op] = {op.name: op for op in list(globals().values()) if isinstance(op, Op)}
FUSED: dict[str, FusedOp] = {op.name: op for op in list(globals().values()) if isinstance(op, FusedOp)}

install()
