"""CLOB: order books over HTTP, and the market behind a token as a last resort (PROTOCOL.md section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotfish.core.book import Book, make_book
from pilotfish.core.units import MICRO, micro_from_decimal, price_from, shown
from pilotfish.polymarket import wire
from pilotfish.polymarket.http import NotFoundError, Service, VenueError

MAX_LEVELS = 10_000
"""Levels of one side above which a book is refused: the finest tick allows 9,999."""


class BookError(ValueError):
    """A book that cannot be used; the message names the part."""


def parse_book(payload: object, *, requested_at: int, received_at: int) -> Book:
    """A ``/book`` answer or a market-channel snapshot, levels in any order. Raises :class:`BookError`."""
    if not isinstance(payload, Mapping):
        raise BookError(f"book: expected an object, got {type(payload).__name__}")
    named = wire.first(payload, "asset_id", "token_id")
    token = wire.text_of(named)
    if not wire.is_digits(token):
        raise BookError(f"asset_id: expected a token id, got {shown(named, 80)}")
    try:
        tick = price_from(payload.get("tick_size") or "0.01")
        least = micro_from_decimal(payload.get("min_order_size") or "5")
    except ValueError as problem:
        raise BookError(f"tick_size/min_order_size: {problem}") from None
    if least < 0:
        raise BookError(f"min_order_size: {shown(payload.get('min_order_size'))}")
    return make_book(
        token,
        _levels(payload.get("bids"), "bids"),
        _levels(payload.get("asks"), "asks"),
        requested_at=requested_at,
        received_at=received_at,
        tick=tick if 0 < tick < MICRO else 10_000,
        min_size=least,
        hash=wire.text_of(payload.get("hash"), 100),
    )


def _levels(side: Any, what: str) -> list[tuple[int, int]]:
    if side is None:
        return []
    if not isinstance(side, (list, tuple)):
        raise BookError(f"{what}: expected a list, got {type(side).__name__}")
    if len(side) > MAX_LEVELS:
        raise BookError(f"{what}: {len(side)} levels")
    found: list[tuple[int, int]] = []
    for level in side:
        if not isinstance(level, Mapping):
            raise BookError(f"{what}: expected {{price, size}}, got {shown(level)}")
        try:
            price, size = price_from(level.get("price")), micro_from_decimal(level.get("size"))
        except ValueError as problem:
            raise BookError(f"{what}: {problem}") from None
        if size < 0:
            raise BookError(f"{what}: size {shown(level.get('size'))}")
        found.append((price, size))
    return found


def winner_payout(market: Mapping[str, Any], token_id: str) -> int | None:
    """What a token pays by ``tokens[].winner`` of a closed market: all or nothing; ``None`` = it does not say."""
    given = market.get("tokens")
    tokens = [t for t in given if isinstance(t, Mapping)] if isinstance(given, list) else []
    winners = [wire.text_of(t.get("token_id")) for t in tokens if t.get("winner") is True]
    known = {wire.text_of(t.get("token_id")) for t in tokens}
    if market.get("closed") is not True or len(winners) != 1 or token_id not in known:
        return None
    return MICRO if winners[0] == token_id else 0


class Clob:
    """Reads books and markets."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def book(self, token_id: str) -> Any | None:
        """The raw book of a token, or ``None`` if it has none (closed, or never traded)."""
        try:
            return await self.service.get("/book", {"token_id": token_id})
        except NotFoundError:
            return None

    async def books(self, token_ids: Sequence[str]) -> list[Any]:
        """The raw books of up to 100 tokens in one request; tokens without one are left out."""
        answer = await self.service.post("/books", [{"token_id": t} for t in token_ids])
        if not isinstance(answer, list):
            raise VenueError(f"clob /books: expected a list, got {type(answer).__name__}", 200)
        return answer

    async def condition_of_token(self, token_id: str) -> str | None:
        """The condition id behind a token, or ``None`` if the CLOB does not know it."""
        try:
            answer = await self.service.get(f"/markets-by-token/{token_id}")
        except NotFoundError:
            return None
        condition = answer.get("condition_id") if isinstance(answer, Mapping) else None
        return wire.text_of(condition) or None

    async def market(self, condition_id: str) -> Mapping[str, Any] | None:
        """The CLOB's market object of a condition (``tokens[].winner`` after resolution)."""
        try:
            answer = await self.service.get(f"/markets/{condition_id}")
        except NotFoundError:
            return None
        return answer if isinstance(answer, Mapping) else None
