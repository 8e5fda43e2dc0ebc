"""How many bytes a trade takes in SQLite, with its payload, its decision and the trace."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, Table, func, select, text

from pilotfish.cli.benches.figure import Figure, Options, figure, same
from pilotfish.cli.benches.store import TRADES, effects_of, new_database, written
from pilotfish.core.effects import Effect, Insert
from pilotfish.core.records import TradeRaw
from pilotfish.store import tables as t


class Disk(msgspec.Struct, frozen=True):
    """Bytes a trade in a SQLite file without gaps: all of it; trade, payload and decision with their indexes and the
    names that they hold by number; and what those were with payloads and traces as text."""

    whole: float
    decided: float
    as_text: float


SIZES = "SELECT name, sum(pgsize) AS size FROM dbstat GROUP BY name"
OF_DECISION = ("trades", "trade_raw", "decisions", "names")


def disk(trades: int = TRADES) -> Disk:
    """The mix, written and vacuumed; payloads are read back, and must be as they were."""
    effects = effects_of(trades)
    with new_database() as database:
        written(database, effects, grouped=True)
        with database.connect() as c:
            c.exec_driver_sql("VACUUM")
            sizes = {row.name: row.size for row in c.execute(text(SIZES))}
            tables = {row.name: row.tbl_name for row in c.execute(text("SELECT name, tbl_name FROM sqlite_master"))}
            kept = list(c.execute(select(t.trade_raw.c.payload).order_by(t.trade_raw.c.trade_id)).scalars())
            same("payloads", kept, [raw.payload for raw in _payloads(effects)])
            traces = c.execute(select(t.decisions.c.trace)).scalars()
            said = sum(len(payload.encode()) for payload in kept) + sum(map(len, map(msgspec.json.encode, traces)))
            saved = said - _length(c, t.trade_raw, "payload") - _length(c, t.decisions, "trace")
    decided = sum(size for name, size in sizes.items() if tables.get(name) in OF_DECISION)
    return Disk(sum(sizes.values()) / trades, decided / trades, (decided + saved) / trades)


def _payloads(effects: Iterable[list[Effect]]) -> list[TradeRaw]:
    inserted = (one.record for some in effects for one in some if isinstance(one, Insert))
    return sorted((record for record in inserted if isinstance(record, TradeRaw)), key=lambda raw: raw.trade_id)


def _length(c: Connection, table: Table, column: str) -> int:
    return int(c.execute(select(func.sum(func.length(table.c[column])))).scalar_one())


def figures(_options: Options) -> list[Figure]:
    """All that trades take, and what payloads and traces save."""
    told = disk()
    return [
        figure("disk: trade, payload, decision", "bytes a trade", told.decided, "as text", told.as_text),
        figure("disk: all, orders and fills too", "bytes a trade", told.whole, "", None),
    ]
