"""Everything that minise has, checked: ops on every backend at hand, layers, and whole models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from minise import ops
from minise.backend import BACKENDS, Kernel, to_device, use_backend
from minise.errors import ConfigError
from minise.gradcheck.agreement import against_reference
from minise.gradcheck.cases import Case, as_function, cases, wide_cases
from minise.gradcheck.compare import TOLERANCE, GradientComparison, compare_gradients
from minise.gradcheck.layers import LAYERS, layer_cases, module_function, named, together
from minise.gradcheck.search import Check, Checked, search
from minise.gradcheck.values import is_float
from minise.models import MODELS, build
from minise.tape import FusedOp, Op, Tensor
from minise.train.profile import usable_backends

PRECISION: dict[str, tuple[Any, float]] = {"numpy": (np.float64, 1e-9)}
FLOAT32: tuple[Any, float] = (np.float32, 1e-4)
"""What a backend computes in, and how far it may be from the reference, in units of the largest gradient."""
DEEP = 10
"""Times as far in a whole model: there rounding grows, and turns the odd ReLU on or off."""
TABLE: dict[str, Op | FusedOp] = {**ops.OPS, **ops.FUSED}

Job = Callable[[int, int], Checked]
"""A row of the table that is still to be checked, with (examples, seed)."""


def jobs(names: Sequence[str] = (), backends: Sequence[str] | None = None) -> Iterator[Job]:
    """What is to be checked: all ops, layers and models, or those named; on all backends that have kernels here.

    Raises ConfigError for a name that is none of them, and if no backend has a kernel for any of the ops named.
    """
    known = {*TABLE, *LAYERS, *MODELS}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"gradcheck: {name!r} is no op, layer or model of minise, expected one such as"
                " conv2d, SE or se-resnet20, or FILE.py:NAME for your own"
            )
    wanted = known if not names else set(names)
    chosen = usable(backends)
    of_ops = [
        (name, backend)
        for name in TABLE
        if name in wanted
        for backend in chosen
        if backend == "reference" or BACKENDS[backend].kernel(name) is not None
    ]
    if names and not of_ops and wanted <= {*TABLE}:
        raise ConfigError(
            f"gradcheck: {', '.join(names)}: found no kernel on {', '.join(chosen)}, expected --backend reference"
        )
    yield from (_op_job(*each) for each in of_ops)
    for name in (name for name in LAYERS if name in wanted):
        draw = partial(_layer_cases, name)
        yield from (
            _job("layer", name, b, draw, by_small_steps_of_module, module_against_reference) for b in chosen
        )
    for name in (name for name in MODELS if name in wanted):
        draw = partial(_model_cases, name)
        for b in chosen:
            yield _job(
                "model", name, b, draw, by_few_directions, module_against_reference, times=DEEP, most=1
            )


def usable(backends: Sequence[str] | None) -> list[str]:
    """The backends among those asked for, or all, that work here."""
    problems = usable_backends()
    for name in backends or ():
        if problems[name] is not None:
            raise ConfigError(f"gradcheck: backend {name} cannot be used here ({problems[name]})")
    return [name for name, problem in problems.items() if problem is None and name in (backends or problems)]


def _op_job(name: str, backend: str) -> Job:
    op, kernel = TABLE[name], BACKENDS[backend].kernel(name)

    def draw(seed: int) -> Any:
        return cases(name) if kernel is None else _supported(name, kernel, PRECISION.get(backend, FLOAT32)[0])

    def against(case: Case, backend: str, dtype: Any, tolerance: float) -> GradientComparison:
        return against_reference(*as_function(op, case), backend, dtype, tolerance=tolerance)

    return _job("op", name, backend, draw, partial(by_small_steps, op), against)


def by_small_steps(f: Callable[..., Tensor], case: Case) -> GradientComparison:
    """The function's gradients by the reference's pairs against small steps."""
    with use_backend("reference"):
        return compare_gradients(*as_function(f, case), np.random.default_rng(1))


def _supported(name: str, kernel: Kernel, dtype: Any) -> Any:
    """The cases of an op which the kernel supports in the dtype."""

    def takes(case: Case) -> bool:
        inputs = [x.astype(dtype) if is_float(x) else x for x in case.inputs]
        return kernel.supports(*inputs, **case.options)

    return (cases(name) | wide_cases(name)).filter(takes)


def by_small_steps_of_module(case: Case) -> GradientComparison:
    """A layer's gradients by the reference's pairs against small steps: of its input and of every parameter."""
    module, x = case.inputs
    with use_backend("reference"):
        return named(module, compare_gradients(*module_function(module, x), np.random.default_rng(1)))


def by_few_directions(case: Case) -> GradientComparison:
    """The same of a whole model: one direction for its input, and one through each group of its parameters."""
    model, x = case.inputs
    f, inputs = together(*module_function(model, x), groups=4, rng=np.random.default_rng(2))
    with use_backend("reference"):
        return compare_gradients(f, inputs, np.random.default_rng(1), by_complex_step=False)


def module_against_reference(case: Case, backend: str, dtype: Any, tolerance: float) -> GradientComparison:
    """A layer or model by a backend's kernels, in the dtype that they are made for, against the reference."""
    module, x = case.inputs
    f, inputs = module_function(module, x)

    def g(*tensors: Tensor) -> Tensor:
        own = [(b, b.data) for _, b in module.named_buffers()]
        device = "cpu" if isinstance(tensors[0].data, np.ndarray) else "cuda"
        for b, data in own:
            b.data = to_device(data.astype(tensors[0].dtype), device)
        try:
            return f(*tensors)
        finally:
            for b, data in own:
                b.data = data

    return named(module, against_reference(g, inputs, backend, dtype, tolerance=tolerance))


def _job(
    kind: str,
    name: str,
    backend: str,
    draw: Callable[[int], Any],
    by_steps: Check,
    against: Callable[[Case, str, Any, float], GradientComparison],
    *,
    times: float = 1,
    most: int | None = None,
) -> Job:
    """The search among the cases that `draw` makes of a seed: the reference by small steps, others against it."""
    dtype, tolerance = PRECISION.get(backend, FLOAT32)
    tolerance = TOLERANCE if backend == "reference" else times * tolerance

    def check(case: Case) -> GradientComparison:
        return by_steps(case) if backend == "reference" else against(case, backend, dtype, tolerance)

    def job(examples: int, seed: int) -> Checked:
        named = {"kind": kind, "name": name, "backend": backend}
        return search(draw(seed), check, **named, examples=most or examples, seed=seed, tolerance=tolerance)

    return job


def _layer_cases(name: str, seed: int) -> Any:
    return layer_cases(name)


def _model_cases(name: str, seed: int) -> Any:
    """One model on four small images."""
    from hypothesis import strategies as st

    def make(seed: int) -> Case:
        """Weights that are not quite the identity: that makes equal pixels, and a kink of max pooling of each."""
        rng = np.random.default_rng(seed)
        model = build(name, seed=seed).to(dtype=np.float64)
        for p in model.parameters():
            p.data = p.data + 0.02 * rng.standard_normal(p.shape)
        return Case([model, rng.standard_normal((4, 3, 8, 8))])

    return st.builds(make, st.just(seed))
