"""What the steps of the SE lesson share: the lines of both passes, and what they are compared with."""

from __future__ import annotations

from typing import Any

from minise.backend import Array
from minise.ops.se import se_backward, se_forward
from minise.teach.explain.arithmetic import Factor
from minise.teach.explain.lesson import Mistake, Value
from minise.teach.explain.se_input import Block
from minise.teach.explain.source import RETURNED, Lines

AXES = {
    **dict.fromkeys(("u", "y", "gy", "gu", "direct", "through_gate"), ("n", "c", "h", "w")),
    **dict.fromkeys(("z", "v", "s", "gz", "gv", "gs"), ("n", "c")),
    **dict.fromkeys(("q", "a", "gq", "ga"), ("n", "d")),
    **dict.fromkeys(("w1", "gw1"), ("d", "c")),
    **dict.fromkeys(("w2", "gw2"), ("c", "d")),
    **dict.fromkeys(("b1", "gb1"), ("d",)),
    **dict.fromkeys(("b2", "gb2"), ("c",)),
}
STOPS = ("a", "gq", "gw1", "gb1")
"""Where a silent unit shows as 0."""
IMAGE, CHANNEL, UNIT = 0, 1, 1
"""The image, channel and hidden unit whose numbers are written out."""
Z, Q, PIXEL = (IMAGE, CHANNEL), (IMAGE, UNIT), (IMAGE, CHANNEL, 0, 0)


class Walk:
    """`forward` and `backward` run the lines of minise/ops/se.py; tape and steps: what else says, by name."""

    def __init__(self, block: Block, act: str, tape: dict[str, Array], steps: dict[str, Array]) -> None:
        self.block, self.act, self.tape, self.steps = block, act, tape, steps
        self.forward = Lines(
            se_forward,
            **{name: getattr(block, name) for name in ("u", "w1", "b1", "w2", "b2", "alpha")},
            act=act,
        )
        self.forward.run("act_inputs = ")
        self._needs = (True,) * len(block.inputs)
        self._backward: Lines | None = None

    @property
    def backward(self) -> Lines:
        """The lines of the backward, once those of the forward are run."""
        if self._backward is None:
            saved = self.forward[RETURNED][1]
            self._backward = Lines(se_backward, gy=self.block.gy, saved=saved, needs=self._needs)
            self._backward.run("u, z, w1", "h, w = ")
        return self._backward

    def given(self, *names: str) -> tuple[Value, ...]:
        """Arrays that nothing computes here."""
        return tuple(Value(name, self.array(name), AXES.get(name, ())) for name in names)

    def computed(self, *names: str) -> tuple[Value, ...]:
        """Arrays that the lines computed, and what else says so."""
        return tuple(
            Value(
                name,
                self.array(name),
                AXES.get(name, ()),
                self.tape.get(name),
                self.steps.get(name),
                name in STOPS,
            )
            for name in names
        )

    def array(self, name: str) -> Array:
        """An array by its name in either pass; y is what the forward returns."""
        if name == "y":
            return self.forward[RETURNED][0]
        if name.startswith("g") or name in ("direct", "through_gate"):
            found = self.backward[name]
            return found[0] if name == "galpha" else found  # `gq, *galpha = …` makes a list of it
        return self.forward[name]

    def factor(self, name: str, *at: int) -> Factor:
        """An element with its name, to be written out."""
        return f"{name}[{','.join(map(str, at))}]", float(self.array(name)[at])

    def mistake(self, words: str, line: str, of: str, at: tuple[int, ...]) -> Mistake:
        """What one element would be, had `line` stood in the backward; run before the right line goes on."""
        wrong: Any = self.backward.instead(line, of)
        return Mistake(words, line, of, at, float(wrong[at]), float(self.array(of)[at]))
