"""Following a training or a study: whatever displays there are show its events as they come."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator
from typing import Any

from minise_cli.errors import CommandError
from minise_cli.render.console import Waiting, unofficial, warn

from minise.runs.job import Started


class Display(contextlib.AbstractContextManager["Display"]):
    """Shows events between entering and leaving it."""

    def __exit__(self, *exc: object) -> None:
        """Nothing is left open."""

    def show(self, event: Any) -> None:
        raise NotImplementedError


def follow(
    events: Generator[Any, None, None],
    waiting: Waiting,
    *displays: Display,
    stopped: Callable[[KeyboardInterrupt], CommandError],
) -> None:
    """Show the events until there are no more; whatever ends that, what makes them is closed and left in order.

    waiting: stands until the first event. stopped: what is said where the user interrupts it.
    """
    with contextlib.closing(events):  # a stop between two events is a stop of the training, too
        try:
            first = next(events)
            waiting.close()
            if isinstance(first, Started):
                warn(*unofficial(first.dataset))
            with contextlib.ExitStack() as entered:
                for display in displays:
                    entered.enter_context(display)
                for event in itertools.chain([first], events):
                    for display in displays:
                        display.show(event)
        except KeyboardInterrupt as error:
            events.close()
            raise stopped(error) from error
