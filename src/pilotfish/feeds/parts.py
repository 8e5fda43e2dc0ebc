"""Signs of life of the loops that must not end: each says by when it shows again that it goes on.

Whoever does work for a loop, in tasks of its own too, shows it for the loop: which one that is goes with the context.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any

PATIENCE = 120.0
"""Seconds that a loop which asks other machines may stand still before that is a fault of this program: a request that
hangs ends earlier, and what it was asked for has a health of its own."""


@dataclass(slots=True, eq=False)
class Part:
    """A loop that must not end. ``due``: by when it shows itself again (steady s; infinite = it waits for another
    part), ``None`` before its first sign of life. ``patience``: seconds beyond that until it must have hung.
    ``lasting``: it is in a connection, whose life is judged by what that brings, so no other sign is asked of it."""

    name: str
    task: asyncio.Task[Any] | None = None
    due: float | None = None
    patience: float = 0.0
    lasting: bool = False

    def quiet_for(self, now: float) -> float:
        """Seconds since it was due."""
        return 0.0 if self.due is None else max(0.0, now - self.due)


_PART: ContextVar[Part | None] = ContextVar("part", default=None)


def begin(work: Coroutine[Any, Any, None], name: str, part: Part | None) -> asyncio.Task[None]:
    """A task that works for this part, or for none."""
    context = copy_context()
    context.run(_PART.set, part)
    task = asyncio.create_task(work, name=name, context=context)
    if part is not None:
        part.task = task
    return task


def beat(now: float, within: float, patience: float) -> None:
    """The part that this is done for goes on, and shows it again within so many seconds."""
    part = _PART.get()
    if part is not None and not part.lasting:
        part.due, part.patience = now + within, patience


def lasts(lasting: bool) -> None:
    """The part that this is done for enters a connection that lasts, or has left it. What works for it inside may show
    signs of life of its own, of which none follows when there is nothing more to do."""
    part = _PART.get()
    if part is not None:
        part.lasting = False
        if lasting:
            part.due, part.patience, part.lasting = WAITS, PATIENCE, True


def where(task: asyncio.Task[Any]) -> list[str]:
    """What a task waits in: the chain of calls, the innermost last."""
    chain: list[str] = []
    what: Any = task.get_coro()
    for _ in range(_DEEPEST):
        frame = getattr(what, "cr_frame", None) or getattr(what, "gi_frame", None) or getattr(what, "ag_frame", None)
        if frame is not None:
            chain.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}")
        what = getattr(what, "cr_await", None) or getattr(what, "gi_yieldfrom", None) or getattr(what, "ag_await", None)
        if what is None:
            break
    return chain


_DEEPEST = 64
WAITS = math.inf
"""Of a part that waits for another one, which is watched itself."""
