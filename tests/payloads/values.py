"""Invented wallets, hashes and ids, each from a word, and how the venue writes numbers."""

from __future__ import annotations

from hashlib import sha256

from pilotfish.core.units import MICRO

DAY_ONE = 1_790_000_000
"""The instant (epoch seconds) that all invented times are counted from."""


def word(text: str) -> str:
    """64 hex digits that belong to ``text``."""
    return sha256(f"an invented {text}".encode()).hexdigest()


def wallet(name: str) -> str:
    """A wallet's address."""
    return "0x" + word(f"wallet {name}")[:40]


def tx_hash(name: str) -> str:
    """A transaction's hash."""
    return "0x" + word(f"transaction {name}")


def condition(name: str) -> str:
    """A condition of 32 bytes."""
    return "0x" + word(f"condition {name}")


def short_condition(name: str) -> str:
    """A condition of Protocol V2: 31 bytes (PROTOCOL.md section 2)."""
    return condition(name)[:-2]


def token(name: str) -> str:
    """A token id of the conditional tokens framework, as decimal digits."""
    return str(int("7" + word(f"token {name}")[1:], 16))


def position(name: str, module: int) -> str:
    """A token id of Protocol V2: its module in the top byte, bits 40 to 103 zero; module 3 is a combo."""
    body = int(word(f"position {name}"), 16) & ((1 << 248) - 1)
    return str((module << 248) | (body & ~(((1 << 64) - 1) << 40)))


def number(micro: int) -> float | int:
    """Millionths as the JSON number that the services send: 2_500_000 is 2.5, 4_000_000 is 4, 9 is 9e-06."""
    whole, rest = divmod(micro, MICRO)
    return micro / MICRO if rest else whole


def price(usdc: int, shares: int) -> float:
    """A price as the services send it: the ratio without the fee, about ten digits."""
    return round(usdc / shares, 10)


def fee(shares: int, at: int, rate_ppm: int) -> int:
    """The documented taker fee at one price, floored at five decimals (PROTOCOL.md section 5, exponent 1)."""
    exact = shares * rate_ppm * at * (MICRO - at)
    return exact // (MICRO**3) // 10 * 10
