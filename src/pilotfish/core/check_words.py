"""What a decision's trace says, in a reader's words: each check by a readable name, its value and limit with their unit
and the right way round, and in one sentence why a trade was copied or not.

In comes a trace as it is stored (lines of check, value, limit, passed), out goes plain text, the same on pages and in
the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple, Protocol

from pilotfish.core import numerals
from pilotfish.core.reasons import MEANING, Reason
from pilotfish.core.units import format_micro, plain_name

NOT_KNOWN = "not known"
_LONG = 7_200
"""Seconds from which a time is told in hours: below, a limit of minutes may be missed by a second."""


class Unit(Enum):
    """What a value is."""

    USDC = auto()
    PRICE = auto()
    SHARES = auto()
    MS = auto()
    SECONDS = auto()
    BPS = auto()
    TICKS = auto()
    NUMBER = auto()
    YES_NO = auto()
    WORDS = auto()


class Bound(Enum):
    """How a value is held against its limit."""

    MOST = auto()
    LEAST = auto()
    BELOW = auto()
    SOME = auto()
    """More than nothing."""
    WITHIN = auto()
    """Between two limits."""
    IS = auto()
    ONE_OF = auto()
    NONE_OF = auto()
    KNOWN = auto()
    ROOM = auto()
    """The value is what a cap leaves, the limit what is to be spent: people are told it the other way round."""
    CUT = auto()
    """The value was cut to the limit."""
    OF = auto()
    """The value is what is left of the limit."""
    SIDES = auto()
    """The limit says which sides are copied."""
    BY = auto()
    """The limit says how the value was worked out."""
    NONE = auto()


class _Words(NamedTuple):
    name: str
    unit: Unit
    bound: Bound = Bound.NONE


CHECKS: dict[str, _Words] = {
    "class": _Words("kind of trade", Unit.WORDS),
    "age_ms": _Words("age when it was decided", Unit.MS, Bound.MOST),
    "on_chain": _Words("stands on chain", Unit.YES_NO, Bound.IS),
    "paused": _Words("leader or portfolio paused", Unit.YES_NO, Bound.IS),
    "side": _Words("side", Unit.WORDS, Bound.SIDES),
    "combo": _Words("combo of several legs", Unit.YES_NO, Bound.IS),
    "polygon_healthy": _Words("Polygon works", Unit.YES_NO, Bound.IS),
    "api_healthy": _Words("the Data API works", Unit.YES_NO, Bound.IS),
    "log_missing_ms": _Words("waited for the chain's log", Unit.MS, Bound.LEAST),
    "api_missing_ms": _Words("waited for the API's fields", Unit.MS, Bound.LEAST),
    "holdings_missing_ms": _Words("waited for what the leader holds", Unit.MS, Bound.LEAST),
    "catch_up_age_sec": _Words("age of a missed BUY", Unit.SECONDS, Bound.MOST),
    "catch_up_opens_new": _Words("a missed BUY would open a position", Unit.YES_NO, Bound.MOST),
    "market": _Words("market", Unit.WORDS, Bound.IS),
    "market_age_sec": _Words("market looked up before", Unit.SECONDS, Bound.MOST),
    "leader_price_micro": _Words("the leader's price", Unit.PRICE, Bound.WITHIN),
    "leader_usdc_micro": _Words("size of the leader's fill", Unit.USDC, Bound.LEAST),
    "only_categories": _Words("category or tag", Unit.WORDS, Bound.ONE_OF),
    "skip_categories": _Words("category or tag", Unit.WORDS, Bound.NONE_OF),
    "only_keywords": _Words("words of the title", Unit.WORDS, Bound.ONE_OF),
    "skip_keywords": _Words("words of the title", Unit.WORDS, Bound.NONE_OF),
    "time_to_end_sec": _Words("time until the market ends", Unit.SECONDS, Bound.LEAST),
    "time_to_end_max_sec": _Words("time until the market ends", Unit.SECONDS, Bound.MOST),
    "buys_of_outcome": _Words("BUYs copied of this outcome", Unit.NUMBER, Bound.BELOW),
    "order_already_copied": _Words("this order was copied already", Unit.YES_NO, Bound.IS),
    "lost_today_micro": _Words("lost today", Unit.USDC, Bound.BELOW),
    "leader_value_micro": _Words("worth of the leader's positions", Unit.USDC, Bound.KNOWN),
    "wanted_usdc_micro": _Words("size wanted", Unit.USDC, Bound.BY),
    "most_for_a_copy_micro": _Words("size, before the most for a copy", Unit.USDC, Bound.CUT),
    "saved_up_micro": _Words("saved up from smaller BUYs", Unit.USDC),
    "budget_usdc_micro": _Words("size of the copy", Unit.USDC, Bound.LEAST),
    "per_trade_left_micro": _Words("to spend, under the cap for one BUY", Unit.USDC, Bound.ROOM),
    "per_market_left_micro": _Words("to spend, under the market's cap", Unit.USDC, Bound.ROOM),
    "per_leader_left_micro": _Words("to spend, under the leader's cap", Unit.USDC, Bound.ROOM),
    "total_left_micro": _Words("to spend, under the cap for all positions", Unit.USDC, Bound.ROOM),
    "daily_left_micro": _Words("to spend, under the day's cap", Unit.USDC, Bound.ROOM),
    "cash_left_micro": _Words("to spend, from cash", Unit.USDC, Bound.ROOM),
    "open_positions": _Words("open positions", Unit.NUMBER, Bound.BELOW),
    "leader_positions": _Words("open positions of this leader", Unit.NUMBER, Bound.BELOW),
    "book": _Words("age of the order book", Unit.MS, Bound.MOST),
    "book_age_ms": _Words("age of the order book", Unit.MS, Bound.MOST),
    "leader_shares_micro": _Words("the leader's shares, to tell a price", Unit.SHARES, Bound.LEAST),
    "spread_bps": _Words("spread", Unit.BPS, Bound.MOST),
    "spread_ticks": _Words("spread", Unit.TICKS, Bound.MOST),
    "catch_up_worse_bps": _Words("worse than the leader's price by now", Unit.BPS, Bound.MOST),
    "slippage_bps": _Words("worse than the leader's price", Unit.BPS, Bound.MOST),
    "slippage_ticks": _Words("worse than the leader's price", Unit.TICKS, Bound.MOST),
    "depth_usdc_micro": _Words("on offer within the limit", Unit.USDC, Bound.LEAST),
    "held_shares_micro": _Words("held by us", Unit.SHARES, Bound.SOME),
    "copy_unexplained_exits": _Words("unexplained exits are copied", Unit.YES_NO, Bound.IS),
    "leader_pre_sell_shares_micro": _Words("held by the leader before", Unit.SHARES),
    "later_trades": _Words("later trades that were known before this one", Unit.NUMBER),
    "leader_sold_shares_micro": _Words("sold by the leader", Unit.SHARES),
    "sell_shares_micro": _Words("to sell", Unit.SHARES, Bound.SOME),
    "pending_buy_left_micro": _Words("left of a BUY that was still out", Unit.USDC, Bound.OF),
    "value_over_cost_bps": _Words("worth over cost", Unit.BPS, Bound.LEAST),
}
"""Every check that a trace may hold."""


class Checked(Protocol):
    """A line of a trace."""

    @property
    def check(self) -> str: ...
    @property
    def value(self) -> object: ...
    @property
    def limit(self) -> object: ...
    @property
    def passed(self) -> bool: ...


class Line(NamedTuple):
    """A check in words: its ``code``, its readable ``name``, the ``value`` with its unit, what the ``limit`` demands
    (empty where nothing is demanded), and whether it passed."""

    code: str
    name: str
    value: str
    limit: str
    passed: bool


def line(checked: Checked) -> Line:
    """A line of a trace in words."""
    words = _of(checked.check)
    value, limit, bound = checked.value, checked.limit, _bound(words.bound, checked.limit)
    if bound is Bound.ROOM:
        value, limit = limit, value
        bound = Bound.CUT if checked.passed and _larger(value, limit) else Bound.MOST
    return Line(checked.check, words.name, _value(value, words.unit), _limit(limit, words.unit, bound), checked.passed)


def lines(trace: Sequence[Checked]) -> list[Line]:
    """A trace in words."""
    return [line(checked) for checked in trace]


def why(reason: Reason, trace: Sequence[Checked], *, see: bool = False) -> str:
    """Why a decision is what it is: a plain sentence, and the figures of the check that ended it. ``see``: it goes on
    with where to look."""
    said = PLAIN.get(reason, MEANING[reason])
    if see:
        return f"{said[:-1]}: see"
    ended = next((checked for checked in trace if not checked.passed), None)
    if ended is None or _of(ended.check).unit in (Unit.YES_NO, Unit.WORDS):
        return said
    told = line(ended)
    name = told.name[0].upper() + told.name[1:]
    return f"{said} {name}: {told.value}" + (f", {told.limit}." if told.limit else ".")


PLAIN: dict[Reason, str] = {
    Reason.COPY: "Every check was passed.",
    Reason.SKIP_SIDE: "This side of trades is not copied.",
    Reason.SKIP_API_UNHEALTHY: "The Data API is down, and a BUY needs both sources here.",
    Reason.SKIP_UNEXPLAINED_EXIT: "The leader's holding is gone for an unknown reason, and such exits are not copied.",
    Reason.SKIP_CATCHUP_TOO_OLD: "A missed BUY that is too old by now.",
    Reason.SKIP_CATCHUP_NEW_POSITION: "A missed BUY that would open a new position, and those do not.",
    Reason.SKIP_PRICE_RANGE: "The leader's price is outside the range that is copied.",
    Reason.SKIP_LEADER_SIZE: "The leader's fill is too small to be copied, or to say its price.",
    Reason.SKIP_FILTERED: "The market's category, tags or title are filtered out.",
    Reason.SKIP_END_DATE: "The market ends too soon, or too late.",
    Reason.SKIP_BUYS_PER_OUTCOME: "As many BUYs of this outcome are copied as may be.",
    Reason.SKIP_SAME_ORDER: "The leader's order was already copied.",
    Reason.SKIP_LEADER_VALUE: "The size goes by what the leader's positions are worth, and that is not known yet.",
    Reason.SKIP_ACCUMULATING: "Below the minimum; saved up for the next BUYs of this leader and token.",
    Reason.SKIP_DAILY_LOSS: "Too much was lost today.",
    Reason.SKIP_SPREAD: "The spread is too wide.",
    Reason.SKIP_SLIPPAGE: "The price is too far from the leader's.",
    Reason.SKIP_DEPTH: "Too little is on offer within the limit.",
    Reason.EXIT_TAKE_PROFIT: "Sold by our own rule: it was worth enough over its cost.",
    Reason.EXIT_STOP_LOSS: "Sold by our own rule: it was worth too little for its cost.",
    Reason.WAIT_CHAIN: "Waiting for the log of a trade that only the API has seen.",
    Reason.WAIT_API: "Waiting for the API's fields of a trade seen on chain.",
    Reason.WAIT_HOLDINGS: "An exit that waits for the first look at what its leader holds.",
}
"""Reasons whose meaning names settings by their code, without them."""


def _of(check: str) -> _Words:
    """The words of a check; of one that an earlier version wrote its name as it stands."""
    known = CHECKS.get(check)
    if known is not None:
        return known
    name, micro = plain_name(check)
    return _Words(name.replace("_", " "), Unit.USDC if micro else Unit.NUMBER, Bound.NONE)


def _bound(bound: Bound, limit: object) -> Bound:
    """Where one name stands for two rules, the limit says which: a loss is at most, dust is below."""
    if bound is Bound.LEAST and isinstance(limit, int) and limit < 0:
        return Bound.MOST
    if bound is Bound.SOME and limit != 1:
        return Bound.BELOW
    return bound


def _larger(value: object, limit: object) -> bool:
    return isinstance(value, int) and isinstance(limit, int) and value > limit


def _value(value: object, unit: Unit) -> str:
    if value is None:
        return NOT_KNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value) or "none"
    if not isinstance(value, int):
        return str(value)
    match unit:
        case Unit.USDC:
            return f"{numerals.exact(value)} USDC"
        case Unit.PRICE:
            return numerals.exact(value)
        case Unit.SHARES:
            return f"{numerals.exact(value)} {'share' if value == 1_000_000 else 'shares'}"
        case Unit.MS:
            return f"{format_micro(1000 * value)} s"
        case Unit.SECONDS:
            return f"{numerals.count(value)} s" if abs(value) < _LONG else numerals.duration(1000 * value)
        case Unit.BPS:
            return numerals.bps(value)
        case Unit.TICKS:
            return f"{numerals.count(value)} {'tick' if value == 1 else 'ticks'}"
        case _:
            return numerals.count(value)


def _limit(limit: object, unit: Unit, bound: Bound) -> str:
    match bound:
        case Bound.NONE:
            return ""
        case Bound.SOME:
            return "more than none"
        case Bound.SIDES:
            return "both are copied" if limit == "both" else f"only {limit} is copied"
        case Bound.KNOWN:
            return "has to be known"
        case Bound.WITHIN if isinstance(limit, (list, tuple)):
            low, high = (_value(one, unit) for one in limit)
            return f"from {low} to {high}"
        case Bound.IS if isinstance(limit, int) and not isinstance(limit, bool):
            return f"known after {numerals.count(limit)} {'try' if limit == 1 else 'tries'}"
        case Bound.MOST if isinstance(limit, bool):
            return "allowed" if limit else "not allowed"
        case _ if limit is None:
            return ""
    return f"{_BEFORE[bound]} {_value(limit, unit)}"


_BEFORE = {
    Bound.MOST: "at most",
    Bound.LEAST: "at least",
    Bound.BELOW: "less than",
    Bound.WITHIN: "within",
    Bound.IS: "has to be",
    Bound.ONE_OF: "one of",
    Bound.NONE_OF: "none of",
    Bound.CUT: "cut to",
    Bound.OF: "of",
    Bound.BY: "by",
}
