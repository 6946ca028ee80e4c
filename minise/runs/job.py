"""The main job, from options to a finished run folder: data, model, `fit`, checkpoints, one test at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minise._util.files import alone, check_new, make_folder
from minise.analysis.microscope import look
from minise.backend import resolve_device, usable_backend
from minise.data import Augment, Batches, Dataset, Split, holdout, load
from minise.data.augment import normalise
from minise.data.on_device import DeviceBatches
from minise.errors import ConfigError, RunError
from minise.kernels.cuda import launch as cuda_launch
from minise.kernels.threads import set_threads
from minise.models import ModelInfo, build, describe
from minise.nn import Module
from minise.optim.optimizers import Optimizer, make_optimizer
from minise.optim.schedules import make_schedule
from minise.runs.provenance import machine, provenance
from minise.runs.resume import go_on, refuse, reopened
from minise.runs.run import METRICS, MICROSCOPE, Run
from minise.train.config import TrainConfig, differing
from minise.train.loop import DivergedError, EpochDone, StepDone, check_finite, fit, predict
from minise.train.metrics import Evaluation, score

EVAL_BATCH = 250
CALIBRATION_IMAGES = 5000
"""How many training images a model may take statistics from before the first step."""
FINAL = (DivergedError, MemoryError)
"""Errors that come of what is trained: it would end like this again. `run.json` says so."""
SPARED = ("bias", "norm", "alpha")
"""The kinds of parameter that `decay = "weights"` spares: decay would pull FeLU's alpha towards ReLU."""


@dataclass(frozen=True)
class Started:
    """Before the first step: what is about to be trained, on what."""

    run: Path
    config: TrainConfig
    model: ModelInfo
    dataset: Dataset
    train_images: int
    val_images: int
    device: str
    backend: str
    threads: int
    start: int


@dataclass(frozen=True)
class Compiling:
    """Before the first step, if kernels must be compiled first: once on a machine, they are cached on its disk.

    temporary: the folder instead, where no cache can be written; it is deleted in the end.
    """

    backend: str
    temporary: str | None = None


@dataclass(frozen=True)
class Finished:
    """After the last epoch: the only look at the test set."""

    run: Path
    test: Evaluation
    seconds: float


Event = Started | Compiling | StepDone | EpochDone | Finished
Progress = Callable[[int, int | None], None]


def train(
    config: TrainConfig, path: str | Path, *, resume: bool = False, progress: Progress | None = None
) -> Generator[Event, None, None]:
    """Train as configured into the run folder `path`, yielding events; with `resume`, go on with that run, whose
    configuration `config` must be, but for the options in MACHINE.

    Weights are saved after every epoch, and once more if the caller stops early, so that what has been
    learnt can always be evaluated. Data order and augmentation depend on seed and epoch
    alone, so a resumed run ends bit for bit where an uninterrupted one does, on the same device.
    progress: called with bytes done and total while data is downloaded. Raises ConfigError, DataError, RunError, also
    where another process works on the run, or DivergedError.
    """
    with ExitStack() as held:
        training = _Training(config, Path(path), resume, progress, held)
        epoch = training.started.start
        try:
            yield training.started
            yield from compile_kernels(training.started.backend)
            for event in training.fit():
                epoch = event.epoch
                yield event
            finished = training.finish()
        except BaseException as error:
            training.stopped(epoch, error)
            raise
        yield finished


class _Training:
    """A run, its model, and all that trains it; `held` lets go of the run in the end."""

    def __init__(
        self, config: TrainConfig, path: Path, resume: bool, progress: Progress | None, held: ExitStack
    ) -> None:
        run = reopened(config, path, held) if resume else None
        if run is None:
            check_new(path)  # before anything is downloaded for it
        self.device = _device(config)
        backend = usable_backend(self.device).name
        threads = set_threads(config.threads)
        self.dataset = dataset = load_dataset(config, progress=progress)
        self.config = config = config.resolved(len(dataset.train))
        if run is not None:
            refuse(differing(config, run.config), config, run)
        train, val = holdout(dataset.train, config.val_size or 0, (config.seed,))
        self.batches = training_batches(config, dataset, train, self.device)
        self.validation = evaluation_batches(dataset, val) if len(val) else None
        self.looked_at = evaluation_batches(dataset, train.take(config.microscope))
        self.model = build(config.model, classes=len(dataset.classes), **config.model_options())
        self.model.calibrate(normalise(train.images[:CALIBRATION_IMAGES], dataset.mean, dataset.std))
        info = describe(self.model)  # here, where it needs no GPU
        self.model.to(device=self.device)
        self.optimizer = optimizer_for(config, self.model)
        here = machine(self.device, backend, threads)
        start = go_on(run, dataset, self.model, self.optimizer, here) if run is not None else 0
        if run is None:
            make_folder(path)
            held.enter_context(alone(path))
            run = Run.create(path, config, provenance(dataset, self.device, backend, threads))
        self.run = run
        self.started = Started(
            path, config, info, dataset, len(train), len(val), self.device, backend, threads, start
        )

    def fit(self) -> Iterator[StepDone | EpochDone]:
        """Train; what an epoch has come to is on the disk before its event is yielded."""
        config, run, steps = self.config, self.run, len(self.batches)
        warmup = round(config.warmup * steps)
        for event in fit(
            self.model,
            self.batches,
            self.optimizer,
            make_schedule(config.schedule, self.optimizer.lr, config.epochs * steps, warmup=warmup),
            epochs=config.epochs,
            validation=self.validation,
            smoothing=config.smoothing,
            tta=config.tta,
            device=self.device,
            half=config.precision == "fp16",
            graph=config.graph and self.device == "cuda",
            start=self.started.start,
        ):
            if isinstance(event, EpochDone):
                if config.microscope:
                    classes = len(self.dataset.classes)
                    views = look(self.model, self.looked_at, classes=classes, device=self.device)
                    run.append(MICROSCOPE, {"epoch": event.epoch, "blocks": [v.summary() for v in views]})
                run.append(METRICS, asdict(event))
                run.save_model(self.model, epoch=event.epoch)
                run.save_resume(
                    self.model, self.optimizer, event.epoch
                )  # last: lines after it would be missing
            yield event

    def finish(self) -> Finished:
        """Test the model, and mark the run as done."""
        tests = evaluation_batches(self.dataset, self.dataset.test).epoch(0)
        logits, labels = predict(self.model, tests, tta=self.config.tta, device=self.device)
        test = score(logits, labels)
        check_finite(test.loss, "after the last step", of=" of the test images")
        seconds = sum(line["seconds"] for line in self.run.metrics())
        self.run.save_test(logits, labels)
        self.run.finish(result=result_of(test), train_seconds=seconds)
        return Finished(self.run.path, test, seconds)

    def stopped(self, epoch: int, error: BaseException) -> None:
        """Leave a usable run behind. A disk that is full must not hide the error that came first."""
        interrupted = isinstance(error, (KeyboardInterrupt, GeneratorExit))
        state = "interrupted" if interrupted else "failed"
        try:
            self.run.update(state=state, reason=str(error), final=isinstance(error, FINAL))
            if interrupted:
                self.run.save_model(self.model, epoch=epoch, whole=False)
        except RunError:
            if interrupted:
                raise


def _device(config: TrainConfig) -> str:
    """Where it is trained. Raises ConfigError if what is asked for is not to be had there."""
    device = resolve_device(config.device)
    if config.precision == "fp16" and device == "cpu":
        raise ConfigError("precision: found fp16 on the CPU, expected fp32 there; fp16 needs --device cuda")
    return device


def compile_kernels(backend: str) -> Iterator[Compiling]:
    """Make the backend's kernels ready, and say so before if that means to compile them.

    Those of cuda are compiled at the first steps: for which shapes, only the model knows.
    """
    if backend == "cuda" and not cuda_launch.cached():
        yield Compiling(backend)
    if backend == "numba":
        from minise.kernels.numba.register import TEMPORARY, compiled, prepare

        if not compiled():
            yield Compiling(backend, None if TEMPORARY is None else str(TEMPORARY))
        prepare()


def load_dataset(
    config: TrainConfig, progress: Progress | None = None, at_most: int | None = None
) -> Dataset:
    """The data set that the options name; at_most: see `load`."""
    return load(
        config.dataset,
        data_dir=config.data_dir,
        mirror=config.mirror,
        limit_train=config.limit_train,
        limit_test=config.limit_test,
        progress=progress,
        at_most=at_most,
    )


def training_batches(config: TrainConfig, dataset: Dataset, split: Split, device: str = "cpu") -> Batches:
    """Shuffled and augmented batches, made where the model is; an incomplete last one is left out unless it is all
    there is.
    """
    kind = DeviceBatches if device == "cuda" else Batches
    return kind(
        split,
        config.batch_size,
        mean=dataset.mean,
        std=dataset.std,
        augment=Augment(pad=config.crop, flip=config.flip, cutout=config.cutout),
        seed=(config.seed, 2),
        shuffle=True,
        drop_last=len(split) >= config.batch_size,
        dtype=np.float16 if config.precision == "fp16" else np.float32,
    )


def evaluation_batches(dataset: Dataset, split: Split) -> Batches:
    """The images in order, as they are."""
    return Batches(split, EVAL_BATCH, mean=dataset.mean, std=dataset.std)


def optimizer_for(config: TrainConfig, model: Module) -> Optimizer:
    """The optimiser that the options name, over all of the model's parameters."""
    return make_optimizer(
        config.optimizer,
        model.named_parameters(),
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        norm_rate=config.norm_rate,
        weight_decay=config.weight_decay,
        spare=SPARED if config.decay == "weights" else (),
    )


def result_of(test: Evaluation) -> dict[str, Any]:
    """The figures of an evaluation, for JSON."""
    return {"test_acc": test.top1, "test_top5": test.top5, "test_loss": test.loss, "test_images": test.images}
