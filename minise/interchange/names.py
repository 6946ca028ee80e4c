"""What arrays are called here, and what they are called elsewhere, as a table.

`NAMES` has a row for each way of naming, not for each repository: many took theirs from another one. Names say
nothing about the network behind them. Where that differs from ours, `fit` finds what can be found in the weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Names:
    """A way of naming. repositories: where it is used.

    modules: our module -> theirs, for ResNets alone; "blocks", numbered through here, by stage and place in it.
    se: our array of an SE block -> theirs. act: the only activation of their code; None: any.
    normalised: what their code normalises images by, a row of `NORMALISED`; "" where it is not known.
    """

    repositories: tuple[str, ...]
    modules: dict[str, str] = field(default_factory=dict)
    se: dict[str, str] = field(default_factory=dict)
    act: str | None = None
    normalised: str = ""

    def fits(self, ours: Iterable[str]) -> bool:
        """Whether a model with these arrays has the modules that the row names."""
        return self.modules.keys() <= {name.partition(".")[0] for name in ours}

    def theirs(self, ours: Iterable[str]) -> dict[str, str]:
        """Our names, of all arrays of a model, -> theirs."""
        blocks = {name.split(".")[1] for name in ours if name.startswith("blocks.")}
        return {name: self._module(self._se(name), len(blocks) // 3) for name in ours}

    def _se(self, name: str) -> str:
        before, dot, array = name.rpartition(".se.")
        return before + dot + self.se.get(array, array) if dot else name

    def _module(self, name: str, a_stage: int) -> str:
        head, _, rest = name.partition(".")
        if head not in self.modules:
            return name
        if head != "blocks":
            return f"{self.modules[head]}.{rest}"
        number, _, rest = rest.partition(".")
        stage, place = divmod(int(number), a_stage)
        return f"{self.modules[head].format(stage=stage + 1, place=place)}.{rest}"


LINEAR = {
    **{"weight1": "fc1.weight", "bias1": "fc1.bias", "weight2": "fc2.weight", "bias2": "fc2.bias"},
    "alpha": "act.alpha",
}
SEQUENTIAL = {"weight1": "fc.0.weight", "bias1": "fc.0.bias", "weight2": "fc.2.weight", "bias2": "fc.2.bias"}
STAGES = {"conv": "conv1", "bn": "bn1", "blocks": "layer{stage}.{place}"}

NAMES: dict[str, Names] = {
    "minise": Names(("minise",)),
    "twin": Names(("minise, bench/torch_models.py",), se=LINEAR),
    "akamaster": Names(
        ("akamaster/pytorch_resnet_cifar10",),
        modules=STAGES | {"classifier": "linear"},
        se=SEQUENTIAL,
        act="relu",
        normalised="imagenet",
    ),
    "torchvision": Names(
        (
            "moskomule/senet.pytorch",
            "chenyaofo/pytorch-cifar-models",
            "bearpaw/pytorch-classification",
        ),
        modules=STAGES | {"classifier": "fc"},
        se=SEQUENTIAL,
        act="relu",
    ),
}
"""The ways of naming, by the name that `--names` takes."""
