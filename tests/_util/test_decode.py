"""What does not fit its type is one line: where, what was found, what was expected."""

from dataclasses import dataclass, field

import pytest

from minise._util.decode import Count, NotNegative, check_keys, decoded, json_lines
from minise.errors import ConfigError, RunError


@dataclass(frozen=True)
class Part:
    n: Count
    rate: NotNegative | None = None


@dataclass(frozen=True)
class Whole:
    name: str
    parts: list[Part] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        if self.name == "taken":
            raise ConfigError("name: found 'taken', expected another")


def test_values_become_what_is_declared():
    found = decoded(Whole, {"name": "a", "parts": [{"n": 2, "rate": 3}], "unknown": 1}, "file")
    assert found == Whole("a", [Part(2, 3.0)])
    assert isinstance(found.parts[0].rate, float)


BAD = {
    "file: found 3, expected keys and values": 3,
    "file: name is missing": {},
    "file: name: found 3, expected text": {"name": 3},
    "file: parts: found 'x', expected a list": {"name": "a", "parts": "x"},
    "file: parts[1].n: found 0, expected at least 1": {"name": "a", "parts": [{"n": 1}, {"n": 0}]},
    "file: parts[0].n: found True, expected a whole number": {"name": "a", "parts": [{"n": True}]},
    "file: parts[0].n: found a number of 65 bits, expected at most 63 bits": {
        "name": "a",
        "parts": [{"n": 2**64}],
    },
    "file: parts[0].rate: found inf, expected a finite number": {
        "name": "a",
        "parts": [{"n": 1, "rate": float("inf")}],
    },
    "file: shares: found {'x': 'y'}, expected a number for each": {"name": "a", "shares": {"x": "y"}},
    "name: found 'taken', expected another": {"name": "taken"},
}


@pytest.mark.parametrize(("words", "value"), BAD.items(), ids=BAD)
def test_what_does_not_fit_is_one_line(words, value):
    with pytest.raises(ConfigError) as error:
        decoded(Whole, value, "file")
    assert str(error.value) == words


def test_a_key_that_is_unknown():
    with pytest.raises(ConfigError, match="file: unknown key 'nmae', expected some of name, parts"):
        check_keys({"name": 1, "nmae": 2}, ["name", "parts"], "file")


def test_lines_of_json(tmp_path):
    path = tmp_path / "parts.jsonl"
    assert json_lines(path, Part, "run") == []
    path.write_text('{"n": 1}\n{"n": 2, "rate": NaN}\n')
    with pytest.raises(RunError, match=r"run: .*parts.jsonl, line 2: rate: found nan, expected at least 0"):
        json_lines(path, Part, "run")
    path.write_text('{"n": 1}\n{"n": 2}\n')
    assert json_lines(path, Part, "run") == [Part(1), Part(2)]
