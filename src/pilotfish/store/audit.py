"""Who did what besides changing a setting: following and leaving, and portfolios. Each is written in the
transaction of the deed itself; resets and closings by hand are rows of their own already (``commands``)."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Connection, func, insert, select

from pilotfish.store import tables as t


class Deed(StrEnum):
    """What somebody did."""

    FOLLOWED = "followed"
    FOLLOWED_AGAIN = "followed again"
    LEFT = "left"
    PAUSED = "paused"
    RESUMED = "resumed"
    RENAMED = "renamed"
    MADE = "portfolio made"
    ARCHIVED = "portfolio archived"
    CHOSE = "leaders chosen"


def note(
    c: Connection, deed: Deed, *, at: int, by: str, portfolio: str = "", leader: str = "", detail: str = ""
) -> None:
    """Write down a deed of ``by`` at ``at`` (µs); ``detail`` is for people."""
    c.execute(
        insert(t.audit).values(at=at, by=by, deed=deed.value, portfolio=portfolio, leader=leader, detail=detail[:500])
    )


def newest(c: Connection) -> tuple[int, int]:
    """The numbers of the newest deed and of the newest change of a setting: whoever changes what a worker takes up
    writes one of them down in the same transaction."""
    deeds, settings = (c.execute(select(func.max(x.c.id))).scalar() or 0 for x in (t.audit, t.settings_audit))
    return deeds, settings
