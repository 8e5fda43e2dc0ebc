"""Who did what besides changing a setting: following and leaving, and portfolios. Each is written in the
transaction of the deed itself; resets and closings by hand are rows of their own already (``commands``)."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Connection, insert

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
