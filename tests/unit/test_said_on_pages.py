"""What pages say of a database on which no worker runs, of parts that add up to a whole, and of how old a figure is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, func, insert, select, update
from starlette.testclient import TestClient

from pilotfish.cli.benches import pages as bench_pages
from pilotfish.cli.session import clean_environment
from pilotfish.core.units import MICRO
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.views.base import iso
from pilotfish.web import server
from pilotfish.web.auth import Doors
from pilotfish.web.reader import Reader
from pilotfish.web.site import Site
from tests import processes
from tests.fresh import fresh_database

TRADES = 40


@contextmanager
def asked(database: Engine) -> Iterator[TestClient]:
    """The dashboard alone, all decisions gone through."""
    site, reader = Site(database, {}), Reader(database)
    with snapshot(database) as c:
        site.reports.lines(c)
    with TestClient(Doors(server.application(site, reader), site.sessions), base_url="http://localhost") as client:
        yield client


def words(page: str) -> str:
    """What a page says, on one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).replace("&#39;", "'").split())


@pytest.fixture
def empty(tmp_path: Path) -> Engine:
    """A database that no worker has seen yet."""
    return fresh_database(tmp_path / "empty.db")


@pytest.fixture
def filled(tmp_path: Path) -> Engine:
    """Leaders, trades and positions, and no worker."""
    made = fresh_database(tmp_path / "filled.db")
    bench_pages.fill_database(made, TRADES)
    return made


def test_an_empty_database_is_not_told_to_look_at_lights_or_at_the_only_portfolio(empty: Engine) -> None:
    with asked(empty) as client:
        overview, portfolios = words(client.get("/").text), words(client.get("/portfolios").text)
    assert "Look at the lights" not in overview
    assert "Start the worker None has run on this database yet: pilotfish run" in overview
    assert "There is no portfolio yet." in portfolios
    assert "Only one portfolio" not in portfolios


def test_without_a_worker_leaders_that_are_followed_are_not_said_to_be_nobody(filled: Engine, empty: Engine) -> None:
    with asked(filled) as client:
        shown = words(client.get("/latency").text)
    assert "Nobody is followed" not in shown
    assert re.search(r"No worker runs \d+ leaders are followed, and nobody asks for their trades: pilotfish run", shown)
    with asked(empty) as client:
        assert "Nobody is followed yet" in words(client.get("/latency").text)


def test_the_way_from_the_leaders_prices_to_ours_adds_up_on_the_page_of_portfolios(filled: Engine) -> None:
    with asked(filled) as client:
        page = client.get("/portfolios").text
    way = re.search(r'<tbody class="way">(.*?)</tbody>', page, re.S)
    assert way is not None
    rows = re.findall(r"<tr><td[^>]*>(.*?)</td>(.*?)</tr>", way[1], re.S)
    amounts = [[_amount(cell) for cell in re.findall(r'<td class="num">(.*?)</td>', cells, re.S)] for _, cells in rows]
    assert rows[0][0].replace("&#39;", "'") == "at the leaders' prices"
    assert rows[-1][0] == "= copied, fees paid"
    assert len(rows) > 3
    for first, *parts, last in zip(*amounts, strict=True):
        assert abs(first + sum(parts) - last) <= len(rows), "hundredths, each rounded"
        assert last != 0


def _amount(cell: str) -> int:
    return round(100 * float(words(cell).split()[-1].replace("\u2212", "-").replace(",", "")))


def test_what_a_leader_holds_says_when_it_last_changed(filled: Engine) -> None:
    h = t.leader_holdings.c
    with filled.begin() as c:
        leader, at = c.execute(select(h.leader, func.max(h.updated_at)).group_by(h.leader).limit(1)).one()
        c.execute(update(t.leader_holdings).where(h.leader == leader).values(updated_at=at, shares_micro=MICRO))
    with asked(filled) as client:
        page = client.get(f"/leaders/{leader}").text
        told = client.get(f"/api/v1/leaders/{leader}").json()
    assert {held["changed_at"] for held in told["holdings"]} == {iso(at)}
    note = re.search(r"as we know it: last changed (.*?)</span></div>", page, re.S)
    assert note is not None
    assert iso(at)[:19] in note[1]


def test_how_old_a_sign_of_life_is_goes_on_once_the_worker_is_gone(filled: Engine, tmp_path: Path) -> None:
    ago = time.time() - 3 * 3600
    data = {
        "api": {"healthy": True, "detail": "v2, answered 1 s ago", "version": "v2", "last_ok_at": ago},
        "polygon": {"healthy": True, "detail": "block 77, 2 s ago", "last_block": 77, "last_block_at": ago},
    }
    with filled.begin() as c:
        c.execute(delete(t.worker_status))
        c.execute(insert(t.worker_status).values(name="worker", at=round(ago * MICRO), data=data))
    with asked(filled) as client:
        lights = words(client.get("/").text)
    told = processes.run("status", cwd=tmp_path, env={**clean_environment(), "DATABASE_URL": str(filled.url)}).stdout
    for shown in (lights, told):
        assert "block 77, 3.0 h ago" in shown
        assert "v2, answered 3.0 h ago" in shown
        assert "2 s ago" not in shown


def test_without_a_portfolio_there_is_no_empty_chart(empty: Engine) -> None:
    with asked(empty) as client:
        assert "data-chart" not in client.get("/portfolios").text
