"""Gamma: market metadata (PROTOCOL.md section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pilotfish.core.events import Market
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.units import MICRO, micro_from_decimal, price_from, scaled, shown
from pilotfish.polymarket import wire
from pilotfish.polymarket.contracts import is_wallet, pad_condition
from pilotfish.polymarket.http import NotFoundError, Service, VenueError

DOCUMENTED_RATES = {"crypto": 70_000, "sports": 50_000, "politics": 40_000, "finance": 40_000, "tech": 40_000,
                    "economics": 50_000, "culture": 50_000, "weather": 50_000, "geopolitics": 0}  # fmt: skip
"""Taker rates in ppm, used where fees are on but the market carries no schedule."""
OTHER_RATE = 50_000
CRYPTO_DELAY_MS = 150
"""Delay before matching in crypto markets (PROTOCOL.md section 5); sports markets say theirs in ``secondsDelay``."""


MAX_ITEMS = 1000
"""Entries of the longest list in a market that is read."""


class MarketError(ValueError):
    """A market object that cannot be used; the message names the field."""


class OtherMarketError(MarketError):
    """A market that has not the token that was asked for."""


def string_list(value: object, what: str) -> list[str]:
    """A list that Gamma sends as JSON inside a string (v1) or as an array (v2)."""
    if isinstance(value, str):
        try:
            value = wire.decode(value) if value.strip() else []
        except wire.NotJsonError:
            raise MarketError(f"{what}: not a JSON list: {shown(value, 80)}") from None
    if value is None:
        return []
    if not isinstance(value, list):
        raise MarketError(f"{what}: expected a list, got {type(value).__name__}")
    if len(value) > MAX_ITEMS:
        raise MarketError(f"{what}: {len(value)} entries")
    return [str(item) if isinstance(item, Decimal) else wire.text_of(item) for item in value]


def parse_fee(market: Mapping[str, Any]) -> FeeSchedule:
    """The taker's fee schedule. Fees on without a schedule take the documented rate of their type."""
    if not wire.is_true(market.get("feesEnabled")):
        return FeeSchedule()
    schedule = market.get("feeSchedule")
    if not isinstance(schedule, Mapping):
        return FeeSchedule(rate_ppm=DOCUMENTED_RATES.get(_fee_kind(market), OTHER_RATE))
    try:
        rate = micro_from_decimal(schedule.get("rate"))
        exponent = micro_from_decimal(schedule.get("exponent", 1))
    except ValueError as problem:
        raise MarketError(f"feeSchedule: {problem}") from None
    if not 0 <= rate <= MICRO or not 0 <= exponent <= 4 * MICRO:
        raise MarketError(f"feeSchedule out of range: rate {rate}, exponent {exponent} millionths")
    return FeeSchedule(rate_ppm=rate, half_exponent=2 * exponent // MICRO)


def parse_time(value: object) -> int | None:
    """An ISO 8601 time as µs since the epoch; ``None`` for nothing or something else."""
    if not isinstance(value, str) or not 0 < len(value) <= 40:
        return None
    text = value.replace("Z", "+00:00")
    if len(text) >= 3 and text[-3] in "+-" and text[-2:].isdigit():
        text += ":00"
    try:
        when = datetime.fromisoformat(text)
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * MICRO)
    except (ValueError, OverflowError):
        return None


def parse_market(market: Mapping[str, Any], token_id: str, fetched_at: int) -> Market:
    """One token's side of a Gamma market. Raises :class:`MarketError`."""
    if not isinstance(market, Mapping):
        raise MarketError(f"market: expected an object, got {type(market).__name__}")
    tokens = string_list(market.get("clobTokenIds"), "clobTokenIds") or string_list(
        market.get("positionIds"), "positionIds"
    )
    outcomes = string_list(market.get("outcomes"), "outcomes")
    if token_id not in tokens:
        raise OtherMarketError(f"clobTokenIds: does not contain {token_id}")
    index = tokens.index(token_id)
    try:
        tick = price_from(market.get("orderPriceMinTickSize") or "0.01")
    except ValueError as problem:
        raise MarketError(f"orderPriceMinTickSize: {problem}") from None
    labels = _labels(market)
    return Market(
        token_id=token_id,
        condition_id=pad_condition(wire.text_of(wire.first(market, "conditionId", "condition"), 66)),
        outcome=outcomes[index][:100] if index < len(outcomes) else "",
        title=wire.text_of(market.get("question")),
        slug=wire.text_of(market.get("slug"), 300),
        category=labels[0] if labels else "",
        tags=labels,
        index=index,
        closed=wire.is_true(market.get("closed")),
        accepting_orders=not wire.is_false(market.get("acceptingOrders")),
        tick=tick if 0 < tick < MICRO else 10_000,
        fee=parse_fee(market),
        delay_ms=_delay_ms(market),
        end_at=parse_time(market.get("endDate")),
        payout=_payout(market, index),
        fetched_at=fetched_at,
    )


def _labels(market: Mapping[str, Any]) -> tuple[str, ...]:
    """What a market can be filtered by, lower case, the best first: its category and tags, those of its events, their
    series, and the kind of its fees (``crypto_fees_v2`` is crypto), which is often all that there is."""
    found: list[object] = [market.get("category"), *_tags(market.get("tags"))]
    events = market.get("events")
    for event in events[:MAX_ITEMS] if isinstance(events, list) else ():
        if isinstance(event, Mapping):
            found += [event.get("category"), *_tags(event.get("tags")), event.get("seriesSlug")]
    found.insert(1 if found[0] else 0, _fee_kind(market))
    texts = (" ".join(wire.text_of(label).lower().split())[:100] for label in found[:MAX_ITEMS])
    return tuple(dict.fromkeys(text for text in texts if text))


def _tags(tags: object) -> list[object]:
    every = tags if isinstance(tags, list) else []
    return [(t.get("label") or t.get("slug")) if isinstance(t, Mapping) else t for t in every]


def _fee_kind(market: Mapping[str, Any]) -> str:
    return wire.text_of(market.get("feeType")).split("_")[0].lower()


def _delay_ms(market: Mapping[str, Any]) -> int:
    """The market's own delay before an order is matched."""
    delay = market.get("secondsDelay")
    try:
        seconds = scaled(delay, 0)
    except ValueError:
        seconds = 0
    if 0 < seconds <= 60:
        return seconds * 1000
    return CRYPTO_DELAY_MS if _fee_kind(market) == "crypto" else 0


def _payout(market: Mapping[str, Any], index: int) -> int | None:
    """Settled only if closed, resolved by UMA, and every price is 0, 0.5 or 1 (PROTOCOL.md section 7)."""
    resolved = market.get("umaResolutionStatus") == "resolved" or market.get("resolutionStatus") == "resolved"
    if not wire.is_true(market.get("closed")) or not resolved:
        return None
    try:
        prices = [price_from(p) for p in string_list(market.get("outcomePrices"), "outcomePrices")]
    except (ValueError, MarketError):
        return None
    if index >= len(prices) or any(p not in (0, MICRO // 2, MICRO) for p in prices) or sum(prices) != MICRO:
        return None
    return prices[index]


@dataclass(frozen=True, slots=True)
class Profile:
    """A person of the venue: the wallet that he trades with, and what he calls himself."""

    wallet: str
    name: str


def _profile(row: object) -> Profile | None:
    if not isinstance(row, Mapping):
        return None
    wallet = wire.text_of(row.get("proxyWallet") or row.get("wallet")).lower()
    name = wire.text_of(row.get("name") or row.get("pseudonym"), 200)
    return Profile(wallet, name) if is_wallet(wallet) else None


class Gamma:
    """Reads markets and public profiles."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def market_of_token(self, token_id: str, fetched_at: int) -> Market | None:
        """The market of a token, open or closed; ``None`` if Gamma does not list it."""
        for extra in ({}, {"closed": "true"}):
            params: dict[str, str | int] = {"clob_token_ids": token_id, "limit": 1, **extra}
            try:
                answer = await self.service.get("/markets", params)
            except NotFoundError:
                return None
            rows = answer.get("data", answer.get("markets")) if isinstance(answer, Mapping) else answer
            if not isinstance(rows, list):
                raise VenueError(f"gamma /markets: expected a list, got {type(rows).__name__}", 200)
            bad = None
            for row in rows:
                try:
                    return parse_market(row, token_id, fetched_at)
                except OtherMarketError:
                    continue
                except MarketError as problem:
                    bad = problem
            if bad is not None:
                raise VenueError(f"gamma /markets: {bad}", 200)
        return None

    async def profile(self, wallet: str) -> Profile | None:
        """Who a wallet is, or ``None`` if it has no profile."""
        try:
            return _profile(await self.service.get("/public-profile", {"address": wallet}))
        except NotFoundError:
            return None

    async def profiles_named(self, name: str) -> list[Profile]:
        """People whose name is like ``name``, the venue's best match first."""
        answer = await self.service.get("/public-search", {"q": name, "search_profiles": "true", "limit_per_type": 10})
        rows = answer.get("profiles") if isinstance(answer, Mapping) else None
        return [p for row in (rows if isinstance(rows, list) else []) if (p := _profile(row)) is not None]
