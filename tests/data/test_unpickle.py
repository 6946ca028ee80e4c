"""The reader of pickles: what it reads, and what it refuses."""

import os
import pickle
import pickletools
import struct
from contextlib import suppress

import numpy as np
import pytest
from cifar_files import PYTHON_10, PYTHON_100, batch, py2_pickle
from hypothesis import given, settings
from hypothesis import strategies as st

from minise.data.unpickle import unpickle
from minise.errors import DataError

BATCH = batch(PYTHON_10, "data_batch_1")
VALID = py2_pickle(BATCH)


def is_the_batch(found):
    assert list(found) == [key.decode() for key in BATCH]
    assert found["data"].dtype == np.uint8
    for key, value in BATCH.items():
        np.testing.assert_array_equal(found[key.decode()], value)


def test_reads_what_python_2_wrote():
    is_the_batch(unpickle(VALID, "file"))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_what_python_3_writes(protocol):
    is_the_batch(unpickle(pickle.dumps(BATCH, protocol), "file"))


def test_reads_numpy_core_without_a_warning():
    # Warnings are errors here; importing numpy.core would be one.
    assert b"numpy.core" in VALID
    unpickle(VALID, "file")


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i4", "<i8"])
def test_reads_arrays_of_integers(dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    np.testing.assert_array_equal(unpickle(pickle.dumps({"a": array}, 2), "f")["a"], array)


def test_reads_fortran_order():
    array = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    found = unpickle(pickle.dumps({"a": array}, 2), "f")["a"]
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["u1", ">i2", "i8"])
def test_reads_numbers_of_numpys_and_arrays_of_either_order(protocol, dtype):
    labels = list(np.array([0, 7, 3], dtype))
    array = np.asfortranarray(np.arange(12, dtype=dtype).reshape(3, 4))
    readonly = np.arange(3, dtype=dtype)
    readonly.flags.writeable = False
    content = {"labels": labels, "a": array, "b": array.T[::2], "c": readonly}
    found = unpickle(pickle.dumps(content, protocol), "f")
    assert found["labels"] == [0, 7, 3]
    assert {type(label) for label in found["labels"]} == {int}
    for name in "abc":
        assert not found[name].flags.writeable
        np.testing.assert_array_equal(found[name], content[name])


@pytest.mark.parametrize("value", [np.float64(1), np.array(["x"], object), np.zeros(2)])
def test_numbers_that_are_no_integers_are_refused_at_every_protocol(value):
    for protocol in (2, 3, 4, 5):
        with pytest.raises(DataError, match=r"expected integers|shape|damaged|state"):
            unpickle(pickle.dumps({"a": [value]}, protocol), "f")


def test_a_text_may_be_stored_once_and_used_twice():
    word = "word" * 10
    assert unpickle(pickle.dumps({"a": [word, word]}, 2), "f") == {"a": [word, word]}


class Call:
    """Pickles as a call of `function`, as an attacker's object would."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_runs_nothing_and_names_what_was_asked_for(protocol, tmp_path):
    target = tmp_path / "pwned"
    data = pickle.dumps({"data": Call(os.system, f"touch {target}")}, protocol)
    with pytest.raises(DataError, match=r"^file: asks for '(posix|nt)\.system', which is not data"):
        unpickle(data, "file")
    assert not target.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array([{}, []], object),
        np.array([1.5]),
        np.array(["text"]),
        np.zeros(2, [("a", "u1"), ("b", "u1")]),
        Call(eval, "1"),
        Call(getattr, "", "join"),
        np.float64(1),
        {1, 2},
        1.5,
        1 << 70,
    ],
)
def test_refuses_everything_but_plain_data(value):
    with pytest.raises(DataError, match=r"^file: "):
        unpickle(pickle.dumps({"data": value}, 2), "file")


def pickled(body: bytes) -> bytes:
    return b"\x80\x02" + body


ENCODE = b"c_codecs\nencode\n"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n)R"
HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "protocol 0": pickle.dumps({}, 0),
    "a buffer that is elsewhere": pickle.dumps(
        {"a": np.zeros(3, np.uint8)}, 5, buffer_callback=lambda buffer: False
    ),
    "not a dict": pickled(b"]."),
    "no stop": pickled(b"}"),
    "stop with an empty stack": pickled(b"."),
    "pop of nothing": pickled(b"\x87."),
    "mark that is not there": pickled(b"t."),
    "unknown instruction": pickled(b"\xff."),
    "persistent id": pickled(b"}Q."),
    "extension registry": pickled(b"\x82\x01."),
    "memo that was never written": pickled(b"h\x05."),
    "memo index of 4 billion": pickled(b"}r\xff\xff\xff\xffj\xfe\xff\xff\xff."),
    "text of 4 GB": pickled(b"X\xff\xff\xff\xff."),
    "negative length": pickled(b"T\xff\xff\xff\xff."),
    "text that is not UTF-8": pickled(b"X\x01\x00\x00\x00\xff."),
    "list as a key": pickled(b"}]K\x01s."),
    "tuple as a key, 200,000 deep": pickled(b"})" + b"\x85" * 200_000 + b"K\x01s."),
    "number as a key": pickled(b"}K\x01K\x01s."),
    "key without a value": pickled(b"}(K\x01u."),
    "items for a list": pickled(b"](K\x01K\x01u."),
    "append to a dict": pickled(b"}K\x01a."),
    "name with no end": pickled(b"cos" + b"x" * 1000),
    "names that are no text": pickled(b"K\x01K\x01\x93."),
    "call of a number": pickled(b"K\x01)R."),
    "call of ndarray": pickled(b"cnumpy\nndarray\n)R."),
    "arguments that are no tuple": pickled(ENCODE + b"]R."),
    "encode to rot13": pickled(ENCODE + b"X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R."),
    "encode nothing": pickled(ENCODE + b")R."),
    "encode over and over": pickled(
        b"](X\xe8\x03\x00\x00"
        + b"a" * 1000
        + b"q\x01X\x06\x00\x00\x00latin1q\x02"
        + (ENCODE + b"h\x01h\x02\x86R") * 1000
        + b"e."
    ),
    "state for a dict": pickled(b"}}b."),
    "state for a global": pickled(b"cnumpy\ndtype\n}b."),
    "array without a state": pickled(b"}U\x01a" + ARRAY + b"s."),
    "array with a short state": pickled(b"}U\x01a" + ARRAY + b"K\x01\x85bs."),
    "array with a list as its state": pickled(b"}U\x01a" + ARRAY + b"]bs."),
    "array in its own state": pickled(b"}U\x01a" + ARRAY + b"q\x01(K\x01h\x01h\x01h\x01h\x01tbs."),
    "array with fewer bytes than its shape": pickled(VALID[2:].replace(b"K\x03J\x00\x0c", b"K\x04J\x00\x0c")),
    "array with a huge shape": pickled(
        b"}U\x01a"
        + ARRAY
        + b"(K\x01"
        + b"J\xff\xff\xff\x7f" * 3
        + b"\x87cnumpy\ndtype\nU\x02u1\x85R\x89U\x01xtbs."
    ),
    "dtype without a name": pickled(b"}U\x01a" + ARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\n)R\x89U\x01xtbs."),
    "dtype with a list as its state": pickled(b"}U\x01acnumpy\ndtype\n)R]bs."),
    "lists in lists, 200,000 deep": pickled(b"]" * 200_000 + b"a" * 199_999 + b"."),
    "more instructions than any batch": pickled(b"N" * 2_000_001 + b"."),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_refused_in_one_line(name):
    with pytest.raises(DataError, match=r"^file: ") as caught:
        unpickle(HOSTILE[name], "file")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_list_that_contains_itself_is_only_data():
    found = unpickle(pickled(b"}U\x01a]q\x01h\x01as."), "file")["a"]
    assert found[0] is found


@pytest.mark.parametrize("form", [PYTHON_10, PYTHON_100])
def test_every_truncation_is_refused(form):
    data = py2_pickle(batch(form, "x", 1))
    for end in [*range(300), *range(300, len(data), 37)]:
        with pytest.raises(DataError):
            unpickle(data[:end], "file")


SHORT = py2_pickle(
    {b"labels": [1, 300, -1], b"data": np.arange(12, dtype=np.uint8).reshape(3, 4), b"names": [b"a", None]}
)
BYTES = sorted({op.code.encode("latin1") for op in pickletools.opcodes})


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_mutation_gives_data_or_a_data_error(data):
    mutated = bytearray(SHORT)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated)))
        new = data.draw(st.sampled_from(BYTES) | st.binary(min_size=0, max_size=4))
        mutated[at : at + data.draw(st.integers(0, 3))] = new
    with suppress(DataError):
        assert isinstance(unpickle(bytes(mutated), "file"), dict)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(BYTES) | st.binary(max_size=3), max_size=60))
def test_any_program_gives_data_or_a_data_error(parts):
    with suppress(DataError):
        assert isinstance(unpickle(pickled(b"".join(parts)), "file"), dict)


def test_memo_indices_of_any_size_are_told_apart():
    names = b"](" + b"".join(b"U\x04abcdr" + struct.pack("<I", i) for i in range(10_000)) + b"e"
    assert len(unpickle(pickled(b"}U\x01a" + names + b"s."), "file")["a"]) == 10_000


def test_a_shape_that_no_array_can_have_is_refused():
    content = pickle.dumps({"a": np.zeros((0, 3), np.uint8)}, 3)
    assert content.count(b"K\x00K\x03\x86") == 1
    huge = b"(K\x00" + 3 * b"J\xff\xff\xff\x7f" + b"t"
    with pytest.raises(DataError, match="holds an array of shape"):
        unpickle(content.replace(b"K\x00K\x03\x86", huge), "file")
