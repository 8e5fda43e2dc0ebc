"""How many bytes a trade takes in SQLite, with its payload, its decision and the trace."""

from __future__ import annotations

import msgspec
from sqlalchemy import text

from pilotfish.cli.benches.figure import Figure, Options, figure, same
from pilotfish.cli.benches.store import TRADES, effects_of, new_database, written
from pilotfish.store.packed import pack, unpack


class Disk(msgspec.Struct, frozen=True):
    """Bytes a trade in a SQLite file without gaps: all of it; trade, payload and decision with their indexes; and what
    those were with payloads and traces as text."""

    whole: float
    decided: float
    as_text: float


SIZES = "SELECT name, sum(pgsize) AS size FROM dbstat GROUP BY name"
OF_DECISION = ("trades", "trade_raw", "decisions")


def disk(trades: int = TRADES) -> Disk:
    """The mix, written and vacuumed; what is packed is unpacked once, and must be as it was."""
    with new_database() as database:
        written(database, effects_of(trades), grouped=True)
        with database.connect() as c:
            c.exec_driver_sql("VACUUM")
            sizes = {row.name: row.size for row in c.execute(text(SIZES))}
            tables = {row.name: row.tbl_name for row in c.execute(text("SELECT name, tbl_name FROM sqlite_master"))}
            saved = 0
            for query in ("SELECT payload, 2 FROM trade_raw", "SELECT trace, 1 FROM decisions"):
                for kept, dictionary in c.execute(text(query)):
                    said = unpack(kept)
                    same("packed", pack(said, dictionary), kept)
                    saved += len(said.encode()) - len(kept)
    decided = sum(size for name, size in sizes.items() if tables.get(name) in OF_DECISION)
    return Disk(sum(sizes.values()) / trades, decided / trades, (decided + saved) / trades)


def figures(_options: Options) -> list[Figure]:
    """All that trades take, and what payloads and traces save."""
    told = disk()
    return [
        figure("disk: trade, payload, decision", "bytes a trade", told.decided, "as text", told.as_text),
        figure("disk: all, orders and fills too", "bytes a trade", told.whole, "", None),
    ]
