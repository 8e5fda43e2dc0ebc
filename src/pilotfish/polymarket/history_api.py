"""What the venue knows of long ago: activity of every type, tapes of markets, prices, and what became of markets.

All rows come raw, with their second; whoever asks makes records of them. Windows are read by :class:`~.activity.Walk`,
so a service that ignores order, start or end is noticed; of one that ignores start and end the newest rows are read
back to the window (:func:`~.reading_back.read_back`). PROTOCOL.md sections 4, 5 and 9.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp

from pilotfish.core.units import micro_from_decimal, shown
from pilotfish.polymarket import wire
from pilotfish.polymarket.activity import Answer, BoundsError, Fetch, Reading, Walk
from pilotfish.polymarket.data_api import PAGE as V1_PAGE
from pilotfish.polymarket.data_api import V1_MAX_OFFSET, DataApi, list_of, may_be_cut, page_of
from pilotfish.polymarket.gamma import Gamma
from pilotfish.polymarket.http import NotFoundError, Service, VenueError
from pilotfish.polymarket.leaderboard import By, Listed, Period, read_leaderboard
from pilotfish.polymarket.reading_back import read_back
from pilotfish.polymarket.record import parse_stats
from pilotfish.polymarket.rows import Holdings, RowError, as_row, condition_of, parse_timestamp

PAGE = 1000
"""Rows a page; the most that v2 gives."""
PRICES_PAGE = 10_000
ALL_TYPES = ",".join(
    ("TRADE", "SPLIT", "MERGE", "REDEEM", "REWARD", "CONVERSION", "MIGRATION", "YIELD", "MAKER_REBATE", "TAKER_REBATE",
     "REFERRAL_REWARD", "TIP", "DEPOSIT", "WITHDRAWAL")
)  # fmt: skip
"""Every type of activity that there is; the last three come only when named."""
TOKENS_AT_ONCE, CONDITIONS_AT_ONCE = 50, 20
PRICES_SPAN = 15 * 86_400
"""Seconds of the longest window of prices that one request may ask for."""
MINUTE = 60

DATA_PER_SECOND, TRADES_PER_SECOND, GAMMA_PER_SECOND = 60, 18, 25
"""Requests; the documented limits are 100, 20 and 30 (PROTOCOL.md section 4)."""


class HistoryApi:
    """Asks the Data API and Gamma. ``trades`` is the Data API under the limit of its tapes."""

    def __init__(self, data: Service, trades: Service, gamma: Service) -> None:
        self._data = DataApi(data)
        self._trades = DataApi(trades)
        self._gamma = gamma
        self.profiles = Gamma(gamma)

    @property
    def requests(self) -> int:
        """Requests made so far, repeated ones included."""
        services = {id(s): s for s in (self._data.service, self._trades.service, self._gamma)}
        return sum(s.health.requests for s in services.values())

    def rest(self, seconds: float) -> None:
        """Ask nothing for so long: somebody else goes first. May be called from another thread."""
        for service in (self._data.service, self._trades.service, self._gamma):
            service.rest(seconds)

    # -- windows -----------------------------------------------------------------------------------------------

    async def activity(self, wallet: str, start: int, end: int, most: int) -> Reading:
        """Rows of every type of ``wallet`` from ``start`` to ``end`` (epoch seconds, inclusive), of at most ``most``
        answers. Raises :class:`VenueError`."""
        given: dict[str, str | int] = {"user": wallet, "type": ALL_TYPES, "exclude_deposits_withdrawals": "false"}
        old: dict[str, str | int] = {"user": wallet, "type": ALL_TYPES, "sortBy": "TIMESTAMP"}
        return await self._read(
            _Windows(self._data, "/v2/activity", given), _Windows(self._data, "/activity", old), start, end, most
        )

    async def tape(self, condition: str, start: int, end: int, most: int) -> Reading:
        """Every fill of every order in a market from ``start`` to ``end``, makers' included and however small. Raises
        :class:`VenueError`."""
        given: dict[str, str | int] = {
            "condition": condition, "condition_id": condition, "taker_only": "false", "filter_amount": 0,
        }  # fmt: skip
        old: dict[str, str | int] = {"market": condition, "takerOnly": "false"}
        reading = await self._read(
            _Windows(self._trades, "/v2/trades", given), _Windows(self._trades, "/trades", old), start, end, most
        )
        for _, row in reading.rows:
            if _condition(row) not in (condition, None):
                raise VenueError(f"data trades of {condition}: the answer holds rows of {_condition(row)}", 200)
        return reading

    async def _read(self, new: _Windows, old: _Windows, start: int, end: int, most: int) -> Reading:
        start = max(1, start)
        if new.api.version == "v2":
            try:
                return await _walk(new.v2, None, start, end, most)
            except NotFoundError:
                pass
        return await _walk(old.v1, V1_MAX_OFFSET, start, end, most)

    async def prices(self, token_id: str, start: int, end: int, most: int) -> Reading:
        """A token's price a minute (where the venue still has it so fine) from ``start`` to ``end``, at most
        :data:`PRICES_SPAN` apart, each second once. Raises :class:`VenueError`."""
        params: dict[str, str | int] = {
            "token_id": token_id, "start": start, "end": end, "bucket_seconds": MINUTE, "limit": PRICES_PAGE,
        }  # fmt: skip
        rows: dict[int, Any] = {}
        unread: list[tuple[int, Any]] = []
        for asked in range(1, most + 1):
            found, cursor = _points(await self._data.service.get("/v2/prices-history", params))
            for row in found:
                second = _price_second(row)
                if second:
                    rows[second] = row
                else:
                    unread.append((0, row))
            if cursor is None or not found:
                return Reading(rows=[*sorted(rows.items()), *unread], requests=asked)
            params["cursor"] = cursor
        return Reading(rows=sorted(rows.items()), behind=(start, end), requests=most)

    # -- single questions --------------------------------------------------------------------------------------

    async def positions(self, wallet: str) -> Holdings:
        """What a wallet holds now. Raises :class:`VenueError`."""
        return await self._data.positions(wallet)

    async def tokens(self, token_ids: Sequence[str]) -> list[Any]:
        """Rows of ``/v2/tokens`` of up to :data:`TOKENS_AT_ONCE` tokens; none where there is no such route."""
        try:
            answer = await self._data.service.get("/v2/tokens", {"token_id": ",".join(token_ids)})
        except NotFoundError:
            return []
        return _rows(answer, "/v2/tokens")

    async def resolutions(self, conditions: Sequence[str]) -> list[Any]:
        """Rows of ``/v2/resolutions`` of up to :data:`CONDITIONS_AT_ONCE` conditions."""
        params: dict[str, str | int] = {"condition_id": ",".join(conditions)}
        try:
            answer = await self._data.service.get("/v2/resolutions", {**params, "_": time.time_ns()})
        except NotFoundError:
            return []
        return _rows(answer, "/v2/resolutions")

    async def markets(self, conditions: Sequence[str], *, closed: bool) -> list[Any]:
        """Gamma's market objects of these conditions, the open or the closed ones."""
        params: dict[str, str | int] = {
            "condition_ids": ",".join(conditions), "limit": len(conditions), **({"closed": "true"} if closed else {}),
        }  # fmt: skip
        try:
            answer = await self._gamma.get("/markets", params)
        except NotFoundError:
            return []
        rows = wire.first(answer, "data", "markets") if isinstance(answer, Mapping) else answer
        if not isinstance(rows, list):
            raise VenueError(f"gamma /markets: expected a list, got {type(rows).__name__}", 200)
        return rows

    async def realized(self, wallet: str) -> int | None:
        """What the venue says that a wallet made on all that is decided, in millionths of a USDC: the newest point of
        ``/v2/user-pnl``, else ``/v2/user-stats``; ``None`` where it does not say. Raises :class:`VenueError`."""
        user: dict[str, str | int] = {"user": wallet}
        try:
            answer = await self._data.service.get("/v2/user-pnl", {**user, "interval": "max", "fidelity": "1d"})
            data = answer.get("data") if isinstance(answer, Mapping) else None
            points = data.get("points") if isinstance(data, Mapping) else None
            made = wire.first(as_row(points[-1]), "realized_market_pnl", "realized_pnl") if points else None
            if made is not None:
                return micro_from_decimal(made)
        except (NotFoundError, ValueError):
            pass
        try:
            return parse_stats(await self._data.service.get("/v2/user-stats", user)).realized
        except (NotFoundError, ValueError):
            return None

    async def leaderboard(
        self, period: Period, by: By, category: str, most: int, spend: Callable[[], None]
    ) -> list[Listed]:
        """The first rows of a leaderboard: see :func:`~.leaderboard.read_leaderboard`."""
        return await read_leaderboard(self._data, period, by, category, most, spend)

    async def most_traded(self, ended_from: str, most: int) -> list[Any]:
        """Gamma's market objects of closed markets that ended on or after a day (ISO), the most traded first. Raises
        :class:`VenueError`."""
        params: dict[str, str | int] = {
            "closed": "true", "order": "volumeNum", "ascending": "false", "end_date_min": ended_from, "limit": most,
        }  # fmt: skip
        answer = await self._gamma.get("/markets", params)
        rows = wire.first(answer, "data", "markets") if isinstance(answer, Mapping) else answer
        if not isinstance(rows, list):
            raise VenueError(f"gamma /markets: expected a list, got {type(rows).__name__}", 200)
        return rows

    async def name(self, wallet: str) -> str:
        """What a wallet calls itself; empty where that is not known."""
        try:
            found = await self.profiles.profile(wallet)
        except VenueError:
            return ""
        return found.name if found is not None else ""


def history_api(session: aiohttp.ClientSession, data_url: str, gamma_url: str, *, part: float = 1.0) -> HistoryApi:
    """The services at these addresses, within their limits; within a ``part`` of them, to leave others the rest."""
    return HistoryApi(
        Service(session, "data", data_url, per_second=part * DATA_PER_SECOND),
        Service(session, "data", data_url, per_second=part * TRADES_PER_SECOND),
        Service(session, "gamma", gamma_url, per_second=part * GAMMA_PER_SECOND),
    )


class _Windows:
    """A route's rows by window, in the shape that a walk asks for them."""

    def __init__(self, api: DataApi, path: str, params: Mapping[str, str | int]) -> None:
        self.api = api
        self._path = path
        self._params = params

    async def v2(self, start: int, end: int | None, cursor: str | None, _skip: int) -> Answer:
        params: dict[str, str | int] = {
            **self._params, "start": start, "sort_direction": "ASC", "limit": PAGE, "_": time.time_ns(),
        }  # fmt: skip
        if end is not None:
            params["end"] = end
        if cursor is not None:
            params["cursor"] = cursor
        answer = await self.api.v2(self._path, params)
        if answer is None:
            raise NotFoundError(f"data {self._path}: no such route", 404)
        rows, following = page_of(answer, self._path)
        full = PAGE if following is None else len(rows)  # a service may give less at once than it is asked for
        return Answer(rows, full, following is not None, following)

    async def v1(self, start: int, end: int | None, _cursor: str | None, skip: int) -> Answer:
        params: dict[str, str | int] = {
            **self._params, "start": start, "sortDirection": "ASC", "limit": V1_PAGE, "offset": skip,
            "_": time.time_ns(),
        }  # fmt: skip
        if end is not None:
            params["end"] = end
        rows = list_of(await self.api.service.get(self._path, params), self._path)
        return Answer(rows, V1_PAGE, may_be_cut(len(rows)))


async def _walk(fetch: Fetch, max_offset: int | None, start: int, end: int, most: int) -> Reading:
    now = int(time.time())
    try:
        return await Walk(fetch, max_offset=max_offset, most=most, strict=True).read(start, end, now)
    except BoundsError:
        return await read_back(fetch, max_offset, start, end, most)


def _condition(row: Any) -> str | None:
    try:
        return condition_of(wire.first(as_row(row), "condition_id", "conditionId"))
    except RowError:
        return None


def _price_second(row: Any) -> int:
    try:
        return parse_timestamp(wire.first(as_row(row), "timestamp", "t"))
    except RowError:
        return 0


def _rows(answer: Any, route: str) -> list[Any]:
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, list):
        raise VenueError(f"data {route}: expected {{data: […]}}, got {shown(answer, 120)}", 200)
    return data


def _points(answer: Any) -> tuple[list[Any], str | None]:
    """The rows of a page of prices and the cursor of the next; the rows are in ``data`` or in ``history``."""
    found = wire.first(answer, "data", "history") if isinstance(answer, Mapping) else answer
    if isinstance(found, Mapping):
        found = wire.first(found, "history", "points")
    if not isinstance(found, list):
        raise VenueError(f"data /v2/prices-history: expected {{data: […]}}, got {shown(answer, 120)}", 200)
    pagination = answer.get("pagination") if isinstance(answer, Mapping) else None
    cursor = wire.text_of(pagination.get("next_cursor"), 4000) if isinstance(pagination, Mapping) else ""
    return found, cursor or None
