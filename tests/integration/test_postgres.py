"""The same worker on PostgreSQL, and the same answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, inspect, select, text
from sqlalchemy.engine import make_url

from pilotfish.app import daily
from pilotfish.cli.benches import pages as bench_pages
from pilotfish.core.recall import Forgotten
from pilotfish.store import exports, leaders_store, portfolios_store, recalled, report
from pilotfish.store import tables as t
from pilotfish.store.archive import ArchiveError
from pilotfish.store.backup import backup
from pilotfish.store.database import empty_database, open_database, snapshot
from pilotfish.store.known import DAY
from pilotfish.store.refill import refill
from pilotfish.store.report import Reports
from pilotfish.store.rollup import DecisionCounts, TradeCounts
from pilotfish.store.verify import verify
from pilotfish.store.views.portfolios import read_equity, read_portfolios
from tests.postgres_server import server
from tests.rig import WALLET, Pilot, rig
from tests.story import make, play
from tests.unit import test_alike_everywhere as alike_everywhere
from tests.unit import test_many_portfolios as many
from tests.unit.test_backup import everything
from tests.unit.test_upgrade import at_revision, taken_over

TRADES = 2_500


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as made:
        yield made.url


@pytest.mark.slow
def test_the_main_job_on_postgresql_survives_a_kill(tmp_path: Path, postgres: str) -> None:
    with rig(tmp_path, database_url=postgres) as (stand, pilot):
        token = stand.market(question="Will it rain?")
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        pilot.kill()
        stand.fill(token, "SELL", 50, 0.49)
        pilot.start()
        pilot.fills(2)
        assert pilot.held() == {token: 25_000_000}
        assert pilot.leader_holds(token) == 50_000_000
        assert [t["class"] for t in pilot.export("trades")] == ["live", "live"]
        pilot.cli("reset", "--yes")
        assert pilot.held() == {}
        pilot.stop()
        pilot.verify()


def answers(database: Engine) -> dict[str, Any]:
    """Everything that a page, a command or an export reads."""
    bench_pages.fill_database(database, TRADES)
    found: dict[str, Any] = {}
    with snapshot(database) as c:
        for name, ask in bench_pages.questions(DecisionCounts(), TradeCounts(), Reports()).items():
            found[name] = ask(c)
        found["since"] = report.report(c, since=1_800_001_000 * 1_000_000)
        found["verify"] = sorted(verify(c))
    for kind in exports.KINDS:
        with snapshot(database) as c:
            found[f"export {kind}"] = list(exports.rows(c, kind))
    return found


def new_database(postgres: str, name: str) -> Engine:
    """An empty database of the server."""
    admin = create_engine(make_url(postgres).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return open_database(make_url(postgres).set(database=name).render_as_string(hide_password=False))


def of_many(database: Engine) -> dict[str, Any]:
    """What is asked of many portfolios at once: by a page, the daily summary, a start and a look-up."""
    with database.begin() as c:
        names = [f"p{n:02}" for n in range(20)]
        many.make(c, "main", *names)
        for n, name in enumerate(names[:15]):
            many.valued(c, name, many.AT - 2 * DAY, 100 + n)
            many.valued(c, name, many.AT + n % 2, 200 + n)
        many.traded(c, 1, many.LEADERS[0], "11", "p03", "p07")
        many.holds(c, many.LEADERS[0], "11")
        reports = Reports()
        return {
            "portfolios": read_portfolios(c),
            "alone": [read_portfolios(c, name=name) for name in names],
            "follows": portfolios_store.everyones_follows(c),
            "curve": read_equity(c, "p01", 2),
            "start": many.restored(c, names),
            "past": recalled.past(c, names, [Forgotten(many.LEADERS[0], "11", None, (), True)], many.AT),
            "reports": [reports.among(c, ("p03", "p09")), reports.report(c, portfolio="p07"), reports.report(c)],
            "day": daily._worth(c, many.AT - DAY),
        }


def test_what_is_asked_of_many_portfolios_has_the_same_answers_on_postgresql(postgres: str) -> None:
    there, here = new_database(postgres, "many"), empty_database()
    told = of_many(there)
    assert told == of_many(here)
    assert told["portfolios"] == [told["portfolios"][0], *(p for one in told["alone"] for p in one)]
    assert told["past"][0].orders
    for database in (there, here):
        database.dispose()


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "minutes", "deeds"), [(3, 5, 40), (5, 5, 40), (4, 6, 120)])
def test_a_story_is_the_same_to_the_byte_on_sqlite_and_on_postgresql(
    postgres: str, seed: int, minutes: int, deeds: int
) -> None:
    kills = (150, 400)
    lite = play(seed, kills, minutes=minutes, deeds=deeds)
    real = make(seed, minutes, deeds, new_database(postgres, f"story{seed}"))
    try:
        real.play(kills)
        assert real.digests() == lite.digests()
        assert (real.stuck(), real.differences()) == ([], [])
    finally:
        real.database.dispose()
        lite.database.dispose()


@pytest.mark.slow
def test_sqlite_and_postgresql_answer_alike(tmp_path: Path, postgres: str) -> None:
    lite = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    real = new_database(postgres, "alike")
    try:
        one, other = answers(lite), answers(real)
        assert set(one) == set(other)
        for name, answer in one.items():
            assert other[name] == answer, name
        assert len(one["trades, newest page"].data) == 50
        assert one["leaders: report"]
        assert one["since"] != one["leaders: report"]
    finally:
        lite.dispose()
        real.dispose()


def test_texts_are_found_and_ordered_alike_on_postgresql(postgres: str) -> None:
    there, here = new_database(postgres, "texts"), empty_database()
    told = [alike_everywhere.of_texts(database) for database in (there, here)]
    assert told[0] == told[1]
    assert told[0]["found"]
    for database in (there, here):
        database.dispose()


@pytest.mark.slow
def test_a_database_of_an_earlier_version_is_taken_over_on_postgresql(tmp_path: Path, postgres: str) -> None:
    server = make_url(postgres).set(drivername="postgresql+psycopg")
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as c:
        c.execute(text("CREATE DATABASE earlier"))
    admin.dispose()
    taken_over(at_revision(create_engine(server.set(database="earlier")), "0003"), tmp_path)


@pytest.mark.slow
def test_a_backup_moves_from_sqlite_to_postgresql_and_back(tmp_path: Path, postgres: str) -> None:
    lite, file = play(3, minutes=3, deeds=30).database, tmp_path / "x.pilotfish"
    made = backup(lite, file)
    real = new_database(postgres, "moved")
    assert refill(real, file)[1] == []
    assert everything(real) == everything(lite)
    again = backup(real, tmp_path / "y.pilotfish")
    assert again.tables == made.tables
    with real.begin() as c:  # rows that count themselves go on where they were
        before = c.execute(select(func.max(t.audit.c.id))).scalar_one()
        leaders_store.add(c, WALLET, "", 1, by="x")
        assert c.execute(select(func.max(t.audit.c.id))).scalar_one() == before + 1
    with pytest.raises(ArchiveError, match="is not empty"):
        refill(real, file)
    assert refill(real, file, replace=True)[1] == []
    assert everything(real) == everything(lite)
    real.dispose()
    back = open_database(f"sqlite:///{tmp_path / 'back.db'}")
    refill(back, tmp_path / "y.pilotfish")
    assert everything(back) == everything(lite)
    back.dispose()


@pytest.mark.slow
def test_reading_an_empty_database_makes_no_tables(tmp_path: Path, postgres: str) -> None:
    url = make_url(postgres).set(database="empty").render_as_string(hide_password=False)
    with create_engine(
        make_url(postgres).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    ).connect() as c:
        c.execute(text("CREATE DATABASE empty"))
    pilot = Pilot(tmp_path, {}, database_url=url)
    assert json.loads(pilot.cli("leaders", "list", "--json")) == []
    assert "Nothing has been recorded yet" in pilot.cli("report")
    assert pilot.cli("settings", "get", "fixed_usdc") == "25\n"
    pilot.cli("status", "--json", code=1)
    pilot.cli("leaders", "remove", WALLET, code=1)
    with create_engine(make_url(url).set(drivername="postgresql+psycopg")).connect() as c:
        assert inspect(c).get_table_names() == []
    pilot.cli("leaders", "add", WALLET)
    assert [row["wallet"] for row in json.loads(pilot.cli("leaders", "list", "--json"))] == [WALLET]
