"""The Data API: what wallets did and hold. v2 first; v1 while v2 answers 404 (PROTOCOL.md section 4).

How rows are read is in ``rows``, how a window of them is in ``activity``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotfish.core.events import Move
from pilotfish.core.trade import LeaderFill
from pilotfish.core.units import scaled, shown
from pilotfish.polymarket import wire
from pilotfish.polymarket.activity import Answer, BoundsError, Fetch, Reading, Walk
from pilotfish.polymarket.http import NotFoundError, Read, Service, VenueError
from pilotfish.polymarket.rows import MOVES, TokenInfo, add_position, as_row, condition_of, kind_of, parse_token
from pilotfish.polymarket.rows import Holdings as Holdings
from pilotfish.polymarket.rows import Payouts as Payouts
from pilotfish.polymarket.rows import RowError as RowError
from pilotfish.polymarket.rows import parse_move_row as parse_move_row
from pilotfish.polymarket.rows import parse_resolution as parse_resolution
from pilotfish.polymarket.rows import parse_timestamp as parse_timestamp
from pilotfish.polymarket.rows import parse_token_id as parse_token_id
from pilotfish.polymarket.rows import parse_trade_row as parse_trade_row
from pilotfish.polymarket.usual_rows import UsualRow, fills_of, read_page

PAGE = 500
"""Rows per page: v1's limit, half of v2's."""
MAX_PAGES = 200
V1_MAX_OFFSET = 5000
V1_MAX_POSITIONS = 10_000
V2_RETRY_AFTER = 600.0
"""Seconds until v2 is tried again after it answered 404."""
TYPES = ",".join(("TRADE", *MOVES))
"""What is asked for: trades, and the moves that change a holding without one."""


@dataclass(frozen=True, slots=True)
class ActivityWindow:
    """All of a leader's rows from ``start`` (epoch seconds, inclusive) on, oldest first.

    ``through``: every second before it was read; ``None`` = to the newest row (or to the end that was asked for).
    ``gaps``: seconds (from, to) of which not all rows could be had. ``bad_rows`` are (row, error) pairs.
    """

    fills: tuple[LeaderFill, ...]
    moves: tuple[Move, ...]
    last_ts: int | None
    bad_rows: tuple[tuple[str, str], ...]
    start: int = 0
    through: int | None = None
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def complete(self) -> bool:
        """False when there were more rows than may be read at once."""
        return self.through is None


class DataApi:
    """Reads activity, positions, tokens and status."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._v1_until = 0.0

    @property
    def version(self) -> str:
        """The version in use: ``v2``, or ``v1`` while v2 is not there."""
        return "v1" if time.monotonic() < self._v1_until else "v2"

    async def v2(
        self, path: str, params: dict[str, str | int], *, first: bool = False, read: Read = wire.decode
    ) -> Any | None:
        """An answer of a v2 route, or ``None`` where only v1 is to be had."""
        if self.version == "v1":
            return None
        try:
            return await self.service.get(path, params, first=first, read=read)
        except NotFoundError:
            self._v1_until = time.monotonic() + V2_RETRY_AFTER
            return None

    # -- activity ----------------------------------------------------------------------------------------------

    async def activity(
        self, leader: str, start: int, end: int | None = None, heard: Callable[[], None] = lambda: None, *,
        first: bool = False, most: int | None = None,
    ) -> ActivityWindow:  # fmt: skip
        """All rows of ``leader`` from ``start`` to ``end`` (epoch seconds, inclusive; ``None`` = now), oldest first.

        ``heard`` is called for every page; ``first``: before what else is asked of the service; ``most``: so many
        answers, after which the window says from where on there is more.
        Raises :class:`~pilotfish.polymarket.http.VenueError`.
        """
        start = max(1, start)
        reading = None
        if self.version == "v2":
            reading = await self._walk(self._fetch_v2(leader, first), None, start, end, heard, most)
        if reading is None:
            reading = await self._walk(self._fetch_v1(leader, first), V1_MAX_OFFSET, start, end, heard, most)
        if reading is not None and reading.through == start and most is not None:
            return await self.activity(leader, start, end, heard, first=first)  # one second has more than that
        if reading is None or reading.through == start:
            raise VenueError(f"data activity of {leader} from {start} on cannot be read page by page", 200)
        return _window(reading, leader, start)

    async def _walk(
        self, fetch: Fetch, max_offset: int | None, start: int, end: int | None, heard: Callable[[], None],
        most: int | None,
    ) -> Reading | None:  # fmt: skip
        try:
            return await Walk(fetch, max_offset=max_offset, heard=heard, most=most).read(start, end, int(time.time()))
        except NoV2Error:
            return None
        except BoundsError as problem:
            raise VenueError(f"data activity cannot be read page by page: {problem}", 200) from None

    def _fetch_v2(self, leader: str, first: bool) -> Fetch:
        async def fetch(start: int, end: int | None, cursor: str | None, _skip: int) -> Answer:
            params: dict[str, str | int] = {
                "user": leader,
                "start": start,
                "type": TYPES,
                "sort_direction": "ASC",
                "limit": PAGE,
                "_": time.time_ns(),
            }
            if end is not None:
                params["end"] = end
            if cursor is not None:
                params["cursor"] = cursor
            answer = await self.v2("/v2/activity", params, first=first, read=read_page)
            if answer is None:
                raise NoV2Error
            rows, following = page_of(answer, "/v2/activity")
            return Answer(rows, PAGE, following is not None, following)

        return fetch

    def _fetch_v1(self, leader: str, first: bool) -> Fetch:
        async def fetch(start: int, end: int | None, _cursor: str | None, skip: int) -> Answer:
            params: dict[str, str | int] = {
                "user": leader,
                "start": start,
                "type": TYPES,
                "sortBy": "TIMESTAMP",
                "sortDirection": "ASC",
                "limit": PAGE,
                "offset": skip,
                "_": time.time_ns(),
            }
            if end is not None:
                params["end"] = end
            rows = list_of(await self.service.get("/activity", params, first=first), "/activity")
            return Answer(rows, PAGE, may_be_cut(len(rows)))

        return fetch

    # -- positions ---------------------------------------------------------------------------------------------

    async def positions(self, user: str) -> Holdings:
        """What a wallet holds, however small. Raises :class:`~pilotfish.polymarket.http.VenueError`."""
        held = Holdings()
        params: dict[str, str | int] = {
            "user": user,
            "filter_amount": "0.000001",
            "include_archived": "true",
            "limit": PAGE,
        }
        for _ in range(MAX_PAGES):
            answer = await self.v2("/v2/positions", {**params, "_": time.time_ns()})
            if answer is None:
                return await self._positions_v1(user)
            rows, cursor = page_of(answer, "/v2/positions")
            fresh = _add_positions(held, rows)
            if cursor is None:
                return held
            if not fresh:
                held.whole = held.whole and len(rows) < PAGE
                return held
            params["cursor"] = cursor
        held.whole = False
        return held

    async def _positions_v1(self, user: str) -> Holdings:
        held = Holdings()
        skip = 0
        while True:
            edge = 1 if skip else 0
            params: dict[str, str | int] = {
                "user": user,
                "sizeThreshold": "0.000001",
                "limit": PAGE,
                "offset": skip - edge,
                "_": time.time_ns(),
            }
            rows = list_of(await self.service.get("/positions", params), "/positions")
            known = len(held.listed)
            fresh = _add_positions(held, rows)
            if edge and fresh and len(held.listed) - known > len(rows) - edge:
                held.whole = False
            if not may_be_cut(len(rows)):
                held.whole = held.whole and (bool(rows) or not edge)
                return held
            skip += len(rows) - edge
            if not fresh or skip > V1_MAX_POSITIONS:
                held.whole = False
                return held

    # -- single questions --------------------------------------------------------------------------------------

    async def token(self, token_id: str) -> TokenInfo | None:
        """What a token is, or ``None`` if the service does not know it (or has no such route).

        Raises :class:`RowError` for a row that cannot be used.
        """
        try:
            answer = await self.service.get("/v2/tokens", {"token_id": token_id})
        except NotFoundError:
            return None
        data = answer.get("data") if isinstance(answer, Mapping) else None
        for row in data if isinstance(data, list) else []:
            if isinstance(row, Mapping) and wire.text_of(row.get("token_id")) == token_id:
                return parse_token(row)
        return None

    async def resolutions(self, conditions: Sequence[str]) -> tuple[dict[str, Payouts], list[tuple[str, str]]]:
        """What up to 20 conditions pay, and the rows that cannot be used, as (row, error) pairs.

        Conditions that the service has no row for, or none that can be used, are left out.
        """
        asked = ",".join(conditions)
        try:
            answer = await self.v2("/v2/resolutions", {"condition_id": asked, "_": time.time_ns()})
        except VenueError as problem:
            if problem.status != 400:
                raise
            answer = await self.v2("/v2/resolutions", {"condition": asked, "_": time.time_ns()})
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        found: dict[str, Payouts] = {}
        bad: list[tuple[str, str]] = []
        for row in rows if isinstance(rows, list) else []:
            try:
                condition = condition_of(as_row(row).get("condition_id"))
                if condition is None:
                    raise RowError(f"condition_id: {shown(row.get('condition_id'), 80)}")
                found[condition] = parse_resolution(row)
            except RowError as problem:
                bad.append((wire.encode({"row": row}, 2000), str(problem)))
        return found, bad

    async def serving_lag_seconds(self) -> int | None:
        """How far the service says that it is behind, or ``None`` where it does not say."""
        answer = await self.v2("/v2/status", {})
        data = answer.get("data") if isinstance(answer, Mapping) else None
        serving = data.get("serving") if isinstance(data, Mapping) else None
        try:
            lag = scaled(serving.get("lag_seconds"), 0) if isinstance(serving, Mapping) else -1
        except ValueError:
            return None
        return lag if 0 <= lag < 10**9 else None


class NoV2Error(Exception):
    """v2 is not there."""


def _window(reading: Reading, leader: str, start: int) -> ActivityWindow:
    """The rows of a reading as observations; each that cannot be used is said for itself."""
    fills: list[LeaderFill] = []
    moves: list[Move] = []
    bad: list[tuple[str, str]] = []
    usual = [row for _, row in reading.rows if type(row) is UsualRow]
    read = iter(fills_of(usual, leader))
    for stamp, row in reading.rows:
        if type(row) is UsualRow:
            fill = next(read)
            if fill is not None:
                fills.append(fill)
                continue
            row = wire.decode(row.text)
        try:
            if not stamp:
                parse_timestamp(as_row(row).get("timestamp"))
            kind = kind_of(row)
            if kind == "TRADE":
                fills.append(parse_trade_row(row, leader))
            elif kind in MOVES:
                moves.append(parse_move_row(row, kind, leader))
        except RowError as problem:
            bad.append((wire.encode({"row": row}, 2000), str(problem)))
    fills.sort(key=lambda f: f.traded_at or 0)
    return ActivityWindow(
        fills=tuple(fills),
        moves=tuple(moves),
        last_ts=max((stamp for stamp, _ in reading.rows), default=0) or None,
        bad_rows=tuple(bad),
        start=start,
        through=reading.through,
        gaps=_ranges(reading.gaps),
    )


def _ranges(seconds: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Seconds as (from, to), neighbours together."""
    found: list[tuple[int, int]] = []
    for second in sorted(set(seconds)):
        if found and found[-1][1] == second - 1:
            found[-1] = (found[-1][0], second)
        else:
            found.append((second, second))
    return tuple(found)


def may_be_cut(rows: int) -> bool:
    """True where an answer without a word about it may hold a part only: it is full, or as round as a limit that the
    service has set itself."""
    return rows >= PAGE or (rows >= 50 and rows % 50 == 0)


def list_of(answer: Any, route: str) -> list[Any]:
    """The rows of a v1 answer."""
    if not isinstance(answer, list):
        raise VenueError(f"data {route}: expected a list, got {type(answer).__name__}", 200)
    return answer


def page_of(answer: Any, route: str) -> tuple[list[Any], str | None]:
    """The rows of one v2 page and the cursor of the next, or ``None`` at the end."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("data"), list):
        raise VenueError(f"data {route}: expected {{data: […], pagination: …}}, got {shown(answer, 120)}", 200)
    pagination = answer.get("pagination")
    if not isinstance(pagination, Mapping):
        return list(answer["data"]), None
    cursor = wire.text_of(pagination.get("next_cursor"), 4000)
    more = pagination.get("has_more", True)
    return list(answer["data"]), cursor if cursor and more else None


def _add_positions(held: Holdings, rows: Sequence[Any]) -> bool:
    """Take rows of positions in; True where one of them was new."""
    return sum(add_position(held, row) for row in rows) > 0
