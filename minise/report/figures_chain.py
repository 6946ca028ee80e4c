"""The chain of four neurons as a picture: where its gradient passes, and where it stops."""

from __future__ import annotations

from matplotlib.patches import Circle, Rectangle

from minise.analysis.dying_chain import Chain
from minise.analysis.microscope import FLAT
from minise.report.filters import PRIME, decimal, listed, short
from minise.report.theme import COOL, INK, MUTED, PAPER, RULE, WARM, Plot, finish, panel


def chain_picture(chain: Chain, name: str) -> Plot:
    """The neurons in a row: their slopes inside, their inputs above, the gradients of their biases as bars below."""
    n = len(chain.z)
    figure, axes = panel(350, 185, left=34, right=6, top=6, bottom=6)
    axes.set_axis_off()
    axes.set(xlim=(0.35, n + 0.65), ylim=(-1.55, 0.75), aspect="equal")
    most = max(map(abs, chain.db)) or 1
    for i, (z, slope, db) in enumerate(zip(chain.z, chain.slopes, chain.db, strict=True), start=1):
        dead = slope == 0
        if i > 1:
            passes = db != 0 or chain.slopes[i - 1] != 0
            axes.plot((i - 0.68, i - 0.32), (0, 0), color=MUTED if passes else RULE, linewidth=1.4)
        color = WARM if dead else COOL
        axes.add_patch(Circle((i, 0), 0.31, facecolor=PAPER, edgecolor=color, linewidth=1.8))
        axes.add_patch(Circle((i, 0), 0.31, facecolor=color, alpha=0.15 + 0.35 * abs(slope) * (not dead)))
        axes.text(i, 0, _shown(slope), ha="center", va="center", color=INK, fontsize=12, fontweight="bold")
        axes.text(i, 0.48, f"z = {decimal(z)}", ha="center", color=MUTED, fontsize=10)
        height = 0.55 * abs(db) / most
        bar = Rectangle((i - 0.16, -1.1), 0.32, max(height, 0.015), facecolor=COOL if db else WARM, alpha=0.8)
        axes.add_patch(bar)
        axes.text(i, -1.38, _shown(db), ha="center", color=INK if db else WARM, fontsize=11)
    for y, words in ((0, f"act{PRIME}(z)"), (-1.34, "∂C/∂b")):
        axes.text(0.55, y, words, ha="right", va="center", color=MUTED, fontsize=10)
    still = listed([str(i) for i, db in enumerate(chain.db, start=1) if abs(db) < FLAT])
    words = (
        f"Slopes of the four neurons {', '.join(map(_shown, chain.slopes))}; gradients of their biases"
        f" {', '.join(map(_shown, chain.db))}. "
    )
    if chain.dead:
        words += f"The slope of neuron {listed([str(i) for i in chain.dead])} is 0, so neurons {still} learn nothing."
    else:
        words += f"What reaches neurons {still} is too small to matter." if still else "Every neuron learns."
    return finish(figure, name, chain.act, words)


def _shown(x: float) -> str:
    """With two decimals; one that is small and not 0 as what it is."""
    return short(x, 1) if 0 < abs(x) < 0.005 else decimal(x)
