"""Draw docs/images/train.svg: what `minise train` shows on a terminal, in the midst of the training of `make demo`.

python docs/images/train_picture.py          (about a minute and a half)
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from pathlib import Path

from minise_cli.progress.live import picture
from minise_cli.progress.state import State
from rich.console import Console

from minise.runs.job import train
from minise.train import StepDone
from minise.train.config import TrainConfig

DEMO = TrainConfig(
    dataset="shapes10",
    model="se-convnet",
    act="felu",
    reduction=4,
    limit_train=12_000,
    limit_test=2_000,
    epochs=5,
    batch_size=64,
    flip=False,
    crop=2,
    optimizer="adamw",
    lr=0.01,
    schedule="one_cycle",
    warmup=0.0,
)
MOMENT = (5, 120)  # epoch, step
SIZE = (88, 30)


def main() -> None:
    state = State()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for event in train(DEMO, "runs/demo"):
            state.take(event)
            if isinstance(event, StepDone) and (event.epoch, event.step) == MOMENT:
                break
    console = Console(record=True, width=SIZE[0], force_terminal=True, file=io.StringIO())
    console.print(picture(state, *SIZE))
    svg = console.export_svg(title="minise train")
    offline = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # any monospace font will do
    Path(__file__).resolve().with_name("train.svg").write_text(offline)


if __name__ == "__main__":
    main()
