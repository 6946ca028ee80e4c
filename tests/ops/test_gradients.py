"""Every op's gradient, on every backend, against small steps; and every pair on plain arrays, off the tape."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minise import backend
from minise.gradcheck import GradientError, check_gradients, compare_gradients
from minise.gradcheck.cases import CASES, as_function, cases, is_float
from minise.ops import OPS, conv2d, se, se_composed
from minise.tape import Op, Tensor

CPU_BACKENDS = ["reference", "numpy"]
PAIRS = [
    (name, op)
    for name in CPU_BACKENDS
    for op in OPS
    if name == "reference" or backend.BACKENDS[name].kernel(op)
]


def pair_of(backend_name, op_name, case):
    """The functions that the backend would choose for the case's arrays."""
    op = OPS[op_name]
    with backend.use_backend(backend_name):
        kernel = backend.find_kernel(op_name, tuple(case.inputs), case.options) or op
    return kernel.forward, kernel.backward


SPECIAL = [np.inf, -np.inf, np.nan, 1e-300, -1e-38, 1e20, -1e38, 1e150]
"""What one element is replaced by where kernels are compared with the reference."""

AT_ONCE = {"se"}
"""Ops whose gradients come all at once: what is not needed is computed on the way, and the tape drops it."""


def needs_of(op_name, flags):
    """`needs` as the tape gives it: an entry for each input that the forward can take."""
    return OPS[op_name].needs_for(*flags)


def run_pair(pair, op_name, inputs, options, gy=None, seed=0):
    """(y, gradients with everything needed, gy), off the tape."""
    y, saved = pair[0](*inputs, **options)
    if gy is None:
        gy = np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)
    return y, pair[1](gy, saved, needs_of(op_name, [is_float(x) for x in inputs])), gy


def test_every_op_has_a_case_and_every_case_an_op():
    assert set(CASES) == set(OPS)


@pytest.mark.parametrize(("backend_name", "op_name"), PAIRS)
@given(data=st.data())
def test_gradient_agrees_with_small_steps(backend_name, op_name, data):
    case = data.draw(cases(op_name))
    with backend.use_backend(backend_name):
        check_gradients(*as_function(OPS[op_name], case), np.random.default_rng(1), tolerance=1e-6)


@pytest.mark.parametrize(("backend_name", "op_name"), PAIRS)
@given(data=st.data())
def test_pair_on_plain_arrays(backend_name, op_name, data):
    """Shapes, dtypes and the number of gradients are right, and no array is changed in place."""
    case = data.draw(cases(op_name))
    before = [np.copy(x) if isinstance(x, np.ndarray) else x for x in case.inputs]
    y, gradients, gy = run_pair(pair_of(backend_name, op_name, case), op_name, case.inputs, case.options)
    gy_before = gy.copy()
    assert len(case.inputs) <= len(gradients) <= OPS[op_name].takes
    for x, g in itertools.zip_longest(case.inputs, gradients):
        if is_float(x):
            assert g.shape == x.shape
            assert g.dtype == y.dtype == x.dtype
        else:
            assert g is None or op_name in AT_ONCE
    for x, old in zip(case.inputs, before, strict=True):
        assert np.array_equal(x, old) if isinstance(x, np.ndarray) else x is old
    assert np.array_equal(gy, gy_before)


@pytest.mark.parametrize(("backend_name", "op_name"), PAIRS)
@given(data=st.data())
def test_gradients_are_none_where_they_are_not_needed(backend_name, op_name, data):
    case = data.draw(cases(op_name))
    pair = pair_of(backend_name, op_name, case)
    _, everything, gy = run_pair(pair, op_name, case.inputs, case.options)
    needs = needs_of(op_name, [is_float(x) and data.draw(st.booleans()) for x in case.inputs])
    if not any(needs):
        return
    _, saved = pair[0](*case.inputs, **case.options)
    found = pair[1](gy, saved, needs)
    assert not any(needs[len(found) :])
    for need, full, g in zip(needs, everything, found, strict=False):
        assert np.array_equal(g, full) if need else (g is None or len(needs) == 1 or op_name in AT_ONCE)


@pytest.mark.parametrize(("backend_name", "op_name"), PAIRS)
@given(data=st.data())
def test_float32_stays_float32_and_agrees_with_float64(backend_name, op_name, data):
    case = data.draw(cases(op_name))
    narrow = [x.astype(np.float32) if is_float(x) else x for x in case.inputs]
    wide = [x.astype(np.float64) if is_float(x) else x for x in narrow]
    options = dict(case.options)
    if options.get("running") is not None:
        options["running"] = tuple(a.astype(np.float32) for a in options["running"])
    y, gradients, gy = run_pair(pair_of(backend_name, op_name, case), op_name, wide, options)
    y32, gradients32, _ = run_pair(
        pair_of(backend_name, op_name, case), op_name, narrow, options, gy=gy.astype(np.float32)
    )
    scale = max((np.abs(g).max(initial=0) for g in gradients if g is not None), default=0)
    for a, b in ((y, y32), *zip(gradients, gradients32, strict=True)):
        if a is not None:
            assert b.dtype == np.float32
            assert np.allclose(a, b, rtol=2e-4, atol=2e-5 * max(scale, np.abs(a).max(initial=0), 1))


@pytest.mark.parametrize(("backend_name", "op_name"), [p for p in PAIRS if p[0] != "reference"])
@given(data=st.data())
def test_kernel_agrees_with_the_reference(backend_name, op_name, data):
    case = data.draw(cases(op_name))
    op = OPS[op_name]
    kernel = backend.BACKENDS[backend_name].kernel(op_name)
    assume(kernel.supports(*case.inputs, **case.options))  # fails as unsatisfiable if it never does
    # conv2d's kernel multiplies pixels by zeros beside its columns, so of infinity it makes NaN in gw
    special = data.draw(
        st.sampled_from([None, *(s for s in SPECIAL if op_name != "conv2d" or np.isfinite(s))])
    )
    if special is not None:
        case.inputs[0].flat[data.draw(st.integers(0, case.inputs[0].size - 1))] = special
    pair = pair_of(backend_name, op_name, case)
    with warnings.catch_warnings():  # errstate holds in this thread alone
        warnings.simplefilter("ignore", RuntimeWarning)
        y, gradients, gy = run_pair((op.forward, op.backward), op_name, case.inputs, case.options)
        y2, gradients2, _ = run_pair(pair, op_name, case.inputs, case.options, gy=gy)
    for a, b in ((y, y2), *zip(gradients, gradients2, strict=True)):
        assert (a is None) == (b is None)
        if a is not None:
            largest = np.abs(a[np.isfinite(a)]).max(initial=1)
            assert np.allclose(a, b, rtol=1e-10, atol=1e-10 * largest, equal_nan=True)


@given(case=cases("se"))
def test_se_is_its_composition(case):
    inputs = [Tensor(x.copy(), requires_grad=True) if x is not None else None for x in case.inputs]
    twins = [Tensor(x.copy(), requires_grad=True) if x is not None else None for x in case.inputs]
    y, y2 = se(*inputs, **case.options), se_composed(*twins, **case.options)
    assert np.allclose(y.data, y2.data, rtol=1e-12, atol=1e-12)
    gy = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(gy)
    y2.backward(gy)
    for x, twin in zip(inputs, twins, strict=True):
        if x is not None:
            assert np.allclose(x.grad, twin.grad, rtol=1e-10, atol=1e-12)


def test_the_checker_names_a_wrong_gradient():
    """A forgotten 1 / (h·w) in SE's second path, which an all-ones gradient can hide, is found and named."""

    def forgetful_backward(gy, saved, needs):
        u = saved[0]
        gu, *others = se.backward(gy, saved, needs)
        direct = gy * saved[5][:, :, None, None]
        return direct + (gu - direct) * u.shape[2] * u.shape[3], *others

    def forgetful_forward(*args, **options):
        return se.forward(*args, **options)

    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(s) for s in ((2, 3, 2, 2), (2, 3), (2,), (3, 2), (3,))]
    with pytest.raises(GradientError, match=r"input 0, element \(.*small steps give"):
        check_gradients(Op(forgetful_forward, forgetful_backward), inputs, rng)


def test_what_the_checker_returns_reads_as_success_where_it_is_one():
    rng = np.random.default_rng(0)
    right = str(check_gradients(lambda x: x * x, [rng.standard_normal((3, 2))], rng))
    assert right.startswith("agrees with small steps, to a relative error of ")
    wrong = Op(lambda x: (x * x, x), lambda gy, x, needs: (gy * x,))
    worst = compare_gradients(wrong, [rng.standard_normal((3, 2))], rng).worst
    assert "the backward gives" in str(worst)
    with pytest.raises(
        GradientError, match=r"input 0, element .*the backward gives .*expected at most 1e-20"
    ):
        check_gradients(lambda x: x * x * x, [rng.standard_normal((3, 2))], rng, tolerance=1e-20)


def test_the_checker_takes_random_directions():
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((2, 3, 9, 9)), rng.standard_normal((4, 3, 3, 3))]
    worst = check_gradients(lambda x, w: conv2d(x, w, padding=1), inputs, rng, directions=3)
    assert worst.index is None
    assert worst.error < 1e-8
