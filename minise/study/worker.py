"""One run of a study in a process of its own: JSON on stdin says which, a line of JSON on stdout each event.

    in    {"config": options, "path": run folder, "resume": whether to go on with it, "argv": the study's,
           "plugins": files to import first, with their checksums}
    out   {"event": "epoch", …}    after each epoch
          {"event": "error", "message": …}   when no run of the study can go on: no data, a full disk

What came of the run, its folder says.
SIGTERM interrupts it, as Ctrl-C does a training: the run can be resumed. So does the end of stdin, which comes when
the process of the study is no more.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings
from contextlib import closing
from dataclasses import asdict
from types import FrameType
from typing import Any

from minise._util.plugins import LOADED, load_plugins
from minise.errors import BusyError, ConfigError, MiniseError
from minise.runs.job import FINAL, train
from minise.study.outcome import INTERRUPTED
from minise.train.config import config_from_dict
from minise.train.loop import EpochDone


def work(job: dict[str, Any]) -> int:
    """Train as the job says and return the exit code."""
    sys.argv[1:] = job["argv"]  # what the run folder says it came from
    warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's overflows: a loss that is no number is an error
    try:
        load_plugins(job["plugins"])
        if job["plugins"] != LOADED:
            raise ConfigError("plugin: a file has changed since the study began, expected it not to")
        events = train(config_from_dict(job["config"]), job["path"], resume=job["resume"])
        with closing(events):
            for event in events:
                if isinstance(event, EpochDone):
                    say(event="epoch", **asdict(event))
    except FINAL:  # the run folder says why
        return 0
    except BusyError:  # somebody resumes it by hand: it stays open
        return INTERRUPTED
    except MiniseError as error:
        say(event="error", message=str(error))
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return INTERRUPTED
    return 0


def say(**line: Any) -> None:
    """A line of JSON on stdout, at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """The process: one job, then the end."""
    signal.signal(signal.SIGTERM, _stop)
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_with_the_study, daemon=True).start()
    sys.exit(work(job))


def _stop_with_the_study() -> None:
    while os.read(sys.stdin.fileno(), 4096):  # not by `sys.stdin`, whose lock would be held when Python ends
        pass
    if sys.platform == "win32":  # there, `kill` would end it at once
        signal.raise_signal(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
