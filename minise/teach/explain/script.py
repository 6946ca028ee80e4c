"""Lesson files at work: `lessons/TOPIC.toml` says what a lesson shows, the lines of minise's source compute it.

A file has a title, words, an ending, `axes` (of arrays, by name), `stops` (arrays in which a 0 stops a gradient) and

    [lines.forward]  a function whose lines run, `of` = "module:name". Its arguments are found by name, or in `with`;
                     `first` runs unseen at the start; `returns` are the names that its `return` sets
    [[step]]         title, formula, words, part (left out: that of the step before), and what helps:
      each           "i in range(4)": make the step once for every i
      let            names that lines and expressions see from here on, set before anything runs
      run, read      {forward = ["z = "]}: statements by how they start; run and shown, or only shown
      source         functions that are shown whole; code stands in the order of run, read and source in the file
      show           arrays: an expression that is its own name, or {name, value}
      write          elements written out: "z[0,1] = (Σ_ij u[0,1,i,j]) / (h·w)", see arithmetic.py
      table          {title, columns, rows, note, stops};  plot: {title, x, curves, words};  chain: the four neurons
      mistake        {words, line, of}: what the element `of` would be, had `line` run in place of the right one
      question       {ask, answer, hint, when}

rows, x, curves, value, answer, when, chain and what `with` and `let` give are Python expressions. They see the names
of the topic's module, then those that the lines have set; `numbers` has what is written out, in numbers, by element.
In text, {expression} is filled in. An array may stand for a text: its items are joined, and of an item
["if CONDITION", text, "elif CONDITION", text, "else", text] only the first text that holds is taken.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any

import numpy as np

from minise.teach.explain.arithmetic import counted, number, written
from minise.teach.explain.lesson import (
    Code,
    Graph,
    Lesson,
    Question,
    Step,
    Table,
    Value,
    WrongLine,
    difference,
    place,
)
from minise.teach.explain.rules import at
from minise.teach.explain.source import Lines, body, instead

Text = str | list[Any]
FIELD = re.compile(r"\{([^{}]+)\}")
TOOLS: dict[str, Any] = {"at": at, "counted": counted, "difference": difference, "np": np, "number": number}
"""What expressions see besides the names of their topic."""


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Script:
    """The text of a lesson file and its scope: what `prepare` returns for the options, and its module's names.

    Of these, `tape` and `steps` are the values that the tape and small steps find, by an array's name.
    """

    def __init__(self, topic: str, text: str, prepare: Callable[..., dict[str, Any]], **options: Any) -> None:
        self.topic, self.part = topic, ""
        self.numbers: dict[str, str] = {}
        self.given = TOOLS | prepare.__globals__ | prepare(**options) | {"numbers": self.numbers}
        self.lines = {name: value for name, value in self.given.items() if isinstance(value, Lines)}
        self.file = tomllib.loads(text)

    def lesson(self) -> Lesson:
        """Run it. What is wrong in the file raises whatever Python says of it, with a note on where."""
        return self._lesson(**self.file)

    def _lesson(
        self,
        *,
        title: Text,
        words: Text,
        ending: Sequence[Text],
        step: Sequence[dict[str, Any]],
        lines: Mapping[str, dict[str, Any]] = NOTHING,
        axes: Mapping[str, Sequence[str]] = NOTHING,
        stops: Sequence[str] = (),
    ) -> Lesson:
        self.sources, self.stops = lines, stops
        self.axes = {name: tuple(of.split()) for of, names in axes.items() for name in names}
        steps = tuple(made for table in step for made in self._steps(**table))
        last = tuple(map(self.text, self._chosen(ending)))
        return Lesson(self.topic, self.text(title), self.text(words), steps, last)

    def _steps(self, *, title: Text, each: str = "", **table: Any) -> Iterator[Step]:
        name, _, values = each.partition(" in ")
        try:
            for value in self.value(values) if each else (None,):
                if each:
                    self._let(name, value)
                yield self._step(title, **table)
        except Exception as error:
            error.add_note(f"in the lesson {self.topic}, step {title!r}")
            raise

    def _step(
        self,
        title: Text,
        *,
        formula: Text,
        words: Text,
        part: str = "",
        let: Mapping[str, str] = NOTHING,
        show: Sequence[Any] = (),
        write: Sequence[Text] = (),
        table: Sequence[dict[str, Any]] = (),
        plot: Sequence[dict[str, Any]] = (),
        chain: str = "None",
        mistake: Sequence[dict[str, str]] = (),
        question: Sequence[dict[str, str]] = (),
        **code: Any,
    ) -> Step:
        self.part = part or self.part
        for name, expression in let.items():
            self._let(name, self.value(expression))
        lines = tuple(self._code(code))
        sums = [written(self._filled(item), self.scope) for item in self._chosen(write)]
        self.numbers.update({one.name: one.numbers for one in sums})
        return Step(
            self.part,
            self.text(title),
            tuple("\n".join(map(self._filled, self._chosen(_items(formula)))).strip("\n").splitlines()),
            self.text(words),
            lines,
            tuple(self._shown(item) for item in self._chosen(show)),
            tuple(sums),
            tuple(self._table(**made) for made in table),
            tuple(self._plot(**made) for made in plot),
            self.value(chain),
            tuple(self._mistake(**made) for made in mistake),
            tuple(found for made in question for found in self._question(**made)),
        )

    @property
    def scope(self) -> dict[str, Any]:
        """All names by now: first the topic's, then those of the lines, of which the last to start come first."""
        outside: dict[str, Any] = {}
        inside: dict[str, Any] = {}
        for lines in self.lines.values():
            outside |= lines.outside
            inside |= lines.names
        return outside | inside | self.given

    def value(self, expression: str) -> Any:
        """What an expression of the file comes to."""
        return eval(expression, self.scope)

    def text(self, text: Text) -> str:
        """A text as it is read: its items chosen, its fields filled, its lines joined."""
        return " ".join(self._filled(" ".join(item.split())) for item in self._chosen(_items(text)))

    def _filled(self, text: str) -> str:
        def shown(found: re.Match[str]) -> str:
            value = self.value(found[1])
            return number(float(value)) if isinstance(value, float | np.ndarray) else str(value)

        return FIELD.sub(shown, text)

    def _chosen(self, items: Sequence[Any]) -> Iterator[Any]:
        for item in items:
            if not isinstance(item, list):
                yield item
                continue
            for test, then in zip(item[::2], item[1::2], strict=True):
                if test == "else" or self.value(test.removeprefix("el").removeprefix("if ")):
                    yield then
                    break

    def _let(self, name: str, value: Any) -> None:
        for scope in (self.given, *(lines.scope for lines in self.lines.values())):
            scope[name] = value

    def _code(self, keys: dict[str, Any]) -> Iterator[Code]:
        for key, found in keys.items():
            if key == "source":
                for value in map(self.value, found):
                    yield from (body(value),) if callable(value) else value
            elif key in ("run", "read"):
                for name, starts in found.items():
                    if name not in self.lines:
                        self.lines[name] = self._lines(**self.sources[name])
                    lines = self.lines[name]
                    yield from (lines.run if key == "run" else lines.show)(*starts)
            else:
                raise TypeError(f"unexpected key {key!r}")

    def _lines(self, *, of: str, returns: str = "returned", first: Sequence[str] = (), **more: Any) -> Lines:
        function, scope = resolve_name(of), self.scope
        parameters = inspect.signature(function).parameters.values()
        names = {parameter.name: scope.get(parameter.name, parameter.default) for parameter in parameters}
        names |= {name: self.value(expression) for name, expression in more.pop("with", {}).items()}
        if more:
            raise TypeError(f"unexpected keys {', '.join(more)}")
        lines = Lines(function, returns, **names)
        lines.run(*first)
        return lines

    def _shown(self, item: str | dict[str, str]) -> Value:
        name, value = (item, item) if isinstance(item, str) else (self._filled(item["name"]), item["value"])
        array, axes = np.asarray(self.value(value)), self.axes.get(name, ())
        others = (self.given[who].get(name) for who in ("tape", "steps"))
        tape, steps = (found if found is None else np.asarray(found) for found in others)
        return Value(name, array, axes, tape, steps, name in self.stops)

    def _table(
        self, *, columns: list[str], rows: str, title: Text = "", note: Text = "", stops: bool = False
    ) -> Table:
        names, made = tuple(map(self._filled, columns)), tuple(map(tuple, self.value(rows)))
        return Table(self.text(title), names, made, self.text(note), stops)

    def _plot(self, *, title: Text, x: str, curves: str, words: Text) -> Graph:
        return Graph(self.text(title), self.value(x), self.value(curves), self.text(words))

    def _mistake(self, *, words: Text, line: str, of: str, wrong: str = "", right: str = "") -> WrongLine:
        name, at = place(self._filled(of))
        value = self.value(wrong) if wrong else instead(line, name, self.scope)[at]
        true = self.value(right) if right else self.value(name)[at]
        if np.isclose(value, true, rtol=0, atol=1e-6):
            raise ValueError(f"the mistake {line!r} changes nothing: {of} is {true} without it, too")
        return WrongLine(self.text(words), line, name, at, float(value), float(true))

    def _question(self, *, ask: Text, answer: str, hint: Text, when: str = "True") -> Iterator[Question]:
        if self.value(when):
            found = self.value(answer)
            right = found if isinstance(found, tuple) else float(found)
            yield Question(self.text(ask), right, self.text(hint))


def _items(text: Text) -> list[Any]:
    return [text] if isinstance(text, str) else text
