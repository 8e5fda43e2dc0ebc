"""What pages say of a thing, as text: the templates put it into markup."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pilotfish.backtest.verdicts import WORDS as VERDICTS
from pilotfish.backtest.verdicts import Verdict
from pilotfish.core import reasons
from pilotfish.core.numerals import NOTHING, count, money, percent, price, shares
from pilotfish.core.reasons import MEANING, OUTCOMES, Outcome, Reason
from pilotfish.core.units import MICRO, price_of
from pilotfish.store.copies import WORDS, State
from pilotfish.store.names import short as short
from pilotfish.store.round_trips import ENDED_MEANING, ENDED_WORDS


class Became(Protocol):
    """A decision, and what became of it (:func:`pilotfish.store.copies.of`)."""

    @property
    def action(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def partly(self) -> bool | None: ...

    @property
    def orphaned(self) -> bool | None: ...

    @property
    def our_shares_micro(self) -> int | None: ...

    @property
    def our_usdc_micro(self) -> int | None: ...

    @property
    def our_price(self) -> float | None: ...

    @property
    def order_usdc_micro(self) -> int | None: ...

    @property
    def order_shares_micro(self) -> int | None: ...

    @property
    def intent_reason(self) -> str | None: ...

    @property
    def why(self) -> str | None: ...


class Told(msgspec.Struct, frozen=True):
    """A verdict in a word, for a chip: ``kind`` is its class, ``sign`` stands before it, ``meaning`` is on hover; and
    what was got, with why it was not all, beside it."""

    sign: str
    kind: str
    text: str
    meaning: str
    got: str
    orphaned: bool


_SIGNS = {
    State.FILLED: ("✓", "copy"),
    State.OUT: ("…", "wait"),
    State.NOT_FILLED: ("✗", "lost"),
    State.WAITING: ("…", "wait"),
    State.RESET: ("–", ""),
    State.SKIPPED: ("–", ""),
}


def told(d: Became) -> Told:
    """What became of a decision."""
    state = State(d.state)
    meaning = f"{d.reason}: {MEANING[Reason(d.reason)]}" if d.reason in Reason.__members__ else d.reason
    if d.intent_reason:
        ended = OUTCOMES.get(Outcome(d.intent_reason), "") if d.intent_reason in Outcome.__members__ else ""
        meaning += f" {d.intent_reason}: {ended}"
    sign, kind = _SIGNS[state]
    text = "partly filled" if d.partly else WORDS[state]
    if state in (State.SKIPPED, State.WAITING):
        text = reasons.words(d.reason)
    elif d.action == "exit":
        text = f"sold: {reasons.words(d.reason)}" if state is State.FILLED else f"{text}: {reasons.words(d.reason)}"
        sign = "↩" if state is State.FILLED else sign
    return Told(sign, kind, text, meaning, _got(d), bool(d.orphaned))


def _got(d: Became) -> str:
    ours = d.our_shares_micro
    text = f"{shares(ours)} at {price(d.our_price)}" if ours else ""
    if d.partly or (ours and d.state == State.OUT):
        if d.order_usdc_micro:
            text += f", {money(d.our_usdc_micro or 0)} of {money(d.order_usdc_micro)} USDC"
        else:
            text += f", of {shares(d.order_shares_micro or 0)}"
    return "; ".join(part for part in (text, d.why or "") if part)


class Costs(Protocol):
    """What is held, and what it cost."""

    @property
    def shares_micro(self) -> int: ...

    @property
    def cost_micro(self) -> int: ...


def average(held: Costs) -> int:
    """What a share of it cost, in millionths."""
    return price_of(held.cost_micro, held.shares_micro)


def ended(how: str) -> str:
    """How a round trip ended, or what asked for a sale, in words."""
    return ENDED_WORDS.get(how, how)


def ended_meaning(how: str) -> str:
    """The same in a sentence."""
    return ENDED_MEANING.get(how, "")


class HasOrders(Protocol):
    """A leader's counts."""

    @property
    def orders(self) -> int: ...

    @property
    def orders_copied(self) -> int: ...

    @property
    def trades(self) -> int: ...


def copied_share(row: HasOrders) -> tuple[str, str]:
    """How much of what could be copied was, and of what that is a share: of a leader's orders, where sizes go by
    order."""
    told_of = f"of {count(row.orders)} orders, eaten in {count(row.trades)} fills" if row.trades > row.orders else ""
    return percent(row.orders_copied, row.orders), told_of


_VERDICT_CODES = frozenset(verdict.value for verdict in Verdict)
_VERDICT_KINDS = {Verdict.COPYABLE: "copy", Verdict.NOT_COPYABLE: "lost", Verdict.CANNOT_TELL: "wait"}
_VERDICT_SIGNS = {Verdict.COPYABLE: "✓", Verdict.NOT_COPYABLE: "✗", Verdict.CANNOT_TELL: "?"}


def badge(verdict: str) -> tuple[str, str, str]:
    """The verdict of a look back as a badge: its class, its sign, its word."""
    if verdict not in _VERDICT_CODES:
        return "", "", verdict
    known = Verdict(verdict)
    return _VERDICT_KINDS[known], _VERDICT_SIGNS[known], VERDICTS[known]


def share(part: float | None) -> str:
    """A part of one, in percent; a dash where there is none."""
    return NOTHING if part is None else percent(round(part * MICRO), MICRO)


_NOT_ASKED = "not asked: the requests were used up"
_FELL_OUT = {
    ("enough_trades", _NOT_ASKED): (
        "not asked: finding out takes at most half of the requests, and that half was used up"
    ),
    ("history_known", _NOT_ASKED): "not asked, or not for all of it: what was left of the requests did not suffice",
}


def fell_out(why: str, step: str) -> str:
    """Why wallets fell out at a step of a search's funnel: what its requests went into, too."""
    return _FELL_OUT.get((step, why), why)


def went_wrong(problem: str) -> str:
    """What went wrong of a wallet; where the requests did not suffice, it says how many were left."""
    return problem.replace(f": {_NOT_ASKED}: ", ": too few requests: ", 1)


LOOK_BACK = "look back"
STAGES = {
    LOOK_BACK: {
        "activity": "reading what they did",
        "markets": "reading what became of the markets",
        "tape": "reading all trades of those markets around theirs",
        "prices": "reading prices",
        "positions": "reading what they hold",
        "reading": "putting their past together",
        "running": "copying it, once for each assumption, delay and size",
    },
    "search": {
        "markets": "asking whom to look at",
        "activity": "reading what they did",
        "history": "reading the rest of their pasts",
        "looking back": "copying each through their past",
    },
}
"""What long work does, in the order in which it does it."""


def step_of(stage: str, work: str = LOOK_BACK) -> tuple[int, int, str]:
    """Which step of how many some work is at, and what it does."""
    told = STAGES[work]
    steps = list(told)
    number = steps.index(stage) + 1 if stage in steps else 1
    return number, len(steps), told.get(stage, "beginning")
