"""The market channel: order books as they change (PROTOCOL.md section 6). Frames are read here; the books are kept in
``feeds.local_books``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import aiohttp
import msgspec

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, micro_from_decimal, price_from, scaled, shown
from pilotfish.polymarket import wire
from pilotfish.polymarket.book_rows import digits
from pilotfish.polymarket.contracts import pad_condition

PING_SECONDS = 10.0
MAX_FRAME = 16 * 2**20
MAX_TOKENS = 1000


class FrameError(ValueError):
    """A frame that cannot be used; the message names the part."""


class Snapshot(msgspec.Struct, frozen=True):
    """A whole book; ``raw`` is what ``clob.parse_book`` reads."""

    token_id: str
    raw: Mapping[str, Any]


class Change(msgspec.Struct, frozen=True, gc=False):
    """The size at a price is ``size`` now (0 = gone), a BUY being a bid. ``best_bid`` and ``best_ask`` are those after
    the change, where the venue says them (0 = an empty side). ``digits`` are price and size as the venue wrote them."""

    token_id: str
    side: Side
    price: int
    size: int
    best_bid: int | None = None
    best_ask: int | None = None
    digits: tuple[str, str] = ("", "")


class Changes(msgspec.Struct, frozen=True):
    """Changes that belong together; ``at_ms`` is the venue's clock, 0 where it does not say."""

    changes: tuple[Change, ...]
    at_ms: int = 0


class TickChange(msgspec.Struct, frozen=True):
    """A token's tick is another one now."""

    token_id: str
    tick: int
    digits: str = ""
    at_ms: int = 0


class LastTrade(msgspec.Struct, frozen=True):
    """Somebody traded: price and size as the venue wrote them, a BUY having taken asks."""

    token_id: str
    side: Side
    price: str
    size: str
    at_ms: int = 0


class Best(msgspec.Struct, frozen=True):
    """The best prices of a token as the venue sees them."""

    token_id: str
    bid: int | None
    ask: int | None


class Resolved(msgspec.Struct, frozen=True):
    """A market has a result; what each token pays is looked up."""

    condition_id: str
    token_ids: tuple[str, ...]


Frame: TypeAlias = Snapshot | Changes | TickChange | LastTrade | Best | Resolved


class _RawChange(msgspec.Struct, gc=False):
    """A change as the venue usually writes it."""

    asset_id: str
    side: str
    price: str
    size: str
    best_bid: str | None = None
    best_ask: str | None = None


class _RawChanges(msgspec.Struct):
    event_type: Literal["price_change"]
    price_changes: list[_RawChange]
    timestamp: str = ""


_changes_decoder = msgspec.json.Decoder(_RawChanges)
_SIDES = {side.value: side for side in Side}


def parse_changes(text: str | bytes) -> Changes | None:
    """A message that is nothing but changes, as the venue usually writes them, in a fraction of the time of
    :func:`parse`, which gives the same; ``None`` for any other, which is for that one to read. Never raises."""
    try:
        raw = _changes_decoder.decode(text)
        stamp = raw.timestamp
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15):
            return None
        return Changes(tuple([_usual_change(one) for one in raw.price_changes]), int(stamp))
    except (msgspec.MsgspecError, ValueError, KeyError, RecursionError):
        return None


def _usual_change(raw: _RawChange) -> Change:
    """Raises :class:`ValueError` or :class:`KeyError` for one that has to be looked at more closely."""
    token, price, size = raw.asset_id, raw.price, raw.size
    if not wire.is_digits(token):
        raise FrameError
    return Change(
        token, _SIDES[raw.side], _usual_price(price), _usual_size(size),
        None if raw.best_bid is None else _usual_best(raw.best_bid),
        None if raw.best_ask is None else _usual_best(raw.best_ask),
        (price, size),
    )  # fmt: skip


@lru_cache(16_384)
def _usual_price(text: str) -> int:
    return _price(_usual(text))


@lru_cache(16_384)
def _usual_best(text: str) -> int | None:
    return _optional(_usual(text)) if text else None


def _usual_size(text: str) -> int:
    return micro_from_decimal(_usual(text))


def _usual(text: str) -> str:
    """Digits and a point, as they are."""
    if len(text) > 24 or not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise FrameError
    return text


def parse(text: str | bytes) -> tuple[list[Frame], list[str]]:
    """The events of one message, and what could not be used of it; unknown kinds are left out. Never raises."""
    try:
        message = wire.decode(text)
    except wire.NotJsonError as problem:
        return [], [f"not JSON: {problem}"]
    frames: list[Frame] = []
    errors: list[str] = []
    for event in message if isinstance(message, list) else [message]:
        try:
            frame = _frame(event)
        except ValueError as problem:
            errors.append(f"{type(problem).__name__}: {problem}"[:300])
            continue
        if frame is not None:
            frames.append(frame)
    return frames, errors


def _frame(event: Any) -> Frame | None:
    if not isinstance(event, Mapping):
        raise FrameError(f"expected an object, got {type(event).__name__}")
    match event.get("event_type", event.get("type")):
        case "book":
            return Snapshot(_token(event), event)
        case "price_change":
            given = event.get("price_changes", event.get("changes"))
            if not isinstance(given, list):
                raise FrameError("price_changes: expected a list")
            outer = event.get("asset_id", event.get("token_id"))
            return Changes(tuple(_change(c, outer) for c in given), _clock(event.get("timestamp")))
        case "tick_size_change":
            tick = event.get("new_tick_size")
            return TickChange(_token(event), _price(tick), digits(tick), _clock(event.get("timestamp")))
        case "last_trade_price":
            return _last_trade(event)
        case "best_bid_ask":
            return Best(_token(event), _optional(event.get("best_bid")), _optional(event.get("best_ask")))
        case "market_resolved":
            named = wire.first(event, "assets_ids", "asset_ids", "token_ids") or []
            if not isinstance(named, list):
                raise FrameError("assets_ids: expected a list")
            tokens = tuple(text for x in named[:MAX_TOKENS] if wire.is_digits(text := wire.text_of(x)))
            return Resolved(pad_condition(wire.text_of(event.get("market"), 66)), tokens)
        case _:
            return None


def _last_trade(event: Mapping[str, Any]) -> LastTrade | None:
    """A trade as it is told beside the books; no book rests on it, so one that cannot be read is left out."""
    side, price, size = wire.text_of(event.get("side")).upper(), digits(event.get("price")), digits(event.get("size"))
    try:
        if side not in ("BUY", "SELL") or not price or micro_from_decimal(size or "0") < 0:
            return None
        _price(price)
        return LastTrade(_token(event), Side(side), price, size, _clock(event.get("timestamp")))
    except ValueError:
        return None


def _change(change: Any, outer: Any) -> Change:
    if not isinstance(change, Mapping):
        raise FrameError(f"price_changes: expected an object, got {type(change).__name__}")
    side, size = wire.text_of(change.get("side")).upper(), micro_from_decimal(change.get("size"))
    if side not in ("BUY", "SELL"):
        raise FrameError(f"side: expected BUY or SELL, got {shown(change.get('side'))}")
    if size < 0:
        raise FrameError(f"size: {shown(change.get('size'))}")
    return Change(
        token_id=_token(change, outer),
        side=_SIDES[side],
        price=_price(change.get("price")),
        size=size,
        best_bid=_optional(change.get("best_bid")),
        best_ask=_optional(change.get("best_ask")),
        digits=(digits(change.get("price")), digits(change.get("size"))),
    )


def _token(event: Mapping[str, Any], outer: Any = None) -> str:
    named = event.get("asset_id") or event.get("token_id") or outer
    token = wire.text_of(named)
    if not wire.is_digits(token):
        raise FrameError(f"asset_id: expected a token id, got {shown(named, 80)}")
    return token


def _clock(value: object) -> int:
    """The venue's own time in ms; 0 where it does not say (in a way that can be read)."""
    try:
        return max(0, scaled(value, 0))
    except ValueError:
        return 0


def _price(value: object) -> int:
    price = micro_from_decimal(value)
    if not 0 < price < MICRO:
        raise FrameError(f"price: expected more than 0 and less than 1, got {shown(value, 20)}")
    return price


def _optional(value: object) -> int | None:
    """A best price; 0 and 1 (a side that is empty, as the venue writes it) are 0, nothing is ``None``."""
    if value is None or value == "":
        return None
    price = price_from(value)
    return price if 0 < price < MICRO else 0


async def connect(session: aiohttp.ClientSession, url: str, tokens: list[str]) -> aiohttp.ClientWebSocketResponse:
    """A connection that is subscribed to ``tokens``. The caller sends the text ``PING`` every :data:`PING_SECONDS`."""
    socket = await session.ws_connect(
        url, max_msg_size=MAX_FRAME, timeout=aiohttp.ClientWSTimeout(ws_close=2.0), autoping=True
    )
    wanted = {"type": "market", "assets_ids": tokens, "custom_feature_enabled": True}
    await socket.send_str(msgspec.json.encode(wanted).decode())
    return socket
