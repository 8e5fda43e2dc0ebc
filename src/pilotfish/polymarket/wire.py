"""What others wrote, read safely: JSON of any kind to plain values, and the few ways to take a text out of one.

Strict JSON comes first. What strict readers refuse as a whole because of one value (``NaN``, half a surrogate pair, an
integer of a million digits) is read leniently, so that one bad row costs itself and not its page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pilotfish.core.units import MAX_NUMBER_TEXT, shown

MAX_ANSWER = 64 * 2**20
"""Bytes of the largest answer or frame that is read."""
MAX_TEXT = 500
_LENIENT_DEPTH = 100


class NotJsonError(ValueError):
    """A body or frame that is not JSON."""


def _number(text: str) -> Decimal | str:
    """A number with a fraction or an exponent, exactly; one that no parser of ours would take stays a text."""
    exponent = text.lower().partition("e")[2]
    return Decimal(text) if len(text) <= MAX_NUMBER_TEXT and len(exponent) <= 6 else text[: MAX_NUMBER_TEXT + 1]


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MAX_NUMBER_TEXT else text[: MAX_NUMBER_TEXT + 1]


_strict = msgspec.json.Decoder(type=Any, float_hook=_number)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode(raw: bytes | str) -> Any:
    """JSON as plain values; numbers with a fraction are exact ``Decimal``. Raises :class:`NotJsonError`."""
    try:
        return _strict.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as problem:
        first = problem
    try:
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        return _clean(json.loads(text, parse_float=_number, parse_int=_whole, parse_constant=str), _LENIENT_DEPTH)
    except (ValueError, RecursionError):
        raise NotJsonError(str(first)[:200]) from None


def _clean(value: Any, depth: int) -> Any:
    """Without half surrogates, which nothing can store; deeper than ``depth`` nothing is of use."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(x, depth - 1) for x in value] if depth else []
    if isinstance(value, dict):
        return {_clean(k, 0): _clean(x, depth - 1) for k, x in value.items()} if depth else {}
    return value


def encode(value: Any, most: int | None = None) -> str:
    """A payload as text, to keep it: JSON, of at most ``most`` characters. Never raises."""
    try:
        text = _encoder.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        text = shown(value, 2000)
    return text if most is None else text[:most]


def first(row: Mapping[str, Any], *names: str) -> Any:
    """The first of these fields that is there; the versions of the services name the same things differently."""
    for name in names:
        value = row.get(name)
        if value is not None:
            return value
    return None


def text_of(value: object, most: int = MAX_TEXT) -> str:
    """A text or a small whole number as clean text of at most ``most`` characters; "" for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= 300:
        value = str(value)
    if not isinstance(value, str):
        return ""
    return value[:most].replace("\0", "").encode("utf-8", "replace").decode()


def is_true(value: object) -> bool:
    """True for ``true``, and for the word as some services write it."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def is_false(value: object) -> bool:
    """True for ``false``, and for the word; what is not said is not false."""
    return value is False or (isinstance(value, str) and value.lower() == "false")


def is_second(seconds: int) -> bool:
    """True for epoch seconds in which the venue could have done something: from 2017 to 2286."""
    return 1_500_000_000 <= seconds < 10_000_000_000


def is_digits(text: str) -> bool:
    """True for a token id as the services write it: up to 78 decimal digits."""
    return 0 < len(text) <= 78 and text.isascii() and text.isdigit()
