"""Shares, USDC and prices as integers in millionths, and the few ways to combine them.

Rounding is explicit and against us: what we pay rounds up, what we receive rounds down.
"""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from typing import NewType

Shares = NewType("Shares", int)
"""Outcome shares in millionths."""
Usdc = NewType("Usdc", int)
"""Collateral in millionths of a dollar."""
Price = NewType("Price", int)
"""USDC per share in millionths: 0.635 is 635_000. For show and limits; a trade's exact price is usdc/shares."""
Micros = NewType("Micros", int)
"""An instant: microseconds since the epoch, UTC."""

MICRO = 1_000_000
SECOND = 1_000_000
BPS = 10_000
PPM = 1_000_000
MAX_AMOUNT = 2**62
"""Amounts at or above this are refused at the edge: no real trade comes within a factor of 1,000 of it."""
MAX_TRADE = 10**16
"""Shares or USDC of one trade or position above which it is refused: ten thousand million, so that sums of many stay
within 64 bits."""
MAX_NUMBER_TEXT = 100
"""Characters of the longest number that is read: a share count has 20, a price 18."""
MICRO_SUFFIX = "_micro"
"""How the name of every field ends that holds millionths (DESIGN.md section 12)."""


def plain_name(name: str) -> tuple[str, bool]:
    """A field's name for people, and whether it holds millionths."""
    return name.removesuffix(MICRO_SUFFIX), name.endswith(MICRO_SUFFIX)


_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")


def ceil_div(a: int, b: int) -> int:
    """``a / b`` rounded up; ``b`` > 0."""
    return -(-a // b)


def price_of(usdc: int, shares: int) -> Price:
    """Average price in millionths, rounded to nearest; 0 when there are no shares."""
    return Price((2 * usdc * MICRO + shares) // (2 * shares)) if shares > 0 else Price(0)


def cost_of(shares: int, price: int) -> Usdc:
    """What ``shares`` cost at ``price``, rounded up (we pay)."""
    return Usdc(-(-shares * price // MICRO))


def proceeds_of(shares: int, price: int) -> Usdc:
    """What ``shares`` bring at ``price``, rounded down (we receive)."""
    return Usdc(shares * price // MICRO)


def shares_for(usdc: int, price: int) -> Shares:
    """The most shares whose :func:`cost_of` at ``price`` stays within ``usdc``."""
    return Shares(usdc * MICRO // price) if price > 0 else Shares(0)


def scaled(value: object, places: int) -> int:
    """``value`` × 10^``places`` of a JSON number or numeric text, rounded half up.

    Every number that others wrote comes in through here: its text is at most :data:`MAX_NUMBER_TEXT` long, so that no
    number costs more than a few microseconds. Raises :class:`ValueError` for anything that is not a finite decimal
    number whose result is within :data:`MAX_AMOUNT`.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        result = value * 10**places if value.bit_length() <= 64 else MAX_AMOUNT
    elif isinstance(value, (str, float, Decimal)):
        result = _scaled_text(str(value).strip(), places)
    else:
        raise ValueError(f"expected a number, got {shown(value)}")
    if abs(result) >= MAX_AMOUNT:
        raise ValueError(f"number out of range: {shown(value)}")
    return result


_PLAIN_TEXT = 24
"""Characters of the longest number that is read the short way."""
_TENS: tuple[int, ...] = tuple(10**n for n in range(64))


def _scaled_text(text: str, places: int) -> int:
    whole, point, rest = text.partition(".")
    if len(text) <= _PLAIN_TEXT and text.isascii() and whole.isdigit() and len(rest) <= places:
        if not point:
            return int(whole) * _TENS[places]
        if rest.isdigit():
            return int(whole + rest) * _TENS[places - len(rest)]
    if len(text) > MAX_NUMBER_TEXT or not _NUMBER.fullmatch(text):
        raise ValueError(f"expected a number, got {shown(text)}")
    number = Decimal(text)
    if number == 0 or number.adjusted() < -places - 1:
        return 0
    if number.adjusted() > 40:
        return MAX_AMOUNT
    with localcontext() as context:
        context.prec = 200
        return int(number.scaleb(places).to_integral_value(rounding="ROUND_HALF_UP"))


def micro_from_decimal(value: object) -> int:
    """Millionths of a JSON number or numeric text, rounded half up; raises :class:`ValueError` as :func:`scaled`."""
    return scaled(value, 6)


def price_from(value: object) -> Price:
    """A price in millionths; raises :class:`ValueError` for what is not a number from 0 to 1."""
    price = micro_from_decimal(value)
    if not 0 <= price <= MICRO:
        raise ValueError(f"expected a price from 0 to 1, got {shown(value)}")
    return Price(price)


def shown(value: object, most: int = 60) -> str:
    """A value that others wrote, for a message: never longer than ``most`` characters, whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 300:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    text = value if isinstance(value, str) else str(value)
    return repr(text[:most].encode("utf-8", "replace").decode())


def format_micro(micro: int, places: int = 6) -> str:
    """Decimal text of a micro amount, truncated to ``places`` and without trailing zeros."""
    sign = "-" if micro < 0 else ""
    whole, frac = divmod(abs(micro), MICRO)
    text = f"{frac:06d}"[:places].rstrip("0")
    return f"{sign}{whole}.{text}" if text else f"{sign}{whole}"
