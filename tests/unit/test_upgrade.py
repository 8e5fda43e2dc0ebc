"""A database of the version before is taken over with all that its rows say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, MetaData, create_engine, insert, select

import pilotfish.store.database as store
from pilotfish.core import events as ev
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.units import MICRO
from pilotfish.store import report
from pilotfish.store import tables as t
from pilotfish.store.interned import as_text
from pilotfish.store.verify import verify
from tests.desk import NO_TOKEN, TOKEN, Desk
from tests.unit.test_ideal import OPEN, fill, world
from tests.unit.test_round_trips import trade_at


def at_revision(engine: Engine, revision: str) -> Engine:
    """An empty database as an earlier version made it."""
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def test_round_trips_and_orders_of_an_earlier_version_are_worked_out_from_its_rows(tmp_path: Path) -> None:
    taken_over(at_revision(create_engine(f"sqlite:///{tmp_path / 'old.db'}"), "0003"), tmp_path)


def taken_over(old: Engine, tmp_path: Path) -> None:
    """Write a story into a database of revision 0003 as that version did, bring it up to date, and compare it with
    what this version writes for the same story."""
    desk = Desk(dict(OPEN), others={"tight": {"max_spread_bps": 1}}, fee=FeeSchedule(40_000))
    for n, (side, bid) in enumerate([("BUY", 0.49), ("SELL", 0.60), ("BUY", 0.49), ("SELL", 0.40)], start=1):
        trade_at(desk, side, n, bid)
    for n in range(5, 9):
        fill(desk, n, 0.41, order=99)
    fill(desk, 9, 0.41, order=98, token_id=NO_TOKEN)
    desk.sell(10, 30, 0.40, token_id=NO_TOKEN)
    desk.send(ev.MarketSeen(at=desk.at, market=desk.market(TOKEN, closed=True, payout=MICRO)))
    with world(desk, tmp_path) as made:
        made.store()
        with made.database.connect() as c:
            want = {name: rows_of(c, name) for name in ("round_trips", "positions")}
            ideal = {r.portfolio: r.ideal_micro for r in report.report(c)}
            before = MetaData()
            before.reflect(old)
            with old.begin() as o:
                for name, table in before.tables.items():
                    if name not in t.metadata.tables or name == "round_trips":
                        continue
                    rows = [{k: v for k, v in row.items() if k in table.c} for row in rows_of(c, name)]
                    if name == "decisions":
                        rows = [as_before(row) for row in rows]
                    for row in rows:
                        o.execute(insert(table).values(row))
    store.upgrade(old)
    with old.connect() as c:
        assert verify(c) == []
        for name, rows in want.items():
            assert rows and rows_of(c, name) == rows, name
        assert {r.portfolio: r.ideal_micro for r in report.report(c)} == ideal
    old.dispose()


def rows_of(c: Connection, name: str) -> list[dict[str, Any]]:
    """All rows of a table, in the order of their keys."""
    table = t.metadata.tables[name]
    return [dict(r._mapping) for r in c.execute(select(table).order_by(*map(as_text, table.primary_key.columns)))]


def as_before(row: dict[str, Any]) -> dict[str, Any]:
    """A decision as it was written before: nothing was wanted on fills of an order that was copied already."""
    return {**row, "wanted_usdc_micro": 0} if row["reason"] == "SKIP_SAME_ORDER" else row
