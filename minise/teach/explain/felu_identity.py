"""Why 2^(x / ln 2) is e^x, and what goes wrong when that is programmed carelessly."""

from __future__ import annotations

import numpy as np

from minise.ops.activation import felu_forward
from minise.ops.basic import exp
from minise.tape import Tensor
from minise.teach.explain.arithmetic import number
from minise.teach.explain.lesson import Cell, Question, Step, Table, Value
from minise.teach.explain.source import Lines

PROOF = "2^(x / ln 2) is e^x"
X = np.array([-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
"""Where the tables look; 0 has a step of its own."""
LN2 = float(np.log(2))


def identity_step() -> Step:
    """The exponents, step by step and in numbers."""
    power = np.exp2(X / LN2)
    rows = [
        (float(x), number(float(x) / LN2), float(p), float(np.exp(x)), float(abs(p - np.exp(x))))
        for x, p in zip(X, power, strict=True)
    ]
    return Step(
        PROOF,
        "A power of 2 that is a power of e",
        (
            "2 = e^(ln 2)",
            "2^(x / ln 2) = (e^(ln 2))^(x / ln 2)",
            "             = e^(ln 2 · x / ln 2)",
            "             = e^x",
        ),
        "ln 2 cancels. So FeLU below zero is alpha·(e^x - 1), which is ELU but for the alpha that learns. The F, for"
        " fast, means only that 2^k can be had from the exponent bits of a float.",
        values=(Value("2^(x / ln 2)", power, (), exp(Tensor(X)).data),),
        tables=(Table("", ("x", "x / ln 2", "2^(x / ln 2)", "e^x", "difference"), tuple(rows)),),
        questions=(Question("2^(x / ln 2) for x = 1?", float(np.e), "e^1"),),
    )


def precision_step() -> Step:
    """The wrong base, and what float32 makes of a power next to 1."""
    rows: list[tuple[Cell, ...]] = []
    for x in (-1e-2, -1e-4, -1e-6, -1e-7):
        small, exact = np.float32(x), float(np.expm1(np.float64(np.float32(x))))
        naive = float(np.float32(2) ** (small / np.float32(LN2)) - np.float32(1))
        good = float(felu_forward(small.reshape(1), np.asarray(np.float32(1)))[0][0])
        cells = (f"{exact:.4e}", f"{naive:.4e}", _percent(naive, exact), f"{good:.4e}", _percent(good, exact))
        rows.append((f"{x:g}", *cells))
    columns = ("x", "exact", "2^(x/ln 2) - 1", "error", "expm1(x)", "error")
    return Step(
        PROOF,
        "Two traps: the base, and numbers near zero",
        ("e^(x / ln 2) ≠ 2^(x / ln 2)", "e^x - 1 ≈ x near 0"),
        f"exp(x / ln 2), seen in public code, has the slope 1 / ln 2 = {number(1 / LN2)} at 0 where felu has 1."
        " And in float32 a power next to 1 has few digits left once 1 is taken off; expm1 never makes that 1.",
        (Lines(felu_forward).show("e = "),),
        tables=(Table("float32, next to zero", columns, tuple(rows)),),
    )


def _percent(found: float, exact: float) -> str:
    return f"{100 * abs(found / exact - 1):.2g} %"
