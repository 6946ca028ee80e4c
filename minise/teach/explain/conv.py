"""`explain conv`: a 3 x 3 convolution of a 4 x 4 picture, one output pixel and each gradient written out."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.errors import ConfigError
from minise.ops.conv2d import _columns, conv2d, conv2d_backward, conv2d_forward, output_size, scatter_windows
from minise.tape import Tensor
from minise.teach.explain.arithmetic import counted, written
from minise.teach.explain.conv_input import KERNEL, MAP, Case, K, draw_case
from minise.teach.explain.evidence import gradients, small_steps
from minise.teach.explain.lesson import Lesson, Mistake, Question, Step, Value
from minise.teach.explain.source import RETURNED, Lines, body


def explain_conv(*, stride: int = 1, padding: int = 1, seed: int = 0) -> Lesson:
    """One image, one channel, one kernel. stride: 1 to 3, padding: 0 to 2, else ConfigError."""
    for name, found, expected in (("stride", stride, range(1, K + 1)), ("padding", padding, range(K))):
        if found not in expected:
            raise ConfigError(f"conv: found {name} {found}, expected {expected[0]} to {expected[-1]}")
    case = draw_case(stride, padding, seed)
    forward = Lines(conv2d_forward, x=case.x, w=case.w, b=case.b, stride=stride, padding=padding)
    forward.run("shape = ")
    steps = [_setting(case), _size(case), _window(case), _output(case, forward)]
    backward = Lines(conv2d_backward, gy=case.gy, saved=forward[RETURNED][1], needs=(True,) * 3)
    backward.run("x, w, stride", "n, k, ho, wo", "gy2 = ")
    tensors = [Tensor(x, requires_grad=True) for x in (case.x, case.w, case.b)]
    conv2d(*tensors, stride=stride, padding=padding).backward(case.gy)
    tape = gradients(tensors)
    steps_of = small_steps(
        lambda *inputs: conv2d_forward(*inputs, stride=stride, padding=padding)[0],
        (case.x, case.w, case.b),
        case.gy,
    )
    gx, gw, gb = zip(tape, steps_of, strict=True)
    steps += [_upstream(case), _gb(case, backward, gb), _gw(case, backward, gw), _gx(case, backward, gx)]
    return Lesson(
        "conv",
        f"Convolution of a 4 x 4 picture, stride {stride}, padding {padding}",
        "The kernel slides over the picture, and each output pixel is a sum of products of what lies under it."
        " Backward nothing new is needed: every product gave its pixel a share, and gets a share of the gradient"
        " back.",
        (*steps, _flipped(case, gx)),
        (
            "gb sums gy. gw correlates x with gy. gx correlates gy with the kernel turned by half a turn, and, where"
            " there are several channels, with its axes k and c exchanged.",
            "As a matrix product of columns (im2col): y = w2·cols, gw2 = gy·colsᵀ, gcols = w2ᵀ·gy, and gx adds every"
            " column back to the pixels it was read from.",
            "Other shapes: minise explain conv --stride 2 --padding 0",
        ),
    )


def _setting(case: Case) -> Step:
    return Step(
        "the input",
        "A picture, a kernel, a bias",
        ("y[i,j] = b + Σ_pq w[p,q]·x[i·stride + p - padding, j·stride + q - padding]",),
        "A thumbnail of a shapes10 picture, in grey and with more contrast, and a random kernel. What deep"
        " learning calls convolution is a cross-correlation: the kernel is not turned.",
        values=(Value("x", case.x, MAP), Value("w", case.w, KERNEL), Value("b", case.b, ("k",))),
    )


def _size(case: Case) -> Step:
    lines = Lines(
        output_size, op="conv2d", size=case.x.shape[2], kernel=K, stride=case.stride, padding=case.padding
    )
    code = lines.run("return ")
    ho = int(lines[RETURNED])
    return Step(
        "forward",
        "How many windows fit",
        ("ho = floor((h + 2·padding - k) / stride) + 1",),
        f"h = {case.x.shape[2]}, k = {K}: floor(({case.x.shape[2]} + 2·{case.padding} - {K}) / {case.stride}) + 1"
        f" = {ho}.",
        code,
        (
            Value(
                "ho",
                np.asarray(ho),
                (),
                np.asarray(conv2d(case.x, case.w, case.b, **case.options).shape[2]),
            ),
        ),
        questions=(
            Question(
                f"The shape of y, for stride {case.stride} and padding {case.padding}?",
                (1, 1, ho, ho),
                "(n, k, ho, wo), by the formula above",
            ),
        ),
    )


def _window(case: Case) -> Step:
    lines = Lines(_columns, x=case.x, w=case.w, **case.options)
    lines.run("_, c, kh, kw")
    code = lines.run("view = ", "return ")
    i, j = case.at
    column = lines[RETURNED][0, :, i * case.gy.shape[3] + j]
    return Step(
        "forward",
        f"The window under y[{i},{j}]",
        ("cols[n, (c,p,q), (i,j)] = x[n, c, i·stride + p - padding, j·stride + q - padding]",),
        "Every window becomes a column of 9 numbers (im2col), and the convolution one matrix product. Outside of the"
        " picture there are zeros.",
        code,
        (
            Value("cols", lines[RETURNED], ("n", "tap", "window")),
            Value("window", column.reshape(K, K), ("kh", "kw")),
        ),
        questions=(Question("The shape of cols?", lines[RETURNED].shape, "(n, c·kh·kw, ho·wo)"),),
    )


def _output(case: Case, lines: Lines) -> Step:
    code = lines.run("y = ", "return ")
    y, (i, j) = lines[RETURNED][0], case.at
    taps = [(tap, pixel) for out, tap, pixel in case.taps() if out == (i, j)]
    terms = [[case.weight(tap), case.pixel(pixel)] for tap, pixel in taps]
    missing = K * K - len(terms)
    at = (0, 0, i, j)
    return Step(
        "forward",
        "Every output pixel is a sum of products",
        ("y = w2·cols + b, w2 = w as (k, c·kh·kw)",),
        f"y[{i},{j}] has {counted(len(terms), 'product')}"
        + (f"; {missing} more would read the border of zeros." if missing else "; no tap falls outside."),
        code,
        (Value("y", y, MAP, conv2d(case.x, case.w, case.b, **case.options).data),),
        (written("y", at, [*terms, [("b[0]", float(case.b[0]))]]),),
        questions=(
            Question(
                f"How many products read the picture, and not the border, for y[{i},{j}]?",
                float(len(terms)),
                "9 taps, less those outside",
            ),
        ),
    )


def _upstream(case: Case) -> Step:
    return Step(
        "backward",
        "What comes from above",
        ("gy = dL/dy",),
        "A random number for every output pixel: L = Σ gy·y.",
        values=(Value("gy", case.gy, MAP),),
    )


def _gb(case: Case, lines: Lines, others: tuple[Array, Array]) -> Step:
    code = lines.run("gb = gy.sum")
    total = written("gb", (0,), [[case.gradient(out)] for out in np.ndindex(*case.gy.shape[2:])])
    return Step(
        "backward",
        "The bias: a sum over everything that it was added to",
        ("gb[k] = Σ_nij gy[n,k,i,j]",),
        "The bias went into every output pixel of every image with the factor 1.",
        code,
        (Value("gb", lines["gb"], ("k",), *others),),
        (total,),
        questions=(Question("The shape of gb?", lines["gb"].shape, "that of b"),),
    )


def _gw(case: Case, lines: Lines, others: tuple[Array, Array]) -> Step:
    code = lines.run("cols = ", "gw = (")
    terms = [[case.gradient(out), case.pixel(pixel)] for out, tap, pixel in case.taps() if tap == (0, 0)]
    return Step(
        "backward",
        "The kernel: x correlated with gy",
        ("gw[p,q] = Σ_ij gy[i,j]·x[i·stride + p - padding, j·stride + q - padding]", "gw2 = gy·colsᵀ"),
        "A tap met another pixel in every window; its gradient sums over all of them, and over the images. The"
        f" columns are made again: to keep them from the forward would take {lines['cols'].size} numbers, and x has"
        f" {case.x.size}.",
        code,
        (Value("gw", lines["gw"], KERNEL, *others),),
        (written("gw", (0, 0, 0, 0), terms),),
        questions=(
            Question("The shape of gw?", lines["gw"].shape, "that of w"),
            Question(
                "How many products does gw[0,0] sum?",
                float(len(terms)),
                "one for each output pixel whose window has the tap 0,0 inside the picture",
            ),
        ),
    )


def _gx(case: Case, lines: Lines, others: tuple[Array, Array]) -> Step:
    code = lines.run("gcols = ", "gx = scatter_windows(")
    pixel = (1, 1)
    terms = [[case.gradient(out), case.weight(tap)] for out, tap, x in case.taps() if x == pixel]
    return Step(
        "backward",
        "The picture: every window gives back to the pixels it read",
        ("gcols = w2ᵀ·gy", "gx[r,s] = Σ gy[i,j]·w[p,q] over all i,j,p,q with i·stride + p - padding = r, …"),
        f"Pixel x[1,1] was read by {counted(len(terms), 'window')}, each time by another tap. Look at the indices:"
        " as those of gy rise, those of w fall.",
        (*code, body(scatter_windows)),
        (Value("gx", lines["gx"], MAP, *others),),
        (written("gx", (0, 0, *pixel), terms),),
        questions=(
            Question("The shape of gx?", lines["gx"].shape, "that of x"),
            Question(
                "By how many windows was x[1,1] read?", float(len(terms)), "count the output pixels near it"
            ),
        ),
    )


def _flipped(case: Case, others: tuple[Array, Array]) -> Step:
    """gx by the forward itself: gy spread out, correlated with the flipped kernel."""
    h, ho = case.x.shape[2], case.gy.shape[2]
    spread = np.zeros((1, 1, h + K - 1, h + K - 1))
    first = K - 1 - case.padding
    rows = slice(first, first + case.stride * ho, case.stride)
    spread[:, :, rows, rows] = case.gy
    flipped = case.w[:, :, ::-1, ::-1]
    gx, wrong = (conv2d_forward(spread, kernel)[0] for kernel in (flipped, case.w))
    at = tuple(map(int, np.unravel_index(np.abs(wrong - gx).argmax(), gx.shape)))  # where it shows most
    return Step(
        "backward",
        "The same as a convolution: full, with the kernel turned",
        ("gx = conv2d(gy among zeros, w[:, :, ::-1, ::-1] with k and c exchanged)",),
        f"gy is laid into {h + K - 1} x {h + K - 1} zeros, from row and column {first} = k - 1 - padding on, in"
        f" steps of {case.stride}; the kernel is turned by half a turn, and what were its outputs are its inputs now"
        " (k and c, here 1 and 1). One call of the forward then gives all of gx: a fast forward is a fast backward"
        " too.",
        (Lines(conv2d_forward).show("y = "),),
        (
            Value("gy among zeros", spread, MAP),
            Value("w, turned", flipped, KERNEL),
            Value("conv2d(gy among zeros, w turned)", gx, MAP, *others),
        ),
        mistakes=(
            Mistake(
                "the kernel is not turned",
                "gx = conv2d_forward(gy_among_zeros, w)[0]",
                "gx",
                at,
                float(wrong[at]),
                float(gx[at]),
            ),
        ),
        questions=(
            Question(
                "Which element of w stands at 0,0 once it is turned?", float(case.w[0, 0, -1, -1]), "the last"
            ),
        ),
    )
