"""`explain tape`: a small expression with a fork, recorded, and walked back node by node."""

from __future__ import annotations

from typing import Any

import numpy as np

import minise.tape as tape_module
from minise.backend import Array
from minise.errors import MiniseError
from minise.ops import OPS
from minise.tape import Call, Node, Tensor
from minise.teach.explain.arithmetic import number
from minise.teach.explain.evidence import small_steps
from minise.teach.explain.lesson import Cell, Code, Lesson, Mistake, Question, Step, Table, Value, Written
from minise.teach.explain.source import Lines, body
from minise.teach.explain.tape_program import (
    PROGRAM,
    Recorded,
    W,
    X,
    run_program,
    saved_words,
    used_by,
    watched,
)

RULES = {
    "y": ("to c: dy/dy", "to x: dy/dy"),
    "c": ("to a: dy/dc·b", "to b: dy/dc·a"),
    "b": ("to a: dy/db·(1 - b²)",),
    "a": ("to x: dy/da·w", "to w: dy/da·x"),
}
HAPPENING = {
    "y": "An addition hands its gradient to both inputs, the same array twice: that is why nobody may change a"
    " gradient in place. x is a leaf and keeps its part; more may come.",
    "c": "A product hands each factor the other. For a this is the first of two gradients: it is put aside, and a"
    " has to wait. b has all that it waits for.",
    "b": "The second gradient for a arrives and is added to the first. Now a is ready.",
    "a": "a runs once, with the sum of both. x is a leaf that has a part already: this one is added.",
}


def explain_tape() -> Lesson:
    """Two leaves, four nodes; every number is a single one, so that only the order matters."""
    made, calls = run_program(), watched()
    steps = [_leaves(made), *(_record(made, name) for name in PROGRAM), _nodes(made)]
    walk = Lines(tape_module.backward, y=made.tensors["y"], gy=np.asarray(1.0))
    steps.append(_consumers(made, walk))
    steps += [_node(made, walk, call) for call in calls]
    return Lesson(
        "tape",
        "The tape: what is recorded, and how it is walked back",
        "A tensor is an array that knows which node made it; a node knows its op's inputs, what the forward"
        " saved, and the backward that belongs to it. That graph is the tape. Here it is for y = a·tanh(a) + x"
        " with a = x·w.",
        (*steps, _result(made), _used_up(made)),
        (
            "Forward: apply the op, and if a gradient can flow, remember (inputs, saved, backward).",
            "Backward: a node runs once all who used its result have run; what comes from them is summed.",
            "The whole of it: minise/tape.py, and `minise.tape.watch` to look on.",
        ),
    )


def _leaves(made: Recorded) -> Step:
    return Step(
        "the program",
        "Two leaves and four lines",
        tuple(f"{name} = {line}" for name, line in PROGRAM.items()),
        "x and w are made by hand with requires_grad=True: leaves, which keep a gradient. Everything else is a"
        " result.",
        values=tuple(Value(name, made.tensors[name].data) for name in ("x", "w")),
    )


def _record(made: Recorded, name: str) -> Step:
    node = made.tensors[name].node
    assert node is not None
    forward = OPS[node.name].forward
    y, _ = forward(*(np.asarray(x.data) for x in node.inputs))
    remember = Lines(tape_module._record).show("return Tensor(y, node")
    numbers = made.in_numbers(name)
    return Step(
        "forward",
        f"Record {name}: the op {node.name}",
        (f"{name} = {PROGRAM[name]}",),
        f"The op runs on the arrays. A gradient can flow to its inputs, so the result gets a node: it keeps"
        f" {made.inputs(node)} and saves {saved_words(node.saved)}.",
        (body(forward), remember),
        (Value(name, np.asarray(y), (), made.tensors[name].data),),
        (Written(name, (), PROGRAM[name], numbers, float(y)),),
        questions=(Question(f"{name} = {numbers} = ?", float(y), "run the line"),)
        if node.name != "tanh"
        else (),
    )


def _nodes(made: Recorded) -> Step:
    rows: list[tuple[Cell, ...]] = []
    for name in PROGRAM:
        node = made.tensors[name].node
        assert node is not None
        rows.append((name, node.name, made.inputs(node), saved_words(node.saved), made.number(name)))
    return Step(
        "the tape",
        "What is recorded",
        ("leaf ← node ← node ← … ← y",),
        "There is no list of nodes: each is reached from the tensor that it made. () is the shape of a single"
        " number, which is all that an addition has to know. Forget y and the whole tape is gone.",
        (body(Node.__init__),),
        tables=(
            Table(
                "in the order in which they were recorded",
                ("result", "op", "inputs", "saved", "value"),
                tuple(rows),
            ),
        ),
    )


def _consumers(made: Recorded, walk: Lines) -> Step:
    code = walk.run("waiting = ", "gradients: dict", "ready = ")
    waiting = {made.names[node]: count for node, count in walk["waiting"].items()}
    rows = tuple((name, waiting.get(name, 0), used_by(name)) for name in PROGRAM)
    return Step(
        "backward",
        "Count first: for how many gradients does each node wait?",
        ("waiting[node] = how many nodes below y used its result",),
        "a was used twice, so two gradients will arrive for it, and its own backward must not run on the first:"
        " it would pass on half of the truth. That count is all the planning there is; the loop is the whole"
        " backward.",
        (*code, walk.show("while ready:")),
        tables=(Table("", ("node of", "waits for", "used by"), rows),),
        questions=(
            Question("How many gradients does the node of a wait for?", float(waiting["a"]), "b and c use a"),
            Question("And that of b?", float(waiting["b"]), "only c uses b"),
        ),
    )


def _node(made: Recorded, walk: Lines, call: Call) -> Step:
    """One turn of the loop, line by line; call: what the tape did at this point in another run."""
    code = list(walk.run("node = ready.pop"))
    node: Node = walk["node"]
    gy, parents, names = walk["gradients"].pop(node), node.parents(), made.names
    name = names[node]
    results = tape_module._run(node, gy)
    rows: list[tuple[Any, ...]] = []
    values = [Value(f"dy/d{name}", gy, (), call.inputs[0])]
    for x, gx, theirs in zip(parents, results, call.results, strict=True):
        walk.scope |= {"x": x, "gx": gx}
        label = made.name_of(x)
        code += _pass_on(walk, x)
        rows.append((label, float(gx), *_after(walk, x)))
        values.append(Value(f"to {label}", gx, (), theirs))
    return Step(
        "backward",
        f"The node of {name}: {PROGRAM[name]}",
        (f"dy/d{name} = {number(float(gy))}", *RULES[name]),
        HAPPENING[name],
        (body(OPS[call.op].backward), *dict.fromkeys(code)),
        tuple(values),
        tables=(
            Table("what it passes on", ("to", "gradient", "sum by now", "still waits for"), tuple(rows)),
        ),
        questions=_question(name, float(gy), rows),
    )


def _pass_on(walk: Lines, x: Tensor) -> tuple[Code, ...]:
    """The lines of the loop's body that run for one parent."""
    if x.node is None:
        return walk.run("_accumulate(x, gx)")
    code = walk.run("gradients[x.node] = ", "waiting[x.node] -= ")
    return code if walk["waiting"][x.node] else (*code, *walk.run("ready.append("))


def _after(walk: Lines, x: Tensor) -> tuple[float, str]:
    """The sum that has come together for x, and what is still to come."""
    if x.node is None:
        assert x.grad is not None
        return float(x.grad), "a leaf: kept in grad"
    waits = walk["waiting"][x.node]
    return float(walk["gradients"][x.node]), f"{waits} more" if waits else "nothing: it is ready"


def _question(name: str, gy: float, rows: list[tuple[Any, ...]]) -> tuple[Question, ...]:
    label, gx, total, _ = rows[0]
    if name == "y":
        return (
            Question("What does an addition pass on to each input, if it gets 1?", 1.0, "its slopes are 1"),
        )
    if name == "b":
        return (
            Question(f"To a: {number(gx)}, and it has {number(total - gx)}. The sum?", total, "add them"),
        )
    return (
        Question(f"dy/d{name} is {number(gy)}. What goes to {label}? ({RULES[name][0]})", gx, RULES[name][0]),
    )


def _result(made: Recorded) -> Step:
    arrays = [np.asarray(X), np.asarray(W)]

    def program(x: Array, w: Array) -> Array:
        return np.asarray(x * w * np.tanh(x * w) + x)

    steps = small_steps(program, arrays, np.asarray(1.0))
    again = run_program()
    again.tensors["y"].backward()
    a, b = made.number("a"), made.number("b")
    da = b + a * (1 - b * b)
    values = [
        Value(f"dy/d{name}", np.asarray(ours), (), np.asarray(theirs), step)
        for name, ours, theirs, step in zip("xw", made.gradients(), again.gradients(), steps, strict=True)
    ]
    slope = f"({number(b)} + {number(a)}·(1 - {number(b)}·{number(b)}))"
    return Step(
        "the result",
        "The leaves' gradients",
        ("dy/dx = 1 + (b + a·(1 - b²))·w", "dy/dw = (b + a·(1 - b²))·x"),
        "By hand, with the chain rule over all paths: x reaches y directly, and by a on two paths.",
        values=tuple(values),
        written=(
            Written("dy/dx", (), "1 + (b + a·(1 - b·b))·w", f"1 + {slope}·{number(W)}", 1 + da * W),
            Written("dy/dw", (), "(b + a·(1 - b·b))·x", f"{slope}·{number(X)}", da * X),
        ),
        mistakes=(
            Mistake(
                "a runs on the first gradient, and the second comes too late",
                "ready.append(x.node)  # without a look at waiting",
                "dy/dw",
                (),
                b * X,
                da * X,
            ),
        ),
    )


def _used_up(made: Recorded) -> Step:
    said = ""
    try:
        made.tensors["y"].backward()
    except MiniseError as error:
        said = str(error)
    return Step(
        "the result",
        "Used once, then gone",
        ("y.backward() twice is an error",),
        "A node lets go of its inputs and of what it saved as soon as it has run, so the memory of a training"
        f" step shrinks while the backward runs. A second walk says: {said}.",
        (Lines(tape_module._run).show("inputs, node.inputs, node.saved"),),
    )
