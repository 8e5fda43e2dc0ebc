"""What the sources did not give: when one was down, what is missing of leaders' histories, what could not be used."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from pilotfish.core.names import apart
from pilotfish.core.units import SECOND, Micros
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows
from pilotfish.store.views.base import View, iso

MOST = 1_000
"""Gaps that are looked at, the newest first."""


class Outage(View, frozen=True, kw_only=True, rename={"since": "from"}):
    """When a source was down: from when to when (``None`` = it still is), and why."""

    source: str
    since: str
    to: str | None
    seconds: float | None
    why: str


class Gap(View, frozen=True, kw_only=True, rename={"since": "from"}):
    """A stretch of a leader's history of which not all rows could be had: its first and its last second, and in
    words."""

    leader: str
    label: str
    since: str
    to: str
    told: str


class BadInputTold(View, frozen=True, kw_only=True):
    """What is wrong with an input that could not be used."""

    at: str
    source: str
    error: str | None


class BadInput(BadInputTold, frozen=True, kw_only=True):
    """An input that could not be used, as it came."""

    payload: str | None


class _Change(msgspec.Struct, frozen=True):
    at: Micros
    source: str
    healthy: bool
    detail: str | None


def read_outages(c: Connection, limit: int = 50) -> list[Outage]:
    """When a source was down, newest first."""
    h = t.health_events.c
    found: list[Outage] = []
    began: dict[str, tuple[int, int]] = {}
    newest = select(h.at, h.source, h.healthy, h.detail).order_by(h.id.desc()).limit(4 * limit)
    for r in reversed(list(read_rows(c, _Change, newest))):
        if not r.healthy:
            began[r.source] = (len(found), r.at)
            found.append(Outage(source=r.source, since=iso(r.at), to=None, seconds=None, why=r.detail or ""))
        elif r.source in began:
            which, start = began.pop(r.source)
            over = round((r.at - start) / 1e6, 1)
            found[which] = msgspec.structs.replace(found[which], to=iso(r.at), seconds=over)
    return found[::-1][:limit]


class _Stretch(msgspec.Struct, frozen=True):
    leader: str
    from_ts: int
    to_ts: int
    label: str | None


def read_gaps(c: Connection) -> list[Gap]:
    """Stretches of which not all rows could be had, by leader and time, neighbouring ones as one.

    What is from before the present follow of a leader is left out: nothing from then is taken in any more.
    """
    g = t.history_gaps.c
    newest = select(g.leader, g.from_ts, g.to_ts, t.leaders.c.label).where(g.is_open)
    newest = newest.outerjoin(t.leaders, t.leaders.c.wallet == g.leader)
    newest = newest.outerjoin(t.cursors, t.cursors.c.leader == g.leader)
    newest = newest.where(g.to_ts >= func.coalesce(t.cursors.c.floor_ts, 0)).order_by(g.from_ts.desc()).limit(MOST)
    found: list[_Stretch] = []
    for one in sorted(read_rows(c, _Stretch, newest), key=lambda one: (one.leader, one.from_ts)):
        last = found[-1] if found else None
        if last is not None and last.leader == one.leader and one.from_ts <= last.to_ts + 1:
            found[-1] = msgspec.structs.replace(last, to_ts=max(last.to_ts, one.to_ts))
        else:
            found.append(one)
    return [_gap(one) for one in found]


def _gap(one: _Stretch) -> Gap:
    name = f"{apart(one.label)} ({one.leader})" if one.label else one.leader
    since, to = iso(one.from_ts * SECOND), iso(one.to_ts * SECOND)
    return Gap(
        leader=one.leader,
        label=one.label or "",
        since=since,
        to=to,
        told=f"history of {name} incomplete between {_second(since)} and {_second(to)} UTC",
    )


def _second(at: str) -> str:
    return at[:19].replace("T", " ")


class _BadInput(msgspec.Struct, frozen=True):
    at: Micros
    source: str
    error: str | None
    payload: str | None


def read_bad_inputs(c: Connection, limit: int = 50) -> list[BadInput]:
    """Inputs that could not be used, newest first."""
    newest = select(t.bad_inputs).order_by(t.bad_inputs.c.at.desc()).limit(limit)
    return [
        BadInput(at=iso(r.at), source=r.source, error=r.error, payload=r.payload)
        for r in read_rows(c, _BadInput, newest)
    ]
