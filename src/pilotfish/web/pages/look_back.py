"""The answer of one look back: would copying somebody have paid, how sure that is, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec
from fastapi import APIRouter, HTTPException, Path
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.backtest.told import LookBack, Part, Point, day, read_answer
from pilotfish.core import settings as s
from pilotfish.core.setting_titles import TITLES
from pilotfish.core.settings import Value
from pilotfish.store.database import snapshot
from pilotfish.store.views.base import View as Row
from pilotfish.store.views.base import decimal
from pilotfish.store.views.leaders import Leader, read_leaders
from pilotfish.store.views.look_backs import LookBackWhole, read_look_back
from pilotfish.web import csv_files
from pilotfish.web.api import LARGEST_ID
from pilotfish.web.charts import Options
from pilotfish.web.look_back_charts import curve_options, parts_options, result_options
from pilotfish.web.pages.look_backs import EVERY, shown
from pilotfish.web.render import Page
from pilotfish.web.view import Looking
from pilotfish.web.waterfall import Waterfall, looked_back

OPEN_SHOWN = 50
GROUPS = (("price", "By price of entry"), ("category", "By category"), ("holding", "By how long it was held"))
Number = Annotated[int, Path(ge=0, le=LARGEST_ID)]
pages = APIRouter(include_in_schema=False)


class Curve(msgspec.Struct, frozen=True):
    """What a dollar made by delay, or by size: the same figures as a picture and as a table."""

    key: str
    title: str
    told: str
    points: tuple[Point, ...]
    picture: Options


class Group(msgspec.Struct, frozen=True):
    """The parts of one kind, as a picture and as a table."""

    key: str
    title: str
    parts: tuple[Part, ...]
    picture: Options


class StillOpen(NamedTuple):
    """A position that was open at the end, at its mark."""

    token: str
    title: str
    amount_micro: int


class Changed(msgspec.Struct, frozen=True):
    """A setting that is not at its default."""

    title: str
    value: str


class OneLookBack(Page, frozen=True, kw_only=True):
    """One look back. ``found`` and what is made of it are empty until it is done; ``known``: the same as a leader, if
    they are followed or were; ``changed``: settings that are not at their defaults."""

    template: ClassVar[str] = "look_back.html"
    title: ClassVar[str] = "look back"
    path: ClassVar[str] = "/look-backs"

    row: LookBackWhole
    known: Leader | None
    found: LookBack | None
    fall: Waterfall | None
    equity: Options
    curves: tuple[Curve, ...]
    groups: tuple[Group, ...]
    skipped: tuple[tuple[str, int], ...]
    still_open: tuple[StillOpen, ...]
    changed: tuple[Changed, ...]


@pages.get("/look-backs/{number}")
async def look_back(view: Looking, number: Number) -> Response:
    """The page."""
    found = await view.site.shared.get(("look back", number), EVERY, lambda c: _read(c, number))
    if not found:
        raise HTTPException(404, f"there is no look back {number}; only the newest are kept")
    return view.show(found[0])


def _read(c: Connection, number: int) -> list[OneLookBack]:
    row = read_look_back(c, number)
    if row is None:
        return []
    known = next((x for x in read_leaders(c, "all") if x.wallet == row.wallet), None)
    return [page_of(row, known)]


def page_of(row: LookBackWhole, known: Leader | None) -> OneLookBack:
    """The page of a look back."""
    found = read_answer(row.result)
    made = _made_of(found) if found is not None else {}
    return OneLookBack(row=row, known=known, found=found, changed=_changed(row.values), **(_NOTHING | made))


_NOTHING: dict[str, Any] = {
    "fall": None, "equity": {}, "curves": (), "groups": (), "skipped": (), "still_open": (),
}  # fmt: skip


def _made_of(found: LookBack) -> dict[str, Any]:
    """What is shown of an answer."""
    return {
        "fall": looked_back(found), "equity": result_options({"ours, expected": found}),
        "curves": tuple(_curves(found)), "groups": tuple(_groups(found)), "skipped": _skipped(found),
        "still_open": _open(found),
    }  # fmt: skip


def _curves(found: LookBack) -> Iterator[Curve]:
    told = "The same orders, seen so much later."
    yield Curve("delay", "By delay", told, found.by_delay, curve_options(found.by_delay, by_size=False))
    told = "The same trades, with so much spent on each order."
    yield Curve("size", "By size", told, found.by_size, curve_options(found.by_size, by_size=True))


def _groups(found: LookBack) -> Iterator[Group]:
    for key, title in GROUPS:
        parts = tuple(part for part in found.parts if part.by == key)
        if parts:
            yield Group(key, title, parts, parts_options(parts))


def _skipped(found: LookBack) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(found.skipped.items(), key=lambda item: (-item[1], item[0])))


def _open(found: LookBack) -> tuple[StillOpen, ...]:
    largest = sorted(found.open.items(), key=lambda item: (-item[1], item[0]))[:OPEN_SHOWN]
    return tuple(StillOpen(token, found.titles.get(token, ""), amount) for token, amount in largest)


def _changed(values: dict[str, Value]) -> tuple[Changed, ...]:
    return tuple(
        Changed(TITLES[name], shown(name, values))
        for name, value in values.items() if name in s.BY_NAME and value != s.BY_NAME[name].default
    )  # fmt: skip


class Figure(Row, frozen=True, kw_only=True):
    """A line of the file: a point of a curve, a part, or a day. Amounts in whole USDC, edges a dollar."""

    what: str
    name: str
    positions: int | None = None
    events: int | None = None
    paid: float | None = None
    result: float | None = None
    edge_per_usdc: float | None = None
    low: float | None = None
    high: float | None = None
    filled: float | None = None


@pages.get("/look-backs/{number}/figures.csv")
def figures(view: Looking, number: Number) -> Response:
    """All pictures' figures as a file for a spreadsheet."""
    with snapshot(view.site.database) as c:
        row = read_look_back(c, number)
    found = read_answer(row.result) if row is not None else None
    if found is None:
        raise HTTPException(404, f"look back {number} has no answer")
    return csv_files.file(view.site.database, f"look-back-{number}.csv", Figure, lambda _c: _figures(found))


def _figures(found: LookBack) -> Iterator[Figure]:
    for what, points in (("delay", found.by_delay), ("size", found.by_size)):
        for point in points:
            yield Figure(
                what=what,
                name=f"{point.delay_ms / 1000:g} s" if what == "delay" else csv_files.amount(point.size_micro),
                paid=decimal(point.spent_micro), result=decimal(point.result_micro),
                edge_per_usdc=point.edge_per_usdc, filled=point.filled,
            )  # fmt: skip
    for part in found.parts:
        ends = part.interval
        yield Figure(
            what=part.by, name=part.name, positions=part.bets, events=part.events, paid=decimal(part.paid),
            result=decimal(part.result), edge_per_usdc=part.edge_per_usdc, low=ends.low if ends else None,
            high=ends.high if ends else None,
        )  # fmt: skip
    for name, amount in found.uncopyable.parts if found.uncopyable is not None else ():
        yield Figure(what="uncopyable", name=name, result=decimal(amount))
    for at, amount in found.equity:
        yield Figure(what="equity", name=day(at), result=decimal(amount))
