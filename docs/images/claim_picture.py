"""Draw docs/images/claim-runs.svg: the test accuracy of every run of a study, from its report in JSON.

minise report runs/claim --format json -o docs/claim-quick.json
python docs/images/claim_picture.py docs/claim-quick.json docs/images/claim-runs.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLOURS = {
    "plain": "#5f6b7a",
    "se-relu": "#c2703d",
    "se-felu": "#2f6fb3",
    "se-elu": "#3f8f5f",
    "se-prelu": "#8a5fa8",
}


def draw(study: dict, path: Path) -> None:
    """A panel for each data set, a row for each arm: a dot for each run, the mean, its 95 % interval."""
    plt.rcParams.update(
        {"font.size": 10, "svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "minise"}
    )
    datasets, arms = study["config"]["datasets"], list(study["config"]["arms"])
    figure, panels = plt.subplots(1, len(datasets), figsize=(8.4, 2.5), sharey=True, layout="constrained")
    for axes, dataset in zip(panels, datasets, strict=True):
        for row, arm in enumerate(arms):
            runs = [100 * r["test_acc"] for r in study["runs"] if (r["dataset"], r["arm"]) == (dataset, arm)]
            (found,) = (a for a in study["verdict"]["arms"] if (a["dataset"], a["arm"]) == (dataset, arm))
            axes.scatter(runs, [row + 0.26] * len(runs), s=16, color=COLOURS[arm], alpha=0.5, linewidths=0)
            axes.plot([found["low"], found["high"]], [row, row], color=COLOURS[arm], linewidth=2)
            axes.plot(found["mean"], row, "o", color=COLOURS[arm], markersize=5)
        axes.set_title({"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[dataset], fontsize=11, loc="left")
        axes.set_xlabel("test accuracy, %")
        axes.grid(axis="x", color="#dddddd", linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(arms)), arms)
    panels[0].invert_yaxis()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
