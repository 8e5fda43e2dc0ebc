"""A wallet's past through the engine: what is seen when, what fills, what settles."""

from __future__ import annotations

import msgspec
import pytest

from pilotfish.backtest.assumptions import BANDS, Assumptions, Band
from pilotfish.backtest.quotes import Tier
from pilotfish.backtest.run import Played, Whole, play
from pilotfish.core.book import make_book
from pilotfish.core.effects import Insert
from pilotfish.core.records import AdjustmentRecord, DecisionRecord, FillRecord, IntentRecord
from pilotfish.core.settings import Value, policy_from
from pilotfish.core.units import MICRO, SECOND
from pilotfish.history.records import Past
from tests.book_rows import read_once
from tests.unit.backtest.pasts import (
    BEGIN,
    CONDITION,
    END,
    NO,
    YES,
    bought_from,
    deed,
    market,
    move,
    past,
    sold_to,
)

EXPECTED = msgspec.structs.replace(BANDS[Band.EXPECTED], delay_us=2 * SECOND, half_spread=5_000)


def played(of: Past, assumed: Assumptions = EXPECTED, **values: Value) -> tuple[Played, list[object]]:
    """The run and every record that it wrote."""
    records: list[object] = []

    def see(_event: object, effects: list[object]) -> None:
        records.extend(e.record for e in effects if isinstance(e, Insert))

    return play(Whole(past=of), policy_from(values), assumed, see), records  # type: ignore[arg-type]


def fills(records: list[object]) -> list[FillRecord]:
    return [r for r in records if isinstance(r, FillRecord)]


TAPE = [*sold_to(100, 0.50, 100, number=1), *sold_to(110, 0.50, 400, number=2), *sold_to(115, 0.52, 4_000, number=3)]


def test_a_copy_is_filled_by_what_printed_after_it_had_arrived_at_its_share() -> None:
    run, records = played(past([deed(100, "BUY", 1_000, 0.50)], TAPE))
    assert [f.levels for f in fills(records)] == [[[500_000, 50 * MICRO]]]
    assert run.tiers == {Tier.TAPE: 25 * MICRO}
    assert run.result == 25 * MICRO, "50 shares for 25 USDC pay 50"


def test_what_one_copy_had_of_a_print_takes_nothing_from_a_later_print_at_the_same_price() -> None:
    deeds = [deed(100, "BUY", 1_000, 0.50), deed(900, "BUY", 1_000, 0.50, number=9)]
    prints = [*TAPE[:6], *sold_to(910, 0.50, 400, number=12)]
    _, records = played(past(deeds, prints))
    assert [f.levels for f in fills(records)] == [[[500_000, 50 * MICRO]]] * 2


def test_two_copies_of_one_print_share_it() -> None:
    deeds = [deed(100, "BUY", 1_000, 0.50), deed(101, "BUY", 900, 0.50, number=9)]
    run, records = played(past(deeds, TAPE[:6]), burst_window_sec=0, fixed_usdc=40 * MICRO)
    assert sum(f.shares_micro for f in fills(records)) == 100 * MICRO, "a quarter of 400"
    assert run.spent == 50 * MICRO


def test_a_small_share_of_the_tape_fills_a_part_and_the_next_print_the_rest() -> None:
    thin = msgspec.structs.replace(EXPECTED, share_ppm=50_000)
    run, records = played(past([deed(100, "BUY", 1_000, 0.50)], TAPE), thin, buy_max_slippage_bps=500)
    (fill,) = fills(records)
    assert fill.levels[0] == [500_000, 20 * MICRO]
    assert fill.levels[1][0] == 520_000
    assert run.spent <= 25 * MICRO


def test_what_prints_above_the_limit_or_after_the_horizon_fills_nothing() -> None:
    above = [*sold_to(110, 0.60, 4_000, number=2)]
    late = [*sold_to(100 + 2 + 31, 0.50, 4_000, number=2)]
    for prints in (above, late):
        run, records = played(past([deed(100, "BUY", 1_000, 0.50)], prints, prices=[(0, 0.495)]))
        assert fills(records) == []
        assert (run.result, run.spent) == (0, 0)


def test_the_leaders_own_prints_fill_nobody() -> None:
    own = sold_to(104, 0.50, 4_000, number=2, wallet="0x" + "a1" * 20)
    _, records = played(past([deed(100, "BUY", 1_000, 0.50)], own))
    assert fills(records) == []


def test_two_copies_do_not_get_the_same_print() -> None:
    deeds = [deed(100, "BUY", 1_000, 0.50, number=1), deed(101, "BUY", 1_000, 0.49, number=2)]
    few = [*sold_to(99, 0.49, 4, number=8), *sold_to(112, 0.50, 240, number=9)]
    run, records = played(past(deeds, few))
    assert sum(f.shares_micro for f in fills(records)) == 60 * MICRO, "a quarter of 240, whoever gets it"
    assert run.fills == 2


IN, OUT = deed(1_000, "BUY", 100, 0.50, number=21), deed(1_005, "SELL", 100, 0.52, number=22)
"""In and out within the horizon: the BUY arrives at 1002.3, the SELL is seen at 1007 and arrives at 1007.3."""
BEFORE, BID = sold_to(990, 0.50, 100, number=1), bought_from(1_010, 0.52, 1_000, number=2)
ASK = sold_to(1_028, 0.50, 1_000, number=3)


def levels(records: list[object]) -> list[tuple[str, list[list[int]]]]:
    return [(f.side.value, f.levels) for f in fills(records)]


@pytest.mark.parametrize(("second", "had"), [(1_003, True), (1_006, True), (1_007, False), (1_009, False)])
def test_a_buy_has_no_print_from_when_the_leader_is_seen_to_sell_again(second: int, had: bool) -> None:
    asked = sold_to(second, 0.50, 1_000, number=4)
    run, records = played(past([IN, OUT], [*BEFORE, *asked, *BID]))
    assert levels(records) == ([("BUY", [[500_000, 50 * MICRO]]), ("SELL", [[520_000, 50 * MICRO]])] if had else [])
    assert run.result == (MICRO if had else 0)


def test_in_and_out_within_the_horizon_sells_nothing_that_is_on_offer_only_later() -> None:
    for band in Band:
        run, records = played(past([IN, OUT], [*BEFORE, *BID, *ASK]), BANDS[band])
        assert fills(records) == []
        assert run.skipped == {"SKIP_NO_POSITION": 1}


def test_where_no_sell_is_copied_a_sell_ends_nothing() -> None:
    _, records = played(past([IN, OUT], [*BEFORE, *BID, *ASK]), copy_side="buy")
    assert levels(records) == [("BUY", [[500_000, 50 * MICRO]])]


def test_an_exit_of_our_own_is_filled_after_what_was_bought_could_be_had() -> None:
    after = bought_from(1_033, 0.51, 1_000, number=5)
    prints = [*bought_from(990, 0.52, 100, number=1), *BID, *ASK, *after]
    _, records = played(past([IN], prints), buy_max_slippage_bps=1_000, take_profit_bps=100)
    assert levels(records) == [("BUY", [[500_000, 50 * MICRO]]), ("SELL", [[510_000, 50 * MICRO]])]


def test_a_sell_that_a_buy_follows_has_what_prints_within_the_horizon() -> None:
    deeds = [deed(100, "BUY", 100, 0.50, number=20), deed(1_000, "SELL", 100, 0.51, number=21),
             deed(1_005, "BUY", 100, 0.50, number=22)]  # fmt: skip
    asked, bid = sold_to(1_010, 0.50, 1_000, number=4), bought_from(1_028, 0.51, 1_000, number=5)
    _, records = played(past(deeds, [*TAPE, *BEFORE, *asked, *bid]))
    bought = ("BUY", [[500_000, 50 * MICRO]])
    assert levels(records) == [bought, ("SELL", [[510_000, 50 * MICRO]]), bought], "the shares were there"


def test_nothing_is_known_before_it_was_seen() -> None:
    for delay in (0, 2, 5, 14):
        _, records = played(
            past([deed(100, "BUY", 1_000, 0.50)], TAPE), msgspec.structs.replace(EXPECTED, delay_us=delay * SECOND)
        )
        decided = [r for r in records if isinstance(r, DecisionRecord)]
        assert [r.decided_at for r in decided] == [(BEGIN + 100 + delay) * SECOND]


def test_what_is_seen_too_late_obeys_the_rules_for_late_trades() -> None:
    slow = msgspec.structs.replace(EXPECTED, delay_us=60 * SECOND)
    run, _ = played(past([deed(100, "BUY", 1_000, 0.50)], TAPE, prices=[(150, 0.55)]), slow)
    assert run.skipped == {"SKIP_CATCHUP_WORSE_PRICE": 1}


def test_a_sell_is_in_proportion_to_what_was_held_before_the_past_began() -> None:
    deeds = [deed(100, "BUY", 100, 0.50, number=1), deed(5_000, "SELL", 100, 0.50, number=2)]
    prints = [*TAPE, *bought_from(5_010, 0.50, 4_000, number=9)]
    _, records = played(past(deeds, prints, held={YES: 100 * MICRO}))
    assert [f.shares_micro for f in fills(records)] == [50 * MICRO, 25 * MICRO], "100 of 200 sold: half of ours"


def test_a_merge_is_an_exit_and_a_redeem_after_the_end_is_none() -> None:
    deeds = [deed(100, "BUY", 100, 0.50), move(5_000, "MERGE", 100), move(10 * 86_400 - 100, "REDEEM", 100, number=901)]
    prints = [*TAPE, *bought_from(5_015, 0.50, 4_000, number=9)]
    run, records = played(past(deeds, prints))
    sides = [f.side.value for f in fills(records)]
    assert sides == ["BUY", "SELL"], run.skipped


def test_positions_settle_at_the_payout_when_it_was_known_and_not_before() -> None:
    lost = market(payouts=(0, MICRO), resolved_at=BEGIN + 40_000, closed_at=BEGIN + 30_000)
    run, _ = played(past([deed(100, "BUY", 1_000, 0.50)], TAPE, of=lost))
    (bet,) = run.bets
    assert (bet.settled, bet.ended_at, bet.result, bet.paid) == (True, BEGIN + 40_000, -25 * MICRO, 25 * MICRO)
    half = market(payouts=(MICRO // 2, MICRO // 2))
    run, _ = played(past([deed(100, "BUY", 1_000, 0.40)], sold_to(110, 0.40, 4_000, number=2), of=half,
                         prices=[(90, 0.395)]))  # fmt: skip
    assert run.bets[0].result == 62_500_000 // 2 - 25 * MICRO


def test_what_is_open_at_the_end_is_marked_and_named() -> None:
    open_ = market(payouts=None, resolved_at=None, closed_at=None)
    run, _ = played(past([deed(100, "BUY", 1_000, 0.50)], TAPE, of=open_, prices=[(10 * 86_400 - 60, 0.80)]))
    (bet,) = run.bets
    assert not bet.settled
    assert list(run.open) == [YES]
    assert run.open[YES] == 50 * 790_000, "half a spread below the line, down to the tick"
    assert run.result == sum(b.result for b in run.bets)


def test_a_market_that_was_closed_is_copied_no_more() -> None:
    closed = market(closed_at=BEGIN + 50, resolved_at=BEGIN + 90_000)
    run, _ = played(past([deed(100, "BUY", 1_000, 0.50)], TAPE, of=closed))
    assert run.skipped == {"SKIP_MARKET_CLOSED": 1}


def test_a_market_that_nobody_knows_is_skipped_by_name() -> None:
    of = past([deed(100, "BUY", 1_000, 0.50)], TAPE)
    of.markets = {}
    run, _ = played(of)
    assert run.skipped == {"SKIP_UNKNOWN_MARKET": 1}


def test_without_a_tape_the_price_line_fills_worse_than_the_price_and_within_its_depth() -> None:
    of = past([deed(100, "BUY", 1_000, 0.50)], [], known=False, prices=[(60, 0.50)])
    run, records = played(of)
    (fill,) = fills(records)
    assert fill.levels[0][0] == 510_000, "the ask above half a cent of spread, on the tick"
    assert list(run.tiers) == [Tier.LINE]
    run, _ = played(of, fixed_usdc=10_000 * MICRO, per_trade_cap_usdc=0, per_market_cap_usdc=0)
    assert run.spent <= EXPECTED.depth_usdc


def test_a_price_that_is_hours_old_is_none() -> None:
    of = past([deed(30_000, "BUY", 1_000, 0.50)], [], known=False, prices=[(60, 0.50)])
    run, records = played(of)
    assert fills(records) == []
    assert run.skipped == {"SKIP_NO_BOOK": 1}


def test_a_recorded_book_comes_before_the_tape() -> None:
    at = (BEGIN + 100) * SECOND
    book = make_book(YES, [(480_000, 10**9)], [(490_000, 10**9)], requested_at=at, received_at=at)
    run = play(
        Whole(past=past([deed(100, "BUY", 1_000, 0.50)], TAPE), books={YES: read_once(book)}), policy_from({}), EXPECTED
    )
    assert list(run.tiers) == [Tier.BOOK]
    old = make_book(YES, [(480_000, 10**9)], [(490_000, 10**9)], requested_at=at - 90 * SECOND,
                    received_at=at - 90 * SECOND)  # fmt: skip
    run = play(
        Whole(past=past([deed(100, "BUY", 1_000, 0.50)], TAPE), books={YES: read_once(old)}), policy_from({}), EXPECTED
    )
    assert list(run.tiers) == [Tier.TAPE], "a book of a minute and a half ago is none"


def test_the_same_past_gives_the_same_run_and_runs_do_not_share_what_they_had() -> None:
    whole = Whole(past=past([deed(100, "BUY", 1_000, 0.50)], TAPE))
    first, second = (play(whole, policy_from({}), EXPECTED) for _ in range(2))
    assert msgspec.json.encode(first) == msgspec.json.encode(second)


def test_identical_rows_of_one_transaction_all_count() -> None:
    deeds = [deed(100, "BUY", 100, 0.50)] * 3 + [deed(5_000, "SELL", 150, 0.50, number=2)]
    _, records = played(past(deeds, [*TAPE, *bought_from(5_010, 0.50, 4_000, number=9)]))
    assert [f.shares_micro for f in fills(records)] == [50 * MICRO, 25 * MICRO], "150 of 300 sold: half of ours"


def test_the_wanted_counts_each_order_once() -> None:
    deeds = [deed(100 + i, "BUY", 100, 0.50, number=i) for i in range(1, 6)]
    run, records = played(past(deeds, [*TAPE]))
    assert run.wanted == 25 * MICRO, "fills of one price within a minute are one order"
    assert len([r for r in records if isinstance(r, IntentRecord)]) == 1
    assert run.orders == 1


@pytest.mark.parametrize("band", list(Band))
def test_an_empty_past_is_an_empty_run(band: Band) -> None:
    run, _ = played(past([], []), BANDS[band])
    assert (run.result, run.bets, run.wanted, run.filled_ppm) == (0, [], 0, 0)
    assert END > BEGIN and CONDITION


def test_a_conversion_takes_what_it_converts_from_the_leaders_holding_as_live() -> None:
    deeds = [deed(100, "BUY", 100, 0.50, token=NO), move(1_000, "CONVERSION", 100)]
    _, records = played(past(deeds, TAPE))
    (converted,) = [r for r in records if isinstance(r, AdjustmentRecord) and r.cause == "CONVERSION"]
    assert (converted.token_id, converted.delta_micro) == (NO, -100 * MICRO)
