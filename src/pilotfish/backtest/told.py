"""The answer of a look back in words and as JSON: the names that scripts rely on (docs/backtest.md)."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotfish.backtest.look_back import LookBack
from pilotfish.core.reasons import words

_STEPS = {
    "ideal": "at their prices, every order whole and free",
    "delay": "delay: their price to the mid at our order",
    "spread": "spread and impact: the mid to our price",
    "fees": "fees",
    "catch_up": "delay of trades copied late (catch-up)",
    "result": "copied, fees paid",
}


def cause_words(cause: str) -> str:
    """A step from the leader's prices to ours, for people."""
    return _STEPS.get(cause) or words(cause)


def answer_of(found: LookBack) -> dict[str, Any]:
    """A look back as JSON; ``complete`` is true, or what of the history is missing."""
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    missing = told.pop("missing")
    wrong = told.pop("books")
    told["complete"] = missing or True
    if wrong:
        told["books"] = wrong
    return told
