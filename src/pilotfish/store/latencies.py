"""How far apart the two sources were, how long it took from a block to our fill, and when a source was down."""

from __future__ import annotations

import time
from itertools import pairwise

from sqlalchemy import Connection, func, select

from pilotfish.store import tables as t
from pilotfish.store.queries import Row
from pilotfish.store.sources import listened, off, percentiles
from pilotfish.store.views.base import iso

LAG_SAMPLE = 20_000
LEAST_IN_A_GROUP = 5
"""Trades in a point of the delay over time."""


def latency(c: Connection) -> Row:
    """How far apart the two sources were, over the newest trades that both saw (positive = chain first), and how long
    after the match each showed a trade.

    ``off`` names a source that is off now, and why. What a source did not show while it was off is not missing; where
    there was nothing to compare, what compares them is ``None``."""
    heard, off_now = listened(c, "polygon"), off(c)
    gap = t.trades.c.first_seen_by_api_at - t.trades.c.first_seen_by_polygon_at
    both = (
        select(gap.label("gap"), t.trades.c.id)
        .where(t.trades.c.first_seen_by_api_at.is_not(None), t.trades.c.first_seen_by_polygon_at.is_not(None))
        .order_by(t.trades.c.id.desc())
        .limit(LAG_SAMPLE)
    ).subquery()
    gaps = sorted(int(g) // 1000 for g in c.execute(select(both.c.gap)).scalars())
    tr = t.trades.c
    sample = select(tr.traded_at, tr.first_seen_by_api_at, tr.first_seen_by_polygon_at, tr.api_lagged, tr["class"])
    rows = [r for r in c.execute(sample.order_by(tr.id.desc()).limit(LAG_SAMPLE)) if r[4] != "backfill"]
    compared = [r for r in rows if r.first_seen_by_polygon_at is not None or heard.at(r.traded_at)]
    live = [r for r in rows if r[4] == "live"]
    comparable = bool(gaps or compared or not (rows or off_now.get("polygon")))

    def known(count: int) -> int | None:
        return count if comparable else None

    def after_match(field: str) -> Row:
        return percentiles([max(0, seen - r.traded_at) // 1000 for r in live if (seen := getattr(r, field))], *_SHOWN)

    return {
        "off": off_now,
        "seen_by_both": len(gaps),
        "chain_first": known(sum(1 for g in gaps if g > 0)),
        "api_first": known(sum(1 for g in gaps if g <= 0)),
        "api_behind_chain_ms": percentiles(gaps, *_SHOWN),
        "histogram": _histogram(gaps),
        "only_polygon": known(sum(1 for r in compared if r.first_seen_by_api_at is None)),
        "only_api": known(sum(1 for r in compared if r.first_seen_by_polygon_at is None)),
        "api_lagged": known(sum(1 for r in compared if r.api_lagged)),
        "seen_after_match_ms": {
            "api": after_match("first_seen_by_api_at"),
            "polygon": after_match("first_seen_by_polygon_at"),
        },
    }


_SHOWN = (50, 90, 99)
"""Percentiles."""


BUCKETS_MS = (-10_000, -5_000, -2_000, -1_000, 0, 1_000, 2_000, 3_000, 5_000, 8_000, 13_000, 21_000, 60_000)
"""Edges of the histogram: below 0 the API was first."""


def _histogram(gaps: list[int]) -> list[Row]:
    """How many trades the API was behind the chain by: from ``from_ms`` (inclusive) to ``to_ms`` (exclusive)."""
    edges: list[int | None] = [None, *BUCKETS_MS, None]
    return [
        {
            "from_ms": low,
            "to_ms": high,
            "trades": sum((low is None or g >= low) and (high is None or g < high) for g in gaps),
        }
        for low, high in pairwise(edges)
    ]


def outages(c: Connection, limit: int = 50) -> list[Row]:
    """When a source was down, newest first: from when to when (``None`` = it still is), and why."""
    h = t.health_events.c
    found: list[Row] = []
    began: dict[str, tuple[int, Row]] = {}
    newest = select(t.health_events).order_by(h.id.desc()).limit(4 * limit)
    for r in reversed(list(c.execute(newest))):
        if not r.healthy:
            row: Row = {"source": r.source, "from": iso(r.at), "to": None, "seconds": None, "why": r.detail or ""}
            began[r.source] = (r.at, row)
            found.append(row)
        elif r.source in began:
            start, row = began.pop(r.source)
            row["to"], row["seconds"] = iso(r.at), round((r.at - start) / 1e6, 1)
    return found[::-1][:limit]


def pace(c: Connection, sample: int = 2_000) -> Row:
    """How long it took, over the newest ``sample`` copies: from the block to the first sighting, from that to the
    decision, from the decision to the first fill; percentiles in ms."""
    d, tr, i, f = t.decisions.c, t.trades.c, t.intents.c, t.fills.c
    newest = (
        select(d.id, d.trade_id, d.decided_at).where(d.action == "copy", d.trade_id.is_not(None))
        .order_by(d.id.desc()).limit(sample).subquery()
    )  # fmt: skip
    query = (
        select(newest.c.decided_at, tr.traded_at, tr.first_seen_by_api_at, tr.first_seen_by_polygon_at, tr["class"],
               func.min(f.filled_at).label("filled_at"))
        .select_from(newest.join(t.trades, tr.id == newest.c.trade_id)
                     .outerjoin(t.intents, (i.decision_id == newest.c.id) & (i.trade_id != 0))
                     .outerjoin(t.fills, f.intent_id == i.id))
        .group_by(newest.c.id, newest.c.decided_at, tr.id)
    )  # fmt: skip
    spans: dict[str, list[int]] = {"seen": [], "decided": [], "filled": [], "whole": []}
    for r in c.execute(query):
        if r._mapping["class"] != "live":
            continue
        seen = min(x for x in (r.first_seen_by_api_at, r.first_seen_by_polygon_at) if x is not None)
        spans["seen"].append(max(0, seen - r.traded_at) // 1000)
        spans["decided"].append(max(0, r.decided_at - seen) // 1000)
        if r.filled_at is not None:
            spans["filled"].append(max(0, r.filled_at - r.decided_at) // 1000)
            spans["whole"].append(max(0, r.filled_at - r.traded_at) // 1000)
    return {name: {"n": len(values), **percentiles(values, *_SHOWN)} for name, values in spans.items()}


def lag_over_time(c: Connection, points: int = 60, sample: int = 6_000) -> list[Row]:
    """The API's delay behind the chain over the newest trades, in up to ``points`` groups in the order of time."""
    tr = t.trades.c
    query = select(tr.traded_at, tr.first_seen_by_api_at, tr.first_seen_by_polygon_at)
    both = query.where(tr.first_seen_by_api_at.is_not(None), tr.first_seen_by_polygon_at.is_not(None))
    rows = sorted(c.execute(both.order_by(tr.id.desc()).limit(sample)), key=lambda r: r.traded_at)
    size = max(LEAST_IN_A_GROUP, -(-len(rows) // points))
    groups = [rows[i : i + size] for i in range(0, len(rows), size)]
    result = []
    for group in groups:
        gaps = sorted((r.first_seen_by_api_at - r.first_seen_by_polygon_at) // 1000 for r in group)
        result.append({"at": iso(group[-1].traded_at), "trades": len(group), **percentiles(gaps, 50, 90)})
    return result


def missing(c: Connection, limit: int = 50) -> list[Row]:
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
        {
            "id": r.id, "leader": r.leader, "tx_hash": r.tx_hash, "title": r.title, "traded_at": iso(r.traded_at),
            "missing": "api" if r.first_seen_by_api_at is None else "polygon",
        }
        for r in c.execute(query.limit(limit))
    ]  # fmt: skip
