"""A pull over real sockets: everything once, or what is missing; killed anywhere, it goes on where it was."""

from __future__ import annotations

import asyncio
import errno
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotfish.history.check import check
from pilotfish.history.columns import SHAPES
from pilotfish.history.folder import History, HistoryFullError
from pilotfish.history.past import read_past
from pilotfish.history.pull import BEGINNING, Pulled, Told, pull
from pilotfish.history.records import Print
from pilotfish.history.summary import forget, summarize
from pilotfish.history.windows import State
from pilotfish.polymarket.activity import MAX_REQUESTS
from tests.kept_past import in_memory
from tests.past_venue import NOW, OTHER, WALLET, PastVenue, condition_id, move, serving, token_ids, trade

DAY = 86_400
START = NOW - 30 * DAY


def everything(history: History) -> dict[str, int]:
    """Every file that there is, with the number of rows in it."""
    return {
        f"{kind}/{key}/{kept.window.name}": history.contents(kept).rows
        for kind in SHAPES
        for key in history.keys(kind)
        for kept in history.files(kind, key)
    }


async def pulled(venue: PastVenue, history: History, *, now: int = NOW, from_at: int = START, **more: Any) -> Pulled:
    async with serving(venue) as (api, _):
        return await pull(history, api, WALLET, from_at=from_at, now=now, **more)


def lively(trades: int = 40, markets: int = 4) -> PastVenue:
    """A wallet that traded in some markets, two of which are settled, the last trade a minute ago."""
    venue = PastVenue(every=600)
    for n in range(markets):
        venue.market(n, payouts=[1_000_000, 0] if n < 2 else None)
    step = 20 * DAY // trades
    venue.rows = [trade(n, NOW - 60 - n * step, market=n % markets) for n in range(trades)]
    venue.tape = [
        *venue.rows,
        *(trade(10_000 + n, NOW - 55 - n * step, market=n % markets, wallet=OTHER, side="SELL", _taker=False)
          for n in range(trades)),
    ]  # fmt: skip
    venue.held = {token_ids(n)[0]: 10.0 * trades / markets for n in range(markets)}
    return venue


async def test_a_pull_brings_everything_that_a_look_back_reads_and_says_that_it_is_complete(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    stages: list[Told] = []
    done = await pulled(venue, history, told=stages.append)
    past = read_past(history, WALLET, START, NOW)
    assert past.missing == []
    assert [d.tx_hash for d in past.deeds] == [r["transaction_hash"] for r in venue.rows[::-1]]
    assert set(past.markets) == {condition_id(n) for n in range(4)}
    assert past.markets[condition_id(0)].payouts == (1_000_000, 0)
    assert past.markets[condition_id(0)].event == "event-0"
    assert past.markets[condition_id(2)].payouts is None
    tape = Counter(p.tx_hash for rows in past.tape.values() for p in rows)
    assert tape == Counter(r["transaction_hash"] for r in venue.tape), "makers' fills included, each once"
    assert all(any(a <= p.at <= b for a, b in past.tape_known[c]) for c, rows in past.tape.items() for p in rows)
    assert set(past.prices) == {token_ids(n)[0] for n in range(4)}
    assert all(
        len(points) > 20 and [p.at for p in points] == sorted(p.at for p in points)
        for points in map(list, past.prices.values())
    )
    assert (done.trades, done.failures, done.budget_spent) == (40, [], False)
    assert list(dict.fromkeys(t.stage for t in stages)) == ["activity", "markets", "tape", "prices", "positions"]
    assert stages[-1].rows == done.rows
    assert stages[-1].requests == done.requests == sum(venue.requests.values())


async def test_a_second_pull_asks_only_for_what_is_fresh_and_changes_nothing(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    await pulled(venue, history)
    before, past = everything(history), in_memory(read_past(history, WALLET, START, NOW))
    venue.requests.clear()
    await pulled(venue, history)
    assert everything(history) == before
    assert in_memory(read_past(history, WALLET, START, NOW)) == past
    assert venue.requests["/v2/activity"] == venue.requests["/v2/positions"] == 1
    assert venue.requests["/v2/trades"] == 1, "one trade is younger than an hour"
    assert venue.requests["/v2/resolutions"] == 1, "two markets are not settled, in one request"
    assert venue.requests["/v2/prices-history"] == 3, "what is held of two, and of the trade a minute ago"


async def test_windows_of_a_quiet_tape_are_read_with_few_requests_and_those_of_a_busy_one_apart(tmp_path: Path) -> None:
    asked = []
    for busy in (False, True):
        venue = lively(40, 1)
        if busy:
            venue.tape += [trade(50_000 + n, NOW - DAY - 200 * n, wallet=OTHER) for n in range(8_000)]
        history = History(str(tmp_path / f"h-{busy}"))
        await pulled(venue, history)
        assert read_past(history, WALLET, START, NOW).missing == []
        asked.append(venue.requests["/v2/trades"])
    assert asked[0] <= 5
    assert 10 <= asked[1] <= 60, "no more than a request a window and a half"


async def test_a_row_that_came_late_is_found_by_the_next_pull_and_no_row_counts_twice(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    await pulled(venue, history)
    assert [w.state for w in history.windows("activity", WALLET)] == [State.COMPLETE, State.FRESH]
    venue.rows.append(trade(9_999, NOW - 1800))
    await pulled(venue, history, now=NOW + 2 * DAY)
    past = read_past(history, WALLET, START, NOW + 2 * DAY)
    assert Counter(d.tx_hash for d in past.deeds) == Counter(r["transaction_hash"] for r in venue.rows)
    assert not [m for m in past.missing if m.kind == "activity"]


class Killed(BaseException):
    """The process ends here."""


class Deadly:
    """A filesystem that kills whoever does the ``after``-th thing that changes it."""

    def __init__(self, fs: Any, after: int) -> None:
        self._fs, self._left, self.dead = fs, after, False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fs, name)
        if name not in ("open_output_stream", "move", "delete_file"):
            return found

        def deadly(*given: Any) -> Any:
            self._left -= 1
            if self.dead or self._left < 0:
                self.dead = True
                raise Killed
            return found(*given)

        return deadly


@pytest.mark.slow
async def test_killed_at_any_write_and_begun_again_it_ends_in_the_same_files(tmp_path: Path) -> None:
    whole = History(str(tmp_path / "whole"))
    await pulled(lively(3, 3), whole)
    await pulled(lively(3, 3), whole, now=NOW + 2 * DAY)
    expected = everything(whole)
    deaths = 0
    for after in range(200):
        history = History(str(tmp_path / f"killed-{after}"))
        history.fs = Deadly(pafs.LocalFileSystem(), after)
        try:
            await pulled(lively(3, 3), history)
            await pulled(lively(3, 3), history, now=NOW + 2 * DAY)
        except Killed:
            deaths += 1
        survived = History(history.url)
        for kind in SHAPES:
            for key in survived.keys(kind):
                for kept in survived.files(kind, key):
                    survived.contents(kept, whole=True)
        await pulled(lively(3, 3), survived, now=NOW + 2 * DAY)
        assert _content(survived) == _content(whole), after
        if after % 10 == 0:
            await pulled(lively(3, 3), survived, now=NOW + 2 * DAY)
        if not history.fs.dead:
            break
    assert deaths > 30
    assert everything(survived) == expected


def _content(history: History) -> Any:
    """All that readers see."""
    past = in_memory(read_past(history, WALLET, START, NOW + 2 * DAY))
    return past, history.positions(WALLET)


async def test_a_full_disk_ends_the_pull_with_a_sentence_and_keeps_what_was_read(tmp_path: Path) -> None:
    history = History(str(tmp_path / "h"))
    real = pafs.LocalFileSystem()

    class Full:
        left = 3

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def open_output_stream(self, path: str) -> Any:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device", path)
            return real.open_output_stream(path)

    history.fs = Full()
    with pytest.raises(HistoryFullError, match="make room, then do the same again"):
        await pulled(lively(), history)
    assert len(everything(history)) == 3
    assert len(list(history.deeds(WALLET, START, NOW))) == 40
    history.fs = real
    await pulled(lively(), history)
    assert read_past(history, WALLET, START, NOW).missing == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v2/activity", "activity"), ("/v2/trades", "tape"), ("/v2/prices-history", "prices"), ("/markets", "markets"),
     ("/v2/positions", "positions")],
)  # fmt: skip
async def test_a_service_that_is_down_costs_its_own_windows_and_the_next_pull_fills_them(
    tmp_path: Path, path: str, kind: str
) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    venue.failing[path] = 10_000
    done = await pulled(venue, history)
    assert done.failures
    past = read_past(history, WALLET, START, NOW)
    assert {m.kind for m in past.missing} == {kind}
    assert {m.why for m in past.missing} <= {"failed", "capped"}
    venue.failing.clear()
    assert (await pulled(venue, history)).failures == []
    assert read_past(history, WALLET, START, NOW).missing == []


async def test_what_the_budget_does_not_reach_is_said_to_be_not_asked(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    done = await pulled(venue, history, budget=7)
    assert sum(venue.requests.values()) <= 7
    assert done.budget_spent
    past = read_past(history, WALLET, START, NOW)
    assert len(past.deeds) == 40
    assert {m.why for m in past.missing} == {"not asked"}
    assert {m.kind for m in past.missing} == {"tape", "prices", "positions"}
    await pulled(venue, history)
    assert read_past(history, WALLET, START, NOW).missing == []


async def test_a_pull_that_is_cancelled_keeps_what_it_has_and_goes_on(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    running: list[asyncio.Task[Pulled]] = []

    def told(at: Told) -> None:
        if at.stage == "tape" and at.done == 1:
            running[0].cancel()

    running.append(asyncio.create_task(pulled(venue, history, told=told)))
    with pytest.raises(asyncio.CancelledError):
        await running[0]
    assert len(list(history.deeds(WALLET, START, NOW))) == 40
    venue.requests.clear()
    await pulled(venue, history)
    assert venue.requests["/v2/activity"] == 1
    assert read_past(history, WALLET, START, NOW).missing == []


async def test_a_history_longer_than_one_reading_is_written_as_it_comes(tmp_path: Path) -> None:
    venue, history = PastVenue(page=10), History(str(tmp_path / "h"))
    venue.rows = [trade(n, START + 100 + n) for n in range(1_000)]
    await pulled(venue, history)
    assert len(history.windows("activity", WALLET)) > 3
    assert [d.tx_hash for d in history.deeds(WALLET, START, NOW)] == [r["transaction_hash"] for r in venue.rows]
    assert history.missing("activity", WALLET, (START, NOW)) == []


async def test_a_tape_whose_route_ignores_start_end_and_order_is_read_back_to_the_window(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    venue.tape += [trade(50_000 + n, NOW - 10 - n, market=0, wallet=OTHER) for n in range(2_500)]
    await pulled(venue, history)
    exact = read_past(history, WALLET, START, NOW)
    odd, venue.no_bounds, venue.newest_first = History(str(tmp_path / "odd")), True, True
    await pulled(venue, odd)
    past = read_past(odd, WALLET, START, NOW)
    assert past.missing == []
    assert {c: Counter(rows) for c, rows in _keyed(past.tape).items()} == {
        c: Counter(rows) for c, rows in _keyed(exact.tape).items()
    }


def _keyed(tape: Mapping[str, Iterable[Print]]) -> dict[str, list[str]]:
    return {c: [p.tx_hash for p in rows] for c, rows in tape.items()}


async def test_v1_is_read_where_v2_is_gone(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    venue.v1_only = True
    await pulled(venue, history)
    past = read_past(history, WALLET, START, NOW)
    assert len(past.deeds) == 40
    assert sum(len(list(rows)) for rows in past.tape.values()) == 80
    assert {m.kind for m in past.missing} == {"prices", "positions"}


async def test_a_row_that_cannot_be_read_makes_its_second_one_that_is_capped(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    at = NOW - 5 * DAY - 7
    venue.rows.append(trade(777, at, price=1.5))
    await pulled(venue, history)
    gaps = history.missing("activity", WALLET, (START, NOW))
    assert [(m.from_at, m.to_at, m.why) for m in gaps] == [(at, at, "capped")]
    assert len(list(history.deeds(WALLET, START, NOW))) == 40


async def test_what_was_held_at_the_beginning_comes_from_activity_or_else_from_positions(tmp_path: Path) -> None:
    venue = PastVenue()
    venue.market(0)
    venue.rows = [trade(1, START - DAY, size=30.0), trade(2, START + DAY, side="SELL", size=12.0)]
    venue.held = {token_ids(0)[0]: 18.0}
    whole, part = History(str(tmp_path / "whole")), History(str(tmp_path / "part"))
    await pulled(venue, whole, from_at=BEGINNING)
    await pulled(venue, part)
    assert read_past(whole, WALLET, START, NOW).held == {token_ids(0)[0]: 30_000_000}
    assert read_past(part, WALLET, START, NOW).held == {token_ids(0)[0]: 30_000_000}


async def test_a_redeemed_market_held_from_before_is_in_what_was_held(tmp_path: Path) -> None:
    venue, history = PastVenue(), History(str(tmp_path / "h"))
    venue.market(0, payouts=[1_000_000, 0])
    venue.rows = [trade(1, START - DAY, size=30.0), move("REDEEM", 2, START + DAY, 30.0)]
    await pulled(venue, history)
    assert read_past(history, WALLET, START, NOW).held == {token_ids(0)[0]: 30_000_000}


async def test_check_names_a_balance_and_a_result_that_differ_and_nothing_else(tmp_path: Path) -> None:
    venue, history = PastVenue(realized=3.0), History(str(tmp_path / "h"))
    for n in range(3):
        venue.market(n, payouts=[1_000_000, 0] if n == 1 else None)
    venue.rows = [
        trade(1, START, size=20.0, price=0.4), trade(2, START + 9, side="SELL", size=10.0, price=0.5),
        trade(3, START, market=1, size=5.0, price=0.6), move("REDEEM", 4, START + 99, 5.0, market=1),
        move("SPLIT", 5, START, 8.0, market=2), move("MERGE", 6, START + 5, 8.0, market=2),
    ]  # fmt: skip
    venue.held = {token_ids(0)[0]: 10.0}
    await pulled(venue, history, from_at=BEGINNING)
    async with serving(venue) as (api, _):
        good = await check(history, api, WALLET)
        assert (good.good, good.differences, good.notes, good.missing) == (True, [], [], [])
    venue.realized, venue.held = 7.5, {token_ids(0)[0]: 11.0}
    await pulled(venue, history, from_at=BEGINNING)
    async with serving(venue) as (api, _):
        bad = await check(history, api, WALLET)
    assert [(d.what, d.ours, d.theirs) for d in bad.differences] == [
        ("balance", 10_000_000, 11_000_000), ("realized", 3_000_000, 7_500_000),
    ]  # fmt: skip
    assert "10 shares by activity, 11 shown" in bad.differences[0].told


async def test_removing_a_wallet_keeps_what_another_needs(tmp_path: Path) -> None:
    venue, history = lively(), History(str(tmp_path / "h"))
    venue.rows += [trade(900 + n, NOW - DAY - n, market=0, wallet=OTHER) for n in range(3)]
    await pulled(venue, history)
    async with serving(venue) as (api, _):
        await pull(history, api, OTHER, from_at=START, now=NOW)
    before = read_past(history, OTHER, START, NOW)
    assert forget(history, WALLET) > 0
    assert history.keys("activity") == [OTHER]
    assert set(history.keys("tape")) == {condition_id(0)}
    assert read_past(history, OTHER, START, NOW).missing == before.missing == []
    assert summarize(history, OTHER, START, NOW).trades == 3


SECONDS = st.integers(0, 8)


@given(
    offsets=st.lists(st.tuples(SECONDS, st.integers(0, 3)), max_size=70),
    page=st.integers(1, 7),
    wall=st.none() | st.integers(1, 20),
    newest_first=st.booleans(),
    no_bounds=st.booleans(),
    v1=st.booleans(),
)
@example([(7, 0), (7, 3), (7, 3), (7, 3)], 1, None, False, False, False)
@example([(0, 0)] * 4, 3, 5, False, False, False)
@example([(0, 0), (0, 0), (0, 0), (0, 1)], 3, 4, False, True, False)
@settings(max_examples=80)
def test_whatever_the_pages_a_history_is_exact_or_says_what_it_lacks(
    tmp_path_factory: pytest.TempPathFactory, offsets: list[tuple[int, int]], page: int, wall: int | None,
    newest_first: bool, no_bounds: bool, v1: bool,
) -> None:  # fmt: skip
    """Rows of several seconds, some alike, in pages of any size, behind walls, in any order, in or out of bounds."""
    first = NOW - 10_000
    page = 50 if v1 else page  # v1 does not say that there is more: only a full page, or a round one, shows it
    venue = PastVenue(page=page, wall=wall, newest_first=newest_first, no_bounds=no_bounds, v1_only=v1)
    venue.rows = [trade(n, first + at) for at, n in offsets]
    history = History(str(tmp_path_factory.mktemp("any")))
    asyncio.run(pulled(venue, history, from_at=first - 5, now=first + 4_000))
    read = list(history.deeds(WALLET, first - 5, first + 4_000))
    lacking = history.missing("activity", WALLET, (first - 5, first + 4_000))
    assert [d.at for d in read] == sorted(d.at for d in read)
    for second in range(first, first + 9):
        truth = Counter(r["transaction_hash"] for r in venue.rows if r["timestamp"] == second)
        got = Counter(d.tx_hash for d in read if d.at == second)
        if any(m.from_at <= second <= m.to_at for m in lacking):
            assert got <= truth, "what is capped holds no phantom"
        else:
            assert got == truth, second - first
    assert sum(venue.requests.values()) <= 4 * MAX_REQUESTS
