"""What follows a convolution in a residual block, as one function: batch norm, SE gate, shortcut, activation."""

from __future__ import annotations

from minise.backend import Array
from minise.ops.activation import activation_of
from minise.ops.batch_norm import batch_norm
from minise.ops.se import se
from minise.tape import FusedOp, Tensor


def batch_norm_act_composed(
    x: Tensor,
    w: Tensor,
    b: Tensor,
    residual: Tensor | None = None,
    alpha: Tensor | None = None,
    w1: Tensor | None = None,
    b1: Tensor | None = None,
    w2: Tensor | None = None,
    b2: Tensor | None = None,
    se_alpha: Tensor | None = None,
    *,
    act: str | None = None,
    se_act: str | None = None,
    running: tuple[Array, Array] | None = None,
    train: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = act(se(batch_norm(x)) + residual): what it consists of may be left out, all but the batch norm.

    x, y, residual: (n, c, h, w); w, b: (c,), with `running`, `train`, `momentum`, `eps` as in `batch_norm`.
    act: a name in `ACTIVATIONS`, `alpha` its parameter if it has one; None for none.
    se_act: the activation of the SE block with w1, b1, w2, b2 and `se_alpha`, as in `se`; None for no SE block.
    In a backend that has a kernel for the whole, this is one op; this composition is what it must agree with.
    """
    after = None if act is None else activation_of("batch_norm_act", act).op
    y = batch_norm(x, w, b, running=running, train=train, momentum=momentum, eps=eps)
    if se_act is not None:
        y = se(y, w1, b1, w2, b2, se_alpha, act=se_act)
    if residual is not None:
        y = y + residual
    return y if after is None else after(y, *(() if alpha is None else (alpha,)))


batch_norm_act = FusedOp(batch_norm_act_composed)
