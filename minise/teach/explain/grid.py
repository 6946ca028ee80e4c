"""Arrays of up to four axes as rows of numbers: (n, c, h, w) is n rows of c small maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minise.backend import Array
from minise.teach.explain.arithmetic import DIGITS
from minise.teach.explain.lesson import AXES, Cell, Table, Value


@dataclass(frozen=True)
class Grid:
    """cells: (row groups, column groups, lines, numbers in a line), as text, and values: the same as numbers.

    rows, groups, columns: what stands beside a row group, above a column group and above a number, or nothing.
    """

    values: Array
    cells: tuple[tuple[tuple[tuple[str, ...], ...], ...], ...]
    rows: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def grid(array: Array, axes: tuple[str, ...] = ()) -> Grid:
    """The array laid out, all numbers with as many decimals as they need, but at most four."""
    whole = np.issubdtype(np.asarray(array).dtype, np.integer)
    array = np.asarray(array, float)
    digits = 0 if whole else _digits(array)
    shape = array.shape
    laid = {
        0: (1, 1, 1, 1),
        1: (1, 1, 1, *shape),
        2: (*shape[:1], 1, 1, *shape[1:]),
        3: (*shape[:1], 1, *shape[1:]),
        4: shape,
    }[array.ndim]
    values = array.reshape(laid)
    cells = tuple(
        tuple(tuple(tuple(cell(x, digits) for x in line) for line in group) for group in row)
        for row in values.tolist()
    )
    if array.ndim == 4 and shape[:2] == (1, 1):
        axes = ()  # one map: its number says nothing
    names = [[f"{AXES.get(axis, axis)} {i}" for i in range(n)] for axis, n in zip(axes, shape, strict=False)]
    rows = tuple(names[0]) if names and array.ndim >= 2 else ()
    groups = tuple(names[1]) if names and array.ndim == 4 else ()
    columns = tuple(names[-1]) if names and array.ndim in (1, 2) else ()
    return Grid(values, cells, rows, groups, columns)


def dimensions(value: Value) -> str:
    """ "(n, c) = (3, 4)"."""
    axes = f"({', '.join(value.axes)}{',' * (len(value.axes) == 1)}) = " if value.axes else ""
    return f"{axes}{value.array.shape}"


def cell(x: float, digits: int = DIGITS) -> str:
    """A number with `digits` decimals, or as 2e-11 where they are all 0; 0 alone is exact, and nothing is -0."""
    if x == 0:
        return "0"
    text = f"{x:.{digits}f}"
    return text if text.strip("-0.") else f"{x:.0e}"


def _digits(array: Array) -> int:
    exact = (d for d in range(DIGITS) if np.allclose(array, np.round(array, d), rtol=0, atol=1e-12))
    return max(1, next(exact, DIGITS)) if array.size else 1


def columns_of(table: Table) -> list[tuple[list[str], bool]]:
    """The columns of a table as text, each with whether it holds numbers, some of them perhaps as text."""
    return [
        (
            column(values),
            any(not isinstance(x, str) or x[:1].isdigit() or (x[:1] == "-" and len(x) > 1) for x in values),
        )
        for values in zip(*table.rows, strict=True)
    ]


def column(values: tuple[Cell, ...]) -> list[str]:
    """A column of a table as text: words as they are, numbers with as many decimals as the column needs."""
    numbers = np.array([x for x in values if isinstance(x, float)])
    tiny = np.any((numbers != 0) & (np.abs(numbers) < 0.5 * 10**-DIGITS))
    digits = _digits(numbers)
    return [
        str(x) if not isinstance(x, float) else (f"{x:.1e}" if tiny and x else cell(x, digits))
        for x in values
    ]
