"""The tape: order, accumulation, freeing, errors."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from minise import ops
from minise.errors import MiniseError, ShapeError
from minise.tape import Op, Tensor, no_grad, watch


def leaf(values):
    return Tensor(np.asarray(values, float), requires_grad=True)


def test_a_tensor_used_twice_collects_both_gradients():
    x = leaf([2.0, -3.0])
    (x * x + x).backward(np.array([1.0, 10.0]))
    assert np.array_equal(x.grad, [5.0, -50.0])


def test_backward_adds_to_grad():
    x = leaf(3.0)
    (x * 2.0).backward()
    (x * 5.0).backward()
    assert x.grad == 7.0


def test_a_diamond_waits_for_all_its_paths():
    x = leaf(1.5)
    a = x * 2.0
    b = a * a
    (b + a + b * a).backward()
    assert x.grad == pytest.approx(2 * (2 * 3.0 + 1 + 3 * 3.0**2))


def test_gradients_are_never_changed_in_place():
    a, b, gy = leaf([1.0, 2.0]), leaf([3.0, 4.0]), np.ones(2)
    (a + b + a).backward(gy)
    assert np.array_equal(gy, [1, 1])
    assert np.array_equal(b.grad, [1, 1])
    assert np.array_equal(a.grad, [2, 2])


def test_twenty_thousand_ops_do_not_recurse():
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1.0


def test_backward_lets_go_of_what_was_saved():
    x = leaf(np.ones((2, 2)))
    y = ops.exp(x)
    z = ops.sum_(y)
    z.backward()
    assert y.node.inputs == ()
    with pytest.raises(MiniseError, match="used up"):
        z.backward()
    with pytest.raises(MiniseError, match=r"exp was walked before.*run the forward again"):
        y.backward(np.ones((2, 2)))


def test_nothing_is_recorded_without_need():
    x = leaf(1.0)
    with no_grad():
        assert (x * x).node is None
    assert (Tensor(np.ones(2)) * 2.0).node is None
    assert (x.detach() * 2.0).node is None


def test_numbers_and_arrays_mix_with_tensors():
    x = leaf([1.0, 2.0])
    y = 1.0 - x / np.array([2.0, 4.0]) + 2.0 * x**2 - -x + 8.0 / x
    y.backward(np.ones(2))
    assert np.allclose(y.data, [1 - 0.5 + 2 + 1 + 8, 1 - 0.5 + 8 + 2 + 4])
    assert np.allclose(x.grad, [-0.5 + 4 + 1 - 8, -0.25 + 8 + 1 - 2])
    assert isinstance(np.ones(2) + x, Tensor)
    assert isinstance(np.ones((2, 2)) @ leaf(np.eye(2)), Tensor)


def test_float32_is_not_promoted_by_numbers():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = ops.mean((2.0 * x + 1) ** 2 / 3.0)
    y.backward()
    assert y.dtype == x.grad.dtype == np.float32


def test_watch_sees_every_op_both_ways():
    seen = []
    x = leaf(np.ones((2, 3)))
    with watch(seen.append):
        ops.sum_(x * 2.0).backward()
    assert [(call.op, call.backward) for call in seen] == [
        ("multiply", False),
        ("sum", False),
        ("sum", True),
        ("multiply", True),
    ]
    assert [call.results[0].shape for call in seen] == [(2, 3), (), (2, 3), (2, 3)]
    assert seen[3].inputs[1] is x.data
    assert all(call.seconds >= 0 for call in seen)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: leaf([1.0, 2.0]).backward(), r"shape \(2,\) needs gy"),
        (lambda: (leaf([1.0, 2.0]) * 2.0).backward(np.ones(3)), r"gy has shape \(3,\), expected .*\(2,\)"),
        (lambda: Tensor(np.ones(())).backward(), "not on the tape"),
        (lambda: leaf(np.ones(2)) + np.ones(3), r"add: shapes \(2,\) and \(3,\) do not broadcast"),
    ],
)
def test_errors_name_what_was_wrong(make, message):
    with pytest.raises(MiniseError, match=message):
        make()


def double_forward(x):
    return 2 * x, None


@pytest.mark.parametrize(
    ("backward", "error", "message"),
    [
        (lambda gy, saved, needs: (None,), ShapeError, "double: backward gave None for input 0"),
        (
            lambda gy, saved, needs: (gy.sum(),),
            ShapeError,
            r"gave shape \(\) for input 0, expected shape \(2,\)",
        ),
        (lambda gy, saved, needs: (gy, gy), MiniseError, "gave 2 gradients, expected one for each of 1"),
    ],
)
def test_a_wrong_backward_is_told_so_by_name(backward, error, message):
    with pytest.raises(error, match=message):
        Op(double_forward, backward)(leaf([1.0, 2.0])).backward(np.ones(2))


def test_operators_come_with_the_ops_and_say_so_before():
    code = """
        import numpy as np
        from minise.errors import MiniseError
        from minise.tape import Tensor
        x = Tensor(np.ones(2))
        try:
            2 * x
        except MiniseError as error:
            print(error)
        import minise.gradcheck  # whatever calls functions of a user's brings them
        print((2 * x).data.sum(), (x**2 * -x).data.sum())
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    told, numbers = done.stdout.splitlines()
    assert told == "tensor: operators such as + come with minise.ops, expected `import minise.ops` before"
    assert numbers == "4.0 -2.0"


def test_numbers_and_lists_become_arrays():
    x = Tensor(3, requires_grad=True)
    (x * x + x).backward()
    assert (x.grad, x.dtype) == (7.0, np.float64)
    assert ((Tensor([1, 2]) + Tensor([3.0, 4.0])).data == [4, 6]).all()
    assert ops.add(1.0, 2.0).item() == 3.0


@pytest.mark.parametrize("what", ["abc", [[1], [1, 2]], None, object()])
def test_what_is_no_array_is_refused(what):
    with pytest.raises(ShapeError, match=r"tensor: found .*, expected an array or numbers"):
        Tensor(what)
