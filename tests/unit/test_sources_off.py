"""A source that is off is said to be off: nothing of such a time is missing, and nothing is compared with it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, insert, select, update
from starlette.testclient import TestClient

from pilotfish.cli.benches import pages as bench_pages
from pilotfish.core.units import SECOND
from pilotfish.store import exports, sources
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.views.decisions import read_trade
from pilotfish.store.views.latency import LatencyAndPace, Percentiles, read_latency_and_pace, read_missing
from pilotfish.web import server
from pilotfish.web.auth import Doors
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site
from tests.fresh import fresh_database

TRADES = 40


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    """Trades a second apart; none has been seen by the chain."""
    made = fresh_database(tmp_path / "x.db")
    bench_pages.fill_database(made, TRADES)
    with made.begin() as c:
        c.execute(update(t.trades).values(first_seen_by_polygon_at=None, first_source="api", **{"class": "live"}))
    return made


def times(database: Engine) -> list[int]:
    with database.connect() as c:
        return list(c.execute(select(t.trades.c.traded_at).order_by(t.trades.c.id)).scalars())


def listen(database: Engine, source: str, since: int, until: int) -> None:
    with database.begin() as c:
        c.execute(insert(t.listening).values(source=source, since=since, until=until))


def say(database: Engine, off: str) -> None:
    """What the worker says of the chain."""
    with database.begin() as c:
        data = {"polygon": {"off": off}, "mode": {"effectiveTriggerMode": "api"}}
        c.execute(insert(t.worker_status).values(name="worker", at=1, data=data))


def figures(database: Engine) -> LatencyAndPace:
    with snapshot(database) as c:
        return read_latency_and_pace(c)


def missing(database: Engine) -> list[int]:
    with snapshot(database) as c:
        return [trade.id for trade in read_missing(c, 100)]


def test_what_the_api_still_may_confirm_in_time_is_on_neither_side(database: Engine) -> None:
    """Four trades that the chain showed first: confirmed in time, late, never, and not yet; the API had one first."""
    tr, at = t.trades.c, times(database)
    listen(database, "polygon", at[0] - 1, at[-1] + 1)
    api: dict[int, int | None] = {1: 3, 2: 9, 3: None, 4: None, 5: 1}
    with database.begin() as c:
        c.execute(t.trades.delete().where(tr.id > len(api)))
        for number, seen in api.items():
            shown = None if seen is None else at[number - 1] + seen * SECOND
            c.execute(update(t.trades).where(tr.id == number).values(
                first_seen_by_polygon_at=at[number - 1] + 2 * SECOND, first_seen_by_api_at=shown,
                first_source="api" if number == 5 else "polygon", api_lagged=number in (2, 3),
            ))  # fmt: skip
    seen_so = figures(database)
    assert (seen_so.chain_first, seen_so.api_first, seen_so.only_polygon) == (2, 1, 2)
    assert (seen_so.api_in_time, seen_so.api_lagged, seen_so.api_pending) == (1, 2, 1)
    assert seen_so.confirmed_in_time == "33 %"


def test_where_the_chain_was_off_nothing_is_compared_and_nothing_missing(database: Engine) -> None:
    at = times(database)
    listen(database, "api", at[0], at[-1])
    say(database, "mode api, and no POLYGON_WS_URL")
    seen = figures(database)
    compared = (seen.chain_first, seen.api_first, seen.only_polygon, seen.only_api, seen.api_lagged)
    assert compared == (None, None, None, None, None), "null, not 0"
    assert seen.api_behind_chain_ms == Percentiles(p50=None, p90=None, p99=None)
    assert seen.off == {"polygon": "mode api, and no POLYGON_WS_URL"}
    assert missing(database) == []
    assert seen.seen_after_match_ms.api.p50 == 6000
    assert seen.pace_ms.seen.n > 0
    assert seen.pace_ms.whole.p50 == 2500
    with snapshot(database) as c:
        assert {msgspec.to_builtins(r)["polygon_on"] for r in exports.rows(c, "latency")} == {False}
        trade = read_trade(c, 1)
    assert trade is not None
    site, reader = Site(database, {}), Reader(database)
    with TestClient(Doors(server.application(site, reader), site.sessions), base_url="http://localhost") as client:
        shown, trace = client.get("/latency").text, client.get("/parts/trade/1").text
    assert "chain off" in trace
    assert "not yet" not in trace
    assert "Polygon is off: mode api, and no POLYGON_WS_URL." in shown
    assert ">0 %" not in shown
    assert "Match → API" in shown
    assert "match → visible in the API" in shown


def test_only_the_times_when_the_chain_was_on_count_as_missing(database: Engine) -> None:
    at = times(database)
    listen(database, "api", at[0], at[-1])
    listen(database, "polygon", at[10], at[14] + SECOND // 2)
    listen(database, "polygon", at[30], at[-1])
    with database.connect() as c:
        heard = sources.listened(c, "polygon")
        on = [n for n, when in enumerate(at) if heard.at(when)]
        same = list(c.execute(select(t.trades.c.id).where(heard.during(t.trades.c.traded_at))).scalars())
    assert on == [*range(10, 17), *range(30, TRADES)], "so soon after a period's end is within it"
    assert [n - 1 for n in same] == on
    seen = figures(database)
    assert (seen.only_api, seen.only_polygon, seen.chain_first) == (len(on), 0, 0)
    assert [number - 1 for number in missing(database)] == on[::-1]
    with database.begin() as c:
        c.execute(update(t.trades).values(traded_at=t.trades.c.traded_at + 10**15))
        c.execute(update(t.listening).values(since=t.listening.c.since + 10**15, until=t.listening.c.until + 10**15))
    assert missing(database) == [], "these trades lie in the future"


def test_what_was_before_anything_was_written_down_counts_as_before(database: Engine) -> None:
    assert figures(database).only_api == TRADES
    at = times(database)
    listen(database, "api", at[20], at[-1])
    listen(database, "polygon", at[20], at[25])
    assert figures(database).only_api == 20 + 8


def test_without_any_trade_the_chain_is_off_all_the_same(tmp_path: Path) -> None:
    empty = fresh_database(tmp_path / "empty.db")
    assert figures(empty).chain_first == 0
    say(empty, "no POLYGON_WS_URL")
    assert figures(empty).chain_first is None


def test_so_many_periods_are_looked_at_and_no_more(database: Engine) -> None:
    at = times(database)[0]
    for n in range(sources.PERIODS + 20):
        listen(database, "polygon", at + n * 100 * SECOND, at + n * 100 * SECOND + SECOND)
    with database.connect() as c:
        heard = sources.listened(c, "polygon")
    assert len(heard.periods) == sources.PERIODS
    assert heard.at(at + 50 * SECOND)
    assert not heard.at(heard.known_from + 50 * SECOND if heard.known_from else 0)
