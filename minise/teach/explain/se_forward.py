"""The SE block forward: squeeze, excite, scale."""

from __future__ import annotations

from collections.abc import Sequence

from minise.ops import ACTIVATIONS
from minise.teach.explain.arithmetic import number, written
from minise.teach.explain.lesson import Question, Step, Written
from minise.teach.explain.rules import RULES, by_rule
from minise.teach.explain.se_walk import CHANNEL, IMAGE, PIXEL, UNIT, Q, Walk, Z
from minise.teach.explain.source import body

PART = "forward"


def forward_steps(walk: Walk) -> list[Step]:
    """From the input to y; the lines run in this order."""
    return [make(walk) for make in (_input, _squeeze, _first, _activation, _second, _gate, _scale)]


def _input(walk: Walk) -> Step:
    n, c, h, w = walk.block.u.shape
    names = ("u", "w1", "b1", "w2", "b2", *(() if walk.block.alpha is None else ("alpha",)))
    return Step(
        "the block",
        "What goes in",
        ("u = conv(x)",),
        f"Three pictures of shapes10 ({', '.join(walk.block.pictures)}) as thumbnails of 4 x 4 pixels, through"
        f" one 3 x 3 convolution: n = {n} images, c = {c} channels, maps of h x w = {h} x {w}. The block has"
        f" d = {len(walk.block.b1)} hidden units. All of it is rounded to one decimal, so that a pencil can follow.",
        values=walk.given(*names),
    )


def _squeeze(walk: Walk) -> Step:
    code = walk.forward.run("z = ")
    h, w = walk.block.u.shape[2:]
    pixels = [(*Z, i, j) for i in range(h) for j in range(w)]
    mean = written("z", Z, [[walk.factor("u", *at)] for at in pixels], ("(h·w)", h * w))
    return Step(
        PART,
        "Squeeze: the mean of every map",
        ("z[n,c] = Σ_ij u[n,c,i,j] / (h·w)",),
        "One number for each channel of each image. From here on the block knows how much of something is in the"
        " picture, and no longer where.",
        code,
        walk.computed("z"),
        (mean,),
        questions=(
            Question("The shape of z?", walk.array("z").shape, "the means over h and w leave n and c"),
            Question(
                f"{mean.name}, the mean of {_list(walk, pixels)}?",
                mean.result,
                f"sum them, divide by {h * w}",
            ),
        ),
    )


def _list(walk: Walk, places: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(number(walk.factor("u", *at)[1]) for at in places)


def _first(walk: Walk) -> Step:
    code = walk.forward.run("q = ")
    terms = [[walk.factor("w1", UNIT, c), walk.factor("z", IMAGE, c)] for c in range(walk.block.u.shape[1])]
    return Step(
        PART,
        "Excite, first layer: into the bottleneck",
        ("q = W1 z + b1", "q[n,j] = Σ_c w1[j,c]·z[n,c] + b1[j]"),
        "Each hidden unit looks at the means of all channels: here channels learn of one another. The images are"
        " rows, so the line multiplies by W1 transposed, from the right.",
        code,
        walk.computed("q"),
        (written("q", Q, [*terms, [walk.factor("b1", UNIT)]]),),
        questions=(
            Question("The shape of q?", walk.array("q").shape, "a row an image, a column a hidden unit"),
        ),
    )


def _activation(walk: Walk) -> Step:
    code = walk.forward.run("a, act_saved")
    q, a = (float(walk.forward[name][Q]) for name in ("q", "a"))
    rule, alpha = RULES[walk.act], walk.block.alpha
    names = {"x": f"q[{IMAGE},{UNIT}]", "y": f"a[{IMAGE},{UNIT}]", "alpha": "alpha"}
    numbers = {"x": q, "y": a, "alpha": 0.0 if alpha is None else float(alpha)}
    return Step(
        PART,
        f"Excite, activation: {walk.act}",
        ("a = act(q)", rule.formula(walk.act)),
        f"Unit {UNIT} has {names['x']} = {number(q)}, below zero. {_below(walk.act, a)} What the unit lets through"
        " backward is decided here too: act'(q).",
        (*code, body(ACTIVATIONS[walk.act].op.forward)),
        walk.computed("a"),
        (by_rule("a", Q, rule.value, names, numbers, a),),
        questions=(Question(f"{walk.act} of {names['x']} = {number(q)}?", a, rule.formula(walk.act)),),
    )


def _below(act: str, a: float) -> str:
    if act == "relu":
        return "relu answers 0: for this image the unit is silent."
    return f"{act} answers {number(a)}: the unit still says something."


def _second(walk: Walk) -> Step:
    code = walk.forward.run("v = ")
    terms = [[walk.factor("w2", CHANNEL, j), walk.factor("a", IMAGE, j)] for j in range(len(walk.block.b1))]
    return Step(
        PART,
        "Excite, second layer: back to channels",
        ("v = W2 a + b2", "v[n,c] = Σ_j w2[c,j]·a[n,j] + b2[c]"),
        "One number a channel again, made of what all channels said to the hidden units.",
        code,
        walk.computed("v"),
        (written("v", Z, [*terms, [walk.factor("b2", CHANNEL)]]),),
        questions=(
            Question("The shape of v?", walk.array("v").shape, "that of z: W2 leads back to the channels"),
        ),
    )


def _gate(walk: Walk) -> Step:
    code = walk.forward.run("s, _ = ")
    v, s = float(walk.forward["v"][Z]), float(walk.forward["s"][Z])
    name = f"v[{IMAGE},{CHANNEL}]"
    return Step(
        PART,
        "Excite, sigmoid: the gate",
        ("s = 1 / (1 + e^-v)",),
        "Every gate lies between 0, closed, and 1, open. A channel is never switched off for good, only turned down.",
        code,
        walk.computed("s"),
        (Written("s", Z, f"1 / (1 + e^(-{name}))", f"1 / (1 + e^({number(-v)}))", s),),
        questions=(Question("What would the gate be for v = 0?", 0.5, "e^0 is 1"),),
    )


def _scale(walk: Walk) -> Step:
    code = walk.forward.run("return ")
    product = written("y", PIXEL, [[walk.factor("s", *Z), walk.factor("u", *PIXEL)]])
    s, u = (number(factor[1]) for factor in (walk.factor("s", *Z), walk.factor("u", *PIXEL)))
    return Step(
        PART,
        "Scale: every channel by its gate",
        ("y[n,c,i,j] = s[n,c]·u[n,c,i,j]",),
        "All pixels of a channel are scaled by the same gate; each image has gates of its own. So u stands in y"
        " twice: as the factor seen here, and inside s. What the line returns beside y is kept for the backward.",
        code,
        walk.computed("y"),
        (product,),
        questions=(
            Question("The shape of y?", walk.array("y").shape, "a gate changes no shape: that of u"),
            Question(f"{product.name}, where s is {s} and u is {u}?", product.result, "y = s·u"),
        ),
    )
