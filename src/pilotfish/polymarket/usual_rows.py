"""Pages of ``/v2/activity`` as the venue usually writes them, read in a fraction of the time of :mod:`~.rows`.

A TRADE row with numbers as numbers and everything in its place is read by type, its figures by floating point where
that is sure to give the exact integer. Any other row comes as plain values, for ``rows`` to read; both give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import SECOND
from pilotfish.polymarket import wire
from pilotfish.polymarket.contracts import is_combo_token
from pilotfish.polymarket.rows import condition_of, parse_token_id

MOST = 10**6
"""Shares from which on rounding may be off: products of 53 bits below it are right to a thousandth of a millionth."""
_SURE, _NEARLY_HALF = 0.25, 0.49
"""So near to a whole number a size is that number of millionths, however many digits it has; and what is so far from
the middle between two is rounded to the same one as the exact product."""
MOST_TEXT = 20_000
"""Characters of the longest row that is kept as it came."""
_Text = Annotated[str, Meta(min_length=1, max_length=wire.MAX_TEXT)] | None


class UsualRow(msgspec.Struct, gc=False):
    """A TRADE row. ``raw`` is the row as it came."""

    timestamp: Annotated[int, Meta(ge=1_500_000_000, lt=10_000_000_000)]
    transaction_hash: Annotated[str, Meta(min_length=66, max_length=66)]
    token_id: str
    side: Side
    size: Annotated[float, Meta(gt=0, lt=MOST)]
    price: Annotated[float, Meta(ge=0, le=1)]
    condition_id: str
    type: Literal["TRADE"]
    proxy_wallet: str
    outcome: _Text = None
    title: _Text = None
    slug: _Text = None
    is_combo: bool = False
    raw: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="(as it came)")

    @property
    def text(self) -> str:
        """The row as it came."""
        return str(self.raw, "utf-8")


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]
    pagination: Any = None


_pages = msgspec.json.Decoder(_Page)
_rows = msgspec.json.Decoder(UsualRow)


def read_page(raw: bytes) -> Any:
    """An answer as :func:`wire.decode` reads it, except that usual rows are :class:`UsualRow`.

    Raises :class:`~pilotfish.polymarket.wire.NotJsonError`.
    """
    try:
        page = _pages.decode(raw)
        if not raw.isascii():
            raw.decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return wire.decode(raw)
    if b"\\" in raw and (b"\\u0000" in raw or b"\\ud" in raw or b"\\uD" in raw):
        return wire.decode(raw)
    try:
        return {"data": _all_usual(page.data), "pagination": page.pagination}
    except (msgspec.MsgspecError, RecursionError):
        return {"data": [_row(one) for one in page.data], "pagination": page.pagination}


def _all_usual(page: list[msgspec.Raw]) -> list[UsualRow]:
    """Raises :class:`msgspec.MsgspecError` where one of them is not."""
    read = _rows.decode
    rows = [read(one) for one in page]
    for row, one in zip(rows, page, strict=True):
        row.raw = one
    return rows


def _row(one: msgspec.Raw) -> Any:
    try:
        return _all_usual([one])[0]
    except (msgspec.MsgspecError, RecursionError):
        return wire.decode(bytes(one))


def fills_of(rows: Sequence[UsualRow], leader: str) -> list[LeaderFill | None]:
    """What rows say as observations of a leader; ``None`` for one that is not so usual after all, and is for
    :func:`~pilotfish.polymarket.rows.parse_trade_row`."""
    count, hashes = len(rows), "".join([row.transaction_hash for row in rows])
    if not (
        hashes.isascii()
        and hashes[::66] == "0" * count
        and hashes[1::66] == "x" * count
        and hashes.encode().translate(None, b"0123456789abcdef") == b"x" * count
    ):
        return [None] * count
    found: list[LeaderFill | None] = []
    api, low, high, least, most = Source.API, -_SURE, _SURE, -_NEARLY_HALF, _NEARLY_HALF
    for row in rows:
        size = row.size * 1e6
        shares = round(size)
        paid = shares * row.price
        near = round(paid)
        usdc = near if least < paid - near < most else _exactly(shares, row.price)
        token, text = _tokens.get(row.token_id) or _token(row.token_id), str(row.raw, "utf-8")
        if (
            token is None
            or usdc is None
            or row.proxy_wallet != leader
            or not shares
            or not low < size - shares < high
            or len(text) > MOST_TEXT
        ):
            found.append(None)
            continue
        found.append(
            LeaderFill(
                api, leader, row.transaction_hash, token[0], row.side, shares, usdc, row.timestamp * SECOND,
                None, None, None, None, None, None, None,
                _conditions.get(row.condition_id) or _condition(row.condition_id), row.outcome, row.title, row.slug,
                token[1] or row.is_combo, text,
            )
        )  # fmt: skip
    return found


def _exactly(shares: int, price: float) -> int | None:
    """USDC for shares at a price, where floating point does not say which way to round; ``None`` where the price has
    more than fifteen decimals."""
    exact = price * 1e15
    whole = round(exact)
    return (2 * shares * whole + 10**15) // (2 * 10**15) if -_SURE < exact - whole < _SURE else None


MOST_REMEMBERED = 16_384
_tokens: dict[str, tuple[str, bool]] = {}
"""By the token's text: its id, and whether it is a combo; the same few are traded again and again."""
_conditions: dict[str, str] = {}


def _token(text: str) -> tuple[str, bool] | None:
    try:
        token_id = parse_token_id(text)
    except ValueError:
        return None
    if len(_tokens) > MOST_REMEMBERED:
        _tokens.clear()
    found = _tokens[text] = (token_id, is_combo_token(token_id))
    return found


def _condition(text: str) -> str | None:
    found = condition_of(text)
    if found is not None:
        if len(_conditions) > MOST_REMEMBERED:
            _conditions.clear()
        _conditions[text] = found
    return found
