"""From the arrays of a file to a model: which names they have, which options they tell, and whether they fit.

What can be seen in the weights is taken from there: the way of naming, the reduction, whether learnable activation
parameters are one a layer or one a channel. What cannot is taken from what was asked for, from the note that
`minise export` leaves, or from the code that a way of naming comes from; and refused where these disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minise.backend import Array
from minise.data import DATASETS
from minise.errors import ConfigError
from minise.interchange.names import NAMES, Names
from minise.interchange.weights import Weights, WeightsError
from minise.models import MODELS, build
from minise.models.options import DEFAULT_REDUCTION
from minise.nn import Module
from minise.ops import ACTIVATIONS

SHORTCUTS = ("downsample", "shortcut", "identity_conv")
"""Modules on the shortcut of a residual block: it has weights there, and ours has none (option A)."""
SE_BIASES = (".se.bias1", ".se.bias2")


@dataclass(frozen=True, eq=False)
class Fitted:
    """The model with the weights in it, the options of a run that make it, and the way of naming that was found."""

    model: Module
    options: dict[str, Any]
    names: str


def fit(weights: Weights, *, names: str = "auto", **asked: Any) -> Fitted:
    """The model that `asked` and the weights tell of, with these weights.

    names: a row of NAMES, or "auto" for the one that most of the arrays have. asked: `model` and `dataset`, unless
    the weights are of `minise export`; `act` and `trunk_act` where neither they nor the row say it; None counts as
    not asked. Raises ConfigError for what was asked, WeightsError for what was found.
    """
    where = weights.where
    options = agreed(weights, asked)
    state = plain(weights.state)
    ours = every_name(options["model"])
    key = chosen(names, state, ours, where)
    theirs = NAMES[key].theirs(ours)
    known = {name: state[theirs[name]] for name in ours if theirs[name] in state}
    taken = {theirs[name] for name in known}
    others = [name for name in state if name not in taken]
    check_shortcuts(others, where)
    check_classes(known, options["dataset"], where)
    options |= activations(known, options, NAMES[key])
    options |= se_shapes(known, options)
    classes = len(DATASETS[options["dataset"]].classes)
    built = {k: v for k, v in options.items() if k in ("act", "reduction", "alpha", "trunk_act")}
    model = build(options["model"], classes=classes, **built)
    expected = model.state_dict()
    if not any(name.endswith(SE_BIASES) for name in known):
        known |= {name: np.zeros_like(a) for name, a in expected.items() if name.endswith(SE_BIASES)}
    missing = [theirs[name] for name in expected if name not in known]
    others += [theirs[name] for name in known if name not in expected]
    check_names(missing, others, f"{where}: its arrays are not those of {options['model']}")
    model.load_state_dict(
        {name: shaped(known[name], a, f"{where}: {theirs[name]}") for name, a in expected.items()}
    )
    return Fitted(model, options, key)


def agreed(weights: Weights, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for and what the file notes, in one; the data set may be another than that of the note."""
    given = {name: value for name, value in asked.items() if value is not None}
    for name, value in given.items():
        if name in weights.told and name != "dataset" and weights.told[name] != value:
            raise ConfigError(f"{name}: found {value!r}, but {weights.where} is of {weights.told[name]!r}")
    options = weights.told | given
    for name, known in (("model", MODELS), ("dataset", DATASETS)):
        if name not in options:
            raise ConfigError(f"{name}: {weights.where} does not say it, expected --{name}")
        if options[name] not in known:
            raise ConfigError(f"{name}: {options[name]!r:.40} is unknown, expected one of {', '.join(known)}")
    return options


def plain(state: Mapping[str, Array]) -> dict[str, Array]:
    """Without the counters of PyTorch's batch norm, and without what all names begin with, such as `module.`"""
    found = {name: a for name, a in state.items() if not name.endswith("num_batches_tracked")}
    while len({name.partition(".")[0] for name in found}) == 1 and all("." in name for name in found):
        found = {name.partition(".")[2]: a for name, a in found.items()}
    return found


def every_name(model: str) -> list[str]:
    """Our names of all the arrays that the model may have, whatever its options."""
    act = "felu" if MODELS[model].has_se else None
    return list(build(model, act=act, trunk_act="felu").state_dict())


def chosen(names: str, state: Mapping[str, Array], ours: list[str], where: str) -> str:
    """The row that was asked for, or the one that has the most of the names."""
    if names != "auto":
        if not NAMES[names].fits(ours):
            raise ConfigError(f"names: {names} are those of ResNets, expected --names auto, minise or twin")
        return names
    fitting = {key: row for key, row in NAMES.items() if row.fits(ours)}
    counts = {key: len(state.keys() & set(row.theirs(ours).values())) for key, row in fitting.items()}
    best = max(counts, key=lambda key: counts[key])
    if not counts[best]:
        found = f"no array has a name that is known here, found {shown(state)}"
        raise WeightsError(f"{where}: {found}; expected the names of {', '.join(NAMES)}")
    return best


def check_shortcuts(others: Iterable[str], where: str) -> None:
    """Raise WeightsError for a network whose shortcuts have weights."""
    found = [name for name in others if any(f".{part}." in f".{name}" for part in SHORTCUTS)]
    if found:
        raise WeightsError(
            f"{where}: its shortcuts have weights ({shown(found)}), expected none: the ResNets here take every other"
            " pixel and pad with zeros (option A), so this is another network"
        )


def check_classes(known: Mapping[str, Array], dataset: str, where: str) -> None:
    """Raise ConfigError unless the classifier tells as many classes apart as the data set has."""
    found = known.get("classifier.weight")
    classes = len(DATASETS[dataset].classes)
    if found is not None and found.ndim == 2 and len(found) != classes:
        raise ConfigError(f"dataset: {dataset} has {classes} classes, but {where} tells {len(found)} apart")


def activations(known: Mapping[str, Array], options: Mapping[str, Any], row: Names) -> dict[str, str]:
    """The options `act` and `trunk_act`. A parameter called alpha shows which activations it can be."""
    alphas = [name for name in known if name.endswith(".alpha")]
    inside = [name for name in alphas if ".se." in name]
    trunk = options.get("trunk_act") or row.act or "relu"
    found = {"trunk_act": _activation("trunk_act", trunk, len(alphas) > len(inside))}
    if any(".se." in name for name in known):
        found["act"] = _activation("act", options.get("act") or row.act, bool(inside))
    return found


def _activation(option: str, act: str | None, has_alpha: bool) -> str:
    possible = [name for name, row in ACTIVATIONS.items() if (row.start is not None) == has_alpha]
    if act not in possible:
        words = "have learnable parameters" if has_alpha else "have no learnable parameters"
        expected = f"--{option.replace('_', '-')} of {', '.join(possible)}"
        raise ConfigError(f"{option}: found {act or 'none'}, but these weights {words}, expected {expected}")
    return act


def se_shapes(known: Mapping[str, Array], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that shapes show: `alpha`, and `reduction`, the noted or usual one if it gives these widths."""
    alphas = [a for name, a in known.items() if name.endswith(".alpha")]
    found: dict[str, Any] = {"alpha": "channel" if any(a.size > 1 for a in alphas) else "layer"}
    widths = {a.shape for name, a in known.items() if name.endswith(".se.weight1") and a.ndim == 2}
    if widths:
        noted = options.get("reduction")
        tried = [noted, DEFAULT_REDUCTION, *range(1, max(c for _, c in widths) + 1)]
        whole = (r for r in tried if isinstance(r, int) and r > 0)
        fitting = (r for r in whole if all(max(1, c // r) == d for d, c in widths))
        found["reduction"] = next(fitting, DEFAULT_REDUCTION)
    return found


def check_names(missing: list[str], others: list[str], what: str) -> None:
    """Raise WeightsError unless the file has all arrays of the model, and no others; what: it has not."""
    found = {"lacks": missing, "has other": others}
    said = [f"{word} {len(names)}: {shown(names)}" for word, names in found.items() if names]
    if said:
        raise WeightsError(f"{what}; it {' and '.join(said)}")


def shaped(found: Array, expected: Array, where: str) -> Array:
    """`found` in float32 and in the shape of `expected`, if it has finite numbers and that shape."""
    if found.dtype.kind != "f":
        raise WeightsError(f"{where} holds {found.dtype} numbers, expected floating point")
    if found.shape == (1,) and expected.shape == ():  # one parameter, as PyTorch keeps it
        found = found.reshape(())
    if found.shape != expected.shape:
        raise WeightsError(f"{where} has shape {found.shape}, expected {expected.shape}")
    with np.errstate(over="ignore"):
        array: Array = found.astype(np.float32)
    if not np.isfinite(array).all():
        raise WeightsError(f"{where} holds numbers that are infinite or none in float32")
    if where.endswith("running_var") and array.min() < 0:
        raise WeightsError(f"{where} holds the variance {array.min():g}, expected none below 0")
    return array


def shown(names: Iterable[str]) -> str:
    """The first few of the names, as they may stand in a line."""
    first = [name[:60] if name.isprintable() else ascii(name[:60]) for name in names]
    return ", ".join(first[:3]) + (", …" if len(first) > 3 else "")
