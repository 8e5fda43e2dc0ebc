"""Every sale that no trade of a leader's prices has a limit all the same, and a rule looks twice at each position."""

from __future__ import annotations

import msgspec
import pytest

from pilotfish.core import events as ev
from pilotfish.core.effects import Insert, Update, Upsert
from pilotfish.core.engine import Engine
from pilotfish.core.settings import Value, policy_from
from pilotfish.core.units import SECOND
from pilotfish.store.mapping import row_of
from tests.desk import CONDITION, LEADER, TOKEN, Desk, chain_fill, tx, usd

GHOST = ([(0.01, 100_000.0)], [(0.99, 100_000.0)])
"""A book as the venue has shown it of liquid markets, for a moment."""


def merges(desk: Desk) -> None:
    """The leader merges all that they hold."""
    move = ev.Move(kind="MERGE", tx_hash=tx(9), condition_id=CONDITION, amount=usd(100), at=desk.at)
    desk.send(ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=(), cursor_ts=desk.at // SECOND + 1, moves=(move,)))
    desk.at += 20 * SECOND
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=()))
    desk.advance(2)


@pytest.mark.parametrize("last_book", ["without bids", "none known"])
def test_an_exit_without_a_trade_has_a_limit_where_nobody_bid_when_it_was_seen(last_book: str) -> None:
    desk = Desk(holdings={TOKEN: 0.0})
    desk.buy(1)
    if last_book == "without bids":
        desk.bids = []
        desk.send(desk.book_event(TOKEN))
    else:
        desk.engine.state.books.clear()
    desk.at += 60 * SECOND
    desk.bids, desk.asks = GHOST
    merges(desk)
    assert desk.reasons == ["COPY", "COPY"]
    assert desk.held() == usd(50), "nothing is sold at 0.01 of what was worth 0.49"
    assert desk.rows("intents")[-1]["limit_price_micro"] == 470_000, "0.49 less 5 %, up to a whole tick"
    desk.bids, desk.asks = [(0.48, 1000)], [(0.50, 1000)]
    desk.advance(2)
    assert desk.held() == 0


def test_the_way_out_after_a_reorg_has_a_limit() -> None:
    desk = Desk()
    fill = chain_fill(1, "BUY", 100, 0.50, traded_at=desk.at)
    desk.chain(fill)
    desk.advance(1)
    desk.chain(fill, removed=True)
    desk.bids, desk.asks = GHOST
    desk.advance(70)
    assert desk.held() == usd(50)
    assert desk.rows("intents")[-1]["limit_price_micro"] == 470_000, "0.49 less 5 %, up to a whole tick"
    desk.bids, desk.asks = [(0.48, 1000)], [(0.50, 1000)]
    desk.advance(2)
    assert desk.held() == 0


def test_the_way_out_after_a_reorg_goes_by_the_leaders_own_settings() -> None:
    desk = Desk()
    mine, theirs = policy_from({"sell_retry_sec": 60}), policy_from({"sell_retry_sec": 3600})
    policy = msgspec.structs.replace(mine, by_leader={LEADER: theirs})
    desk.send(ev.PolicyChanged(at=desk.at, portfolio="main", policy=policy))
    fill = chain_fill(1, "BUY", 100, 0.50, traded_at=desk.at)
    desk.chain(fill)
    desk.advance(1)
    desk.chain(fill, removed=True)
    desk.bids = []
    desk.advance(1800)
    desk.bids = [(0.48, 1000)]
    desk.advance(2)
    assert desk.held() == 0, "half an hour later it is still tried"


def test_a_stop_loss_is_limited_by_what_is_bid_and_not_by_what_nobody_bids_for() -> None:
    desk = Desk({"stop_loss_bps": 3000, "sell_max_slippage_bps": 500})
    desk.buy(1)
    desk.bids = [(0.49, 0.5)]
    desk.send(desk.book_event(TOKEN))
    desk.advance(6)
    assert desk.reasons == ["COPY", "EXIT_STOP_LOSS"]
    assert desk.rows("intents")[-1]["limit_price_micro"] == 470_000
    desk.bids, desk.asks = GHOST
    desk.advance(5)
    assert desk.held() == usd(49.5)


def test_a_rule_looks_twice_at_what_was_bought_again() -> None:
    desk = Desk({"stop_loss_bps": 100, "max_spread_bps": 10_000, "rule_confirm_sec": 5}, holdings={TOKEN: 0.0})
    desk.buy(1)
    desk.bids = [(0.45, 100_000)]
    desk.send(desk.book_event(TOKEN))
    desk.sell(2, 100, 0.45)
    assert desk.held() == 0
    desk.advance(60)
    desk.buy(3)
    bought, sold = desk.rows("decisions")[2], desk.rows("decisions")[3:]
    desk.advance(30)
    sold = desk.rows("decisions")[3:]
    assert [r["reason"] for r in sold] == ["EXIT_STOP_LOSS"]
    assert sold[0]["decided_at"] - bought["decided_at"] >= 5 * SECOND


def test_a_portfolio_archived_before_its_leader_was_taken_up_ends_what_waited() -> None:
    before = Desk(answer_books=False)
    before.chain_buy(1)
    trade = next(iter(before.engine.state.index))
    waiting = (ev.PendingDecision(id=1, portfolio="main", trade_id=1),)
    policy = policy_from({})
    one = ev.PortfolioState(name="main", bankroll=usd(100), cash=usd(100), policy=policy, pending=waiting)
    two = ev.PortfolioState(name="other", bankroll=usd(100), cash=usd(100), policy=policy)
    engine = Engine()
    at = before.at
    engine.apply(ev.Restored(at=at, portfolios=(one, two), trades=(trade,), last_trade_id=1, last_decision_id=1))
    rows = [vars_of(e) for e in engine.apply(ev.PortfolioArchived(at=at, portfolio="main"))]
    assert [(r["id"], r["action"], r["reason"]) for r in rows] == [(1, "skip", "SKIP_PAUSED")]
    engine.apply(ev.Tick(at=at + SECOND))
    engine.apply(ev.PaperReset(at=at + SECOND))


def vars_of(effect: object) -> dict[str, object]:
    assert isinstance(effect, (Insert, Update, Upsert))
    return row_of(effect.record)


@pytest.mark.parametrize(
    ("shares", "usdc"), [(1, 0), (1, 1), (3, 3), (9, 4), (199, 195)], ids=["free", "one", "three", "nine", "under"]
)
def test_a_fill_too_small_to_say_its_price_is_not_bought_after(shares: int, usdc: int) -> None:
    desk = Desk(bids=[(0.97, 1000)], asks=[(0.98, 1000)])
    fill = chain_fill(1, "BUY", 1, 0.5, traded_at=desk.at)
    desk.chain(msgspec.structs.replace(fill, shares=shares, usdc=usdc))
    desk.advance(2)
    assert desk.reasons == ["SKIP_LEADER_SIZE"]
    assert desk.rows("decisions")[0]["trace"][-1] == ["leader_shares_micro", shares, 200, False]
    desk.chain(chain_fill(1, "BUY", 100, 0.97, traded_at=desk.at, log_index=2))
    desk.advance(2)
    assert desk.reasons[1:] == ["COPY"], "the order's next fill says it"


@pytest.mark.parametrize(("shares", "usdc"), [(1, 0), (1, 1), (9, 4)])
def test_a_sale_too_small_to_say_its_price_is_copied_within_what_ours_was_worth(shares: int, usdc: int) -> None:
    desk = Desk(holdings={})
    desk.buy(1)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=((TOKEN, 1),)))
    desk.at += 60 * SECOND
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=((TOKEN, 1),)))
    desk.bids, desk.asks = GHOST
    desk.tick = 1_000
    fill = chain_fill(2, "SELL", 1, 0.5, traded_at=desk.at)
    desk.chain(msgspec.structs.replace(fill, shares=shares, usdc=usdc))
    desk.advance(2)
    assert desk.held() == usd(50)
    assert 465_500 <= desk.rows("intents")[-1]["limit_price_micro"] <= 470_000


@pytest.mark.parametrize("mode", ["fixed_usdc", "fixed_shares", "leader_ratio", "bankroll_ratio"])
@pytest.mark.parametrize("price", [0.0001, 0.5, 0.9999])
@pytest.mark.parametrize(("shares", "usdc"), [(10**16, 1), (10**16, 10**16), (1, 10**16), (10**12, 10**8)])
def test_no_size_is_larger_than_any_trade_may_be(mode: str, price: float, shares: int, usdc: int) -> None:
    much = {"fixed_usdc": 10**15, "fixed_shares": 10**15, "leader_ratio": 10**9, "bankroll_ratio": 10**9}
    caps: dict[str, Value] = {"per_trade_cap_usdc": 0, "per_market_cap_usdc": 0, "below_min": "raise"}
    desk = Desk(
        {"sizing_mode": mode, "bankroll": 10**15, **much, **caps},
        bids=[(price - 0.0001, 9e9)] if price > 0.0001 else [],
        asks=[(price, 9e9), (0.99995, 9e9)],
        tick=100,
        holdings={},
    )
    known = ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=(), value=1)
    desk.send(known)
    fill = chain_fill(1, "BUY", 1, 0.5, traded_at=desk.at)
    desk.chain(msgspec.structs.replace(fill, shares=shares, usdc=usdc))
    desk.advance(2)
    numbers = [n for table in desk.tables for row in desk.rows(table) for n in row.values() if isinstance(n, int)]
    assert max(numbers) < 2**63, "no database takes more"
    assert desk.rows("decisions")
