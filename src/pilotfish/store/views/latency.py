"""How far apart the two sources were, and how long it took from a block to our fill."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, func, select

from pilotfish.core.numerals import percent
from pilotfish.core.trade import Source, TradeClass
from pilotfish.core.units import Micros
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows
from pilotfish.store.sources import Listened, listened, off
from pilotfish.store.views.base import Iso, View, iso

LAG_SAMPLE = 20_000
LEAST_IN_A_GROUP = 5
"""Trades in a point of the delay over time."""
BUCKETS_MS = (-10_000, -5_000, -2_000, -1_000, 0, 1_000, 2_000, 3_000, 5_000, 8_000, 13_000, 21_000, 60_000)
"""Edges of the histogram: below 0 the API was first."""


class TradeLatency(View, frozen=True, kw_only=True):
    """When each source saw a trade (``api_behind_polygon_ms`` > 0 = the chain was first), and whether the chain was
    listened to then."""

    id: int
    leader: str
    tx_hash: str
    traded_at: Iso
    first_source: Source
    first_seen_by_api_at: Iso | None
    first_seen_by_polygon_at: Iso | None
    api_behind_polygon_ms: int | None
    api_lagged: bool
    polygon_on: bool


class Percentiles(View, frozen=True, kw_only=True):
    """In ms; ``None`` of nothing."""

    p50: int | None
    p90: int | None
    p99: int | None


class Bucket(View, frozen=True, kw_only=True):
    """How many trades the API was behind the chain by: from ``from_ms`` (inclusive) to ``to_ms`` (exclusive)."""

    from_ms: int | None
    to_ms: int | None
    trades: int


class SeenAfterMatch(View, frozen=True, kw_only=True):
    """How long after the match each source showed a trade."""

    api: Percentiles
    polygon: Percentiles


class Latency(View, frozen=True, kw_only=True):
    """How far apart the two sources were, over the newest trades that both saw (positive = chain first), and how long
    after the match each showed a trade.

    ``off`` names a source that is off now, and why. What a source did not show while it was off is not missing; where
    there was nothing to compare, what compares them is ``None``. What the chain showed first is ``api_in_time`` where
    the API confirmed it in time (``api_lag_fallback_ms``), ``api_lagged`` where it did not, and ``api_pending`` while
    it still may."""

    off: dict[str, str]
    seen_by_both: int
    chain_first: int | None
    api_first: int | None
    api_behind_chain_ms: Percentiles
    histogram: list[Bucket]
    only_polygon: int | None
    only_api: int | None
    api_lagged: int | None
    api_in_time: int | None
    api_pending: int | None
    seen_after_match_ms: SeenAfterMatch

    @property
    def confirmed_in_time(self) -> str:
        """How much of what the chain showed first the API confirmed in time, in percent; what it still may confirm is
        left out."""
        in_time = self.api_in_time or 0
        return percent(in_time, in_time + (self.api_lagged or 0))


class Span(View, frozen=True, kw_only=True):
    """How long a step took, of how many copies."""

    n: int
    p50: int | None
    p90: int | None
    p99: int | None


class Pace(View, frozen=True, kw_only=True):
    """From the block to the first sighting, from that to the decision, from the decision to the first fill; and from
    the block to the fill."""

    seen: Span
    decided: Span
    filled: Span
    whole: Span


class LatencyAndPace(Latency, frozen=True, kw_only=True):
    """Chain against API, and how long it took to our fill."""

    pace_ms: Pace


class LagPoint(View, frozen=True, kw_only=True):
    """The API's delay behind the chain in a group of trades, up to an instant, in ms."""

    at: str
    trades: int
    p50: int
    p90: int


class MissingTrade(View, frozen=True, kw_only=True):
    """A trade that a source has not shown."""

    id: int
    leader: str
    tx_hash: str
    token_id: str
    title: str | None
    traded_at: str
    missing: Source


class SeenRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a trade to say when each source saw it."""

    id: int
    leader: str
    tx_hash: str
    title: str | None
    traded_at: Micros
    first_source: Source
    first_seen_by_api_at: Micros | None
    first_seen_by_polygon_at: Micros | None
    api_lagged: bool


class _SeenInMarket(SeenRow, frozen=True, kw_only=True):
    token_id: str


def trade_latency(r: SeenRow, heard: Listened) -> TradeLatency:
    """When each source saw a trade, from its row."""
    api, chain = r.first_seen_by_api_at, r.first_seen_by_polygon_at
    return TradeLatency(
        id=r.id,
        leader=r.leader,
        tx_hash=r.tx_hash,
        traded_at=iso(r.traded_at),
        first_source=r.first_source,
        first_seen_by_api_at=iso(api),
        first_seen_by_polygon_at=iso(chain),
        api_behind_polygon_ms=None if api is None or chain is None else (api - chain) // 1000,
        api_lagged=r.api_lagged,
        polygon_on=heard.at(r.traded_at),
    )


def read_latency(c: Connection) -> Latency:
    """Chain against API, over the newest trades."""
    heard, off_now = listened(c, "polygon"), off(c)
    tr = t.trades.c
    gap = tr.first_seen_by_api_at - tr.first_seen_by_polygon_at
    both = (
        select(gap.label("gap"), tr.id)
        .where(tr.first_seen_by_api_at.is_not(None), tr.first_seen_by_polygon_at.is_not(None))
        .order_by(tr.id.desc())
        .limit(LAG_SAMPLE)
    ).subquery()
    gaps = sorted([g // 1000 for g in c.execute(select(both.c.gap)).scalars().all()])
    sample = select(
        tr.traded_at, tr.first_seen_by_api_at, tr.first_seen_by_polygon_at, tr.api_lagged, tr["class"].label("kind")
    )
    # as the database has them: there are too many to make structs of
    rows = [r for r in c.execute(sample.order_by(tr.id.desc()).limit(LAG_SAMPLE)).all() if r[4] != TradeClass.BACKFILL]
    compared = [r for r in rows if r[2] is not None or heard.at(r[0])]
    live = [r for r in rows if r[4] == TradeClass.LIVE]
    prompt = [r for r in compared if r[2] is not None and not r[3]]
    comparable = bool(gaps or compared or not (rows or off_now.get("polygon")))

    def known(count: int) -> int | None:
        return count if comparable else None

    return Latency(
        off=off_now,
        seen_by_both=len(gaps),
        chain_first=known(sum(1 for g in gaps if g > 0)),
        api_first=known(sum(1 for g in gaps if g <= 0)),
        api_behind_chain_ms=_percentiles(gaps),
        histogram=_histogram(gaps),
        only_polygon=known(sum(api is None for _, api, _, _, _ in compared)),
        only_api=known(sum(polygon is None for _, _, polygon, _, _ in compared)),
        api_lagged=known(sum(lagged for _, _, _, lagged, _ in compared)),
        api_in_time=known(sum(api is not None and chain < api for _, api, chain, _, _ in prompt)),
        api_pending=known(sum(api is None for _, api, _, _, _ in prompt)),
        seen_after_match_ms=SeenAfterMatch(
            api=_after_match([(traded_at, api) for traded_at, api, _, _, _ in live]),
            polygon=_after_match([(traded_at, polygon) for traded_at, _, polygon, _, _ in live]),
        ),
    )


def _after_match(times: Iterable[tuple[int, int | None]]) -> Percentiles:
    return _percentiles([max(0, seen - traded_at) // 1000 for traded_at, seen in times if seen])


def _percentile(ordered: list[int], p: int) -> int:
    return ordered[min(len(ordered) - 1, len(ordered) * p // 100)]


def _percentiles(values: list[int]) -> Percentiles:
    if not values:
        return Percentiles(p50=None, p90=None, p99=None)
    ordered = sorted(values)
    return Percentiles(p50=_percentile(ordered, 50), p90=_percentile(ordered, 90), p99=_percentile(ordered, 99))


def _histogram(gaps: list[int]) -> list[Bucket]:
    """``gaps`` in order."""
    edges: list[int | None] = [None, *BUCKETS_MS, None]
    return [
        Bucket(
            from_ms=low,
            to_ms=high,
            trades=(len(gaps) if high is None else bisect_left(gaps, high))
            - (0 if low is None else bisect_left(gaps, low)),
        )
        for low, high in pairwise(edges)
    ]


class _Copied(msgspec.Struct, frozen=True):
    decided_at: int
    traded_at: int
    first_seen_by_api_at: int | None
    first_seen_by_polygon_at: int | None
    kind: TradeClass
    filled_at: int | None


def read_pace(c: Connection, sample: int = 2_000) -> Pace:
    """How long it took, over the newest ``sample`` copies, in ms."""
    d, tr, i, f = t.decisions.c, t.trades.c, t.intents.c, t.fills.c
    newest = (
        select(d.id, d.trade_id, d.decided_at).where(d.action == "copy", d.trade_id.is_not(None))
        .order_by(d.id.desc()).limit(sample).subquery()
    )  # fmt: skip
    query = (
        select(newest.c.decided_at, tr.traded_at, tr.first_seen_by_api_at, tr.first_seen_by_polygon_at,
               tr["class"].label("kind"), func.min(f.filled_at).label("filled_at"))
        .select_from(newest.join(t.trades, tr.id == newest.c.trade_id)
                     .outerjoin(t.intents, (i.decision_id == newest.c.id) & (i.trade_id != 0))
                     .outerjoin(t.fills, f.intent_id == i.id))
        .group_by(newest.c.id, newest.c.decided_at, tr.id)
    )  # fmt: skip
    seen, decided, filled, whole = list[int](), list[int](), list[int](), list[int]()
    for r in read_rows(c, _Copied, query):
        if r.kind is not TradeClass.LIVE:
            continue
        first = min(x for x in (r.first_seen_by_api_at, r.first_seen_by_polygon_at) if x is not None)
        seen.append(max(0, first - r.traded_at) // 1000)
        decided.append(max(0, r.decided_at - first) // 1000)
        if r.filled_at is not None:
            filled.append(max(0, r.filled_at - r.decided_at) // 1000)
            whole.append(max(0, r.filled_at - r.traded_at) // 1000)
    return Pace(seen=_span(seen), decided=_span(decided), filled=_span(filled), whole=_span(whole))


def _span(values: list[int]) -> Span:
    return Span(n=len(values), **asdict(_percentiles(values)))


def read_latency_and_pace(c: Connection) -> LatencyAndPace:
    """Both."""
    return LatencyAndPace(**asdict(read_latency(c)), pace_ms=read_pace(c))


class _SeenByBoth(msgspec.Struct, frozen=True):
    traded_at: int
    first_seen_by_api_at: int
    first_seen_by_polygon_at: int


def read_lag_over_time(c: Connection, points: int = 60, sample: int = 6_000) -> list[LagPoint]:
    """The API's delay behind the chain over the newest trades, in up to ``points`` groups in the order of time."""
    tr = t.trades.c
    query = select(tr.traded_at, tr.first_seen_by_api_at, tr.first_seen_by_polygon_at)
    both = query.where(tr.first_seen_by_api_at.is_not(None), tr.first_seen_by_polygon_at.is_not(None))
    newest = read_rows(c, _SeenByBoth, both.order_by(tr.id.desc()).limit(sample))
    rows = sorted(newest, key=lambda r: r.traded_at)
    size = max(LEAST_IN_A_GROUP, -(-len(rows) // points))
    result = []
    for group in (rows[i : i + size] for i in range(0, len(rows), size)):
        gaps = sorted((r.first_seen_by_api_at - r.first_seen_by_polygon_at) // 1000 for r in group)
        result.append(
            LagPoint(
                at=iso(group[-1].traded_at), trades=len(group), p50=_percentile(gaps, 50), p90=_percentile(gaps, 90)
            )
        )
    return result


def read_missing(c: Connection, limit: int = 50) -> list[MissingTrade]:
    """The newest trades that only one source has shown for more than a minute, of the times when the other was on."""
    tr = t.trades.c
    old = int((time.time() - 60) * 1e6)
    newest = select(t.trades).order_by(tr.id.desc()).limit(LAG_SAMPLE).subquery()
    heard = listened(c, "polygon").during(newest.c.traded_at)
    one = newest.c.first_seen_by_api_at.is_(None) | (newest.c.first_seen_by_polygon_at.is_(None) & heard)
    query = (
        select(newest).where(one, newest.c["class"] == "live", newest.c.traded_at < old).order_by(newest.c.id.desc())
    )
    return [
        MissingTrade(
            id=r.id,
            leader=r.leader,
            tx_hash=r.tx_hash,
            token_id=r.token_id,
            title=r.title,
            traded_at=iso(r.traded_at),
            missing=Source.API if r.first_seen_by_api_at is None else Source.POLYGON,
        )
        for r in read_rows(c, _SeenInMarket, query.limit(limit))
    ]
