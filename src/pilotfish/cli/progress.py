"""A bar of long work, at a terminal: what is done, how much of it, and about how long the step still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from pilotfish.core.numerals import about
from pilotfish.core.pace import Pace


class Left(ProgressColumn):
    """About how long the step that a task's description names still takes; nothing while that is not known."""

    def __init__(self, clock_ms: Callable[[], int] = lambda: int(time.monotonic() * 1000)) -> None:
        super().__init__()
        self._clock_ms = clock_ms
        self._pace = Pace()

    def render(self, task: Task) -> Text:
        """The words."""
        done, of = task.fields.get("worked") or (task.completed, task.total or 0)
        left = self._pace.left_sec(task.description, int(done), int(of), self._clock_ms())
        return Text("" if left is None else f"{about(left)} left in this step")


@contextmanager
def bar(of: str = "{task.completed}/{task.total}", **fields: int) -> Iterator[tuple[Progress, TaskID]]:
    """A bar of one task on standard error, at a terminal alone. ``of`` says how far it is; ``fields`` are its own."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>12}"), BarColumn(), TextColumn(of), Left())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress, progress.add_task("", total=None, **fields)  # type: ignore[arg-type]
