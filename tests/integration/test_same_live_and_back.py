"""The proof of sameness: what a worker decided and filled while it recorded, a backtest of the history that the venue
tells afterwards decides and fills again, to the millionth."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilotfish.app.book_recording import spool_of
from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.run import Played, Whole, play
from pilotfish.core import events as ev
from pilotfish.core.effects import Effect, Insert, Update
from pilotfish.core.records import DecisionChange, DecisionRecord, FillRecord, IntentChange, TradeRecord
from pilotfish.core.settings import find, parse, policy_from
from pilotfish.core.units import MICRO
from pilotfish.history.books import books_of
from pilotfish.history.folder import History
from pilotfish.history.past import read_past
from pilotfish.sim.story import cast
from pilotfish.store.database import open_database
from pilotfish.store.views.sightings import first_seen
from tests.rig import WALLET, Pilot, Stand, rig, until

pytestmark = pytest.mark.slow
OVER = ("filled", "partial", "cancelled", "failed")
TRADES = 11
STORY_TRADES = 10
SETTINGS: dict[str, Any] = {"fixed_usdc": 25, "sell_retry_sec": 3, "max_price": "0.7"}


OF_A_BOOK = {"spread_bps", "spread_ticks", "slippage_bps", "slippage_ticks", "depth_usdc_micro"}
"""Checks of what a book says."""
ANOTHER_BOOK_MS = 100
CLOCKS = {"age_ms", "market_age_sec", "book_age_ms", "on_chain"}
"""Checks that say how old something was on this machine, or which source showed it: a backtest has another clock, its
market is known at once, and it reads history alone."""


class Back:
    """What a backtest decided and filled."""

    def __init__(self) -> None:
        self._trades: dict[int, str] = {}
        self._decisions: dict[int, dict[str, Any]] = {}
        self.orders: dict[int, tuple[str, str | None, int, int]] = {}
        self.filled: list[dict[str, Any]] = []

    def see(self, _event: ev.Event, effects: list[Effect]) -> None:
        for record in (e.record for e in effects if isinstance(e, Insert | Update)):
            match record:
                case TradeRecord():
                    self._trades[record.id] = record.tx_hash
                case DecisionRecord():
                    self._decisions[record.id] = {"tx": self._trades[record.trade_id or 0]}
                    self._decided(record)
                case DecisionChange():
                    self._decided(record)
                case IntentChange():
                    self.orders[record.id] = order(
                        record.state, record.reason, record.filled_shares_micro, record.limit_price_micro
                    )
                case FillRecord():
                    self.filled.append(
                        {
                            "token": record.token_id, "side": record.side.value, "shares": record.shares_micro,
                            "usdc": record.usdc_micro, "fee": record.fee_micro, "levels": record.levels,
                        }
                    )  # fmt: skip
                case _:
                    pass

    def _decided(self, d: DecisionChange) -> None:
        names = ("check", "value", "limit", "passed")
        trace = [dict(zip(names, line, strict=True)) for line in msgspec.to_builtins(d.trace)]
        self._decisions[d.id] |= {"action": d.action, "reason": d.reason.value, "trace": trace}

    @property
    def decided(self) -> list[dict[str, Any]]:
        return list(self._decisions.values())


def order(state: str, reason: str | None, filled: int, limit: int) -> tuple[str, str | None, int, int]:
    return str(state), str(reason) if reason else None, filled, limit


def session(stand: Stand, pilot: Pilot) -> None:
    """A leader who trades in three markets whose books move in between, some of them while a copy is on its way."""
    calm, thin, fast = stand.market(), stand.market(), stand.market(tick="0.001", fee_rate="0.05")
    stand.book(thin, bids=[(0.48, 500)], asks=[(0.50, 20), (0.51, 15), (0.53, 500)])
    stand.book(fast, bids=[(0.300, 50), (0.295, 900)], asks=[(0.301, 30), (0.304, 40), (0.309, 900)])
    done = 0

    def trade(token: str, side: str, shares: float, price: float, **more: Any) -> None:
        nonlocal done
        stand.fill(token, side, shares, price, **more)
        done += int(more.get("count", 1))
        until(f"trade {done} is decided", lambda: settled(pilot, done))

    trade(calm, "BUY", 200, 0.50)
    trade(thin, "BUY", 100, 0.50)
    trade(fast, "BUY", 300, 0.301)
    stand.book(calm, bids=[(0.56, 40), (0.55, 1_000)], asks=[(0.57, 1_000)])
    trade(calm, "BUY", 100, 0.57)
    stand.book(thin, bids=[(0.60, 10), (0.55, 5)], asks=[(0.66, 500)])
    trade(thin, "BUY", 100, 0.52)
    trade(thin, "SELL", 60, 0.60)
    trade(calm, "SELL", 150, 0.56)
    stand.book(fast, bids=[(0.401, 20), (0.400, 30), (0.398, 800)], asks=[(0.404, 500)])
    trade(fast, "SELL", 300, 0.401)
    stand.book(fast, bids=[(0.20, 800)], asks=[(0.60, 800)])
    trade(fast, "BUY", 50, 0.45)
    stand.book(calm, bids=[(0.70, 1_000)], asks=[(0.71, 12), (0.72, 9), (0.73, 4_000)])
    trade(calm, "BUY", 100, 0.71)
    trade(calm, "SELL", 250, 0.70)


def settled(pilot: Pilot, trades: int) -> bool:
    """Every trade is decided for good, and no order is out."""
    decisions = pilot.export("decisions")
    over = len(decisions) >= trades and all(d["action"] != "wait" for d in decisions)
    return over and all(i["state"] in OVER for i in pilot.export("intents"))


def live(pilot: Pilot) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[tuple[str, str | None, int, int]]]:
    """What the worker decided, filled, and what became of its orders."""
    trades = {t["id"]: t["tx_hash"] for t in pilot.export("trades")}
    decided = [
        {"tx": trades[d["trade_id"]], "action": d["action"], "reason": d["reason"], "trace": d["trace"]}
        for d in sorted(pilot.export("decisions"), key=lambda d: d["id"])
    ]
    filled = [
        {
            "token": f["token_id"], "side": f["side"], "shares": f["shares_micro"], "usdc": f["usdc_micro"],
            "fee": f["fee_micro"], "levels": [[round(x["price"] * MICRO), x["shares_micro"]] for x in f["levels"]],
        }
        for f in sorted(pilot.export("fills"), key=lambda f: f["id"])
    ]  # fmt: skip
    orders = [
        order(i["state"], i["reason"], i["filled_shares_micro"], round(i["limit_price"] * MICRO))
        for i in sorted(pilot.export("intents"), key=lambda i: i["id"])
    ]
    return decided, filled, orders


def differences(live_one: dict[str, Any], back: dict[str, Any]) -> dict[str, tuple[object, object]]:
    """The checks of two traces that are not the same: by name, with both values."""
    ours = {c["check"]: c for c in live_one["trace"]}
    theirs = {c["check"]: c for c in back["trace"]}
    return {
        name: (ours.get(name), theirs.get(name))
        for name in [*ours, *(n for n in theirs if n not in ours)]
        if ours.get(name) != theirs.get(name)
    }


def unexplained(decided: list[dict[str, Any]], back: Back) -> dict[str, tuple[object, object]]:
    """What differs in the traces and is no clock, nor read from another book than the one of the backtest: its age says
    so."""
    found = [differences(one, other) for one, other in zip(decided, back.decided, strict=True)]
    return {
        name: values
        for each in found
        for name, values in each.items()
        if name not in CLOCKS and not (name in OF_A_BOOK and another_book(each))
    }


def another_book(differing: dict[str, tuple[Any, Any]]) -> bool:
    """True where the worker decided on a book that something else had asked for since the one that the backtest still
    had: both are young enough, and their ages are in the traces."""
    ours, theirs = differing.get("book_age_ms", (None, None))
    return bool(ours and theirs) and abs(ours["value"] - theirs["value"]) > ANOTHER_BOOK_MS


def backtested(folder: Path, wallet: str, values: dict[str, Any]) -> tuple[Back, dict[Any, int], Played]:
    """The history that was pulled, through a backtest with the books and sightings that were recorded."""
    database = open_database(f"sqlite:///{folder / 'pilotfish.db'}")
    with database.connect() as c:
        seen = first_seen(c, wallet)
    spool = spool_of(database.url)
    database.dispose()
    history, now = History(str(folder / "history")), int(time.time())
    past = read_past(history, wallet, now - 3_600, now)
    back, policy = Back(), policy_from({name: parse(find(name), str(value)) for name, value in values.items()})
    whole = Whole(past=past, books=books_of(history, past, spool), seen=seen)
    return back, dict(seen), play(whole, policy, BANDS[Band.EXPECTED], back.see, as_seen=True)


@pytest.mark.parametrize("label", ["Stepper", "Scalper"])
def test_a_demonstrations_seeded_story_is_decided_and_filled_the_same_in_a_backtest(label: str, tmp_path: Path) -> None:
    """Books move with every block, copies are on their way meanwhile; nothing of it is arranged for the test."""
    wallet = next(person.wallet for person in cast(7) if person.label == label)
    stand = Stand(tmp_path, "--seed", "7", "--paused", "--speed", "3")
    pilot = Pilot(tmp_path, stand.urls)
    try:
        pilot.start()
        pilot.follow(wallet)
        stand.post("/resume")
        until("some trades are decided", lambda: len(pilot.export("decisions")) >= STORY_TRADES, 180)
        stand.post("/pause")
        until("all is told", lambda: stand.get(f"/truth?wallet={wallet}")["settled"])
        trades = stand.get(f"/truth?wallet={wallet}")["trades"]
        until("all is decided", lambda: len(pilot.export("trades")) >= trades and settled(pilot, trades), 180)
        decided, filled, orders = live(pilot)
        pilot.stop()
        pilot.cli("history", "pull", wallet, "--days", "1")
    finally:
        pilot.close()
        stand.close()
    back, seen, played = backtested(tmp_path, wallet, {})

    assert len(seen) == len(decided) >= STORY_TRADES
    assert [(d["tx"], d["action"], d["reason"]) for d in back.decided] == [
        (d["tx"], d["action"], d["reason"]) for d in decided
    ]
    assert back.filled == filled != []
    assert list(back.orders.values()) == orders
    assert unexplained(decided, back) == {}
    assert {tier.value for tier in played.tiers} == {"book"}


def test_a_recorded_session_is_decided_and_filled_the_same_in_a_backtest_of_what_the_venue_tells(
    tmp_path: Path,
) -> None:
    with rig(tmp_path, **SETTINGS) as (stand, pilot):
        pilot.start()
        pilot.follow()
        session(stand, pilot)
        decided, filled, orders = live(pilot)
        pilot.stop()
        pilot.cli("history", "pull", WALLET, "--days", "1")
        told = json.loads(pilot.cli("backtest", WALLET, "--days", "1", "--offline", "--json"))
    back, seen, played = backtested(tmp_path, WALLET, SETTINGS)

    assert len(seen) == len(decided) == TRADES
    assert [(d["tx"], d["action"], d["reason"]) for d in back.decided] == [
        (d["tx"], d["action"], d["reason"]) for d in decided
    ]
    assert back.filled == filled
    assert list(back.orders.values()) == orders
    assert unexplained(decided, back) == {}
    assert {tier.value for tier in played.tiers} == {"book"}
    assert {d["reason"] for d in decided} >= {"COPY", "SKIP_PRICE_RANGE"}
    assert {state for state, *_ in orders} >= {"filled", "partial"}
    assert told["tiers"] == {"book": 1.0}
    assert f"{TRADES} of {TRADES} trades seen when the worker saw them" in told["basis"]
    assert played.spent == told["spent_micro"]


def test_a_killed_worker_leaves_books_that_can_be_read_and_its_next_start_seals_them(tmp_path: Path) -> None:
    with rig(tmp_path) as (stand, pilot):
        pilot.start()
        pilot.follow()
        token = stand.market()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        until("its book is recorded", lambda: token in listed(pilot))
        pilot.kill()
        before = listed(pilot)[token]
        assert before["snapshots"] + before["answers"] > 0
        assert sealed(tmp_path) == []
        pilot.start()
        until("it is sealed", lambda: sealed(tmp_path))
        pilot.stop()
        after = listed(pilot)[token]
        assert after["rows"] >= before["rows"], "nothing that was there is gone"
        assert pilot.status()["worker"]["recording"]["healthy"]
        assert not list((tmp_path / "recording").rglob("*.arrows"))


def listed(pilot: Pilot) -> dict[str, dict[str, Any]]:
    return {row["token_id"]: row for row in json.loads(pilot.cli("books", "list", "--json"))}


def sealed(folder: Path) -> list[Path]:
    return sorted((folder / "history" / "books").rglob("*.parquet"))
