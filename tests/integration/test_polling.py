"""Polling over real sockets: whose polls make the API ill, faults that end nothing, rows that come hours late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from pilotfish.core.events import ApiWindowRead, Event, HoldingsSnapshot, MarketMissing
from pilotfish.core.settings import BY_NAME
from pilotfish.feeds import reconcile
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.late_rows import AT_ONCE, LateRows
from pilotfish.feeds.markets import Markets
from pilotfish.feeds.poller import SHARE, Cursor, Poller
from pilotfish.feeds.reconcile import Reconcile
from pilotfish.feeds.schedule import CATCH_UP
from pilotfish.polymarket.clob import Clob
from pilotfish.polymarket.data_api import PAGE, DataApi
from pilotfish.polymarket.gamma import Gamma
from pilotfish.polymarket.http import Service, make_session
from pilotfish.sim.server import serve, urls
from pilotfish.sim.venue import Fault, Venue
from tests.integration.test_activity_windows import TOKEN, WALLET, row
from tests.rig import until_async as until

OTHER = "0x" + "b2" * 20


@dataclass
class Polling:
    venue: Venue
    hub: Hub
    poller: Poller
    late: LateRows
    markets: Markets
    holdings: Reconcile

    def set(self, **settings: int) -> None:
        assert set(settings) <= set(BY_NAME)
        self.hub.settings = {**self.hub.settings, **settings}

    def follow(self, wallet: str = WALLET, ago: int = 3600) -> Cursor:
        now = int(time.time())
        self.poller.follow(wallet, now - ago, now)
        return self.poller.cursors[wallet]

    def fail(self, route: str, **more: Any) -> None:
        self.venue.faults[route] = Fault("status", 503, **more)

    def events(self, kind: type[Event]) -> list[Any]:
        found = []
        while not self.hub.queue.empty():
            event = self.hub.queue.get_nowait()
            if isinstance(event, kind):
                found.append(event)
        return found


@pytest.fixture
async def polling() -> AsyncIterator[Polling]:
    venue, hub = Venue(7, "quiet"), Hub()
    async with serve(venue, 0) as port, make_session() as session:
        where = urls(port)
        data = DataApi(Service(session, "data", where["DATA_API_URL"], per_second=200, attempts=1))
        gamma = Gamma(Service(session, "gamma", where["GAMMA_API_URL"], per_second=100, attempts=1))
        clob = Clob(Service(session, "clob", where["CLOB_HTTP_URL"], per_second=100, attempts=1))
        poller = Poller(hub, data)
        hub.settings = {"poll_interval_ms": 100, "api_health_stale_ms": 1000, "leader_stagger_ms": 0}
        markets, holdings = Markets(hub, gamma, data, clob), Reconcile(hub, data, poller)
        yield Polling(venue, hub, poller, LateRows(hub, poller), markets, holdings)
        await hub.close()


async def test_the_api_is_ill_while_a_leader_cannot_be_polled_though_its_status_is_well(polling: Polling) -> None:
    polling.poller.start()
    polling.poller.labels = {WALLET: "Ann"}
    cursor = polling.follow()
    await until("polled", lambda: cursor.polls)
    assert polling.poller.healthy()[0]
    polling.fail("data/v2/activity")
    await until("ill", lambda: not polling.poller.healthy()[0])
    assert polling.poller.serving_lag is not None
    assert f"about Ann ({WALLET})" in polling.poller.healthy()[1]
    polling.venue.faults.clear()
    await until("well again", lambda: polling.poller.healthy()[0])


async def test_one_leader_who_cannot_be_polled_makes_it_ill_and_is_named(polling: Polling) -> None:
    one, other = polling.follow(), polling.follow(OTHER)
    await until("polled", lambda: one.polls and other.polls)
    polling.poller.schedule.remove(OTHER)
    before = one.polls
    said = await until("ill", lambda: (not (h := polling.poller.healthy())[0]) and h[1])
    assert OTHER in said
    assert WALLET not in said
    assert one.polls > before


async def test_a_poll_that_hangs_counts_as_none(polling: Polling) -> None:
    cursor = polling.follow()
    await until("polled", lambda: cursor.polls)
    polling.venue.faults["data"] = Fault("hang", seconds=60)
    said = await until("ill", lambda: (not (h := polling.poller.healthy())[0]) and h[1])
    assert "no answer for" in said
    assert cursor.error == ""


async def test_a_first_page_that_comes_does_not_hide_that_the_second_one_never_does(polling: Polling) -> None:
    cursor = polling.follow()
    await until("polled", lambda: cursor.polls)
    await asyncio.sleep(0)
    cursor.error, cursor.page_at = "data /v2/activity: HTTP 503", time.monotonic()
    cursor.ok_at = cursor.begins_at = time.monotonic() - 5
    assert cursor.silent_for(time.monotonic()) > 4


async def test_nobody_followed_the_status_counts(polling: Polling) -> None:
    polling.poller.start()
    await until("asked", lambda: polling.poller.last_ok_at)
    assert polling.poller.healthy()[0]


async def test_patience_is_the_setting_or_two_rounds_of_the_schedule(polling: Polling) -> None:
    polling.set(poll_interval_ms=600_000)
    one, other = polling.follow(), polling.follow(OTHER)
    await until("both are polled", lambda: one.polls and other.polls)
    assert polling.poller.patience() == 1200
    polling.set(poll_interval_ms=100, api_health_stale_ms=1000)
    polling.poller.api.service.per_second = 0.1
    before = one.polls + other.polls
    await until("the slower rate holds", lambda: polling.poller.schedule.round < 600_000_000)
    assert polling.poller.patience() == pytest.approx(2 * 2 / (0.1 * SHARE), rel=1e-3)
    assert f"{polling.poller.patience():.0f} s" in polling.poller.healthy()[1]
    assert one.polls + other.polls <= before + 2 * CATCH_UP


async def test_many_leaders_are_polled_one_after_the_other_as_fast_as_the_limit_allows(polling: Polling) -> None:
    polling.set(poll_interval_ms=1000, leader_stagger_ms=60_000, api_health_stale_ms=30_000)
    began = time.monotonic()
    cursors = [polling.follow(f"0x{n:040x}") for n in range(1, 401)]
    await until("all are polled", lambda: all(c.polls for c in cursors), 60)
    per_second = SHARE * polling.poller.api.service.per_second
    assert time.monotonic() - began >= (len(cursors) - 2 * CATCH_UP) / per_second
    assert polling.poller.round_s == pytest.approx(len(cursors) / per_second, rel=0.01)
    assert polling.poller.oldest_s is not None


async def test_who_leaves_while_they_are_asked_is_asked_no_more_and_may_come_back(polling: Polling) -> None:
    polling.venue.faults["data/v2/activity"] = Fault("hang", seconds=60)
    first = polling.follow()
    await until("asked", lambda: polling.poller.api.service.health.requests)
    polling.poller.unfollow(WALLET)
    polling.venue.faults.pop("data/v2/activity").gone.set()
    again = polling.follow()
    await until("polled", lambda: again.polls > 1)
    assert first.polls == 0


async def test_an_unforeseen_fault_of_one_poll_is_said_and_the_next_poll_runs(
    polling: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotfish.feeds.hub.FIRST_PAUSE", 0.05)
    broken = [True]
    real = DataApi.activity

    async def activity(self: DataApi, *given: Any, **named: Any) -> Any:
        if broken:
            raise ZeroDivisionError("nobody thought of this")
        return await real(self, *given, **named)

    monkeypatch.setattr(DataApi, "activity", activity)
    cursor = polling.follow()
    await until("said", lambda: "nobody thought of this" in cursor.error)
    assert "nobody thought of this" in polling.hub.faults[f"poll of {WALLET}"].error
    assert not cursor.polls
    broken.clear()
    await until("the next poll runs", lambda: cursor.polls)
    assert cursor.error == ""


async def test_an_unforeseen_fault_of_a_look_up_is_answered_as_missing(
    polling: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise KeyError("no such thing")

    monkeypatch.setattr(Gamma, "market_of_token", broken)
    polling.markets.ask(TOKEN)
    (missing,) = await until("answered", lambda: polling.events(MarketMissing))
    assert "no such thing" in missing.detail
    assert not polling.markets._asked


async def test_an_unforeseen_fault_of_the_first_holdings_is_tried_again(
    polling: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "BOOTSTRAP_PAUSE", 0.05)
    real, calls = DataApi.positions, []

    async def positions(self: DataApi, user: str) -> Any:
        calls.append(user)
        if len(calls) < 3:
            raise AttributeError("unforeseen")
        return await real(self, user)

    monkeypatch.setattr(DataApi, "positions", positions)
    polling.holdings.follow(WALLET, 0)
    polling.holdings.ask(WALLET, bootstrap=True)
    (snapshot,) = await until("read", lambda: polling.events(HoldingsSnapshot))
    assert snapshot.bootstrap
    assert polling.hub.faults[f"holdings of {WALLET}"].count == 2


async def test_whatever_reads_what_a_leader_holds_first_hands_it_over_as_the_first_snapshot(
    polling: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tries after the following have failed; the comparisons go on."""
    monkeypatch.setattr(reconcile, "BOOTSTRAP_ATTEMPTS", 1)
    monkeypatch.setattr(reconcile, "BOOTSTRAP_PAUSE", 0)
    polling.fail("data")
    polling.holdings.follow(WALLET, 0)
    polling.holdings.ask(WALLET, bootstrap=True)
    await until("given up", lambda: not polling.hub.tasks)
    assert polling.events(HoldingsSnapshot) == []
    polling.venue.faults.clear()
    for first in (True, False):
        polling.holdings.ask_values()
        (snapshot,) = await until("read", lambda: polling.events(HoldingsSnapshot))
        assert snapshot.bootstrap is first


async def test_a_row_that_comes_after_the_overlap_is_found_by_the_second_reading_and_the_cursor_stays(
    polling: Polling,
) -> None:
    cursor = polling.follow(ago=7200)
    await until("polled", lambda: cursor.polls > 1)
    now = int(time.time())
    before = cursor.cursor_ts
    polling.venue.chain.add_row(WALLET, row(1, now - 1800), 0.0)
    polls = cursor.polls
    await until("polled again", lambda: cursor.polls > polls + 1)
    assert polling.events(ApiWindowRead) == []
    await polling.late.read(cursor)
    (window,) = polling.events(ApiWindowRead)
    assert [f.tx_hash for f in window.fills] == [f"0x{1:064x}"]
    assert window.cursor_ts == cursor.cursor_ts == before


async def test_a_second_reading_of_many_rows_is_handed_over_in_pieces_that_are_whole_together(polling: Polling) -> None:
    cursor = polling.follow(ago=7200)
    await until("polled", lambda: cursor.polls)
    polling.poller.schedule.remove(WALLET)
    now = int(time.time())
    for n in range(AT_ONCE * PAGE + 700):
        polling.venue.chain.add_row(WALLET, row(n, now - 3600 + n // 3), 0.0)
    polling.events(ApiWindowRead)
    await polling.late.read(cursor)
    windows = polling.events(ApiWindowRead)
    assert len(windows) > 1
    assert max(len(window.fills) for window in windows) <= AT_ONCE * PAGE
    told = [fill.tx_hash for window in windows for fill in window.fills]
    assert sorted(told) == [f"0x{n:064x}" for n in range(AT_ONCE * PAGE + 700)], "each once"
    assert [one.read_to for one in windows[:-1]] == [two.read_from - 1 for two in windows[1:]]


async def test_the_second_reading_goes_no_further_back_than_the_leader_is_followed(polling: Polling) -> None:
    cursor = polling.follow(ago=600)
    await until("polled", lambda: cursor.polls)
    polling.venue.chain.add_row(WALLET, row(1, cursor.floor_ts - 5), 0.0)
    polling.venue.chain.add_row(WALLET, row(2, cursor.floor_ts + 5), 0.0)
    await polling.late.read(cursor)
    (window,) = polling.events(ApiWindowRead)
    assert [f.tx_hash for f in window.fills] == [f"0x{2:064x}"]
    assert window.read_from == cursor.floor_ts


async def test_the_second_reading_takes_every_leader_in_turn_and_can_be_switched_off(polling: Polling) -> None:
    wallets = ["0x" + f"{n:02x}" * 20 for n in range(1, 4)]
    for wallet in wallets:
        polling.follow(wallet)
    polling.set(late_rows_interval_sec=0)
    assert await polling.late.look() > 0
    assert polling.hub.counts["late_reads"] == 0
    polling.set(late_rows_interval_sec=1)
    polling.hub.spawn(polling.late.run(), "late")
    await until("all are read", lambda: polling.hub.counts["late_reads"] >= 3)
    asked = {r["query"]["user"] for r in polling.venue.recent if r["path"] == "/v2/activity"}
    assert asked == set(wallets)


async def test_a_gap_is_handed_over_and_closed_by_a_later_complete_reading(polling: Polling) -> None:
    now = int(time.time())
    for n in range(1_205):
        polling.venue.chain.add_row(WALLET, row(n, now - 300), 0.0)
    polling.venue.chain.add_row(WALLET, row(5_000, now - 100), 0.0)
    polling.venue.api_v1_only, polling.venue.habits.wall = True, 1_000
    polling.poller.follow(WALLET, now - 600, now - 600)
    cursor = polling.poller.cursors[WALLET]
    await until("read", lambda: cursor.polls)
    windows = polling.events(ApiWindowRead)
    assert windows[0].gaps == ((now - 300, now - 300),)
    assert windows[0].cursor_ts == now - 99
    assert cursor.gaps == {(now - 300, now - 300)}
    polling.venue.habits.wall = None
    polling.set(late_rows_reach_sec=60)
    await polling.late.read(cursor)
    assert cursor.gaps == set()
    closing = polling.events(ApiWindowRead)[-1]
    assert (closing.read_from, closing.read_to, closing.gaps) == (now - 300, now - 300, ())
    assert len(closing.fills) == 1_205
