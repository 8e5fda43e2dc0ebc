"""Leaders as people entered them, and how a worker takes them up: anew, or where it left off."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, func, select

from pilotfish.core.events import LeaderFollowed, LeaderRemoved
from pilotfish.core.leading import BOOTSTRAP, GONE
from pilotfish.core.records import CursorRecord, GapRecord, HoldingRecord
from pilotfish.core.units import SECOND, Micros
from pilotfish.store import tables as t
from pilotfish.store.interned import spelled
from pilotfish.store.known import KEEP_IDENTITIES, Told
from pilotfish.store.mapping import read, read_rows


class LeaderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A leader as people entered him."""

    wallet: str
    label: str
    status: str
    added_at: Micros


class _Said(Told, frozen=True, kw_only=True):
    """What a snapshot said of a leader's holding."""

    leader: str


def leaders(c: Connection) -> list[LeaderRow]:
    """All leaders ever entered, removed ones included."""
    return list(read_rows(c, LeaderRow, select(t.leaders).order_by(t.leaders.c.added_at, spelled(t.leaders.c.wallet))))


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
    return _taken_up(leader, follow_again(c, leader, at), at, started_at, left, warm_sec)


def all_taken_up(
    c: Connection, leaders: Sequence[LeaderRow], at: int, *, started_at: int, warm_sec: int = 0
) -> dict[str, tuple[LeaderRemoved | None, LeaderFollowed]]:
    """The same of many whom this worker has not seen left, by wallet, in as many questions as for one."""
    known = _follow_again(c, leaders, at)
    return {x.wallet: _taken_up(x, known.get(x.wallet), at, started_at, False, warm_sec) for x in leaders}


def _taken_up(
    leader: LeaderRow, was: LeaderFollowed | None, at: int, started_at: int, left: bool, warm_sec: int
) -> tuple[LeaderRemoved | None, LeaderFollowed]:
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
    return _follow_again(c, [leader], at).get(leader.wallet)


def _follow_again(c: Connection, leaders: Sequence[LeaderRow], at: int) -> dict[str, LeaderFollowed]:
    wallets = [leader.wallet for leader in leaders]
    h, moved, g = t.leader_holdings.c, t.holding_adjustments.c, t.history_gaps.c
    known = read(CursorRecord).where(t.cursors.c.leader.in_(wallets))
    cursors = {cursor.leader: cursor for cursor in read_rows(c, CursorRecord, known)}
    holdings: dict[str, list[tuple[str, int]]] = {}
    for held in read_rows(
        c,
        HoldingRecord,
        read(HoldingRecord).where(h.leader.in_(wallets)).order_by(spelled(h.leader), spelled(h.token_id)),
    ):
        holdings.setdefault(held.leader, []).append((held.token_id, held.shares_micro))
    sets: dict[str, list[tuple[str, int, int, bool]]] = {}
    told = select(t.holding_adjustments).where(
        moved.leader.in_(wallets), moved.as_of.is_not(None), moved.at >= at - KEEP_IDENTITIES
    )
    for said in read_rows(c, _Said, told.order_by(moved.id)):
        sets.setdefault(said.leader, []).append((said.token_id, said.said_micro, said.as_of, said.cause == BOOTSTRAP))
    missing: dict[str, list[tuple[int, int]]] = {}
    for gap in read_rows(
        c, GapRecord, read(GapRecord).where(g.leader.in_(wallets), g.is_open).order_by(spelled(g.leader), g.from_ts)
    ):
        missing.setdefault(gap.leader, []).append((gap.from_ts, gap.to_ts))
    gone: dict[str, list[tuple[str, int]]] = {}
    lost = select(moved.leader, moved.token_id, func.max(moved.at)).where(
        moved.leader.in_(wallets), moved.cause == GONE, moved.at >= at - KEEP_IDENTITIES
    )
    pair = (moved.leader, moved.token_id)
    for wallet, token, when in c.execute(lost.group_by(*pair).order_by(*map(spelled, pair))):
        gone.setdefault(wallet, []).append((token, when))
    return {
        x.wallet: LeaderFollowed(
            at=at,
            leader=x.wallet,
            follow_from=cursor.follow_from,
            floor_ts=cursor.floor_ts,
            cursor_ts=cursor.api_cursor_ts,
            is_new=False,
            paused=x.status == "paused",
            bootstrapped=cursor.bootstrapped,
            holdings=tuple(holdings.get(x.wallet, ())),
            sets=tuple(sets.get(x.wallet, ())),
            value=cursor.positions_value_micro,
            gaps=tuple(missing.get(x.wallet, ())),
            gone=tuple(gone.get(x.wallet, ())),
        )
        for x in leaders
        if (cursor := cursors.get(x.wallet)) is not None
    }
