"""The main job, from options to a finished run folder: data, model, `fit`, checkpoints, one test at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minise.backend import resolve_device, usable_backend
from minise.runs.run import METRICS, MICROSCOPE, Run
from minise.train.config import TrainConfig, differing
from minise.data import Augment, Batches, Dataset, Split, holdout, load
from minise.data.augment import normalise
from minise.data.on_device import DeviceBatches
from minise.errors import ConfigError, RunError
from minise._util.files import alone, check_new, make_folder
from minise.kernels.cuda import launch as cuda_launch
from minise.kernels.threads import set_threads
from minise.train.metrics import Evaluation, score
from minise.analysis.microscope import look
from minise.models import ModelInfo, build, describe
from minise.nn import Module
from minise.optim.optimizers import Optimizer, make_optimizer
from minise._util.plugins import plugin_words, plugins_here
from minise.runs.provenance import provenance, versions
from minise.optim.schedules import make_schedule
from minise.train.loop import DivergedError, EpochDone, StepDone, fit, predict

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
    """Before the first step, if kernels must be compiled first: once on a machine, they are cached on its disk."""

    backend: str


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
        yield from _train(config, Path(path), resume, progress, held)


def _train(
    config: TrainConfig, path: Path, resume: bool, progress: Progress | None, held: ExitStack
) -> Generator[Event, None, None]:
    """held: lets go of the run in the end."""
    run = _unfinished(path) if resume else None
    if run is None:
        check_new(path)  # before anything is downloaded for it
    else:
        held.enter_context(alone(path))
        run = _unfinished(path)  # as whoever held it left it
        given = [name for name in differing(config, run.config) if getattr(config, name) is not None]
        _refuse(given, config, run)
    device = _device(config)
    backend = usable_backend(device)
    threads = set_threads(config.threads)
    dataset = load_dataset(config, progress=progress)
    config = config.resolved(len(dataset.train))
    if run is not None:
        _refuse(differing(config, run.config), config, run)
    train_split, val_split = holdout(dataset.train, config.val_size or 0, (config.seed,))
    batches = training_batches(config, dataset, train_split, device)
    model = _network(config, dataset, train_split)
    info = describe(model)  # here, where it needs no GPU
    model.to(device=device)
    optimizer = optimizer_for(config, model)
    schedule = make_schedule(
        config.schedule,
        optimizer.lr,
        config.epochs * len(batches),
        warmup=round(config.warmup * len(batches)),
    )
    validation = evaluation_batches(dataset, val_split) if len(val_split) else None
    looked_at = train_split.take(config.microscope)
    sample_batches = evaluation_batches(dataset, looked_at) if config.microscope else None
    start = 0
    if run is not None:
        _same_data(run, dataset)
        _same_code(run)
        start = run.load_resume(model, optimizer) if run.can_resume() else 0
        run.keep_lines(start)
        run.update(state="running", reason="", final=False)
    else:
        make_folder(path)
        held.enter_context(alone(path))
        run = Run.create(path, config, provenance(dataset, device, backend.name, threads))

    epoch_running = start
    try:
        yield Started(
            run.path,
            config,
            info,
            dataset,
            len(train_split),
            len(val_split),
            device,
            backend.name,
            threads,
            start,
        )
        seconds = sum(line["seconds"] for line in run.metrics())
        yield from compile_kernels(backend.name)
        for event in fit(
            model,
            batches,
            optimizer,
            schedule,
            epochs=config.epochs,
            validation=validation,
            smoothing=config.smoothing,
            tta=config.tta,
            device=device,
            half=config.precision == "fp16",
            graph=config.graph and device == "cuda",
            start=start,
        ):
            if isinstance(event, EpochDone):
                seconds += event.seconds
                if sample_batches is not None:
                    views = look(model, sample_batches, classes=len(dataset.classes), device=device)
                    run.append(MICROSCOPE, {"epoch": event.epoch, "blocks": [v.summary() for v in views]})
                run.append(METRICS, asdict(event))
                run.save_model(model, epoch=event.epoch)
                run.save_resume(model, optimizer, event.epoch)  # last: lines after it would be missing
            epoch_running = event.epoch
            yield event
        tests = evaluation_batches(dataset, dataset.test).epoch(0)
        logits, labels = predict(model, tests, tta=config.tta, device=device)
        test = score(logits, labels)
        if not math.isfinite(test.loss):
            raise DivergedError(
                f"training: the loss of the test images is {test.loss} after the last step, expected a number:"
                " lower --lr or lengthen --warmup"
            )
        run.save_test(logits, labels)
        run.finish(result=result_of(test), train_seconds=seconds)
    except BaseException as error:
        _stopped(run, model, epoch_running, error)
        raise
    yield Finished(run.path, test, seconds)


def _network(config: TrainConfig, dataset: Dataset, split: Split) -> Module:
    """The model as it begins."""
    model = build(config.model, classes=len(dataset.classes), **config.model_options())
    model.calibrate(normalise(split.images[:CALIBRATION_IMAGES], dataset.mean, dataset.std))
    return model


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
        from minise.kernels.numba.register import compiled, prepare

        if not compiled():
            yield Compiling(backend)
        prepare()


def load_dataset(config: TrainConfig, progress: Progress | None = None) -> Dataset:
    """The data set that the options name."""
    return load(
        config.dataset,
        data_dir=config.data_dir,
        mirror=config.mirror,
        limit_train=config.limit_train,
        limit_test=config.limit_test,
        progress=progress,
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


def _unfinished(path: Path) -> Run:
    """The run in that folder, or RunError if it is done."""
    run = Run.open(path)
    if run.info["state"] == "done":
        raise RunError(f"run: {path} is done, there is nothing to resume")
    return run


def _refuse(changed: list[str], config: TrainConfig, run: Run) -> None:
    """Raise ConfigError for the first of the options that are not as the run was begun, if there are any."""
    for name in changed:
        raise ConfigError(
            f"{name}: found {getattr(config, name)!r}, expected {getattr(run.config, name)!r} as {run.path} was begun"
        )


def _same_data(run: Run, dataset: Dataset) -> None:
    recorded = run.info["data"].get("checksum", "")
    if recorded != dataset.checksum:
        raise RunError(
            f"run: {run.path} was trained on data with checksum {recorded[:12]}…, found {dataset.checksum[:12]}…"
        )


def _same_code(run: Run) -> None:
    """Raise RunError for other plugins than it was begun with; another minise is only recorded."""
    if run.plugins != plugins_here():
        then, now = plugin_words(run.plugins), plugin_words(plugins_here())
        raise RunError(f"run: {run.path} was begun with the plugins {then}, found {now}")
    known = [run.info.get("versions"), *run.info.get("resumed_with", [])]
    if versions() not in known:
        run.info["resumed_with"] = [*known[1:], versions()]  # which the next update writes


def _stopped(run: Run, model: Module, epoch: int, error: BaseException) -> None:
    """Leave a usable run behind. A disk that is full must not hide the error that came first."""
    state = "interrupted" if isinstance(error, (KeyboardInterrupt, GeneratorExit)) else "failed"
    try:
        run.update(state=state, reason=str(error), final=isinstance(error, FINAL))
        if state == "interrupted":
            run.save_model(model, epoch=epoch, whole=False)
    except RunError:
        if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
            raise
