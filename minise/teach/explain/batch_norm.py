"""`explain batchnorm`: the forward, the three terms of gx, and why a sum for a loss hides mistakes in them."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.ops.batch_norm import batch_norm, batch_norm_forward, update_running
from minise.ops.reduce import mean as mean_
from minise.tape import Tensor, no_grad
from minise.teach.explain.arithmetic import number, written
from minise.teach.explain.batch_norm_backward import backward_steps
from minise.teach.explain.batch_norm_input import AT, EPS, MOMENTUM, SEED, C, Case, M, draw_case, factor
from minise.teach.explain.evidence import gradients
from minise.teach.explain.lesson import Lesson, Question, Step, Value
from minise.teach.explain.source import RETURNED, Lines


def explain_batch_norm(*, seed: int = SEED) -> Lesson:
    """Four images, two channels, one value each, so that every sum has four terms."""
    case = draw_case(seed)
    running = np.zeros(C), np.ones(C)
    forward = Lines(
        batch_norm_forward,
        **{"x": case.x, "w": case.w, "b": case.b, "train": True, "eps": EPS, "momentum": MOMENTUM},
        running=running,
    )
    forward.run("m = check", "axes = ")
    tape, tape_gradients = _composed(case)
    steps = [_setting(case), _mean(case, forward, tape), _variance(forward, tape), _normal(forward, tape)]
    steps += [_output(case, forward, tape), _running(case, forward), _evaluation(case, forward)]
    steps += backward_steps(case, forward, tape_gradients)
    return Lesson(
        "batchnorm",
        "Batch normalisation, forward and backward",
        "Every channel is brought to mean 0 and deviation 1 over the batch, then scaled and shifted. Each value has a"
        " part in the batch's mean and variance, and so in every output of its channel: that is where the two extra"
        " terms of the gradient come from.",
        tuple(steps),
        (
            "gx has three terms: directly, by the mean, by the variance.",
            "What they leave has no mean and no part along x̂: batch norm passes no gradient that would only shift or"
            " scale the batch.",
            "Test with a random gy, never with y.sum(): minise gradcheck does.",
        ),
    )


def _composed(case: Case) -> tuple[dict[str, Array], list[Array]]:
    """Batch norm from single ops: what the tape sees forward, by name, and the gradients of x, w and b."""
    kept: dict[str, Array] = {}

    def composed(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        mean = mean_(x, axis=0)
        centred = x - mean
        var = mean_(centred * centred, axis=0)
        inv = (var + EPS) ** -0.5
        x_hat = centred * inv
        y = w * x_hat + b
        named = {"mean": mean, "centred": centred, "var": var, "inv": inv, "x_hat": x_hat, "y": y}
        kept.update({name: tensor.data for name, tensor in named.items()})
        return y

    tensors = [Tensor(x, requires_grad=True) for x in case.inputs]
    composed(*tensors).backward(case.gy)
    return kept, gradients(tensors)


def _setting(case: Case) -> Step:
    return Step(
        "the batch",
        "What goes in",
        ("y = w·x̂ + b, x̂ = (x - μ) / √(σ² + eps)",),
        f"The red and the green of one pixel in {M} shapes10 pictures. For maps (n, c, h, w) nothing changes but that"
        " the sums run over n, h and w: m = n·h·w values a channel. Here m = 4.",
        values=(Value("x", case.x, ("n", "c")), Value("w", case.w, ("c",)), Value("b", case.b, ("c",))),
    )


def _mean(case: Case, lines: Lines, tape: dict[str, Array]) -> Step:
    code = lines.run("mean = x.mean")
    mean = written("mean", (1,), [[factor("x", case.x, n, 1)] for n in range(M)], ("m", M))
    return Step(
        "forward",
        "The mean of every channel",
        ("μ[c] = Σ_n x[n,c] / m",),
        "Over the batch and the pixels, channel by channel.",
        code,
        (Value("mean", lines["mean"], ("c",), tape["mean"]),),
        (mean,),
        questions=(
            Question("The shape of the mean?", lines["mean"].shape, "one for each channel"),
            Question(f"mean[1] = {mean.numbers} = ?", mean.result, "sum and divide by m"),
        ),
    )


def _variance(lines: Lines, tape: dict[str, Array]) -> Step:
    code = lines.run("centred = ", "var = ")
    centred = [factor("centred", lines["centred"], n, 1) for n in range(M)]
    return Step(
        "forward",
        "Its variance",
        ("σ²[c] = Σ_n (x[n,c] - μ[c])² / m",),
        "Divided by m, not by m - 1: what is normalised is this batch, and no estimate of anything else.",
        code,
        (
            Value("centred", lines["centred"], ("n", "c"), tape["centred"]),
            Value("var", lines["var"], ("c",), tape["var"]),
        ),
        (written("var", (1,), [[x, x] for x in centred], ("m", M)),),
    )


def _normal(lines: Lines, tape: dict[str, Array]) -> Step:
    code = lines.run("inv = ", "x_hat = ")
    return Step(
        "forward",
        "Normalised",
        ("x̂ = (x - μ) / √(σ² + eps)",),
        f"eps = {EPS:g} keeps a flat channel from a division by 0. The mean of x̂ is 0, its mean square 1 (less eps).",
        code,
        (
            Value("inv", lines["inv"], ("c",), tape["inv"]),
            Value("x_hat", lines["x_hat"], ("n", "c"), tape["x_hat"]),
        ),
        (written("x_hat", AT, [[factor("centred", lines["centred"], *AT), factor("inv", lines["inv"], 1)]]),),
        questions=(Question("The sum of x_hat over a channel?", 0.0, "its mean is 0"),),
    )


def _output(case: Case, lines: Lines, tape: dict[str, Array]) -> Step:
    code = lines.run("return ")
    terms = [[factor("w", case.w, 1), factor("x_hat", lines["x_hat"], *AT)], [factor("b", case.b, 1)]]
    return Step(
        "forward",
        "Scaled and shifted by what is learnt",
        ("y = w·x̂ + b",),
        "w and b may give back any mean and deviation: they are learnt, and no longer depend on all layers before.",
        code,
        (Value("y", lines[RETURNED][0], ("n", "c"), tape["y"]),),
        (written("y", AT, terms),),
    )


def _running(case: Case, forward: Lines) -> Step:
    code = forward.show("update_running(")
    old = [np.array(x) for x in forward["running"]]
    forward.run("update_running(")
    lines = Lines(update_running, running=(), mean=forward["mean"], var=forward["var"], momentum=MOMENTUM)
    lines.scope |= {"old": old[0][1], "new": forward["mean"][1]}
    inner = lines.run("old += ")
    new_mean, new_var = (np.array(x) for x in forward["running"])
    tape_mean, tape_var = (np.array(x) for x in old)
    batch_norm(*case.inputs, running=(tape_mean, tape_var), momentum=MOMENTUM)
    return Step(
        "running statistics",
        "What is remembered of the batch",
        ("running += momentum·(batch - running)", "with σ²·m / (m - 1), the unbiased variance"),
        f"In place, by momentum = {MOMENTUM}. The one side effect of any op here. The variance that is kept is an"
        f" estimate for all images, so it is the unbiased one: m / (m - 1) = {number(M / (M - 1))} times as large.",
        (code, *inner),
        (
            Value("running mean", new_mean, ("c",), tape_mean),
            Value("running var", new_var, ("c",), tape_var),
        ),
        (
            written(
                "running mean",
                (1,),
                [
                    [("old[1]", old[0][1])],
                    [("momentum", MOMENTUM), ("(mean[1] - old[1])", float(forward["mean"][1] - old[0][1]))],
                ],
            ),
        ),
    )


def _evaluation(case: Case, forward: Lines) -> Step:
    lines = Lines(
        batch_norm_forward,
        **{"x": case.x, "w": case.w, "b": case.b, "train": False, "eps": EPS, "momentum": MOMENTUM},
        running=forward["running"],
    )
    lines.run("m = check", "axes = ")
    code = lines.run("mean, var = ", "centred = ", "inv = ", "x_hat = ", "return ")
    with no_grad():
        y = batch_norm(*case.inputs, running=forward["running"], train=False).data
    return Step(
        "running statistics",
        "Outside training",
        ("y = w·(x - running mean) / √(running var + eps) + b",),
        "Now μ and σ² are constants, so an image's output no longer depends on its neighbours in the batch, y is"
        " a line in x, and gx = gy·w / √(running var + eps): one term, not three. After one batch the running"
        " numbers are far from the batch's; they need some dozens.",
        code,
        (Value("y, train=False", lines[RETURNED][0], ("n", "c"), y),),
    )
