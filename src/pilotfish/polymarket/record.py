"""Somebody's own record as the venue tells it: what they made, how much they traded, how often they were right, and
what they hold (PROTOCOL.md sections 4 and 9).

Five questions, each for itself: one that is not answered, or in a way that cannot be read, is named in
:attr:`Record.missing`, and the rest stands. v2 is asked first, v1 where it has the route that v2 has not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from pilotfish.core.units import (
    MAX_TRADE,
    MICRO,
    Micros,
    Price,
    Shares,
    Usdc,
    micro_from_decimal,
    price_from,
    scaled,
    shown,
)
from pilotfish.polymarket import wire
from pilotfish.polymarket.http import NotFoundError, Service, VenueError
from pilotfish.polymarket.rows import RowError, as_row
from pilotfish.polymarket.wire import first

T = TypeVar("T")
READ = 500
"""Positions that are read of each kind, the largest or newest first."""
TOKEN_LENGTH = 78
"""The most digits of a token's id, a number of 256 bits."""
V1_CLOSED = 50
"""The most that v1 gives of closed ones at once."""


class HeldPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position that is not decided yet. ``average`` is what a share cost, ``price`` what it is worth; ``gain`` what
    was made on it so far. ``None`` where the row does not say; ``token_id`` and ``slug`` are empty there."""

    token_id: str
    slug: str
    title: str
    outcome: str
    shares: Shares
    average: Price | None
    price: Price | None
    value: Usdc
    gain: Usdc | None


class Missing(msgspec.Struct, frozen=True):
    """A question that was not answered, and why."""

    what: str
    why: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says of a wallet; ``None`` where it does not.

    ``realized`` (all time, all that is decided), ``volume`` (all time) and ``biggest_win`` are USDC in millionths,
    ``markets`` and ``trades`` numbers of them, ``rank`` the place among all by what they made. ``value`` is what the
    open positions are worth, ``held`` are the largest of them and ``open`` how many were read. ``won`` and ``lost``
    count decided positions that made or lost money: closed ones and those that were never redeemed, which is where
    losers stay. ``more_open``, ``more_decided``: there are more than were read.
    """

    wallet: str
    realized: Usdc | None
    volume: Usdc | None
    biggest_win: Usdc | None
    markets: int | None
    trades: int | None
    rank: int | None
    joined_at: Micros | None
    value: Usdc | None
    held: tuple[HeldPosition, ...]
    open: int | None
    more_open: bool
    won: int | None
    lost: int | None
    more_decided: bool
    missing: tuple[Missing, ...]

    @property
    def decided(self) -> int:
        """Of how many positions it is known whether they made or lost money."""
        return (self.won or 0) + (self.lost or 0)


class Stats(NamedTuple):
    """Of ``/v2/user-stats``; all ``None`` for somebody whom the venue does not know."""

    realized: Usdc | None = None
    volume: Usdc | None = None
    biggest_win: Usdc | None = None
    markets: int | None = None
    trades: int | None = None
    joined_at: Micros | None = None


class Standing(NamedTuple):
    """Of the leaderboard."""

    realized: Usdc | None = None
    volume: Usdc | None = None
    rank: int | None = None


class Positions(NamedTuple):
    """Of a page of positions: those that are not decided, numbers of those that are, and whether there are more."""

    held: tuple[HeldPosition, ...]
    won: int
    lost: int
    more: bool


# -- rows ----------------------------------------------------------------------------------------------------------


def parse_stats(answer: object) -> Stats:
    """``/v2/user-stats``. Raises :class:`RowError`."""
    data = _data(answer)
    if data is None:
        return Stats()
    row = as_row(data)
    made = row.get("all_time_pnl")
    so_far = as_row(made) if made is not None else {}
    joined = _count(row, "join_date")
    return Stats(
        realized=_usdc(so_far, "realized_pnl"),
        volume=_usdc(so_far, "volume_usdc"),
        biggest_win=_usdc(row, "biggest_win"),
        markets=_count(row, "trades"),
        trades=_count(so_far, "trade_count"),
        joined_at=Micros(joined * MICRO) if joined is not None and wire.is_second(joined) else None,
    )


def parse_standing(answer: object) -> Standing:
    """``/v2/leaderboard?user=``, whose volume is in shares and left out; or v1's rows of one wallet. A rank of 0 is
    none. Raises :class:`RowError`."""
    if isinstance(answer, list):
        if not answer:
            return Standing()
        row = as_row(answer[0])
        return Standing(_usdc(row, "pnl"), _usdc(row, "vol"), _count(row, "rank") or None)
    data = _data(answer)
    if data is None:
        return Standing()
    row = as_row(data)
    return Standing(_usdc(row, "pnl"), None, _count(row, "rank_pnl") or None)


def parse_value(answer: object) -> Usdc | None:
    """``/v2/value``, or v1's list of one. Raises :class:`RowError`."""
    if isinstance(answer, list):
        return _usdc(as_row(answer[0]), "value") if answer else None
    data = _data(answer)
    return _usdc(as_row(data), "value") if data is not None else None


def parse_positions(answer: object, limit: int, *, closed: bool) -> Positions:
    """A page of ``/v2/positions``, or v1's list. A row that cannot be read is left out. Raises :class:`RowError` where
    none can."""
    data = answer if isinstance(answer, list) else _data(answer)
    if not isinstance(data, list):
        raise RowError(f"expected a list, got {type(data).__name__}")
    held: list[HeldPosition] = []
    won = lost = bad = 0
    for row in data:
        try:
            position = _position(as_row(row), closed=closed)
        except ValueError:
            bad += 1
            continue
        if isinstance(position, HeldPosition):
            held.append(position)
        else:
            won += position > 0
            lost += position < 0
    if bad and bad == len(data):
        raise RowError(f"none of {bad} rows can be read")
    held.sort(key=lambda p: (-p.value, p.title))
    return Positions(tuple(held), won, lost, _more(answer, len(data), limit))


def _position(row: Mapping[str, Any], *, closed: bool) -> HeldPosition | int:
    """A position that is not decided; of one that is, what it made."""
    realized = _usdc(row, "realized_pnl", "realizedPnl") or Usdc(0)
    open_gain = _usdc(row, "unrealized_pnl", "cashPnl")
    total = _usdc(row, "total_pnl")
    gain = total if total is not None else Usdc(realized + open_gain) if open_gain is not None else None
    if closed:
        return realized
    if wire.is_true(row.get("redeemable")) or wire.text_of(row.get("status")).upper() in ("REDEEMABLE", "CLOSED"):
        return gain or 0
    price, average = first(row, "current_price", "curPrice"), first(row, "avg_price", "avgPrice")
    return HeldPosition(
        token_id=wire.text_of(first(row, "token_id", "asset"), TOKEN_LENGTH),
        slug=wire.text_of(row.get("slug")),
        title=wire.text_of(row.get("title")),
        outcome=wire.text_of(row.get("outcome")),
        shares=Shares(micro_from_decimal(first(row, "current_size", "size"))),
        average=price_from(average) if average is not None else None,
        price=price_from(price) if price is not None else None,
        value=_usdc(row, "current_value", "currentValue") or Usdc(0),
        gain=gain,
    )


def _data(answer: object) -> object:
    if not isinstance(answer, Mapping) or "data" not in answer:
        raise RowError(f"expected {{data: …}}, got {shown(answer)}")
    return answer["data"]


def _more(answer: object, rows: int, limit: int) -> bool:
    pagination = answer.get("pagination") if isinstance(answer, Mapping) else None
    return bool(pagination.get("next_cursor")) if isinstance(pagination, Mapping) else rows >= limit


def _usdc(row: Mapping[str, Any], *names: str) -> Usdc | None:
    value = first(row, *names)
    if value is None:
        return None
    try:
        amount = micro_from_decimal(value)
    except ValueError as problem:
        raise RowError(f"{names[0]}: {problem}") from None
    if abs(amount) > MAX_TRADE:
        raise RowError(f"{names[0]}: out of range: {shown(value)}")
    return Usdc(amount)


def _count(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    try:
        return max(0, scaled(value, 0))
    except ValueError as problem:
        raise RowError(f"{name}: {problem}") from None


# -- questions -----------------------------------------------------------------------------------------------------


class _Route(NamedTuple):
    path: str
    params: dict[str, str | int]


class _Asking:
    """Asks one service, and keeps what was not answered."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.missing: list[Missing] = []

    async def ask(self, what: str, routes: Sequence[_Route], parse: Callable[[object], T]) -> T | None:
        """What the first of these routes answers that is there; ``None`` where none does."""
        for route in routes:
            try:
                return parse(await self._service.get(route.path, route.params))
            except NotFoundError:
                continue
            except VenueError as problem:
                self.missing.append(Missing(what, str(problem)))
                return None
            except RowError as problem:
                self.missing.append(Missing(what, f"the answer cannot be read: {problem}"))
                return None
        self.missing.append(Missing(what, "the venue has no such route"))
        return None


async def read_record(service: Service, wallet: str) -> Record:
    """A wallet's record, from the Data API; never raises for what the venue does."""
    asking = _Asking(service)
    user: dict[str, str | int] = {"user": wallet}
    open_ = {**user, "filter_amount": "0.000001", "include_archived": "true", "limit": READ, "sort_direction": "DESC"}
    closed = {**user, "limit": READ, "sort_direction": "DESC"}
    old = {**user, "sortDirection": "DESC"}
    stats, standing, value, positions, ended = await asyncio.gather(
        asking.ask("statistics", (_Route("/v2/user-stats", user),), parse_stats),
        asking.ask(
            "standing on the leaderboard",
            (_Route("/v2/leaderboard", {**user, "time_period": "all"}),
             _Route("/v1/leaderboard", {**user, "timePeriod": "ALL"})),
            parse_standing,
        ),
        asking.ask("value", (_Route("/v2/value", user), _Route("/value", user)), parse_value),
        asking.ask(
            "open positions",
            (_Route("/v2/positions", {**open_, "status": "OPEN", "sort_by": "CURRENT_VALUE"}),
             _Route("/positions", {**old, "sortBy": "CURRENT", "limit": READ})),
            lambda answer: parse_positions(answer, READ, closed=False),
        ),
        asking.ask(
            "closed positions",
            (_Route("/v2/positions", {**closed, "status": "CLOSED", "sort_by": "TIMESTAMP"}),
             _Route("/closed-positions", {**old, "sortBy": "TIMESTAMP", "limit": V1_CLOSED})),
            lambda answer: parse_positions(answer, V1_CLOSED if isinstance(answer, list) else READ, closed=True),
        ),
    )  # fmt: skip
    known, board = stats or Stats(), standing or Standing()
    worth = Usdc(sum(p.value for p in positions.held)) if positions is not None and not positions.more else None
    decided = (positions, ended) if positions is not None and ended is not None else ()
    return Record(
        wallet=wallet,
        realized=known.realized if known.realized is not None else board.realized,
        volume=known.volume if known.volume is not None else board.volume,
        biggest_win=known.biggest_win,
        markets=known.markets,
        trades=known.trades,
        rank=board.rank,
        joined_at=known.joined_at,
        value=value if value is not None else worth,
        held=positions.held if positions is not None else (),
        open=len(positions.held) if positions is not None else None,
        more_open=positions is not None and positions.more,
        won=sum(page.won for page in decided) if decided else None,
        lost=sum(page.lost for page in decided) if decided else None,
        more_decided=any(page.more for page in decided),
        missing=tuple(sorted(asking.missing, key=lambda one: one.what)),
    )
