"""The SE block backward: from gy through the gate to the weights, and on both paths to u."""

from __future__ import annotations

import numpy as np

from minise.ops import ACTIVATIONS
from minise.ops.activation import derivative
from minise.teach.explain.arithmetic import Factor, number, written
from minise.teach.explain.lesson import Question, Step, Value, Written
from minise.teach.explain.rules import RULES, filled
from minise.teach.explain.se_walk import CHANNEL, IMAGE, PIXEL, UNIT, Q, Walk, Z
from minise.teach.explain.source import body

PART = "backward"
W2, W1 = (CHANNEL, UNIT), (UNIT, CHANNEL)


def backward_steps(walk: Walk) -> list[Step]:
    """From gy to the gradients of everything; the lines run in this order."""
    makers = (
        _upstream,
        _gate,
        _sigmoid,
        _second,
        _hidden,
        _activation,
        _first,
        _squeeze,
        _direct,
        _through,
        _both,
    )
    return [make(walk) for make in makers]


def _upstream(walk: Walk) -> Step:
    return Step(
        PART,
        "What comes from above",
        ("gy = dL/dy",),
        "g before a name is the gradient of the loss by it, and has its shape. gy is given, here as random numbers:"
        " L = Σ gy·y. Never test a backward with ones for gy, as y.sum() would: mistakes can cancel out in it"
        " (`minise explain batchnorm` shows one).",
        values=walk.given("gy"),
    )


def _gate(walk: Walk) -> Step:
    code = walk.backward.run("gs = ")
    h, w = walk.block.u.shape[2:]
    pixels = [(*Z, i, j) for i in range(h) for j in range(w)]
    total = written("gs", Z, [[walk.factor("gy", *at), walk.factor("u", *at)] for at in pixels])
    return Step(
        PART,
        "Into the gate: a sum over the pixels that share it",
        ("y = s·u", "gs[n,c] = Σ_ij gy[n,c,i,j]·u[n,c,i,j]"),
        "The gate has a hand in every pixel of its channel, so it hears from all of them: what is shared forward is"
        " summed backward.",
        code,
        walk.computed("gs"),
        (total,),
        mistakes=(walk.mistake("a mean for the sum", "gs = (gy * u).mean(axis=(2, 3))", "gs", Z),),
        questions=(
            Question(
                "The shape of gs?", walk.array("gs").shape, "a gradient has the shape of its array: that of s"
            ),
            Question(f"{total.name} = {total.numbers} = ?", total.result, "a sum, not a mean"),
        ),
    )


def _sigmoid(walk: Walk) -> Step:
    code = walk.backward.run("gv = ")
    s = walk.factor("s", *Z)
    factors = [walk.factor("gs", *Z), s, (f"(1 - {s[0]})", 1 - s[1])]
    return Step(
        PART,
        "Through the sigmoid",
        ("s = sigmoid(v), s' = s·(1 - s)", "gv = gs·s·(1 - s)"),
        "The derivative of the sigmoid needs only its result, so s was kept and not v. It is at most 1/4, and"
        " next to 0 for a gate that is open or closed: such a gate hardly learns.",
        code,
        walk.computed("gv"),
        (written("gv", Z, [factors]),),
        mistakes=(walk.mistake("the sigmoid's slope is left out", "gv = gs", "gv", Z),),
        questions=(Question("The largest that s·(1 - s) can be?", 0.25, "at s = 1/2"),),
    )


def _second(walk: Walk) -> Step:
    code = walk.backward.run("gw2, gb2 = ")
    images = range(len(walk.block.u))
    terms = [[walk.factor("gv", n, CHANNEL), walk.factor("a", n, UNIT)] for n in images]
    return Step(
        PART,
        "The second layer's weights: a sum over the images",
        ("v = W2 a + b2", "gw2[c,j] = Σ_n gv[n,c]·a[n,j]", "gb2[c] = Σ_n gv[n,c]"),
        "All images share the weights, so they are summed over; whether the loss is a mean over the batch has been"
        " settled in gy.",
        code,
        walk.computed("gw2", "gb2"),
        (
            written("gw2", W2, terms),
            written("gb2", (CHANNEL,), [[walk.factor("gv", n, CHANNEL)] for n in images]),
        ),
        mistakes=(walk.mistake("a mean over the images once more", "gw2 = gv.T @ a / len(a)", "gw2", W2),),
        questions=(Question("The shape of gw2?", walk.array("gw2").shape, "that of w2: (c, d)"),),
    )


def _hidden(walk: Walk) -> Step:
    code = walk.backward.run("ga = ")
    channels = range(walk.block.u.shape[1])
    terms = [[walk.factor("gv", IMAGE, c), walk.factor("w2", c, UNIT)] for c in channels]
    return Step(
        PART,
        "Back into the bottleneck",
        ("ga = W2ᵀ gv", "ga[n,j] = Σ_c gv[n,c]·w2[c,j]"),
        "A hidden unit hears from every gate that it had a say in. Forward the line was multiplied by w2.T, backward"
        " by w2.",
        code,
        walk.computed("ga"),
        (written("ga", Q, terms),),
        questions=(Question("The shape of ga?", walk.array("ga").shape, "that of a: (n, d)"),),
    )


def _activation(walk: Walk) -> Step:
    code = walk.backward.run("gq, *galpha")
    alphas = [walk.block.alpha] if walk.block.alpha is not None else []
    slopes = derivative(walk.act, walk.forward["q"], *alphas)
    slope = (f"act'(q[{IMAGE},{UNIT}])", float(slopes[Q]))
    product = written("gq", Q, [[walk.factor("ga", *Q), slope]])
    names = ("gq", "galpha") if alphas else ("gq",)
    return Step(
        PART,
        f"Through the activation: {walk.act}",
        ("a = act(q)", "gq = ga·act'(q)", RULES[walk.act].slope_formula(walk.act)),
        _passes(walk.act, slope[1]) + (" alpha has a gradient too: see galpha." if alphas else ""),
        (*code, body(ACTIVATIONS[walk.act].op.backward)),
        (Value("act'(q)", slopes, ("n", "d"), stops=True), *walk.computed(*names)),
        (product, *_alpha(walk)),
        mistakes=(walk.mistake("the activation's slope is left out", "gq = ga", "gq", Q),),
        questions=(
            Question(
                f"q[{IMAGE},{UNIT}] is {number(walk.forward['q'][Q])}. What is {walk.act}'s slope there?",
                slope[1],
                RULES[walk.act].slope_formula(walk.act),
            ),
        ),
    )


def _passes(act: str, slope: float) -> str:
    if slope == 0:
        return (
            f"Here the paths part. Unit {UNIT} was below zero for image {IMAGE}, so {act}'s slope is 0 and nothing"
            " passes, whatever ga says. A unit that is below zero for every image gets no gradient at all: it is"
            " dead (a dying ReLU), until something else moves its weights or its input. FeLU is the paper's answer."
        )
    return (
        f"Here {act} differs from relu. Unit {UNIT} was below zero for image {IMAGE}; relu's slope would be 0 there,"
        f" {act}'s is {number(slope)}, so the unit goes on learning from this image."
    )


def _alpha(walk: Walk) -> tuple[Written, ...]:
    """galpha written out: a sum over everything below zero."""
    learns = RULES[walk.act].learns
    if walk.block.alpha is None or not learns:
        return ()
    q, ga, saved = walk.array("q"), walk.array("ga"), walk.backward["act_saved"]
    terms: list[list[Factor]] = []
    for i, j in np.argwhere(q <= 0).tolist():
        alone = np.zeros_like(q)
        alone[i, j] = 1.0
        share = ACTIVATIONS[walk.act].op.backward(alone, saved, (False, True))[1]
        assert share is not None
        symbols, numbers = filled(learns, {"x": f"q[{i},{j}]"}, {"x": float(q[i, j])})
        terms.append([(f"ga[{i},{j}]", float(ga[i, j])), (symbols, float(share), numbers)])
    return (written("galpha", (), terms),)


def _first(walk: Walk) -> Step:
    code = walk.backward.run("gw1, gb1 = ")
    images = range(len(walk.block.u))
    terms = [[walk.factor("gq", n, UNIT), walk.factor("z", n, CHANNEL)] for n in images]
    return Step(
        PART,
        "The first layer's weights",
        ("q = W1 z + b1", "gw1[j,c] = Σ_n gq[n,j]·z[n,c]", "gb1[j] = Σ_n gq[n,j]"),
        "As in the second layer. An image for which gq is 0 leaves no trace in the unit's weights; if it is 0 for all"
        " images, its row of gw1 is 0, and the unit does not move by itself.",
        code,
        walk.computed("gw1", "gb1"),
        (written("gw1", W1, terms),),
        questions=(Question("The shape of gw1?", walk.array("gw1").shape, "that of w1: (d, c)"),),
    )


def _squeeze(walk: Walk) -> Step:
    code = walk.backward.run("gz = ")
    terms = [[walk.factor("gq", IMAGE, j), walk.factor("w1", j, CHANNEL)] for j in range(len(walk.block.b1))]
    return Step(
        PART,
        "Back to the means",
        ("gz = W1ᵀ gq", "gz[n,c] = Σ_j gq[n,j]·w1[j,c]"),
        "What every channel's mean did to the loss, by way of all the gates.",
        code,
        walk.computed("gz"),
        (written("gz", Z, terms),),
        questions=(Question("The shape of gz?", walk.array("gz").shape, "that of z: (n, c)"),),
    )


def _direct(walk: Walk) -> Step:
    code = walk.backward.run("direct = ")
    product = written("direct", PIXEL, [[walk.factor("gy", *PIXEL), walk.factor("s", *Z)]])
    return Step(
        PART,
        "First path: direct",
        ("y = s·u", "direct = gy·s"),
        "As if the gate were a constant: each pixel's gradient is scaled as the pixel was.",
        code,
        walk.computed("direct"),
        (product,),
        questions=(
            Question(
                f"{product.name}, where gy is {number(walk.factor('gy', *PIXEL)[1])}"
                f" and s is {number(walk.factor('s', *Z)[1])}?",
                product.result,
                "gy·s",
            ),
        ),
    )


def _through(walk: Walk) -> Step:
    code = walk.backward.run("through_gate = ")
    h, w = walk.block.u.shape[2:]
    share = written("through_gate", PIXEL, [[walk.factor("gz", *Z)]], ("(h·w)", h * w))
    return Step(
        PART,
        "Second path: through the gate",
        ("z[n,c] = Σ_ij u[n,c,i,j] / (h·w)", "through_gate[n,c,i,j] = gz[n,c] / (h·w)"),
        "z is a mean, so every pixel of the map has the same share in it, 1 / (h·w). The line leaves axes of size 1;"
        " adding the direct path spreads it over the map.",
        code,
        (_spread(walk),),
        (Written("through_gate", (*Z, 0, 0), share.symbols, share.numbers, share.result),),
        mistakes=(
            walk.mistake(
                "the 1 / (h·w) is forgotten", "through_gate = gz[:, :, None, None]", "through_gate", PIXEL
            ),
        ),
        questions=(
            Question("By what is gz divided?", float(h * w), f"by the pixels of a map, {h}·{w}"),
            Question(
                "The shape of through_gate, before it is spread?",
                (*walk.array("gz").shape, 1, 1),
                "(n, c, 1, 1)",
            ),
        ),
    )


def _spread(walk: Walk) -> Value:
    """through_gate is (n, c, 1, 1); the tape's is spread over the map, and the same in each pixel."""
    tape = walk.tape["through_gate"][:, :, :1, :1]
    return Value("through_gate", walk.array("through_gate"), ("n", "c", "h", "w"), tape)


def _both(walk: Walk) -> Step:
    code = walk.backward.run("gu = ")
    gate = walk.factor("through_gate", *PIXEL)
    total = written("gu", PIXEL, [[walk.factor("direct", *PIXEL)], [gate]])
    return Step(
        PART,
        "Both paths meet: a sum",
        ("gu = gy·s + gz / (h·w)",),
        "u reached y on two paths, and its gradient is the sum of what comes back on both. To forget one is the"
        " classic mistake: all shapes are right without it, the loss goes down, and only a second way to the"
        " gradient tells.",
        code,
        walk.computed("gu"),
        (total,),
        mistakes=(
            walk.mistake("the second path is missing", "gu = direct", "gu", PIXEL),
            walk.mistake("a gate's 1 / (h·w) is missing", "gu = direct + gz[:, :, None, None]", "gu", PIXEL),
        ),
        questions=(
            Question(
                f"{total.name}, where direct is {number(walk.factor('direct', *PIXEL)[1])}"
                f" and through_gate is {number(gate[1])}?",
                total.result,
                "the sum of both paths",
            ),
        ),
    )
