"""Leaders' trades as events for an engine in virtual time, for the benches that need some."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pilotfish.core import events as ev
from pilotfish.core.book import make_book
from pilotfish.core.drive import Drive
from pilotfish.core.effects import Effect
from pilotfish.core.engine import Engine
from pilotfish.core.settings import policy_from
from pilotfish.core.trade import LeaderFill
from pilotfish.core.units import MICRO, SECOND
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled
from pilotfish.polymarket.decode import decode_order_filled

AT = 1_800_000_000 * SECOND
LAST = AT + SECOND
"""After the last event of a measurement, and before anything that waits is due."""
LEADER = "0x" + "a1" * 20
TOKEN = "123456789"  # noqa: S105 - a token id


def events(n: int) -> list[ev.Event]:
    """A portfolio, a leader, a market with its book, and ``n`` BUYs."""
    policy = policy_from({})
    start: list[ev.Event] = [
        ev.Restored(
            at=AT,
            portfolios=(ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy),),
        ),
        ev.LeaderFollowed(
            at=AT, leader=LEADER, follow_from=AT, floor_ts=AT // SECOND, cursor_ts=AT // SECOND, is_new=True
        ),
        ev.MarketSeen(
            at=AT, market=ev.Market(token_id=TOKEN, condition_id="0x" + "c" * 64, fetched_at=AT, tick=10_000)
        ),
        ev.BookSeen(
            at=AT,
            book=make_book(
                TOKEN,
                [(490_000, 10**12)],
                [(500_000, 10**12)],
                requested_at=AT,
                received_at=AT,
            ),
        ),
    ]
    return [*start, *(ev.ChainFillSeen(at=AT + i, fill=_bought(i)) for i in range(n))]


def _bought(i: int) -> LeaderFill:
    """The leader's ``i``-th BUY, an order and a transaction of its own."""
    log = {
        **order_filled(f"0x{i:064x}", LEADER, "0x" + "c" * 40, "BUY", TOKEN, 100 * MICRO, 50 * MICRO, 0),
        "address": CTF_EXCHANGE_V2,
        "blockNumber": "0x1",
        "blockHash": "0x" + "b" * 64,
        "transactionHash": f"0x{i:064x}",
        "logIndex": hex(i),
    }
    return decode_order_filled(log).observed(AT, '{"address":"0x…"}' * 40)


def driven(
    engine: Engine, events: Iterable[ev.Event], sink: Callable[[ev.Event, list[Effect]], None] | None = None
) -> Drive:
    """The engine with these events before it; nobody answers what it asks for."""
    drive = Drive(engine, lambda _ask, _at: (), sink)
    for event in events:
        drive.push(event)
    return drive
