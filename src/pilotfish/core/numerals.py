"""How each kind of number is written for people, on pages, in the terminal and in alerts: the only place that rounds
for show. JSON and CSV are for machines: there amounts stay exact integers in millionths.

One rule: to the nearest, halves away from zero, reckoned in integers. Thousands are parted by commas, a minus is
U+2212, and what rounds to zero has no sign.
"""

from __future__ import annotations

from pilotfish.core.units import MICRO

MINUS = "−"
NOTHING = "–"
"""Where there is no number."""


def money(micro: int, places: int = 2) -> str:
    """USDC."""
    return _decimal(micro, MICRO, places)


def gain(micro: int) -> str:
    """USDC won or lost: a plus before what was won."""
    return ("+" if rounded(micro) > 0 else "") + money(micro)


def rounded(micro: int, places: int = 2) -> float:
    """The number that :func:`money` writes, for charts."""
    unit: int = 10**places
    return _nearest(micro * unit, MICRO) / unit


def shares(micro: int) -> str:
    """Shares: hundredths, of a thousand and more whole ones; less than a hundredth is said to be that."""
    if 0 < micro < MICRO // 100:
        return "<0.01"
    return _decimal(micro, MICRO, 0 if abs(micro) >= 1000 * MICRO else 2)


def price(value: float | None) -> str:
    """USDC per share, given as a decimal: to 0.0001, the venue's finest tick, with at least two places."""
    return NOTHING if value is None else price_micro(round(value * MICRO))


def price_micro(micro: int) -> str:
    """USDC per share, given in millionths."""
    return _shortened(_decimal(micro, MICRO, 4))


def exact(micro: int) -> str:
    """An amount in millionths to its last digit, with at least two places: what was compared with a limit."""
    return _shortened(_decimal(micro, MICRO, 6))


def count(number: int) -> str:
    """A number of things."""
    return _decimal(number, 1, 0)


def plural(number: int, one: str, many: str = "") -> str:
    """A count with its noun: ``1 trade``, ``2 trades``."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def percent(part: int, whole: int, places: int = 0, *, sign: bool = False) -> str:
    """``part`` of ``whole``; a dash where there is no whole. ``sign``: a change, with a plus before a rise. A share,
    which has no sign, is 100 % only where it is all, and 0 % only where it is nothing: 447 of 448 are >99 %."""
    if whole <= 0:
        return NOTHING
    if not sign and 0 < part < whole:
        step: int = 10**places
        near = _nearest(100 * part * step, whole)
        if near == 0:
            return f"<{_decimal(1, step, places)} %"
        if near == 100 * step:
            return f">{_decimal(100 * step - 1, step, places)} %"
    plus = "+" if sign and _nearest(100 * part * 10**places, whole) > 0 else ""
    return f"{plus}{_decimal(100 * part, whole, places)} %"


def bps(number: int) -> str:
    """Basis points."""
    return f"{count(number)} bps"


def duration(ms: int | None, *, sign: bool = False) -> str:
    """A time in milliseconds: tenths of a second below a minute, then minutes, hours and days."""
    if ms is None:
        return NOTHING
    plus = "+" if sign and ms > 0 else ""
    for unit, size, places in (("s", 1000, 1), ("min", 60_000, 0), ("h", 3_600_000, 1), ("d", 86_400_000, 1)):
        if abs(ms) < {"s": 60_000, "min": 7_200_000, "h": 172_800_000}.get(unit, abs(ms) + 1):
            return f"{plus}{_decimal(ms, size, places)} {unit}"
    raise AssertionError("days hold any time")


def about(seconds: int) -> str:
    """A time that is guessed, as roughly as it is known: *about 20 s*, *about 2 min*, *about 3 h*."""
    if seconds < 55:
        return f"about {max(10, _nearest(seconds, 10) * 10)} s"
    if seconds < 5_400:
        return f"about {_nearest(seconds, 60)} min"
    return f"about {_nearest(seconds, 3_600)} h"


def precise(ms: int | None) -> str:
    """A time of a machine: milliseconds below ten seconds, then as :func:`duration`."""
    if ms is None or abs(ms) >= 10_000:
        return duration(ms)
    return f"{count(ms)} ms"


def _decimal(number: int, unit: int, places: int) -> str:
    scaled = _nearest(number * 10**places, unit)
    whole, rest = divmod(abs(scaled), 10**places)
    sign = MINUS if scaled < 0 else ""
    return f"{sign}{whole:,}.{rest:0{places}d}" if places else f"{sign}{whole:,}"


def _shortened(text: str) -> str:
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.rstrip('0'):0<2}"


def _nearest(number: int, unit: int) -> int:
    """``number / unit`` to the nearest whole, halves away from zero."""
    size = (2 * abs(number) + unit) // (2 * unit)
    return size if number >= 0 else -size
