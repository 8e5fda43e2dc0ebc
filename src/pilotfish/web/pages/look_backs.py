"""Look backs: asking for one, how far those are that run, and several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.backtest.told import LookBack, read_answer
from pilotfish.core import settings as s
from pilotfish.core.setting_titles import TITLES
from pilotfish.core.settings import Value
from pilotfish.store import names
from pilotfish.store.look_backs_store import DAYS, KEPT, LONGEST_DAYS
from pilotfish.store.views.look_backs import LookBackRow, LookBackWhole, read_latest, read_look_back, read_look_backs
from pilotfish.web.api import LARGEST_ID
from pilotfish.web.charts import Options
from pilotfish.web.look_back_charts import result_options
from pilotfish.web.render import Page
from pilotfish.web.view import Looking, Name

EVERY = 0.4
SHOWN = 50
MOST_COMPARED = 6
Number = Annotated[int, Query(ge=0, le=LARGEST_ID)]
pages = APIRouter(include_in_schema=False)


class LookBacks(Page, frozen=True, kw_only=True):
    """The list; ``older``: the number to go on before; ``days`` and ``longest`` are for the form, ``kept`` is how many
    ended ones are kept."""

    template: ClassVar[str] = "look_backs.html"
    title: ClassVar[str] = "look back"
    path: ClassVar[str] = "/look-backs"

    rows: list[LookBackRow]
    older: int | None
    paged: bool
    days: int
    longest: int
    kept: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One of several look backs; ``found`` is ``None`` where there is no answer that can be read."""

    row: LookBackWhole
    name: str
    found: LookBack | None


class Differing(msgspec.Struct, frozen=True):
    """A setting that is not the same in all of them."""

    title: str
    values: tuple[str, ...]


class Comparison(Page, frozen=True, kw_only=True):
    """Several side by side; ``most`` can be."""

    template: ClassVar[str] = "look_backs_compared.html"
    title: ClassVar[str] = "look backs compared"
    path: ClassVar[str] = "/look-backs"
    seconds: ClassVar[float] = 0

    columns: tuple[Compared, ...]
    curve: Options
    differ: tuple[Differing, ...]
    most: int


class LookBackPart(Page, frozen=True, kw_only=True):
    """What is known of a wallet by looking back; shown in place, and asked for again while one runs."""

    template: ClassVar[str] = "look_back_part.html"
    title: ClassVar[str] = "look back"

    wallet: str
    looked: LookBackRow | None


@pages.get("/look-backs")
async def look_backs(view: Looking, before: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None) -> Response:
    """The list."""
    page = await view.site.shared.get(
        ("look backs", before), EVERY, lambda c: read_look_backs(c, limit=SHOWN, before=before)
    )
    return view.show(
        LookBacks(
            rows=page.data, older=page.next_before, paged=before is not None, days=DAYS, longest=LONGEST_DAYS, kept=KEPT
        )
    )


@pages.get("/look-backs/compare")
async def compare(view: Looking, number: Annotated[list[Number] | None, Query(alias="id")] = None) -> Response:
    """Several side by side: ``?id=1&id=2``."""
    wanted = list(dict.fromkeys(number or []))[:MOST_COMPARED]
    found = await view.site.shared.get(("look backs", *wanted), EVERY, lambda c: _read(c, wanted))
    told = {f"{one.name}, number {one.row.id}": one.found for one in found if one.found is not None}
    return view.show(
        Comparison(
            columns=tuple(found), curve=result_options(told), differ=tuple(_differing(found)), most=MOST_COMPARED
        )
    )


@pages.get("/parts/look-back")
async def part(view: Looking, wallet: Name = "") -> Response:
    """A wallet's latest one, in place."""
    wallet = wallet.lower()
    found = await view.site.shared.get(("look back of", wallet), EVERY, lambda c: [read_latest(c, wallet)])
    return view.piece(LookBackPart(wallet=wallet, looked=found[0]))


def _read(c: Connection, wanted: Sequence[int]) -> list[Compared]:
    rows = (read_look_back(c, number) for number in wanted)
    return [
        Compared(row=row, name=row.label or names.short(row.wallet), found=read_answer(row.result))
        for row in rows if row is not None
    ]  # fmt: skip


def _differing(found: Sequence[Compared]) -> list[Differing]:
    """Settings that are not the same in all."""
    rows = []
    for name in s.BY_NAME:
        values = tuple(shown(name, one.row.values) for one in found)
        if len(set(values)) > 1:
            rows.append(Differing(TITLES[name], values))
    return rows


def shown(name: str, values: dict[str, Value]) -> str:
    """A setting's value in a look back, for people; a dash where it is not known."""
    return str(s.show(s.BY_NAME[name], values[name])) if name in values else "–"
