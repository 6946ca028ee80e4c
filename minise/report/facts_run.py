"""All that a report says about a run, as data. What there is not, `gaps` says in words."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minise.analysis.microscope import look
from minise.backend import Array
from minise.data import Dataset, load, png
from minise.errors import MiniseError, RunError
from minise.models import MODELS, ModelInfo, build, describe
from minise.report.answers import Answers, read_answers
from minise.report.history import History, history
from minise.report.origin import origin
from minise.runs.job import evaluation_batches
from minise.runs.reopen import LOOKED_AT
from minise.runs.run import MICROSCOPE, Run

T = TypeVar("T")


@dataclass(frozen=True)
class RunFacts:
    """Of a run: info is its run.json; answers, blocks, history: None or empty where there are none.

    blocks: what each SE block does, as `BlockView` says: on the first `LOOKED_AT` test images, or, where the data
    are not at hand, what the training itself recorded last (then without what grows with channels or classes).
    pictures: the images of the mistakes, as data URIs; empty where the data are not at hand.
    gaps: of "answers", "pictures" and "microscope", why a part is missing.
    """

    path: str
    config: dict[str, Any]
    toml: str
    state: str
    state_words: str
    info: dict[str, Any]
    classes: tuple[str, ...]
    model: ModelInfo
    seconds: float
    metrics: tuple[dict[str, Any], ...]
    answers: Answers | None
    blocks: tuple[dict[str, Any], ...]
    history: History | None
    pictures: tuple[str, ...] = field(repr=False)
    gaps: dict[str, str]

    @property
    def accuracy(self) -> float | None:
        """Of the test, a fraction."""
        if self.answers is not None:
            return self.answers.test.top1
        found = (self.info.get("result") or {}).get("test_acc")
        return float(found) if isinstance(found, int | float) else None

    @property
    def has_se(self) -> bool:
        return MODELS[self.config["model"]].has_se

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Where the results come from, as rows of words."""
        return origin(self.path, self.info)


def run_facts(path: str | Path, *, images: int = 24) -> RunFacts:
    """Gather them; images: how many of the worst mistakes to show. Nothing is downloaded. Raises RunError."""
    run = Run.open(path)
    config = run.config
    lines = run.metrics()
    recorded = run.lines(MICROSCOPE)
    gaps: dict[str, str] = {}

    def attempt(part: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except MiniseError as error:
            gaps[part] = str(error)
            return None

    answers = attempt("answers", lambda: answers_of(run, run.classes, images))
    dataset = attempt("data", lambda: data_of(run))
    if "data" in gaps:
        gaps["pictures"] = gaps["microscope"] = gaps.pop("data")
    views, pictures = None, None
    if dataset is not None:
        views = attempt("microscope", lambda: blocks_of(run, dataset))
    if dataset is not None and answers is not None:
        pictures = attempt("pictures", lambda: pictures_of(answers, dataset))
    last = tuple(recorded[-1]["blocks"]) if recorded else ()
    return RunFacts(
        str(path),
        asdict(config),
        config.to_toml(),
        run.state,
        run.state_words,
        run.info,
        run.classes,
        describe(build(config.model, classes=len(run.classes), **config.model_options())),
        sum(line["seconds"] for line in lines),
        tuple(lines),
        answers,
        last if views is None else views,
        history(recorded),
        pictures or (),
        gaps,
    )


def answers_of(run: Run, classes: tuple[str, ...], images: int) -> Answers:
    """What the logits of its test say. Raises RunError where there are none that could be read."""
    if run.state != "done":
        raise RunError(f"the run {run.state_words}: the test comes at the end")
    logits, labels = run.load_test()
    n, k = logits.shape
    sound = n and k == len(classes) and labels.min() >= 0 and labels.max() < k and np.isfinite(logits).all()
    if not sound:
        raise RunError(f"test.safetensors holds logits {logits.shape} that are not of {len(classes)} classes")
    return read_answers(logits, labels, images)


def data_of(run: Run) -> Dataset:
    """The test images of the run, if they can be had without a download. Raises DataError or RunError."""
    config = run.config
    dataset = load(
        config.dataset,
        data_dir=run.data_dir,
        limit_train=1,
        limit_test=config.limit_test,
        download=False,
    )
    if dataset.official is not None and run.info["data"].get("checksum") != dataset.checksum:
        raise RunError(f"{dataset.source} is not the data of the run (another checksum)")
    return dataset


def blocks_of(run: Run, dataset: Dataset) -> tuple[dict[str, Any], ...]:
    """What every SE block does on the first test images."""
    if not MODELS[run.config.model].has_se:
        return ()
    model = run.load_model(len(dataset.classes))
    batches = evaluation_batches(dataset, dataset.test.take(LOOKED_AT))
    return tuple(asdict(view) for view in look(model, batches, classes=len(dataset.classes)))


def pictures_of(answers: Answers, dataset: Dataset) -> tuple[str, ...]:
    """The image of each mistake as a data URI. Raises RunError where its label shows that it is another image."""
    test = dataset.test
    for mistake in answers.mistakes:
        if mistake.index >= len(test) or test.labels[mistake.index] != mistake.truth:
            raise RunError(f"{dataset.source} has other test images than the run's")
    return tuple(data_uri(test.images[mistake.index]) for mistake in answers.mistakes)


def data_uri(image: Array) -> str:
    """An image (3, h, w) as a PNG inside a URI."""
    return "data:image/png;base64," + b64encode(png(image.transpose(1, 2, 0))).decode("ascii")
