"""What is to be looked at before a result is believed, with its figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from pilotfish.backtest.bets import Bet
from pilotfish.backtest.flags import Flag, Kind, find_flags
from pilotfish.backtest.statistics import measure
from pilotfish.core.trade import Side
from pilotfish.history.records import Deed, Past, Print
from tests.unit.backtest_answer.bet_worlds import START, USDC, World, bet, bets_of

HOUR = 3_600


def past(deeds: Iterable[Deed] = (), tape: Iterable[Print] = ()) -> Past:
    return Past(
        wallet="0xleader", from_at=START, to_at=START + 10**7, deeds=list(deeds), markets={}, tape={"c": list(tape)}
    )


def trade(n: int, side: Side, *, token: str = "", at: int | None = None, price: float = 0.5, shares: int = 10) -> Deed:
    """One trade; each on a market of its own an hour apart unless said otherwise."""
    return Deed(
        kind="TRADE",
        at=START + n * HOUR if at is None else at,
        tx_hash=f"0x{n}{side}",
        condition_id=f"c-{(token or str(n)).partition('/')[0]}",
        token_id=token or str(n),
        side=side,
        shares=shares * USDC,
        usdc=round(shares * price * USDC),
    )


def move(kind: str, usdc: int) -> Deed:
    return Deed(kind=kind, at=START, tx_hash=f"0x{kind}", condition_id="c", usdc=usdc * USDC)


def found(history: Past, bets: Sequence[Bet] | None = None) -> dict[Kind, Flag]:
    """Flags of a history, where the bets themselves give none unless they are the matter."""
    those = [bet(n, price=0.5, paid=USDC, made=0.1 + n / 1000, day=n) for n in range(40)] if bets is None else bets
    flags = find_flags(history, those, measure(those))
    assert [flag.kind for flag in flags] == [kind for kind in Kind if kind in {flag.kind for flag in flags}]
    return {Kind(flag.kind): flag for flag in flags}


def test_a_slow_buyer_of_many_events_has_no_flag() -> None:
    assert found(past([trade(n, Side.BUY) for n in range(60)])) == {}


def test_too_few_events() -> None:
    flag = found(past(), [bet(n, price=0.5, paid=USDC, made=0.1) for n in range(14)])[Kind.TOO_FEW_EVENTS]
    assert flag.text == "Too few events: 14 independent events; at least 30 are needed."
    assert flag.figures == {"events": 14, "needed": 30}


def test_one_event_that_made_the_result_and_the_result_without_it() -> None:
    bets = [bet(n, price=0.5, paid=10 * USDC, made=-0.1) for n in range(40)]
    flags = found(past(), [*bets, bet(99, price=0.1, paid=10 * USDC, made=9.0)])
    assert flags[Kind.ONE_EVENT].text == "One event made 180 % of the result."
    assert flags[Kind.ONE_EVENT].figures == {"share": 1.8}
    assert flags[Kind.WITHOUT_BEST].text == "Without its best event, a dollar put in came back as 0.90."
    assert flags[Kind.WITHOUT_BEST].figures == {"edge_without_best": -0.1}


def test_long_shots() -> None:
    bets = bets_of(World(prices=(0.05,)), 1)
    flag = found(past(), bets)[Kind.LONG_SHOTS]
    assert flag.text == "Long shots: 100 % of what was paid went into prices below 0.10."
    assert flag.figures["long_micro"] == flag.figures["paid_micro"] == sum(b.paid for b in bets)


@pytest.mark.parametrize("sides", [("a", Side.SELL), ("b", Side.BUY)])
def test_both_sides_of_a_market_within_minutes_are_a_market_maker(sides: tuple[str, Side]) -> None:
    deeds = []
    for n in range(10):
        deeds.append(trade(n, Side.BUY, token=f"{n}/a"))
        if n < 4:
            token, side = sides
            deeds.append(trade(n, side, token=f"{n}/{token}", at=START + n * HOUR + 60, price=0.45))
    flag = found(past(deeds))[Kind.MARKET_MAKER]
    assert flag.text.startswith(
        "Market maker: both sides within 10 min in 4 of 10 markets, 0 maker rebates of 0.00 USDC."
    )
    assert (flag.figures["markets"], flag.figures["two_sided"]) == (10, 4)


def test_selling_hours_later_is_no_market_making() -> None:
    deeds = [trade(n, Side.BUY, token=f"{n}") for n in range(10)]
    deeds += [trade(n, Side.SELL, token=f"{n}", at=START + n * HOUR + 601) for n in range(10)]
    assert Kind.MARKET_MAKER not in found(past(sorted(deeds, key=lambda deed: deed.at)))


def test_maker_rebates_are_a_market_maker() -> None:
    flag = found(past([move("MAKER_REBATE", 3) for _ in range(12)]))[Kind.MARKET_MAKER]
    assert "12 maker rebates of 36.00 USDC" in flag.text
    assert flag.figures["rebate_usdc_micro"] == 36 * USDC


def test_seconds_between_trades_are_bot_speed_and_fills_of_one_transaction_are_not() -> None:
    flag = found(past([trade(n, Side.BUY, at=START + 2 * n) for n in range(200)]))[Kind.BOT_SPEED]
    assert flag.text == "Bot speed, by the median: 2.0 s between 200 trades."
    assert flag.figures == {"transactions": 200, "between_sec": 2.0}
    fills = [trade(n, Side.BUY) for n in range(30) for _ in range(10)]
    assert Kind.BOT_SPEED not in found(past(fills))
    eaten = [trade(60 * n + k, Side.BUY, token=str(n), at=START + n * HOUR + k) for n in range(30) for k in range(20)]
    assert Kind.BOT_SPEED not in found(past(eaten)), "one resting order, eaten in twenty transactions"


def test_round_trips_of_seconds_are_bot_speed() -> None:
    deeds = []
    for n in range(25):
        deeds += [trade(n, Side.BUY), trade(n, Side.SELL, at=START + n * HOUR + 20, price=0.52)]
    flag = found(past(deeds))[Kind.BOT_SPEED]
    assert flag.figures["round_trips"] == 25
    assert flag.figures["round_trip_sec"] == 20
    assert "20.0 s from BUY to SELL in 25 round trips" in flag.text


def test_buying_and_selling_the_same_at_the_same_price_looks_like_washing() -> None:
    deeds = [trade(n, Side.BUY) for n in range(30)]
    deeds += [trade(n, Side.SELL, at=START + n * HOUR + 300) for n in range(10)]
    flag = found(past(sorted(deeds, key=lambda deed: deed.at)))[Kind.WASH_LIKE]
    assert flag.figures == {"trades": 40, "mirrored": 20}
    assert "20 of 40 trades were bought and sold in one size at one price within minutes" in flag.text


def test_one_counterparty_on_the_tape_looks_like_washing() -> None:
    deeds = [trade(n, Side.BUY) for n in range(30)]

    def tape(friend_every: int) -> list[Print]:
        return [
            Print(
                at=deed.at, tx_hash=deed.tx_hash, wallet=wallet, condition_id="c", token_id=deed.token_id,
                side=side, shares=deed.shares, price=500_000,
            )
            for n, deed in enumerate(deeds)
            for wallet, side in [
                ("0xleader", Side.BUY), ("0xfriend" if n % friend_every == 0 else f"0x{n}", Side.SELL),
            ]
        ]  # fmt: skip

    flag = found(past(deeds, tape(1)))[Kind.WASH_LIKE]
    assert flag.text == "Looks like wash trading: of 1 counterparty on the tape, the largest had 100 % of the shares."
    assert flag.figures["largest_micro"] == flag.figures["matched_micro"] == 300 * USDC
    assert Kind.WASH_LIKE not in found(past(deeds, tape(3)))


def test_splits_and_merges_as_a_strategy() -> None:
    deeds = [*(move("SPLIT", 100) for _ in range(4)), move("MERGE", 50), *(trade(n, Side.BUY) for n in range(10))]
    flag = found(past(deeds))[Kind.MOVES]
    assert flag.figures == {"moves": 5, "moved_micro": 450 * USDC, "bought_micro": 50 * USDC}
    assert flag.text.startswith("Splits and merges as a strategy: 5 of them moved 450.00 USDC, BUYs cost 50.00.")
    assert Kind.MOVES not in found(past([move("REDEEM", 100) for _ in range(9)]))
