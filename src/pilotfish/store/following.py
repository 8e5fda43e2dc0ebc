"""Leaders as people entered them, and how a worker takes them up: anew, or where it left off."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from pilotfish.core.events import LeaderFollowed, LeaderRemoved
from pilotfish.core.leading import BOOTSTRAP, GONE
from pilotfish.core.records import CursorRecord, GapRecord, HoldingRecord
from pilotfish.core.units import SECOND, Micros
from pilotfish.store import tables as t
from pilotfish.store.known import KEEP_IDENTITIES, Told
from pilotfish.store.mapping import read, read_row, read_rows


class LeaderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A leader as people entered him."""

    wallet: str
    label: str
    status: str
    added_at: Micros


def leaders(c: Connection) -> list[LeaderRow]:
    """All leaders ever entered, removed ones included."""
    return list(read_rows(c, LeaderRow, select(t.leaders).order_by(t.leaders.c.added_at, t.leaders.c.wallet)))


def taken_up(
    c: Connection, leader: LeaderRow, at: int, *, started_at: int, left: bool, warm_sec: int = 0
) -> tuple[LeaderRemoved | None, LeaderFollowed]:
    """How a worker takes up a leader who is followed: after a stop where it left off; from now on where they are new,
    or were left in between. History in between is never copied, and what waited when they were left ends: where no
    worker has seen them left, that is said first.

    ``started_at``: when the worker started (µs): who was entered before that is followed from ``at`` on. ``left``: this
    worker has seen them left. A warm start reads ``warm_sec`` of history, as backfill; a flat one nothing. The holdings
    of a new following are what the books say was held when they were left: its first snapshot corrects them.
    """
    was = follow_again(c, leader, at)
    if was is not None and not left and was.follow_from >= leader.added_at:
        return None, was
    follow_from = leader.added_at if leader.added_at >= started_at else at
    floor = follow_from // SECOND - warm_sec
    now = LeaderFollowed(
        at=at,
        leader=leader.wallet,
        follow_from=follow_from,
        floor_ts=floor,
        cursor_ts=floor,
        is_new=True,
        paused=leader.status == "paused",
        holdings=was.holdings if was is not None else (),
    )
    return (None if was is None or left else LeaderRemoved(at=at, leader=leader.wallet)), now


def follow_again(c: Connection, leader: LeaderRow, at: int) -> LeaderFollowed | None:
    """The event that takes a known leader up where he was left, or ``None`` if he was never followed."""
    cursor = read_row(c, CursorRecord, read(CursorRecord).where(t.cursors.c.leader == leader.wallet))
    if cursor is None:
        return None
    h, moved = t.leader_holdings.c, t.holding_adjustments.c
    held = read(HoldingRecord).where(h.leader == leader.wallet).order_by(h.token_id)
    told = select(t.holding_adjustments).where(
        moved.leader == leader.wallet, moved.as_of.is_not(None), moved.at >= at - KEEP_IDENTITIES
    )
    return LeaderFollowed(
        at=at,
        leader=leader.wallet,
        follow_from=cursor.follow_from,
        floor_ts=cursor.floor_ts,
        cursor_ts=cursor.api_cursor_ts,
        is_new=False,
        paused=leader.status == "paused",
        bootstrapped=cursor.bootstrapped,
        holdings=tuple((r.token_id, r.shares_micro) for r in read_rows(c, HoldingRecord, held)),
        sets=tuple(
            (r.token_id, r.said_micro, r.as_of, r.cause == BOOTSTRAP)
            for r in read_rows(c, Told, told.order_by(moved.id))
        ),
        value=cursor.positions_value_micro,
        gaps=gaps(c, leader.wallet),
        gone=_gone(c, leader.wallet, at - KEEP_IDENTITIES),
    )


def gaps(c: Connection, wallet: str) -> tuple[tuple[int, int], ...]:
    """What is missing of a leader's history: seconds (from, to)."""
    g = t.history_gaps.c
    missing = read(GapRecord).where(g.leader == wallet, g.is_open).order_by(g.from_ts)
    return tuple((r.from_ts, r.to_ts) for r in read_rows(c, GapRecord, missing))


def _gone(c: Connection, wallet: str, since: int) -> tuple[tuple[str, int], ...]:
    a = t.holding_adjustments.c
    query = select(a.token_id, func.max(a.at)).where(a.leader == wallet, a.cause == GONE, a.at >= since)
    return tuple((token, at) for token, at in c.execute(query.group_by(a.token_id).order_by(a.token_id)))
