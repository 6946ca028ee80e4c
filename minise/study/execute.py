"""Running a study: what is not done yet, several runs at a time, each in a process of its own.

A process that is killed takes one run with it and not the study. A run that diverged or was killed is recorded in its
folder and counts as failed; one that was interrupted goes on from its last whole epoch the next time.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from minise._util.files import alone, free_paths, make_folder
from minise._util.plugins import LOADED
from minise.backend import resolve_device, usable_backend
from minise.errors import MiniseError, RunError
from minise.kernels.threads import available_threads
from minise.runs.job import Compiling, Progress, compile_kernels, load_dataset
from minise.runs.run import CONFIG, Run
from minise.study.outcome import (
    INTERRUPTED,
    Outcome,
    Study,
    is_study,
    outcome_of,
    planned_study,
    read_study,
)
from minise.study.plan import PlannedRun, StudyConfig
from minise.train.config import MACHINE

PATIENCE = 60.0
"""Seconds that a run has to save itself when the study is stopped."""
BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from minise.study.worker import main; main()"
"""What a process of a run is told: it imports from where this one does, in the same order."""
OWN_FLAGS = (sys.flags.isolated, sys.flags.ignore_environment, sys.flags.no_user_site)
FLAGS = [f"-{letter}" for letter, on in zip("IEs", OWN_FLAGS, strict=True) if on]
"""Its flags, which say from where else it may import."""


@dataclass(frozen=True)
class StudyStarted:
    """What is there, and how many runs are still to be done."""

    study: Study
    todo: int


@dataclass(frozen=True)
class RunStarted:
    """resumed: whether it goes on from a whole epoch."""

    planned: PlannedRun
    resumed: bool


@dataclass(frozen=True)
class RunEpoch:
    """An epoch of a run; line: as in its metrics.jsonl."""

    planned: PlannedRun
    line: dict[str, Any]


@dataclass(frozen=True)
class RunEnded:
    """A run is done or has failed; or it is open, since somebody else stopped its process."""

    outcome: Outcome


StudyEvent = StudyStarted | Compiling | RunStarted | RunEpoch | RunEnded


@dataclass
class _Worker:
    """A process that trains a planned run, the error it reported, and what it wrote on stderr."""

    planned: PlannedRun
    process: subprocess.Popen[str]
    stderr: IO[bytes]
    error: str | None = None
    listener: threading.Thread | None = None

    def leave(self) -> None:
        """Close its stdin: it saves its run and ends. (On Windows, `terminate` would leave it no time to.)"""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def close(self) -> str:
        """Wait until the process has ended and all that it said was passed on; its last line on stderr."""
        self.process.wait()
        if self.listener is not None:
            self.listener.join()
        self.leave()
        with self.stderr:
            self.stderr.seek(0)
            return "".join(self.stderr.read().decode(errors="replace").splitlines()[-1:])


def run_study(
    folder: str | Path,
    config: StudyConfig,
    *,
    jobs: int = 1,
    threads: int | None = None,
    retry: bool = False,
    progress: Progress | None = None,
    **machine: Any,
) -> Generator[StudyEvent, None, None]:
    """Begin the study `config` in `folder`, or extend the one there by it, and do every run that is not done.

    jobs: how many runs at a time; threads: in all, shared out among them. retry: do those that failed anew.
    machine: data_dir, mirror, device. progress: called with bytes done and total while data is downloaded. Whoever
    stops asking for more stops the runs, which can be gone on with. A study of which nothing is left to do is only
    read. Raises ConfigError, DataError or RunError, e.g. for data that is missing or a folder that is in use.
    """
    folder = Path(folder)
    study = planned_study(folder, config)
    todo = study.todo(retry=retry)
    if not todo and is_study(folder) and read_study(folder) == study.config:
        yield StudyStarted(study, 0)
        return
    make_folder(folder.parent)
    with alone(folder, "study", folder.parent / f".{folder.name}.lock") as lock:
        at_once = max(1, min(jobs, len(todo)))
        each = max(1, (threads or available_threads()) // at_once)
        study = planned_study(folder, config, threads=each, **machine)
        todo = study.todo(retry=retry)
        for training in {o.planned.dataset: o.planned.config for o in todo}.values():
            study.check(load_dataset(training, progress=progress))  # before anything begins
        study.write()
        yield StudyStarted(study, len(todo))
        if todo:
            device = resolve_device(machine.get("device", "auto"))
            yield from compile_kernels(usable_backend(device).name)
            yield from _Crew(folder, todo, at_once, lock).work()


class _Crew:
    """The workers that are at it, and what they say."""

    def __init__(self, folder: Path, todo: Sequence[Outcome], jobs: int, lock: int) -> None:
        self.folder, self.todo, self.jobs, self.lock = folder, list(reversed(todo)), jobs, lock
        self.workers: list[_Worker] = []
        self.said: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()

    def work(self) -> Generator[StudyEvent, None, None]:
        try:
            while self.todo or self.workers:
                while self.todo and len(self.workers) < self.jobs:
                    yield self.start(self.todo.pop())
                worker, line = self.said.get()
                if line is None:
                    yield self.end(worker)
                elif line["event"] == "epoch":
                    yield RunEpoch(worker.planned, {k: v for k, v in line.items() if k != "event"})
                elif line["event"] == "error":
                    worker.error = line["message"]
        finally:
            self.stop()

    def start(self, outcome: Outcome) -> RunStarted:
        """Begin a run in a process of its own, which Ctrl-C in the terminal does not reach: `stop` stops it.

        It holds the study's lock too: should this process be killed, nobody begins the run a second time before
        it has saved itself.
        """
        if outcome.state == "failed":
            outcome.path.rename(next(free_paths(outcome.path.with_name(f"{outcome.path.name}.failed"))))
        if outcome.state == "planned" and outcome.path.exists():  # by a process that was killed
            with contextlib.suppress(RunError), alone(outcome.path):
                (outcome.path / CONFIG).unlink(missing_ok=True)
        resume, config = outcome.state == "open", outcome.planned.config
        if resume:  # as it was begun, on this machine
            begun = Run.open(outcome.path).config
            config = replace(begun, **{name: getattr(config, name) for name in MACHINE})
        stderr = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            [sys.executable, *FLAGS, "-P", "-c", BEGIN, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            errors="replace",  # of what a library prints
            start_new_session=True,
            pass_fds=() if sys.platform == "win32" else (self.lock,),  # Windows lacks it
        )
        worker = _Worker(outcome.planned, process, stderr)
        self.workers.append(worker)
        assert process.stdin is not None
        job = {"config": asdict(config), "path": str(outcome.path), "resume": resume}
        job |= {"argv": sys.argv[1:], "plugins": LOADED}
        with contextlib.suppress(BrokenPipeError):  # one that broke is seen when it has ended
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()  # and is not closed: that would stop it
        worker.listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        worker.listener.start()
        return RunStarted(outcome.planned, resume and outcome.epochs > 0)

    def _listen(self, worker: _Worker) -> None:
        """Pass on what a worker says, and None when it has ended."""
        assert worker.process.stdout is not None
        try:
            with worker.process.stdout as stdout:
                for line in stdout:
                    # What a library prints is not for us.
                    with contextlib.suppress(ValueError, RecursionError):
                        said = json.loads(line)
                        if isinstance(said, dict) and "event" in said:
                            self.said.put((worker, said))
        finally:
            worker.process.wait()
            self.said.put((worker, None))

    def end(self, worker: _Worker) -> RunEnded:
        """What has come of a run whose process has ended; one that broke is recorded as failed."""
        self.workers.remove(worker)
        words = worker.close()
        if worker.error is not None:
            raise MiniseError(worker.error)
        outcome = outcome_of(worker.planned, self.folder)
        if outcome.state in ("planned", "open") and worker.process.returncode != INTERRUPTED:
            code = worker.process.returncode
            reason = f"its process ended with {'signal' if code < 0 else 'code'} {abs(code)}"
            reason += f": {words}" if words else ""
            if outcome.state == "planned":
                raise RunError(f"study: {worker.planned.name} did not begin: {reason}")
            Run.open(outcome.path).update(state="failed", reason=reason, final=True)
            outcome = outcome_of(worker.planned, self.folder)
        return RunEnded(outcome)

    def stop(self) -> None:
        """Ask the workers that are left to save their runs and end, and wait for them."""
        for worker in self.workers:
            worker.leave()
        for worker in self.workers:
            try:
                worker.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.process.kill()
            worker.close()
