"""Cash, positions and profit. Positions are kept per (portfolio, leader, token): a leader's SELL touches only the
shares copied from him. Cost contains the fees paid, so profit is net."""

from __future__ import annotations

import msgspec

from pilotfish.core.units import MICRO, ceil_div, proceeds_of

DUST_SHARES = MICRO // 100
DUST_USDC = MICRO // 100
"""What a SELL leaves below 0.01 share, or below 0.01 USDC, is written off."""


class Trip(msgspec.Struct, kw_only=True):
    """The round trip under way: shares bought since the position was flat, what was paid for them and got back, fees
    within both, in millionths."""

    bought: int = 0
    paid: int = 0
    got: int = 0
    fees: int = 0


class Position(msgspec.Struct, kw_only=True):
    """Shares of one token copied from one leader. ``cost`` is what the shares still held cost, fees included."""

    leader: str
    token_id: str
    condition_id: str = ""
    outcome: str = ""
    shares: int = 0
    cost: int = 0
    realized_pnl: int = 0
    fees: int = 0
    mark_price: int | None = None
    """What a share was worth when that was last known (millionths)."""
    unmarked_since: int | None = None
    """Since when (µs) nobody bids, so that the value is not known; ``None`` = it is."""
    status: str = "open"
    opened_at: int = 0
    closed_at: int | None = None
    trip: Trip = msgspec.field(default_factory=lambda: Trip())


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One movement of cash: what for, how much (negative = paid). ``shares`` that went with it where no fill says
    so: settled, or written off."""

    kind: str
    amount: int
    shares: int | None = None


def buy(position: Position, shares: int, usdc: int, fee: int, at: int) -> list[Entry]:
    """Book a BUY of ``shares`` for ``usdc`` plus ``fee``; returns the cash movements."""
    assert shares > 0 and usdc >= 0 and fee >= 0
    if position.shares == 0:
        position.opened_at, position.status, position.closed_at = at, "open", None
    position.shares += shares
    position.cost += usdc + fee
    position.fees += fee
    trip = position.trip
    trip.bought, trip.paid, trip.fees = trip.bought + shares, trip.paid + usdc + fee, trip.fees + fee
    return [Entry("buy", -usdc), *([Entry("fee", -fee)] if fee else [])]


def sell(position: Position, shares: int, usdc: int, fee: int, at: int) -> list[Entry]:
    """Book a SELL of ``shares`` for ``usdc`` less ``fee``; the cost taken out is rounded up, against us."""
    assert 0 < shares <= position.shares, "a sell never exceeds what is held"
    cost = position.cost if shares == position.shares else ceil_div(position.cost * shares, position.shares)
    position.shares -= shares
    position.cost -= cost
    position.fees += fee
    position.realized_pnl += usdc - fee - cost
    position.trip.got, position.trip.fees = position.trip.got + usdc - fee, position.trip.fees + fee
    if position.shares == 0:
        position.status, position.closed_at, position.unmarked_since = "closed", at, None
    return [Entry("sell", usdc), *([Entry("fee", -fee)] if fee else [])]


def settle(position: Position, payout: int, at: int) -> list[Entry]:
    """Pay out a resolved position at ``payout`` millionths per share, rounded down."""
    assert position.shares > 0
    usdc = proceeds_of(position.shares, payout)
    entry = Entry("settle", usdc, position.shares)
    position.realized_pnl += usdc - position.cost
    position.trip.got += usdc
    position.shares, position.cost = 0, 0
    position.mark_price, position.status, position.closed_at = payout, "resolved", at
    position.unmarked_since = None
    return [entry]


def is_dust(shares: int, price: int) -> bool:
    """True for what is too little to sell: less than 0.01 share, or less than 0.01 USDC at ``price``."""
    return shares < DUST_SHARES or proceeds_of(shares, price) < DUST_USDC


def write_off(position: Position, at: int) -> list[Entry]:
    """Close what is left of a position for nothing; its cost is lost."""
    assert position.shares > 0
    entry = Entry("dust", 0, position.shares)
    position.realized_pnl -= position.cost
    position.shares, position.cost = 0, 0
    position.status, position.closed_at, position.unmarked_since = "closed", at, None
    return [entry]


def mark(position: Position, price: int | None, at: int) -> bool:
    """Note what a share would bring, or ``None`` while nobody bids: the last known price stays. True if that is
    news."""
    since = position.unmarked_since
    if price is None:
        position.unmarked_since = since if since is not None else at
        return since is None
    news = position.mark_price != price or since is not None
    position.mark_price, position.unmarked_since = price, None
    return news


def value_of(position: Position) -> int:
    """What the position is worth at its last known mark, rounded down."""
    price = position.mark_price
    return proceeds_of(position.shares, price) if price else 0


def reference_of(position: Position) -> int:
    """What a share was worth when that was last known, else what it cost (millionths): what a sale's limit goes by
    where no trade of the leader's says a price."""
    if position.mark_price:
        return position.mark_price
    return position.cost * MICRO // position.shares if position.shares else 0


def end_trip(position: Position) -> Trip | None:
    """The round trip that has ended, from flat to flat; ``None`` while shares are held or none was under way."""
    if position.shares or not position.trip.bought:
        return None
    ended, position.trip = position.trip, Trip()
    return ended
