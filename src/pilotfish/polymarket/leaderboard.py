"""The venue's leaderboard as a list of wallets: v2 where it is there, else v1 (PROTOCOL.md sections 4 and 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from pilotfish.polymarket import wire
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.polymarket.data_api import DataApi, list_of, page_of
from pilotfish.polymarket.rows import RowError, as_row

PAGE = 1000
V1_PAGE, V1_LAST = 50, 1000
"""v1 gives at most so many rows at once, and none past that offset."""


class Period(StrEnum):
    """What a board is of: what was made in the last day, week, month, or ever."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"


class By(StrEnum):
    """What a board is ordered by."""

    PNL = "PNL"
    VOLUME = "VOLUME"


class Listed(NamedTuple):
    """A row of a board."""

    wallet: str
    name: str


async def read_leaderboard(
    api: DataApi, period: Period, by: By, category: str, most: int, spend: Callable[[], None]
) -> list[Listed]:
    """The first ``most`` rows of a board, the best first; of one ``category`` where that is not empty. ``spend`` is
    called before each request, and may raise. A row without a wallet is left out, a page that brings nothing new is the
    end. Raises :class:`~.http.VenueError`."""
    found: dict[str, Listed] = {}
    cursor: str | None = None
    while len(found) < most:
        asked: dict[str, str | int] = {
            "time_period": period.value, "sort_by": by.value, "limit": min(PAGE, most - len(found)),
            **({"category": category} if category else {}), **({"cursor": cursor} if cursor else {}),
        }  # fmt: skip
        spend()
        answer = await api.v2("/v2/leaderboard", asked)
        if answer is None:
            return await _read_v1(api, period, by, category, most, spend)
        rows, cursor = page_of(answer, "/v2/leaderboard")
        if not _add(found, rows) or cursor is None:
            break
    return list(found.values())[:most]


async def _read_v1(
    api: DataApi, period: Period, by: By, category: str, most: int, spend: Callable[[], None]
) -> list[Listed]:
    found: dict[str, Listed] = {}
    for skip in range(0, V1_LAST + 1, V1_PAGE):
        asked: dict[str, str | int] = {
            "timePeriod": period.value.upper(), "orderBy": "VOL" if by is By.VOLUME else "PNL", "limit": V1_PAGE,
            "offset": skip, **({"category": category.upper()} if category else {}),
        }  # fmt: skip
        spend()
        rows = list_of(await api.service.get("/v1/leaderboard", asked), "/v1/leaderboard")
        if not _add(found, rows) or len(rows) < V1_PAGE or len(found) >= most:
            break
    return list(found.values())[:most]


def _add(found: dict[str, Listed], rows: list[Any]) -> bool:
    """Take rows in; True where one of them was new."""
    before = len(found)
    for row in rows:
        listed = _listed(row)
        if listed is not None:
            found.setdefault(listed.wallet, listed)
    return len(found) > before


def _listed(row: object) -> Listed | None:
    try:
        fields: Mapping[str, Any] = as_row(row)
    except RowError:
        return None
    wallet = wire.text_of(wire.first(fields, "user_id", "proxyWallet", "proxy_wallet")).lower()
    name = wire.text_of(wire.first(fields, "user_name", "userName"), 200)
    return Listed(wallet, "" if name.lower().startswith(wallet) else name) if is_wallet(wallet) else None
