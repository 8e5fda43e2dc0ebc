"""Every address that a page links to: our own pages, and the venue's and the explorer's."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode

from pilotfish.store.portfolios_store import MAIN

PAGES = (
    ("/", "Overview"), ("/leaders", "Leaders"), ("/look-backs", "Look back"), ("/discover", "Discover"),
    ("/trades", "Trades"), ("/positions", "Positions"), ("/orders", "Orders"), ("/latency", "Latency"),
    ("/portfolios", "Portfolios"), ("/settings", "Settings"),
)  # fmt: skip
"""What the navigation shows."""
KEYS = {
    "/": "o", "/leaders": "l", "/look-backs": "b", "/discover": "d", "/trades": "t", "/positions": "p", "/orders": "r",
    "/latency": "y", "/portfolios": "f", "/settings": "s",
}  # fmt: skip
"""The key that opens a page, after ``g``."""
STATIC = Path(__file__).parent / "static"
VENUE = "https://polymarket.com"
EXPLORER = "https://polygonscan.com"


def url(path: str, **query: object) -> str:
    """An address of ours with what is asked for in it; what is empty, or the portfolio ``main``, is left out. A name
    that ends in ``_`` is that name without it, and its value is said in any case (``class_``, ``portfolio_``). Of
    several values each is said."""
    said = {
        name.removesuffix("_"): value if isinstance(value, tuple) else str(value)
        for name, value in query.items()
        if value not in (None, "", ()) and not (name == "portfolio" and value == MAIN)
    }
    return quote(path) + (f"?{urlencode(said, doseq=True)}" if said else "")


@cache
def asset(name: str) -> str:
    """One of our own files, under an address that is another one as soon as the file is."""
    return f"/static/{name}?{zlib.crc32((STATIC / name).read_bytes()):x}"


def profile(wallet: str) -> str:
    """Somebody's page on the venue."""
    return f"{VENUE}/profile/{quote(wallet, safe='')}"


def market_page(slug: str) -> str:
    """A market's page on the venue."""
    return f"{VENUE}/market/{quote(slug, safe='')}"


def transaction(tx_hash: str) -> str:
    """A transaction on the explorer."""
    return f"{EXPLORER}/tx/{quote(tx_hash, safe='')}"
