"""The Data API: what wallets did and hold. v2 first; v1 while v2 answers 404 (PROTOCOL.md section 4)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from pilotfish.core.events import Move
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import MAX_AMOUNT, MICRO, SECOND, micro_from_decimal
from pilotfish.polymarket.contracts import is_combo_token, pad_condition
from pilotfish.polymarket.http import NotFoundError, Service, VenueError

PAGE = 500
"""Rows per page: v1's limit, half of v2's."""
MAX_PAGES = 200
V1_MAX_OFFSET = 5000
WEI = 10**18
"""One, in the prices of resolution rows."""
V2_RETRY_AFTER = 600.0
"""Seconds until v2 is tried again after it answered 404."""
TYPES = "TRADE,SPLIT,MERGE,REDEEM,CONVERSION"
"""What is asked for: trades, and the moves that change a holding without one."""


_encoder = msgspec.json.Encoder(decimal_format="number")


class RowError(ValueError):
    """A row that cannot be used; the message names the field."""


@dataclass(frozen=True, slots=True)
class ActivityWindow:
    """All of a leader's rows from ``start`` (epoch seconds, inclusive) on, oldest first.

    ``complete`` is False when there were more rows than may be read at once: then the rows of the last second are left
    out, since they might not all be there. ``bad_rows`` are (row, error) pairs.
    """

    fills: tuple[LeaderFill, ...]
    moves: tuple[Move, ...]
    last_ts: int | None
    complete: bool
    bad_rows: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Holdings:
    """What a wallet holds: token id -> millionths of shares, token id -> condition, and what it is worth together
    (millionths of a USDC)."""

    shares: dict[str, int] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    value: int = 0


Payouts: TypeAlias = tuple[int, ...] | None
"""Millionths per share of each outcome in the venue's order; ``None`` = not settled yet."""


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """Token -> condition and outcome (``index`` in the venue's order, -1 = not said). ``payout`` is millionths per
    share once resolved."""

    token_id: str
    condition_id: str
    outcome: str
    title: str
    slug: str
    closed: bool
    is_combo: bool
    payout: int | None
    index: int


def _first(row: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        value = row.get(name)
        if value is not None:
            return value
    return None


def _text(row: Mapping[str, Any], *names: str) -> str | None:
    value = _first(row, *names)
    return str(value).replace("\0", "")[:500] if value not in (None, "") else None


def _hex(value: object, digits: int, what: str) -> str:
    text = str(value or "").lower()
    if len(text) != digits + 2 or not text.startswith("0x") or any(c not in "0123456789abcdef" for c in text[2:]):
        raise RowError(f"{what}: expected 0x and {digits} hex digits, got {str(value)[:70]!r}")
    return text


def _condition(value: object) -> str | None:
    text = str(value or "").lower()
    known = len(text) in (64, 66) and text.startswith("0x") and all(c in "0123456789abcdef" for c in text[2:])
    return pad_condition(text) if known else None


def parse_token_id(value: object) -> str:
    """A token id as decimal digits without leading zeros; raises :class:`RowError`."""
    text = str(value if value is not None else "").strip()
    if isinstance(value, (float, bool)) or not text.isascii() or not text.isdigit() or len(text) > 78:
        raise RowError(f"token id: expected up to 78 decimal digits, got {text[:80]!r}")
    number = int(text)
    if number == 0 or number >= 1 << 256:
        raise RowError(f"token id: out of range: {text[:80]}")
    return str(number)


def parse_timestamp(value: object) -> int:
    """Epoch seconds (a number or numeric text); raises :class:`RowError`."""
    try:
        seconds = micro_from_decimal(value) // MICRO
    except ValueError:
        raise RowError(f"timestamp: expected epoch seconds, got {str(value)[:40]!r}") from None
    if not 1_500_000_000 <= seconds <= 10_000_000_000:
        raise RowError(f"timestamp: out of range: {seconds}")
    return seconds


def parse_trade_row(row: Mapping[str, Any], leader: str) -> LeaderFill:
    """A TRADE row of ``/v2/activity`` or ``/activity`` (v1) as an observation.

    USDC is ``size × price``, without the fee, rounded to the nearest millionth; ``usdc_size`` contains the taker's fee
    and is not used. Raises :class:`RowError`.
    """
    wallet = str(_first(row, "proxy_wallet", "proxyWallet") or leader).lower()
    if wallet != leader:
        raise RowError(f"proxy_wallet: asked for {leader}, got {wallet[:60]!r}")
    side = str(row.get("side", "")).upper()
    if side not in ("BUY", "SELL"):
        raise RowError(f"side: expected BUY or SELL, got {side[:20]!r}")
    try:
        shares = micro_from_decimal(row.get("size"))
        price_e15 = micro_from_decimal(_scaled(row.get("price")))
    except ValueError as problem:
        raise RowError(f"size/price: {problem}") from None
    if not 0 < shares < MAX_AMOUNT:
        raise RowError(f"size: out of range: {row.get('size')}")
    if not 0 <= price_e15 <= 10**15:
        raise RowError(f"price: must be between 0 and 1, got {row.get('price')}")
    token_id = parse_token_id(_first(row, "token_id", "asset"))
    return LeaderFill(
        source=Source.API,
        leader=leader,
        tx_hash=_hex(_first(row, "transaction_hash", "transactionHash"), 64, "transaction_hash"),
        token_id=token_id,
        side=Side(side),
        shares=shares,
        usdc=(2 * shares * price_e15 + 10**15) // (2 * 10**15),
        traded_at=parse_timestamp(row.get("timestamp")) * SECOND,
        condition_id=_condition(_first(row, "condition_id", "conditionId")),
        outcome=_text(row, "outcome"),
        title=_text(row, "title"),
        slug=_text(row, "slug"),
        is_combo=row.get("is_combo") is True or is_combo_token(token_id),
        raw=_encode(row),
    )


def parse_move_row(row: Mapping[str, Any], kind: str) -> Move:
    """A SPLIT, MERGE, REDEEM or CONVERSION row. Raises :class:`RowError`."""
    condition = _condition(_first(row, "condition_id", "conditionId"))
    if condition is None:
        raise RowError(f"condition_id: a {kind} row names no condition")
    try:
        amount = micro_from_decimal(_first(row, "usdc_size", "usdcSize") or 0)
    except ValueError as problem:
        raise RowError(f"usdc_size: {problem}") from None
    return Move(
        kind=kind,
        tx_hash=_hex(_first(row, "transaction_hash", "transactionHash"), 64, "transaction_hash"),
        condition_id=condition,
        amount=abs(amount),
        at=parse_timestamp(row.get("timestamp")) * SECOND,
    )


def _scaled(price: object) -> object:
    """The price times 10^9, so that :func:`micro_from_decimal` keeps 15 digits of it."""
    from decimal import Decimal, InvalidOperation

    try:
        return Decimal(str(price)) * 10**9 if not isinstance(price, bool) else price
    except InvalidOperation:
        return price


def _encode(row: Mapping[str, Any]) -> str:
    return _encoder.encode(row).decode()


class DataApi:
    """Reads activity, positions, tokens and status."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._v1_until = 0.0

    @property
    def version(self) -> str:
        """The version in use: ``v2``, or ``v1`` while v2 is not there."""
        return "v1" if time.monotonic() < self._v1_until else "v2"

    async def _v2(self, path: str, params: dict[str, str | int]) -> Any | None:
        """An answer of a v2 route, or ``None`` where only v1 is to be had."""
        if self.version == "v1":
            return None
        try:
            return await self.service.get(path, params)
        except NotFoundError:
            self._v1_until = time.monotonic() + V2_RETRY_AFTER
            return None

    async def activity(self, leader: str, start: int) -> ActivityWindow:
        """All rows of ``leader`` from ``start`` (epoch seconds, inclusive), oldest first.

        Raises :class:`~pilotfish.polymarket.http.VenueError`.
        """
        rows, complete = await self._activity_rows(leader, start)
        fills: list[LeaderFill] = []
        bad: list[tuple[str, str]] = []
        moves: list[Move] = []
        last_ts = None
        stamps = []
        for row in rows:
            try:
                if not isinstance(row, Mapping):
                    raise RowError(f"row: expected an object, got {type(row).__name__}")
                stamps.append(parse_timestamp(row.get("timestamp")))
            except RowError as problem:
                bad.append((_encode({"row": row})[:2000], str(problem)))
                stamps.append(0)
        cut = max(stamps, default=0) if not complete else None
        if cut is not None and stamps and min(s for s in stamps if s) == cut:
            cut = None
        for row, stamp in zip(rows, stamps, strict=True):
            if not stamp or (cut is not None and stamp >= cut):
                continue
            last_ts = max(last_ts or 0, stamp)
            kind = str(row.get("type", "TRADE")).upper()
            if kind == "TRADE":
                try:
                    fills.append(parse_trade_row(row, leader))
                except RowError as problem:
                    bad.append((_encode(row)[:2000], str(problem)))
            elif kind in ("SPLIT", "MERGE", "REDEEM", "CONVERSION"):
                try:
                    moves.append(parse_move_row(row, kind))
                except RowError as problem:
                    bad.append((_encode(row)[:2000], str(problem)))
        fills.sort(key=lambda f: f.traded_at or 0)
        return ActivityWindow(tuple(fills), tuple(moves), last_ts, complete, tuple(bad))

    async def _activity_rows(self, leader: str, start: int) -> tuple[list[Any], bool]:
        params: dict[str, str | int] = {
            "user": leader,
            "start": max(1, start),
            "type": TYPES,
            "sort_direction": "ASC",
            "limit": PAGE,
        }
        rows: list[Any] = []
        for _ in range(MAX_PAGES):
            answer = await self._v2("/v2/activity", {**params, "_": time.time_ns()})
            if answer is None:
                return await self._activity_rows_v1(leader, start)
            data, cursor = _page(answer, "/v2/activity")
            rows += data
            if cursor is None:
                return rows, True
            params["cursor"] = cursor
        return rows, False

    async def _activity_rows_v1(self, leader: str, start: int) -> tuple[list[Any], bool]:
        rows: list[Any] = []
        for offset in range(0, V1_MAX_OFFSET + 1, PAGE):
            data = await self.service.get(
                "/activity",
                {
                    "user": leader,
                    "start": max(1, start),
                    "type": TYPES,
                    "sortBy": "TIMESTAMP",
                    "sortDirection": "ASC",
                    "limit": PAGE,
                    "offset": offset,
                    "_": time.time_ns(),
                },
            )
            if not isinstance(data, list):
                raise VenueError(f"data /activity: expected a list, got {type(data).__name__}", 200)
            rows += data
            if len(data) < PAGE:
                return rows, True
        return rows, False

    async def positions(self, user: str) -> Holdings:
        """What a wallet holds, however small."""
        held = Holdings()
        params: dict[str, str | int] = {
            "user": user,
            "filter_amount": "0.000001",
            "include_archived": "true",
            "limit": PAGE,
        }
        for _ in range(MAX_PAGES):
            answer = await self._v2("/v2/positions", {**params, "_": time.time_ns()})
            if answer is None:
                return await self._positions_v1(user)
            data, cursor = _page(answer, "/v2/positions")
            _add_positions(held, data, "current_size")
            if cursor is None:
                return held
            params["cursor"] = cursor
        raise VenueError(f"data /v2/positions: more than {MAX_PAGES} pages for {user}", 200)

    async def _positions_v1(self, user: str) -> Holdings:
        held = Holdings()
        for offset in range(0, 10_001, PAGE):
            data = await self.service.get(
                "/positions", {"user": user, "sizeThreshold": "0.000001", "limit": PAGE, "offset": offset}
            )
            if not isinstance(data, list):
                raise VenueError(f"data /positions: expected a list, got {type(data).__name__}", 200)
            _add_positions(held, data, "size")
            if len(data) < PAGE:
                break
        return held

    async def token(self, token_id: str) -> TokenInfo | None:
        """What a token is, or ``None`` if the service does not know it (or has no such route)."""
        try:
            answer = await self.service.get("/v2/tokens", {"token_id": token_id})
        except NotFoundError:
            return None
        data = answer.get("data") if isinstance(answer, Mapping) else None
        for row in data if isinstance(data, list) else []:
            if isinstance(row, Mapping) and str(row.get("token_id")) == token_id:
                return _token_info(row)
        return None

    async def resolutions(self, conditions: Sequence[str]) -> dict[str, Payouts]:
        """What up to 20 conditions pay; conditions that the service has no row for are left out.

        Rows that cannot be used raise :class:`RowError`.
        """
        asked = ",".join(conditions)
        try:
            answer = await self._v2("/v2/resolutions", {"condition_id": asked, "_": time.time_ns()})
        except VenueError as problem:
            if problem.status != 400:
                raise
            answer = await self._v2("/v2/resolutions", {"condition": asked, "_": time.time_ns()})
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        found: dict[str, Payouts] = {}
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, Mapping) and row.get("condition_id"):
                found[pad_condition(str(row["condition_id"]))] = parse_resolution(row)
        return found

    async def serving_lag_seconds(self) -> int | None:
        """How far the service says that it is behind, or ``None`` where it does not say."""
        answer = await self._v2("/v2/status", {})
        try:
            return int(answer["data"]["serving"]["lag_seconds"])  # type: ignore[index]
        except (KeyError, TypeError, ValueError):
            return None


def _token_info(row: Mapping[str, Any]) -> TokenInfo:
    payout = None
    if row.get("resolved") is True and row.get("final_price") is not None:
        try:
            payout = min(MICRO, max(0, micro_from_decimal(row["final_price"])))
        except ValueError:
            payout = None
    return TokenInfo(
        token_id=str(row["token_id"]),
        condition_id=str(row.get("condition_id") or "").lower(),
        outcome=_text(row, "outcome") or "",
        title=_text(row, "title") or "",
        slug=_text(row, "market_slug") or "",
        closed=row.get("closed") is True,
        is_combo=row.get("module") == "combo",
        payout=payout,
        index=index
        if isinstance(index := _first(row, "clob_index", "outcome_index"), int) and 0 <= index < 100
        else -1,
    )


def parse_resolution(row: Mapping[str, Any]) -> Payouts:
    """What a row of ``/v2/resolutions`` says (PROTOCOL.md sections 4, 7 and 9).

    ``payouts`` counts wherever it is given. A resolved question without them has a price in 1e18: what the first
    outcome pays; "69" means unset. Raises :class:`RowError` for payouts that cannot be.
    """
    given = row.get("payouts")
    if given is not None:
        try:
            payouts = tuple(int(str(p)) for p in given)
        except (TypeError, ValueError):
            raise RowError(f"payouts: {str(given)[:80]}") from None
        if not payouts or any(not 0 <= p <= MICRO for p in payouts) or sum(payouts) > MICRO:
            raise RowError(f"payouts: {str(given)[:80]}")
        return payouts if sum(payouts) else None
    price = str(row.get("price") or "69").strip()
    if str(row.get("status", "")).lower() != "resolved" or price == "69":
        return None
    try:
        scaled = int(price)
    except ValueError:
        raise RowError(f"price: {price[:80]}") from None
    if scaled not in (0, WEI // 2, WEI):
        raise RowError(f"price: {price[:80]}")
    first = scaled * MICRO // WEI
    return first, MICRO - first


def _page(answer: Any, route: str) -> tuple[list[Any], str | None]:
    """The rows of one v2 page and the cursor of the next, or ``None`` at the end."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("data"), list):
        raise VenueError(f"data {route}: expected {{data: […], pagination: …}}, got {str(answer)[:120]!r}", 200)
    pagination = answer.get("pagination")
    cursor = pagination.get("next_cursor") if isinstance(pagination, Mapping) else None
    more = pagination.get("has_more", True) if isinstance(pagination, Mapping) else False
    return list(answer["data"]), str(cursor) if cursor and more else None


def _add_positions(held: Holdings, rows: list[Any], size_field: str) -> None:
    for row in rows:
        try:
            token = parse_token_id(_first(row, "token_id", "asset"))
            shares = micro_from_decimal(row.get(size_field))
        except (RowError, ValueError, AttributeError):
            continue
        if shares > 0:
            held.shares[token] = held.shares.get(token, 0) + shares
            with contextlib.suppress(ValueError):
                held.value += max(0, micro_from_decimal(_first(row, "current_value", "currentValue") or 0))
            condition = _condition(_first(row, "condition_id", "conditionId"))
            if condition is not None:
                held.conditions[token] = condition
