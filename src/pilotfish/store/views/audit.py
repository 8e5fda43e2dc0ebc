"""Who did what, newest first: settings changed, leaders followed and left, portfolios, closings by hand, resets."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice

import msgspec
from sqlalchemy import Connection, select

from pilotfish.store import tables as t
from pilotfish.store.views.base import iso


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One deed. ``what`` in a few words; ``setting`` is the changed one's name, with ``old`` and ``new`` as text
    (``None`` = not set); ``detail`` says more; ``leader`` is a wallet; empty where it concerns none, or all."""

    at: str
    by: str
    what: str
    portfolio: str = ""
    leader: str = ""
    setting: str = ""
    old: str | None = None
    new: str | None = None
    detail: str = ""


_COMMANDS = {"reset": "paper state reset", "close": "positions closed by hand"}


def newest(c: Connection, limit: int) -> list[Deed]:
    """The newest deeds of all kinds."""
    kinds = (_settings(c, limit), _others(c, limit), _commands(c, limit))
    return [deed for _, deed in islice(merge(*kinds, key=lambda pair: -pair[0]), limit)]


def _settings(c: Connection, limit: int) -> Iterator[tuple[int, Deed]]:
    a = t.settings_audit.c
    for r in c.execute(select(t.settings_audit).order_by(a.id.desc()).limit(limit)):
        yield (
            r.at,
            Deed(
                at=iso(r.at), by=r.by, what="setting changed", portfolio=r.portfolio, leader=r.leader, setting=r.name,
                old=r.old, new=r.new,
            ),
        )  # fmt: skip


def _others(c: Connection, limit: int) -> Iterator[tuple[int, Deed]]:
    a = t.audit.c
    for r in c.execute(select(t.audit).order_by(a.id.desc()).limit(limit)):
        yield r.at, Deed(at=iso(r.at), by=r.by, what=r.deed, portfolio=r.portfolio, leader=r.leader, detail=r.detail)


def _commands(c: Connection, limit: int) -> Iterator[tuple[int, Deed]]:
    a = t.commands.c
    for r in c.execute(select(t.commands).order_by(a.id.desc()).limit(limit)):
        asked: dict[str, str | None] = r.payload
        yield (
            r.created_at,
            Deed(
                at=iso(r.created_at), by=r.by, what=_COMMANDS.get(r.kind, r.kind),
                portfolio=asked.get("portfolio") or "", leader=asked.get("leader") or "",
                detail=r.result if r.result is not None else "asked for, not done yet",
            ),
        )  # fmt: skip
