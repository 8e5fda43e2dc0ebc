"""Look backs as they are shown: the list, one of them with its result, the latest of a wallet."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, select

from pilotfish.core.settings import Value
from pilotfish.store import names
from pilotfish.store import tables as t
from pilotfish.store.jobs import JobState
from pilotfish.store.mapping import read_row, read_rows
from pilotfish.store.views.base import Iso, Page, View, following, iso

STREAMED = 20
"""Rows fetched at a time: a result is large."""


class _Told(View, frozen=True, kw_only=True):
    """What is told of every look back. ``label``: what the wallet is called here, else by itself; ``stage`` with
    ``done`` of ``of`` parts and the ``requests`` made say how far a running one is; ``error`` why one failed;
    ``verdict`` and ``why`` what came of one that is done."""

    id: int
    wallet: str
    label: str
    asked_at: Iso
    by: str
    days: int
    state: JobState
    stage: str
    done: int
    of: int
    requests: int
    error: str | None
    verdict: str | None
    why: str | None
    started_at: Iso | None
    finished_at: Iso | None

    @property
    def ended(self) -> bool:
        """True where nothing more comes of it."""
        return self.state.ended


class LookBackRow(_Told, frozen=True, kw_only=True):
    """A look back without its result. ``left_sec``: about how many seconds its stage still takes, where that is
    known."""

    left_sec: int | None


class LookBackWhole(_Told, frozen=True, kw_only=True):
    """A look back with the settings that it was made with, and the result as ``backtest --json`` gives it."""

    values: dict[str, Value]
    result: dict[str, object] | None
    left_sec: int | None


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of every look back."""

    id: int
    wallet: str
    name: str
    asked_at: int
    by: str
    days: int
    state: JobState
    stage: str
    done: int
    of: int
    requests: int
    error: str | None
    verdict: str | None
    why: str | None
    started_at: int | None
    finished_at: int | None
    left_sec: int | None


class _StoredWhole(_Stored, frozen=True, kw_only=True):
    """All columns that are shown."""

    values: dict[str, Value]
    result: dict[str, object] | None


_L = t.look_backs.c
_ROW = select(*(_L[name] for name in _Stored.__struct_fields__))


def read_look_backs(
    c: Connection, *, limit: int, before: int | None = None, wallet: str | None = None
) -> Page[LookBackRow]:
    """Look backs, the newest first; of a wallet (lower case), or of all."""
    wanted = _ROW.order_by(_L.id.desc()).limit(limit + 1)
    wanted = wanted.where(_L.id < before) if before is not None else wanted
    wanted = wanted.where(_L.wallet == wallet) if wallet is not None else wanted
    rows = list(read_rows(c, _Stored, wanted))
    labels = names.labels(c)
    return Page(data=[_row(one, labels) for one in rows[:limit]], next_before=following(rows, limit))


def read_look_back(c: Connection, number: int) -> LookBackWhole | None:
    """One look back; ``None`` = there is no such."""
    found = read_row(c, _StoredWhole, select(t.look_backs).where(_L.id == number))
    return None if found is None else _whole(found, names.labels(c))


def read_latest(c: Connection, wallet: str) -> LookBackRow | None:
    """What is known of a wallet (lower case) by looking back: the newest that waits, runs or is done; else the newest
    that failed; what was cancelled says nothing."""
    told = (JobState.WAITING, JobState.RUNNING, JobState.DONE)
    for states in (told, (JobState.FAILED,)):
        found = read_row(c, _Stored, _newest(_L.wallet == wallet, _L.state.in_(states)))
        if found is not None:
            return _row(found, names.labels(c))
    return None


def read_every(c: Connection, wallet: str | None) -> Iterator[LookBackWhole]:
    """All look backs, oldest first, in pieces; of a wallet, or of all."""
    wanted = select(t.look_backs).order_by(_L.id).execution_options(yield_per=STREAMED)
    wanted = wanted.where(_L.wallet == wallet) if wallet is not None else wanted
    labels = names.labels(c)
    return (_whole(one, labels) for one in read_rows(c, _StoredWhole, wanted))


def _newest(*where: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return _ROW.where(*where).order_by(_L.id.desc()).limit(1)


def _shown(found: _Stored, labels: dict[str, str]) -> dict[str, object]:
    shown: dict[str, object] = msgspec.structs.asdict(found)
    name = shown.pop("name")
    times = {at: iso(shown[at]) for at in ("asked_at", "started_at", "finished_at")}  # type: ignore[call-overload]
    return {**shown, **times, "label": labels.get(found.wallet) or name}


def _row(found: _Stored, labels: dict[str, str]) -> LookBackRow:
    return LookBackRow(**_shown(found, labels))  # type: ignore[arg-type]


def _whole(found: _StoredWhole, labels: dict[str, str]) -> LookBackWhole:
    return LookBackWhole(**_shown(found, labels))  # type: ignore[arg-type]
