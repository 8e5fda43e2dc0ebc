"""A past is read as it is gone through: the same in whatever pieces, and what is in memory does not grow with it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.over import AGAIN, LATER, Over
from pilotfish.backtest.run import Job, Whole, play, play_all
from pilotfish.backtest.shelf import Line
from pilotfish.backtest.source import beginning, market_at
from pilotfish.backtest.takes import Before, Took, seconds_of, takes_of
from pilotfish.backtest.tape import PRUNED, Tape
from pilotfish.cli.benches.long_past import write_long_past
from pilotfish.core import events as ev
from pilotfish.core.effects import Effect, Insert, Update
from pilotfish.core.engine import Engine
from pilotfish.core.holdings import Holding
from pilotfish.core.settings import Globals, policy_from
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND
from pilotfish.history.columns import table_of
from pilotfish.history.folder import History
from pilotfish.history.past import read_past
from pilotfish.history.records import Past, PricePoint, Print
from pilotfish.history.spans import Spans
from tests.unit.backtest.pasts import BEGIN, END, LEADER, NO, YES, bought_from, deed, market, move, past, sold_to


def plainly(prints: list[Print]) -> list[Took]:
    """What was taken, one transaction after the other, as docs/backtest.md says it."""
    takes: list[Took] = []
    last_price, last_up = 0, True
    for key in sorted({(p.at, p.tx_hash) for p in prints}):
        rows = [p for p in prints if (p.at, p.tx_hash) == key]
        legs: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for row in rows:
            first = row.token_id == YES
            legs[(row.side is Side.BUY) == first].append((row.price if first else MICRO - row.price, row.shares))
        ups, downs = len(legs[True]), len(legs[False])
        if not downs or (ups == 1 and downs > 1):
            up = True
        elif not ups or (downs == 1 and ups > 1):
            up = False
        else:
            asked = legs[False][0][0]
            up = last_up if not last_price or asked == last_price else asked > last_price
        for price, shares in sorted(legs[not up] or legs[up], reverse=not up):
            if 0 < price < MICRO:
                takes.append(Took(key[0], up, price, shares, any(row.wallet == LEADER for row in rows)))
                last_price = price
        last_up = up
    return takes


ROWS = st.builds(
    lambda at, tx, wallet, token, side, shares, cents: Print(
        1_000 + at, f"0x{tx}", wallet, "0xc", token, side, shares * MICRO, cents * MICRO // 100
    ),
    st.integers(0, 6), st.integers(0, 3), st.sampled_from([LEADER, "0xa", "0xb"]), st.sampled_from([YES, "1002"]),
    st.sampled_from(list(Side)), st.integers(1, 9), st.sampled_from([0, 40, 49, 50, 50, 51, 100]),
)  # fmt: skip


@given(st.lists(ROWS, max_size=40), st.integers(1, 7))
def test_takes_worked_out_in_columns_are_those_of_a_plain_reading_in_whatever_pieces(
    rows: list[Print], size: int
) -> None:
    rows.sort(key=lambda row: row.at)
    assert Tape(rows, YES, LEADER).takes == plainly(rows)
    whole = pa.RecordBatch.from_struct_array(table_of("tape", rows, {}).to_struct_array().combine_chunks())
    found, before = [], Before()
    for part in seconds_of(whole.slice(n, size) for n in range(0, len(rows), size)):
        some, before = takes_of(part, YES, LEADER, before)
        found += some
    assert found == plainly(rows)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 20)), max_size=9), st.integers(0, 600), st.integers(0, 400)
)
def test_spans_within_seconds_are_what_they_hold_of_them(gaps: list[tuple[int, int]], low: int, length: int) -> None:
    spans, at = Spans(), 0
    seconds: set[int] = set()
    for gap, more in gaps:
        at += gap
        spans.add(at, at + more, 1)
        seconds |= set(range(at, at + more + 1))
        at += more
    inside = {second for a, b in spans.within(low, low + length) for second in range(a, b + 1)}
    assert inside == seconds & set(range(low, low + length + 1))
    assert spans.hold(low, low + 3) == any(a <= low and low + 3 <= b for a, b in spans)


def test_what_is_over_of_a_tape_and_a_line_is_let_go_of_and_numbers_stay() -> None:
    prints = [row for n in range(PRUNED + 500) for row in sold_to(10 * n, 0.5, 10, number=n)]
    tape = Tape(prints, YES, LEADER)
    end = prints[-1].at
    (number, took), *_ = tape.after((end - 1) * SECOND, end * SECOND)
    tape.forget(end - 1)
    assert len(tape.takes) < PRUNED
    assert next(tape.after((end - 1) * SECOND, end * SECOND)) == (number, took)
    last = tape.last_before((end - 1) * SECOND)
    assert last is not None and last.at == end - 10, "the last one before stays, however old"
    line = Line([PricePoint(n, n) for n in range(2 * PRUNED)])
    line.forget(2 * PRUNED - 1)
    assert line.last(2 * PRUNED) == (2 * PRUNED - 1, 2 * PRUNED - 1)


@pytest.mark.slow
def test_runs_side_by_side_come_to_what_each_comes_to_alone(tmp_path: Path) -> None:
    history = History(str(tmp_path))
    wallet, from_at, to_at = write_long_past(history, 1_500)
    whole = Whole(past=read_past(history, wallet, from_at, to_at))
    jobs = [
        Job(policy=policy_from({"fixed_usdc": size * MICRO}), assumed=BANDS[band])
        for size, band in ((10, Band.EXPECTED), (40, Band.PESSIMISTIC), (25, Band.OPTIMISTIC))
    ]
    assert play_all(whole, jobs) == [play(whole, job.policy, job.assumed) for job in jobs]


def test_a_market_that_is_over_is_let_go_of_once_nobody_holds_any_of_it() -> None:
    engine = Engine()
    over = Over(engine)
    known = market_at(market(), 0, BEGIN * SECOND, END)
    for event in beginning(past([], []), policy_from({}), Globals()):
        engine.apply(event)
    engine.apply(ev.MarketSeen(at=BEGIN * SECOND, market=known))
    engine.state.holdings[LEADER, YES] = Holding(5)
    over.settles(YES, BEGIN * SECOND)
    over.let_go(BEGIN * SECOND + LATER - 1)
    assert YES in engine.state.markets, "not before a day is over"
    over.let_go(BEGIN * SECOND + LATER)
    assert engine.state.holdings[LEADER, YES].shares == 5, "it may still be redeemed"
    engine.state.holdings[LEADER, YES] = Holding(0)
    over.let_go(BEGIN * SECOND + LATER + AGAIN)
    assert YES not in engine.state.markets
    assert (LEADER, YES) not in engine.state.holdings


def of_many_moves(seed: int) -> Past:
    """A wallet that splits, merges and redeems as often as it trades, seconds apart, on both sides of a market that was
    resolved halfway."""
    chance, at = Random(seed), 100
    deeds, prints = [], []
    for n in range(1, 401):
        at += chance.choice([0, 1, 1, 2, 3, 10, 30])
        shares, token = chance.randint(1, 200), chance.choice([YES, NO])
        kind = chance.choice(["BUY", "BUY", "SELL", "SPLIT", "MERGE", "MERGE", "REDEEM"])
        is_trade = kind in ("BUY", "SELL")
        done = deed(at, kind, shares, 0.5, number=n, token=token) if is_trade else move(at, kind, shares, number=n)
        deeds.append(done)
    for second in range(0, at + 200, 5):
        side = chance.choice([sold_to, bought_from])
        prints += side(second, chance.choice([0.49, 0.5, 0.5, 0.51]), 2_000, number=50_000 + second)
    known = market() if seed % 2 else market(resolved_at=BEGIN + at // 2, closed_at=None)
    return past(deeds, prints, of=known)


def all_of(whole: Whole, delay: int, stretch_of: int, *, as_seen: bool) -> tuple[object, list[object]]:
    """What a run comes to, and every row that it writes."""
    rows: list[object] = []

    def see(_event: ev.Event, effects: list[Effect]) -> None:
        rows.extend(effect.record for effect in effects if isinstance(effect, Insert | Update))

    policy = policy_from({"catch_up_buy_require_better_price": False, "catch_up_buy_max_worse_bps": 500})
    assumed = msgspec.structs.replace(BANDS[Band.EXPECTED], delay_us=delay * SECOND // 10)
    job = Job(policy=policy, assumed=assumed, sink=see, as_seen=as_seen)
    return play_all(whole, [job], stretch_of=stretch_of)[0], rows


@pytest.mark.parametrize("as_seen", [False, True])
@pytest.mark.parametrize("delay", [0, 22, 220, 600], ids="{}_tenths".format)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_a_run_is_the_same_in_whatever_pieces_its_past_is_taken_up_at_any_delay(
    seed: int, delay: int, as_seen: bool
) -> None:
    of = of_many_moves(seed)
    seen = {
        (d.tx_hash, d.token_id, d.side, d.shares, 1): (d.at + n % 90 - 9) * SECOND
        for n, d in enumerate(of.deeds)
        if d.side is not None
    }
    whole = Whole(past=of, seen=seen if as_seen else {})
    at_once, *pieces = (all_of(whole, delay, size, as_seen=as_seen) for size in (10**6, 1, 3, 50))
    assert len(at_once[1]) > 100
    for piece in pieces:
        assert piece == at_once
