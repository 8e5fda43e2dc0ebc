"""Shares, USDC and prices as integers in millionths, and the few ways to combine them.

Rounding is explicit and against us: what we pay rounds up, what we receive rounds down.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation, localcontext
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


def ceil_div(a: int, b: int) -> int:
    """``a / b`` rounded up; ``b`` > 0."""
    return -(-a // b)


def price_of(usdc: int, shares: int) -> Price:
    """Average price in millionths, rounded to nearest; 0 when there are no shares."""
    return Price((2 * usdc * MICRO + shares) // (2 * shares)) if shares > 0 else Price(0)


def cost_of(shares: int, price: int) -> Usdc:
    """What ``shares`` cost at ``price``, rounded up (we pay)."""
    return Usdc(ceil_div(shares * price, MICRO))


def proceeds_of(shares: int, price: int) -> Usdc:
    """What ``shares`` bring at ``price``, rounded down (we receive)."""
    return Usdc(shares * price // MICRO)


def shares_for(usdc: int, price: int) -> Shares:
    """The most shares whose :func:`cost_of` at ``price`` stays within ``usdc``."""
    return Shares(usdc * MICRO // price) if price > 0 else Shares(0)


def micro_from_decimal(value: object) -> int:
    """Millionths of a JSON number or numeric text, rounded half up.

    Raises :class:`ValueError` for anything that is not a finite number within :data:`MAX_AMOUNT`.
    """
    if isinstance(value, bool) or value is None:
        raise ValueError(f"expected a number, got {value!r}")
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"expected a number, got {str(value)[:60]!r}") from None
    if not number.is_finite() or abs(number.adjusted()) > 40:
        if number.is_finite() and number == 0:
            return 0
        if number.is_finite() and number.adjusted() < -40:
            return 0
        raise ValueError(f"number out of range: {str(value)[:60]!r}")
    with localcontext() as context:
        context.prec = 60
        scaled = number * MICRO
        micro = int(scaled.to_integral_value(rounding="ROUND_HALF_UP"))
    if abs(micro) >= MAX_AMOUNT:
        raise ValueError(f"number out of range: {str(value)[:60]!r}")
    return micro


def format_micro(micro: int, places: int = 6) -> str:
    """Decimal text of a micro amount, truncated to ``places`` and without trailing zeros."""
    sign = "-" if micro < 0 else ""
    whole, frac = divmod(abs(micro), MICRO)
    text = f"{frac:06d}"[:places].rstrip("0")
    return f"{sign}{whole}.{text}" if text else f"{sign}{whole}"
