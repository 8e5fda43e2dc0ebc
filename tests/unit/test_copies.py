"""What became of a decision: filled, order out, not filled and why. One function says it, and everybody shows that."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine

from pilotfish.core import events as ev
from pilotfish.core.effects import RowEffect
from pilotfish.store import copies, exports, leaders_store
from pilotfish.store.batch import write
from pilotfish.store.database import snapshot
from pilotfish.store.mapping import Plain
from pilotfish.store.rollup import CopyCounts
from pilotfish.store.views.base import Page
from pilotfish.store.views.decisions import read_decisions_on
from pilotfish.store.views.feed import read_feed
from pilotfish.store.views.leaders import read_figures
from pilotfish.store.views.portfolios import read_counts
from pilotfish.store.views.trades import DecisionOnTrade, TradeFilter, read_trades
from pilotfish.web import server
from pilotfish.web.auth import Doors
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site
from pilotfish.web.telling import Became, told
from tests.desk import LEADER, OTHER, START, Desk, chain_fill, tx
from tests.fresh import fresh_database
from tests.rig import Pilot

MICRO = 1_000_000


def stored(desk: Desk, database: Engine) -> None:
    """Write what the desk's engine did since the last time."""
    with database.begin() as c:
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
    desk.effects = []


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    made = fresh_database(tmp_path / "pilotfish.db")
    with made.begin() as c:
        write(c, [Plain("portfolios", {"name": "main", "bankroll_micro": 10**10, "created_at": START})])
        leaders_store.add(c, LEADER, "A leader", START, by="test")
    return made


def every_state(database: Engine) -> Desk:
    """Filled, partly filled, not filled, skipped, out, and waiting, in this order."""
    desk = Desk(holdings={})
    desk.buy(1)
    desk.asks = [(0.50, 70), (0.60, 100_000)]  # of which the first BUY has taken 50
    desk.buy(2)
    desk.asks = [(0.50, 100_000)]
    desk.advance(60)
    desk.chain(chain_fill(3, "BUY", 100, 0.50, traded_at=desk.at))
    desk.asks = [(0.90, 100_000)]
    desk.advance(1)
    desk.bids = [(0.80, 100)]
    desk.buy(4)
    desk.bids, desk.asks = [(0.49, 100_000)], [(0.50, 100_000)]
    desk.advance(60)
    desk.chain(chain_fill(5, "BUY", 100, 0.50, traded_at=desk.at))
    desk.answer_books = desk.answer_markets = False
    desk.chain(chain_fill(6, "BUY", 100, 0.50, traded_at=desk.at, token_id="7777"))
    stored(desk, database)
    return desk


def state_of(database: Engine, n: int) -> DecisionOnTrade:
    """The decision on the leader's n-th transaction."""
    with snapshot(database) as c:
        decided = next(r.decision for r in read_trades(c, TradeFilter(), limit=100).data if r.tx_hash == tx(n))
    assert decided is not None
    return decided


def exported(c: Connection, kind: str) -> list[dict[str, Any]]:
    """Rows as other people's tools get them."""
    return [msgspec.to_builtins(row) for row in exports.rows(c, kind)]


def verdict(d: Became) -> str:
    """What a page shows of a decision, with what is on hover."""
    said = told(d)
    return f"{said.sign} {said.text} {said.meaning}" + (" orphaned" if said.orphaned else "")


def got(d: Became) -> str:
    """What a page shows beside it."""
    return told(d).got


def test_a_copy_is_filled_out_or_not_filled_and_says_what_of_what_and_why(database: Engine) -> None:
    desk = every_state(database)
    whole, part, nothing, skipped, out, waits = (state_of(database, n) for n in range(1, 7))
    assert (whole.state, whole.partly, whole.our_shares_micro, whole.our_price) == (
        "filled", False, 50 * MICRO, 0.5,
    )  # fmt: skip
    assert (part.state, part.partly, part.our_usdc_micro, part.order_usdc_micro) == (
        "filled", True, 10 * MICRO, 25 * MICRO,
    )  # fmt: skip
    assert (nothing.state, nothing.our_shares_micro, nothing.why) == (
        "not_filled", None, "nothing on offer within the limit",
    )  # fmt: skip
    assert (skipped.state, waits.state) == ("skipped", "waiting")
    assert (out.state, out.our_shares_micro, out.why) == ("out", None, None)
    assert "✓ filled" in verdict(whole)
    assert "50.00 at 0.50" in got(whole)
    assert "✓ partly filled" in verdict(part)
    assert "10.00 of 25.00 USDC; no more was on offer within the limit" in got(part)
    assert "✗ not filled" in verdict(nothing)
    assert "UNFILLED_PRICE" in verdict(nothing)
    assert "nothing on offer" in got(nothing)
    assert "… order out" in verdict(out)
    assert "✓" not in verdict(nothing) + verdict(out) + verdict(skipped) + verdict(waits)
    desk.answer_books = True
    desk.advance(1)
    stored(desk, database)
    assert state_of(database, 5).state == "filled", "the order that was out has come to the book"


def test_each_state_is_found_by_its_filter_and_counted_alike_everywhere(database: Engine, tmp_path: Path) -> None:
    every_state(database)
    expected = {"filled": [2, 1], "out": [5], "not_filled": [3], "skipped": [4], "waiting": [6]}
    pilot = Pilot(tmp_path, {})
    rest = TestClient(Doors(server.application(site := Site(database, {}), Reader(database)), site.sessions))
    rest.base_url = "http://127.0.0.1"
    for state, numbers in expected.items():
        hashes = [tx(n) for n in numbers]
        with snapshot(database) as c:
            assert [r.tx_hash for r in read_trades(c, TradeFilter(state=state), limit=9).data] == hashes
            mine = TradeFilter(state=state, leader=LEADER, side="BUY")
            assert [r.tx_hash for r in read_trades(c, mine, limit=9).data] == hashes
            assert read_trades(c, TradeFilter(state=state, leader=OTHER), limit=9) == Page(data=[], next_before=None)
            assert read_trades(c, TradeFilter(state=state, portfolio="another"), limit=9) == Page(
                data=[], next_before=None
            )
        answer = rest.get("/api/v1/trades", params={"state": state}).json()["data"]
        assert [(r["tx_hash"], r["decision"]["state"]) for r in answer] == [(h, state) for h in hashes]
        listed = json.loads(pilot.cli("trades", "--state", state, "--json"))
        assert [(r["tx_hash"], r["decisions"][0]["state"]) for r in listed] == [(h, state) for h in hashes]
    first, following = rest.get("/api/v1/trades", params={"state": "filled", "limit": 1}).json().values()
    assert [r["tx_hash"] for r in first] == [tx(2)]
    (rest_of_it,) = rest.get("/api/v1/trades", params={"state": "filled", "before": following}).json()["data"]
    assert rest_of_it["tx_hash"] == tx(1)
    assert rest.get("/api/v1/trades", params={"state": "copied"}).status_code == 422
    parameters = rest.get("/api/openapi.json").json()["paths"]["/api/v1/trades"]["get"]["parameters"]
    assert "still `out`" in next(p for p in parameters if p["name"] == "state")["description"]

    by_state = Counter({state: len(numbers) for state, numbers in expected.items()})
    assert Counter(d["state"] for d in rest.get("/api/v1/decisions").json()["data"]) == by_state
    with snapshot(database) as c:
        assert Counter(d["state"] for d in exported(c, "decisions")) == by_state
        assert Counter(d.state for d in read_feed(c, 50)) == by_state
        assert Counter(read_decisions_on(c, [n])[n][0].state for n in range(1, 7)) == by_state
        header = next(exports.csv_lines(exports.rows(c, "decisions")))
        assert {"state", "partly", "orphaned", "our_shares_micro", "our_price", "why"} < set(
            header.splitlines()[0].split(",")
        )
        counted = read_counts(c).decisions
        (figures,) = read_figures(c, "main")
    assert (counted.copied, counted.filled, counted.out, counted.not_filled) == (4, 2, 1, 1)
    assert (figures.copied, figures.filled, figures.out, figures.not_filled) == (4, 2, 1, 1)
    metrics = rest.get("/metrics").text
    assert f'pilotfish_copies{{leader="{LEADER}",portfolio="main",state="not_filled"}} 1.0' in metrics
    assert "main: not filled: nothing on offer within the limit" in pilot.cli("trades", "--why", "3")
    shown = " ".join(pilot.cli("leaders", "show", LEADER).split())
    assert "2 filled, 1 order out, 1 not filled" in shown
    assert shown.count("4 copied") == 1, "it is said once"


def test_a_sell_that_the_bids_take_in_parts_says_how_much_of_what(database: Engine) -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    desk.bids = [(0.49, 20)]
    desk.sell(2, 100)
    stored(desk, database)
    out = state_of(database, 2)
    assert (out.state, out.partly, out.our_shares_micro, out.order_shares_micro) == (
        "out", False, 20 * MICRO, 50 * MICRO,
    )  # fmt: skip
    assert "20.00 at 0.49, of 50.00" in got(out)
    desk.bids = []
    desk.advance(1e5)
    stored(desk, database)
    ended = state_of(database, 2)
    assert (ended.state, ended.partly, ended.why) == ("filled", True, "nobody bid within the limit")


def test_a_fill_that_a_reorg_orphaned_is_a_remark_and_its_way_out_is_no_copy(database: Engine) -> None:
    desk = Desk(holdings={})
    fill = chain_fill(1, "BUY", 100, 0.50, traded_at=desk.at)
    desk.chain(fill)
    desk.advance(1)
    desk.chain(fill, removed=True)
    desk.advance(0.1)
    stored(desk, database)
    taken_back = state_of(database, 1)
    assert (taken_back.state, taken_back.orphaned, taken_back.our_shares_micro) == ("filled", True, 50 * MICRO)
    assert "orphaned" in verdict(taken_back)
    desk.advance(300)
    stored(desk, database)
    assert len(desk.rows("intents")) == 2
    assert state_of(database, 1).our_shares_micro == 50 * MICRO, "what the way out sold is not what the copy got"
    with snapshot(database) as c:
        assert read_counts(c).decisions.filled == 1


def test_an_exit_by_hand_has_the_same_states_and_counts_as_no_copy(database: Engine) -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    desk.send(ev.CloseAsked(at=desk.at, portfolio="main"))
    stored(desk, database)
    with snapshot(database) as c:
        before = read_feed(c, 1)[0]
    assert "order out: by hand" in verdict(before)
    desk.advance(1)
    stored(desk, database)
    with snapshot(database) as c:
        after = read_feed(c, 1)[0]
        assert read_counts(c).decisions.filled == 1
    assert "↩ sold: by hand" in verdict(after)
    doors = Doors(server.application(site := Site(database, {}), Reader(database)), site.sessions)
    with TestClient(doors, base_url="http://127.0.0.1") as rest:
        assert "sold: by hand" in rest.get(f"/parts/decision/{after.id}").text
        assert "✓ filled" in rest.get("/parts/trade/1").text
    assert after.our_shares_micro == 50 * MICRO


def test_what_was_copied_before_a_reset_is_neither_filled_nor_out(database: Engine) -> None:
    desk = every_state(database)
    kept = CopyCounts()
    with snapshot(database) as c:
        assert kept.states(c) == Counter(filled=2, out=1, not_filled=1)
    desk.advance(1)
    desk.send(ev.PaperReset(at=desk.at))
    desk.answer_books = True
    desk.buy(8)
    stored(desk, database)
    assert {state_of(database, n).state for n in (1, 2, 3, 5)} == {"reset"}
    with snapshot(database) as c:
        assert [r.tx_hash for r in read_trades(c, TradeFilter(state="filled"), limit=9).data] == [tx(8)]
        assert kept.states(c) == CopyCounts().states(c) == Counter(filled=1)


def test_counts_kept_up_from_look_to_look_are_those_that_go_through_everything(database: Engine) -> None:
    desk = Desk(holdings={})
    kept = CopyCounts()
    for n in range(1, 12):
        desk.answer_books = n % 3 != 0
        desk.asks = [(0.90, 1)] if n % 4 == 0 else [(0.50, 100_000)]
        desk.buy(n) if n % 5 else desk.sell(n, 50)
        stored(desk, database)
        with snapshot(database) as c:
            assert kept.read(c) == CopyCounts().read(c), n
    with snapshot(database) as c:
        states = Counter(d["state"] for d in exported(c, "decisions") if d["action"] == "copy")
        assert kept.states(c) == states
        assert len(states) > 1


def test_every_state_has_its_word_and_meaning() -> None:
    assert set(copies.WORDS) == set(copies.MEANING) == set(copies.State)
