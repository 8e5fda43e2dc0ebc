"""What can happen in a world, and when. A story is a list of these; the truth follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from pilotfish.core.settings import Value
from pilotfish.core.units import MICRO, SECOND, format_micro

START = 1_800_000_000 * SECOND
"""When every world begins (µs)."""
LEADERS = tuple(f"0x{n:02x}" + f"{n:02x}" * 19 for n in (0xA1, 0xB2, 0xC3))
MARKETS = 3
"""Markets of two outcomes each."""
TAKING = ("MERGE", "REDEEM", "CONVERSION", "SEND")
"""Kinds of moves that take shares away."""
MAIN = "main"


def token(market: int, outcome: int) -> str:
    """The token of an outcome."""
    return str(1_000 + 10 * market + outcome)


def condition(market: int) -> str:
    """The condition of a market."""
    return f"0x{market + 1:064x}"


def market_of(token_id: str) -> int:
    """The market that a token belongs to."""
    return (int(token_id) - 1_000) // 10


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    at: int
    """When (µs after the start)."""


class Trade(_Step, frozen=True, kw_only=True, tag=True):
    """A leader's order was filled ``count`` times alike in one transaction.

    ``chain_us``: how long the logs took, ``None`` = never shown; ``again_us``: shown once more so much later.
    ``api_us``: how long the row took. ``reorg``: "" or "again" or "never" (mined again?), ``reorg_us`` after the log.
    ``backwards``: identical logs arrive the wrong way round.
    """

    number: int
    leader: int
    market: int
    outcome: int
    side: str
    shares: int
    price: int
    order: int
    count: int = 1
    chain_us: int | None = None
    again_us: int | None = None
    api_us: int = 5 * SECOND
    fee: int = 0
    reorg: str = ""
    reorg_us: int = 0
    backwards: bool = False
    no_time: bool = False
    """The provider does not say the block's time with its logs."""


class Move(_Step, frozen=True, kw_only=True, tag=True):
    """What changes holdings without a trade: SPLIT adds both outcomes, MERGE takes both, REDEEM empties a resolved
    market, CONVERSION makes the second outcome into the first ones of all other markets, and a transfer (``SEND``)
    takes the first outcome without a word."""

    number: int
    leader: int
    market: int
    kind: str
    amount: int
    api_us: int


class Book(_Step, frozen=True, kw_only=True, tag=True):
    """A token's book becomes ``bids`` and ``asks`` (price, shares); ``gone`` = there is none, ``fails`` = no answer."""

    market: int
    outcome: int
    bids: tuple[tuple[int, int], ...] = ()
    asks: tuple[tuple[int, int], ...] = ()
    gone: bool = False
    fails: bool = False
    tick: int = 10_000


class Down(_Step, frozen=True, kw_only=True, tag=True):
    """A source is away for so long: ``chain``, ``api``, ``books``, ``markets`` or, of the API, ``positions`` alone."""

    source: str
    lasts_us: int


class Kill(_Step, frozen=True, kw_only=True, tag=True):
    """The process dies; of what was not committed yet nothing is left. It begins anew ``away_us`` later."""

    away_us: int


class Resolve(_Step, frozen=True, kw_only=True, tag=True):
    """A market is resolved; the first outcome pays ``payout`` millionths a share, the other the rest."""

    market: int
    payout: int


class Fee(_Step, frozen=True, kw_only=True, tag=True):
    """A market's taker fee from here on (parts per million)."""

    market: int
    rate_ppm: int


class Follow(_Step, frozen=True, kw_only=True, tag=True):
    """A leader is followed from now on."""

    leader: int


class Leave(_Step, frozen=True, kw_only=True, tag=True):
    """A leader is followed no longer."""

    leader: int


class Pause(_Step, frozen=True, kw_only=True, tag=True):
    """A leader's copying is paused or goes on."""

    leader: int
    paused: bool


class Settings(_Step, frozen=True, kw_only=True, tag=True):
    """A portfolio's settings change."""

    portfolio: str
    values: dict[str, Value]


class Portfolio(_Step, frozen=True, kw_only=True, tag=True):
    """A new portfolio with settings of its own."""

    name: str
    values: dict[str, Value]


class Archive(_Step, frozen=True, kw_only=True, tag=True):
    """A portfolio takes part no longer."""

    name: str


class Follows(_Step, frozen=True, kw_only=True, tag=True):
    """A portfolio copies these leaders only (``None`` = all)."""

    portfolio: str
    leaders: tuple[int, ...] | None


class Reset(_Step, frozen=True, kw_only=True, tag=True):
    """The paper state is wiped, of one portfolio or of all."""

    portfolio: str | None


class Close(_Step, frozen=True, kw_only=True, tag=True):
    """A person closes what a portfolio holds."""

    portfolio: str


Step: TypeAlias = (
    Trade
    | Move
    | Book
    | Down
    | Kill
    | Resolve
    | Fee
    | Follow
    | Leave
    | Pause
    | Settings
    | Portfolio
    | Archive
    | Follows
    | Reset
    | Close
)


def moved_by(move: Move, held: Mapping[str, int]) -> dict[str, int]:
    """Token -> what a leader who held ``held`` has more of it after a move (less than zero: less)."""
    first, second = token(move.market, 0), token(move.market, 1)
    match move.kind:
        case "SPLIT":
            return {first: move.amount, second: move.amount}
        case "MERGE":
            return {first: -move.amount, second: -move.amount}
        case "REDEEM":
            return {name: -held.get(name, 0) for name in (first, second)}
        case "CONVERSION":
            others = {token(market, 0): move.amount for market in range(MARKETS) if market != move.market}
            return {second: -move.amount, **others}
        case _:
            return {first: -move.amount}


def told(step: Step) -> str:
    """A step in a line for people."""
    when = f"{step.at / SECOND:9.3f} s  "
    match step:
        case Trade():
            chain = "never" if step.chain_us is None else f"+{step.chain_us / SECOND:.1f} s"
            more = f", reorg ({step.reorg}) +{step.reorg_us / SECOND:.1f} s" if step.reorg else ""
            what = f"{step.side} {step.count} x {format_micro(step.shares)} of {token(step.market, step.outcome)}"
            return (
                f"{when}trade {step.number}: leader {step.leader} {what} at {step.price / MICRO:g}, order {step.order},"
                f" log {chain}, row +{step.api_us / SECOND:.1f} s{more}"
            )
        case Kill():
            return f"{when}the process is killed, and starts {step.away_us / SECOND:.1f} s later"
        case _:
            fields = {f: getattr(step, f) for f in step.__struct_fields__ if f != "at"}
            return f"{when}{type(step).__name__.lower()}: " + ", ".join(f"{k} {v}" for k, v in fields.items())
