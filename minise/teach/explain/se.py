"""`explain se`: one SE block forward and backward, line by line, beside what the tape says."""

from __future__ import annotations

from minise.backend import Array
from minise.ops.se import se, se_composed, se_forward
from minise.tape import Tensor
from minise.teach.explain.arithmetic import number
from minise.teach.explain.evidence import gradients, recorded, small_steps
from minise.teach.explain.lesson import Cell, Lesson, Step, Table, difference
from minise.teach.explain.se_backward import backward_steps
from minise.teach.explain.se_forward import forward_steps
from minise.teach.explain.se_input import NAMES, SEED, Block, draw_block
from minise.teach.explain.se_paths import path_step
from minise.teach.explain.se_walk import Walk


def explain_se(*, act: str = "relu", seed: int = SEED) -> Lesson:
    """One block with three images, four channels and two hidden units; act: a name of `ACTIVATIONS`."""
    block = draw_block(act, seed)
    walk = Walk(block, act, _composed(block, act), _small_steps(block, act))
    steps = [*forward_steps(walk), *backward_steps(walk), path_step(walk), _check(walk)]
    return Lesson(
        "se",
        f"Squeeze-and-Excitation, forward and backward, with {act}",
        "A gate in (0, 1) for every channel is computed from the means of all channels, and scales the"
        " channel. The input u reaches the output on two paths, directly and through the gate, so its gradient"
        " has two parts. Every line of code below is run from minise's own source to get the numbers under it;"
        " the tape finds the same for a chain of single ops (se_composed) of which it knows nothing but each"
        " op's own derivative.",
        tuple(steps),
        (
            "u has two paths to y: gu = direct + through the gate.",
            "A mean spreads its gradient: each of the h·w pixels gets gz / (h·w). What is shared is summed: gs"
            " over the pixels, gw and gb over the images.",
            _other(act),
            "The same by hand: the lesson on SE under docs/lessons; any op of your own: minise gradcheck.",
        ),
    )


def _other(act: str) -> str:
    if act == "relu":
        return "`minise explain se --act felu` is the same block, and there the silent unit passes something."
    return "`minise explain se --act relu` is the same block, and there the silent unit passes nothing."


def _composed(block: Block, act: str) -> dict[str, Array]:
    """What the tape sees on the way through `se_composed`, forward and backward, by name."""
    tensors = [Tensor(x, requires_grad=True) for x in block.inputs]
    forward, backward = recorded(lambda *inputs: se_composed(*inputs, act=act), tensors, block.gy)
    z, q, a, v, s, _, y = (call.results[0] for call in forward)
    scale, _, gate, second, activation, first, squeeze = backward
    found = {
        **{"z": z, "q": q, "a": a, "v": v, "s": s, "y": y},
        "direct": scale.results[0],
        "gs": gate.inputs[0],
        "gv": second.inputs[0],
        "ga": activation.inputs[0],
        "gq": first.inputs[0],
        "gz": squeeze.inputs[0],
        "through_gate": squeeze.results[0],
    }
    return found | {f"g{name}": x for name, x in zip(NAMES, gradients(tensors), strict=False)}


def _small_steps(block: Block, act: str) -> dict[str, Array]:
    """The gradients of all inputs by small steps through `se_forward`."""
    found = small_steps(lambda *inputs: se_forward(*inputs, act=act)[0], block.inputs, block.gy)
    return {f"g{name}": x for name, x in zip(NAMES, found, strict=False)}


def _check(walk: Walk) -> Step:
    """Every gradient three times over."""
    tensors = [Tensor(x, requires_grad=True) for x in walk.block.inputs]
    se(*tensors, act=walk.act).backward(walk.block.gy)
    rows, worst = list[tuple[Cell, ...]](), 0.0
    for name, fused in zip(NAMES, gradients(tensors), strict=False):
        gradient = walk.array(f"g{name}")
        others = (walk.tape[f"g{name}"], fused, walk.steps[f"g{name}"])
        off = [difference(gradient, other) for other in others]
        rows.append((f"g{name}", str(gradient.shape), *off))
        worst = max(worst, *off)
    return Step(
        "check",
        "Do they all agree?",
        ("f'(x) ≈ (8 (f(x + h) - f(x - h)) - (f(x + 2h) - f(x - 2h))) / 12h",),
        "Four ways to every gradient: the lines above; the tape through the chain of ops; `se` on the tape, which"
        " runs these lines as one op; and small steps, which know nothing but the forward. A gradient that nobody"
        " compared with small steps is a guess.",
        tables=(
            Table(
                "largest difference from the lines above",
                ("gradient", "shape", "tape, composed", "tape, se", "small steps"),
                tuple(rows),
                f"Nothing differs by more than {number(worst)}: that is rounding.",
            ),
        ),
    )
