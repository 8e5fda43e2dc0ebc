"""One trade, once: whatever order, duplication or delay the two sources deliver in."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.units import SECOND
from tests.desk import LEADER, OTHER, START, Desk, api_fill, chain_fill


def test_api_first_then_chain_is_one_trade_with_the_chains_figures() -> None:
    desk = Desk()
    desk.api(api_fill(1, "BUY", 100, 0.5000001))
    desk.advance(1)
    desk.chain(chain_fill(1, "BUY", 100, 0.5, fee=12_500))
    (trade,) = desk.rows("trades")
    assert trade["first_source"] == "api"
    assert trade["first_seen_by_api_at"] < trade["first_seen_by_polygon_at"]
    assert (trade["usdc_micro"], trade["fee_micro"], trade["role"]) == (50_000_000, 12_500, "taker")
    assert trade["title"] == "A market"
    assert len(desk.rows("decisions")) == 1


def test_chain_first_then_api_only_marks_the_sighting() -> None:
    desk = Desk()
    desk.chain(chain_fill(1, "BUY", 100, 0.5))
    desk.advance(4)
    desk.api(api_fill(1, "BUY", 100, 0.5))
    desk.api(api_fill(1, "BUY", 100, 0.5))
    (trade,) = desk.rows("trades")
    assert trade["first_source"] == "polygon"
    assert trade["api_lagged"] is True
    assert trade["first_seen_by_api_at"] == START + 4 * SECOND
    assert len(desk.rows("trade_raw")) == 1
    assert len(desk.rows("decisions")) == 1


def test_identical_fills_of_one_transaction_are_counted_by_log_and_by_row() -> None:
    desk = Desk()
    two = [chain_fill(1, "BUY", 5, 0.5, log_index=i) for i in (3, 9)]
    desk.chain(two[1], two[1])
    desk.api(*[api_fill(1, "BUY", 5, 0.5)] * 2)
    desk.chain(two[0])
    trades = sorted(desk.rows("trades"), key=lambda t: t["occurrence"])
    assert [(t["occurrence"], t["log_index"]) for t in trades] == [(1, 3), (2, 9)]


def test_five_identical_rows_with_one_late_are_five_trades() -> None:
    desk = Desk()
    desk.api(*[api_fill(1, "BUY", 5, 0.5)] * 4)
    desk.api(*[api_fill(1, "BUY", 5, 0.5)] * 5)
    desk.chain(*(chain_fill(1, "BUY", 5, 0.5, log_index=i) for i in range(5)))
    assert sorted(t["occurrence"] for t in desk.rows("trades")) == [1, 2, 3, 4, 5]


def test_two_leaders_trading_with_each_other_are_two_trades() -> None:
    desk = Desk()
    desk.follow_leader(OTHER)
    desk.chain(chain_fill(1, "BUY", 5, 0.5), chain_fill(1, "SELL", 5, 0.5, leader=OTHER, log_index=2))
    assert {(t["leader"], t["side"]) for t in desk.rows("trades")} == {(LEADER, "BUY"), (OTHER, "SELL")}


def test_usdc_is_no_part_of_the_identity() -> None:
    desk = Desk()
    desk.chain(chain_fill(1, "BUY", 22.84, 0.52))
    desk.api(api_fill(1, "BUY", 22.84, 0.52, usdc=12_161_840))
    (trade,) = desk.rows("trades")
    assert trade["usdc_micro"] == 11_876_800


FILLS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["BUY", "SELL"]), st.sampled_from([5.0, 7.5])),
    min_size=1,
    max_size=10,
)


@given(FILLS, st.randoms(use_true_random=False))
def test_any_interleaving_of_both_sources_ends_in_the_same_trades_and_holdings(fills: list[Any], rng: Any) -> None:
    """Truth: a list of fills, each with a log and a row. Delivered: logs shuffled and doubled, windows that grow."""
    truth = [(n, side, shares, START + n * SECOND, i) for i, (n, side, shares) in enumerate(fills)]
    logs = [chain_fill(n, s, q, 0.5, log_index=i, traded_at=at) for n, s, q, at, i in truth]
    rows = [api_fill(n, s, q, 0.5, traded_at=at) for n, s, q, at, i in sorted(truth, key=lambda x: x[3])]
    steps: list[tuple[str, Any]] = [("log", log) for log in logs] + [("log", log) for log in logs if rng.random() < 0.3]
    shown: list[Any] = []
    windows = []
    order = list(rows)
    rng.shuffle(order)
    for row in order:
        shown.append(row)
        windows.append(("window", [r for r in rows if any(r is s for s in shown)]))
    rng.shuffle(steps)
    for window in windows:
        steps.insert(rng.randrange(len(steps) + 1), window)
    positions = [i for i, s in enumerate(steps) if s[0] == "window"]
    for position, window in zip(positions, windows, strict=True):
        steps[position] = window

    desk = Desk(holdings={})
    for kind, what in steps:
        if kind == "log":
            desk.chain(what)
        else:
            desk.api(*what)
    expected = Counter((n, side, round(shares * 1e6)) for n, side, shares, _, _ in truth)
    got = Counter((int(t["tx_hash"], 16), t["side"], t["shares_micro"]) for t in desk.rows("trades"))
    assert got == expected
    assert all(t["first_seen_by_api_at"] and t["first_seen_by_polygon_at"] for t in desk.rows("trades"))
    assert len(desk.rows("decisions")) == len(truth)

    straight = Desk(holdings={})
    for log in sorted(logs, key=lambda f: (f.traded_at, f.log_index)):
        straight.chain(log)
    assert desk.leader_holds() == straight.leader_holds()

    def sells(d: Desk) -> list[Any]:
        return sorted(
            (t["tx_hash"], t["log_index"], t["leader_pre_sell_shares_micro"])
            for t in d.rows("trades")
            if t["side"] == "SELL"
        )

    assert sells(desk) == sells(straight)
