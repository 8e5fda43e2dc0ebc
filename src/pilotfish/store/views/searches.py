"""Searches through many wallets as they are shown: the list, one of them with its result, and its board."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from pilotfish.core.settings import Value
from pilotfish.store import tables as t
from pilotfish.store.interned import as_text
from pilotfish.store.jobs import JobState
from pilotfish.store.mapping import read_row, read_rows
from pilotfish.store.searches_store import Candidate, SearchSource
from pilotfish.store.views.base import Iso, Page, View, following, iso

STREAMED = 500
"""Rows of a board fetched at a time."""


class SearchRow(View, frozen=True, kw_only=True):
    """A search without its board: where its candidates are from, how many at most, within how many requests, over how
    many days. ``stage`` with ``done`` of ``of`` parts, the ``requests`` made, and about how many seconds that stage
    still takes (``left_sec``, where that is known) say how far a running one is; ``error`` why one failed; ``why`` is
    the answer of one that is done: how many were ``tested``, and how many are ``copyable``."""

    id: int
    asked_at: Iso
    by: str
    source: SearchSource
    categories: list[str]
    most: int
    budget: int
    days: int
    state: JobState
    stage: str
    done: int
    of: int
    requests: int
    left_sec: int | None
    error: str | None
    tested: int | None
    copyable: int | None
    why: str | None
    started_at: Iso | None
    finished_at: Iso | None

    @property
    def ended(self) -> bool:
        """True where nothing more comes of it."""
        return self.state.ended


class SearchToShow(SearchRow, frozen=True, kw_only=True):
    """A search with the settings that it was made with; ``result`` is all of what ``discover --json`` gives but the
    board."""

    values: dict[str, Value]
    result: dict[str, object] | None


class SearchWhole(SearchRow, frozen=True, kw_only=True):
    """A search with the wallets that were named, the settings that it was made with, and the result as ``discover
    --json`` gives it."""

    wallets: list[Candidate]
    values: dict[str, Value]
    result: dict[str, object] | None


class SearchedWallet(View, frozen=True, kw_only=True):
    """A wallet on the board of a search, as ``discover --json`` names its figures."""

    search_id: int
    place: int
    wallet: str
    name: str
    verdict: str
    why: str
    edge_per_usdc: float | None
    low: float | None
    high: float | None
    shrunk: float | None
    p_value: float | None
    q_value: float
    events: int
    trades: int
    filled_share: float
    result_micro: int
    flags: list[str]
    incomplete: str
    category: str


class BoardFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which wallets of a board: of a verdict, with so many independent events, of a category (that in which they put
    most), whose edge a dollar is at least so much in the lower end of its interval; ``None`` = any."""

    verdict: str | None = None
    events: int | None = None
    category: str | None = None
    low: float | None = None


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of every search."""

    id: int
    asked_at: int
    by: str
    source: SearchSource
    categories: list[str]
    most: int
    budget: int
    days: int
    state: JobState
    stage: str
    done: int
    of: int
    requests: int
    left_sec: int | None
    error: str | None
    tested: int | None
    copyable: int | None
    why: str | None
    started_at: int | None
    finished_at: int | None


class _StoredToShow(_Stored, frozen=True, kw_only=True):
    """With what was found, and with which settings."""

    values: dict[str, Value]
    result: dict[str, object] | None


class _StoredWhole(_StoredToShow, frozen=True, kw_only=True):
    """All columns that are shown."""

    wallets: list[Candidate]


_S = t.searches.c
_W = t.searched_wallets.c
_ROW = select(*(_S[name] for name in _Stored.__struct_fields__))
_TO_SHOW = select(*(_S[name] for name in _StoredToShow.__struct_fields__))
_ON_BOARD = select(*(_W[name] for name in SearchedWallet.__struct_fields__))


def read_searches(c: Connection, *, limit: int, before: int | None = None) -> Page[SearchRow]:
    """Searches, the newest first."""
    wanted = _ROW.order_by(_S.id.desc()).limit(limit + 1)
    wanted = wanted.where(_S.id < before) if before is not None else wanted
    rows = list(read_rows(c, _Stored, wanted))
    return Page(data=[SearchRow(**_shown(one)) for one in rows[:limit]], next_before=following(rows, limit))  # type: ignore[arg-type]


def read_search(c: Connection, number: int) -> SearchWhole | None:
    """One search with its board; ``None`` = there is no such."""
    found = read_row(c, _StoredWhole, select(t.searches).where(_S.id == number))
    return None if found is None else _whole(c, found)


def read_search_to_show(c: Connection, number: int | None) -> SearchToShow | None:
    """One search without its board: that with this number, else the newest that is done; ``None`` = there is none."""
    if number is not None:
        wanted = _TO_SHOW.where(_S.id == number)
    else:
        wanted = _TO_SHOW.where(_S.state == JobState.DONE).order_by(_S.id.desc()).limit(1)
    found = read_row(c, _StoredToShow, wanted)
    return None if found is None else SearchToShow(**_shown(found))  # type: ignore[arg-type]


def read_board(
    c: Connection, number: int, wanted: BoardFilter, *, limit: int, after: int = 0
) -> tuple[list[SearchedWallet], int | None]:
    """Wallets of a search, the best first, and the place to continue after; ``None`` = that was all."""
    some = _ON_BOARD.where(*_filtered(number, wanted), _W.place > after).order_by(_W.place).limit(limit + 1)
    rows = list(read_rows(c, SearchedWallet, some))
    return rows[:limit], rows[limit - 1].place if len(rows) > limit else None


def read_whole_board(c: Connection, number: int, wanted: BoardFilter) -> Iterator[SearchedWallet]:
    """All wallets of a search that are wanted, the best first, in pieces."""
    some = _ON_BOARD.where(*_filtered(number, wanted)).order_by(_W.place)
    return read_rows(c, SearchedWallet, some.execution_options(yield_per=STREAMED))


def count_board(c: Connection, number: int, wanted: BoardFilter) -> int:
    """How many wallets of a search are wanted."""
    return c.execute(select(func.count()).where(*_filtered(number, wanted))).scalar_one()


def categories_of(c: Connection, number: int) -> list[str]:
    """The categories of a board, that of most wallets first."""
    many = func.count().label("many")
    of = select(_W.category, many).where(_W.search_id == number, _W.category != "").group_by(_W.category)
    return [row[0] for row in c.execute(of.order_by(many.desc(), as_text(_W.category)))]


def read_every_search(c: Connection) -> Iterator[SearchWhole]:
    """All searches, oldest first."""
    for number in c.execute(select(_S.id).order_by(_S.id)).scalars().all():
        found = read_search(c, number)
        if found is not None:
            yield found


def read_every_wallet(c: Connection, wallet: str | None) -> Iterator[SearchedWallet]:
    """The boards of all searches, oldest first; of a wallet, or of all."""
    some = _ON_BOARD.order_by(_W.search_id, _W.place).execution_options(yield_per=STREAMED)
    return read_rows(c, SearchedWallet, some.where(_W.wallet == wallet) if wallet is not None else some)


def _filtered(number: int, wanted: BoardFilter) -> Iterator[ColumnElement[bool]]:
    yield _W.search_id == number
    if wanted.verdict is not None:
        yield _W.verdict == wanted.verdict
    if wanted.events is not None:
        yield _W.events >= wanted.events
    if wanted.category is not None:
        yield _W.category == wanted.category
    if wanted.low is not None:
        yield _W.low >= wanted.low


def _shown(found: _Stored) -> dict[str, object]:
    shown: dict[str, object] = msgspec.structs.asdict(found)
    times = {at: iso(shown[at]) for at in ("asked_at", "started_at", "finished_at")}  # type: ignore[call-overload]
    return {**shown, **times}


def _whole(c: Connection, found: _StoredWhole) -> SearchWhole:
    shown = _shown(found)
    if found.result is not None:
        board = (msgspec.structs.asdict(row) for row in read_whole_board(c, found.id, BoardFilter()))
        shown["result"] = {
            **found.result,
            "rows": [{k: v for k, v in row.items() if k != "search_id"} for row in board],
        }
    return SearchWhole(**shown)  # type: ignore[arg-type]
