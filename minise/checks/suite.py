"""Everything that minise has, checked: ops on every backend at hand, layers, and whole models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minise import ops
from minise.backend import BACKENDS, Array, Kernel, to_device, to_numpy, use_backend
from minise.checks.cases import Case, as_function, cases, is_float, wide_cases
from minise.checks.contract import ContractError
from minise.checks.layers import LAYERS, layer_cases, module_function, named, together
from minise.checks.search import Outcome, search
from minise.errors import ConfigError
from minise.gradcheck import Comparison, Mismatch, compare_gradients
from minise.models import MODELS, build
from minise.tape import FusedOp, Op, Tensor

FLOAT32 = 1e-4
"""What a kernel may differ by, relative to the largest gradient: float32 rounds sums over some hundred terms."""
TABLE: dict[str, Op | FusedOp] = {**ops.OPS, **ops.FUSED}

Job = Callable[[int, int], Outcome]
"""A row of the table that is still to be checked, with (examples, seed)."""


def jobs(names: Sequence[str] = (), backends: Sequence[str] | None = None) -> Iterator[Job]:
    """What is to be checked: all ops, layers and models, or those named; on all backends that have kernels here.

    Raises ConfigError for a name that is none of them.
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
    for name in (n for n in TABLE if n in wanted):
        for backend in chosen:
            if backend == "reference" or BACKENDS[backend].kernel(name) is not None:
                yield _op_job(name, backend)
    if "reference" in chosen:
        yield from (_layer_job(name) for name in LAYERS if name in wanted)
        yield from (_model_job(name) for name in MODELS if name in wanted)


def usable(backends: Sequence[str] | None) -> list[str]:
    """The backends among those asked for, or all, that work here."""
    from minise.speed import usable_backends

    problems = usable_backends()
    for name in backends or ():
        if problems[name] is not None:
            raise ConfigError(f"gradcheck: backend {name} cannot be used here ({problems[name]})")
    return [name for name, problem in problems.items() if problem is None and name in (backends or problems)]


def _op_job(name: str, backend: str) -> Job:
    def run(examples: int, seed: int) -> Outcome:
        if backend == "reference":
            return search(
                cases(name),
                lambda case: by_small_steps(TABLE[name], case),
                kind="op",
                name=name,
                backend=backend,
                examples=examples,
                seed=seed,
            )
        kernel = BACKENDS[backend].kernel(name)
        assert kernel is not None
        return search(
            _supported(name, kernel),
            lambda case: against_reference(name, case, backend),
            kind="op",
            name=name,
            backend=backend,
            examples=examples,
            seed=seed,
            tolerance=FLOAT32,
        )

    return run


def by_small_steps(f: Callable[..., Tensor], case: Case) -> Comparison:
    """The function's gradients by the reference's pairs against small steps."""
    with use_backend("reference"):
        return compare_gradients(*as_function(f, case), np.random.default_rng(1))


def against_reference(name: str, case: Case, backend: str) -> Comparison:
    """A kernel's gradients, in the dtype that it supports, against those of the reference's pair in float64.

    Raises ContractError where the results differ.
    """
    y, found = _gradients(name, case, backend, _dtype(name, case, backend))
    exact, right = _gradients(name, case, "reference", np.float64)
    off = float(np.abs(y - exact).max(initial=0)) / max(float(np.abs(exact).max(initial=0)), 1.0)
    if not off <= FLOAT32:
        raise ContractError(
            f"{name}: on backend {backend} y is off by {off:.2g} of its largest value, expected at most {FLOAT32:g}"
        )
    scale = max((float(np.abs(g).max(initial=0)) for g in right.values()), default=0.0)
    worst = max(
        (_largest_difference(i, found[i], g, max(scale, 1e-6)) for i, g in right.items() if g.size),
        key=lambda m: m.error if np.isfinite(m.error) else np.inf,
        default=Mismatch(-1, None, 0.0, 0.0, 0.0),
    )
    return Comparison(worst, sum(g.size for g in right.values()), 0, exact, found, right)


def _gradients(name: str, case: Case, backend: str, dtype: Any) -> tuple[Array, dict[int, Array]]:
    """(y, gradients by position among the arrays) in float64, computed by the backend in `dtype`."""
    device = "cuda" if BACKENDS[backend].module == "cupy" else "cpu"
    inputs = [
        Tensor(to_device(x.astype(dtype), device), requires_grad=True) if is_float(x) else x
        for x in case.inputs
    ]
    with use_backend(backend):
        y = TABLE[name](*inputs, **case.options)
        gy = np.random.default_rng(1).standard_normal(y.shape)
        y.backward(to_device(gy.astype(dtype), device))
    arrays = [x for x in inputs if isinstance(x, Tensor | np.ndarray)]
    gradients = {
        i: to_numpy(x.grad).astype(np.float64)
        for i, x in enumerate(arrays)
        if isinstance(x, Tensor) and x.grad is not None
    }
    return to_numpy(y.data).astype(np.float64), gradients


def _largest_difference(i: int, found: Array, right: Array, scale: float) -> Mismatch:
    """The element in which the two gradients of input i differ most, in units of `scale`."""
    difference = np.abs(found - right)
    at = tuple(int(k) for k in np.unravel_index(int(difference.argmax()), right.shape))
    return Mismatch(i, at, float(found[at]), float(right[at]), float(difference[at]) / scale)


def _dtype(name: str, case: Case, backend: str) -> Any:
    """float64 where the backend's kernel takes the case so, else float32."""
    kernel = BACKENDS[backend].kernel(name)
    return np.float64 if kernel is not None and kernel.supports(*case.inputs, **case.options) else np.float32


def _supported(name: str, kernel: Kernel) -> Any:
    """The cases of an op which the kernel supports, in float64 or in float32."""

    def takes(case: Case) -> bool:
        narrow = [x.astype(np.float32) if is_float(x) else x for x in case.inputs]
        return any(kernel.supports(*inputs, **case.options) for inputs in (case.inputs, narrow))

    return (cases(name) | wide_cases(name)).filter(takes)


def _layer_job(name: str) -> Job:
    def check(case: Case) -> Comparison:
        module, x = case.inputs
        f, inputs = module_function(module, x)
        with use_backend("reference"):
            return named(module, compare_gradients(f, inputs, np.random.default_rng(1)))

    return lambda examples, seed: search(
        layer_cases(name), check, kind="layer", name=name, backend="reference", examples=examples, seed=seed
    )


def _model_job(name: str) -> Job:
    """A model on a few small images: one direction through each group of its parameters."""
    from hypothesis import strategies as st

    def check(case: Case) -> Comparison:
        model, x = case.inputs
        f, inputs = together(*module_function(model, x), groups=4, rng=np.random.default_rng(2))
        with use_backend("reference"):
            return compare_gradients(f, inputs, np.random.default_rng(1), by_complex_step=False)

    def make(seed: int) -> Case:
        """Weights that are not quite the identity: that makes equal pixels, and a kink of max pooling of each."""
        rng = np.random.default_rng(seed)
        model = build(name, seed=seed).to(dtype=np.float64)
        for p in model.parameters():
            p.data = p.data + 0.02 * rng.standard_normal(p.shape)
        return Case([model, rng.standard_normal((4, 3, 8, 8))])

    return lambda examples, seed: search(
        st.builds(make, st.just(seed)),
        check,
        kind="model",
        name=name,
        backend="reference",
        examples=1,
        seed=seed,
    )
