"""Many portfolios on pages, in REST and at a terminal: few side by side, all of them in a list that can be searched and
sorted, and nowhere a thousand of anything."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Iterator
from functools import partial
from html import unescape
from pathlib import Path

import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, insert, select

from pilotfish.app import daily
from pilotfish.cli.benches import pages as bench_pages
from pilotfish.core.settings import Value
from pilotfish.core.units import SECOND, Usdc
from pilotfish.store import leaders_store, portfolios_store, settings_store
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.views.decisions import read_trade
from pilotfish.store.views.foremost import foremost
from pilotfish.store.views.portfolios import read_portfolios
from pilotfish.web import server
from pilotfish.web.pages.portfolio_list import beside as side_by_side
from pilotfish.web.reader import EVERY, LONGEST, Reader, Snapshot, pause_after
from pilotfish.web.stream import MOST_PORTFOLIOS, _status
from tests import processes
from tests.fresh import fresh_database
from tests.terminal import at_terminal
from tests.unit.test_many_portfolios import statements
from tests.unit.test_printed import environment

AT = 1_800_000_000 * SECOND
DAY = 86_400 * SECOND
LEADERS = [f"0x{n:040x}" for n in range(1, 4)]
NOWHERE: dict[str, Value] = dict.fromkeys(("data_api_url", "gamma_api_url"), "http://127.0.0.1:9")


def make(c: Connection, many: int) -> None:
    """``main``, and ``many`` others, of which p05 made 5 USDC since yesterday."""
    for wallet in LEADERS:
        leaders_store.add(c, wallet, "", AT, by="test")
    figures = dict.fromkeys(
        ("positions_value_micro", "cost_micro", "unrealized_pnl_micro", "fees_micro", "open_positions"), 0
    )
    for n, name in enumerate(["main", *(f"p{n:02}" for n in range(1, many + 1))]):
        chosen = None if n == 0 else LEADERS[: 1 + n % 3]
        portfolios_store.add(c, name, {}, at=AT - 2 * DAY + n, by="test", changes={"bankroll": "100"}, leaders=chosen)
        for at, made in ((AT - DAY - 1, 0), (AT, n * 1_000_000)):
            worth = dict.fromkeys(("equity_micro", "cash_micro"), 100_000_000 + made)
            row = {"portfolio": name, "at": at, "realized_pnl_micro": made, **worth, **figures}
            c.execute(insert(t.equity_snapshots).values(row))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    made = fresh_database(tmp_path / "x.db")
    yield made
    made.dispose()


@pytest.fixture
def many(database: Engine) -> Iterator[TestClient]:
    """Pages of main and 130 others."""
    with database.begin() as c:
        make(c, 130)
    with TestClient(server.build(database, NOWHERE), base_url="http://127.0.0.1:8080") as client:
        yield client


def beside(text: str) -> list[str]:
    """Whose columns there are."""
    table = text[text.index('<section class="card gap" id="table">') :]
    return re.findall(r'<th class="num"><a[^>]*>([^<]+)</a></th>', table[: table.index("</thead>")])


def rows(text: str) -> list[str]:
    return re.findall(r'<tr id="p-([^"]+)">', text)


def link(text: str, label: str) -> str:
    found = re.search(rf'href="([^"]+)" aria-label="{label}"', text)
    assert found is not None, label
    return unescape(found[1]).removesuffix("#list")


def test_few_portfolios_are_all_side_by_side_and_there_is_no_list(database: Engine) -> None:
    with database.begin() as c:
        make(c, 5)
    with TestClient(server.build(database, NOWHERE), base_url="http://127.0.0.1:8080") as client:
        page = client.get("/portfolios").text
        assert beside(page) == ["main", "p01", "p02", "p03", "p04", "p05"]
        assert 'id="list"' not in page
        assert '<nav class="picker" aria-label="Portfolio">' in client.get("/").text


def test_of_many_portfolios_main_and_the_best_are_side_by_side_and_a_list_has_all(many: TestClient) -> None:
    page = many.get("/portfolios").text
    assert beside(page) == ["main", "p126", "p127", "p128", "p129", "p130"]
    assert "All 131 portfolios" in page
    assert rows(page) == [f"p{n}" for n in range(130, 80, -1)]
    assert rows(many.get("/portfolios?page=3").text)[-1] == "main"
    assert rows(many.get("/portfolios?sort=name").text)[:2] == ["main", "p01"]


def test_since_when_all_run_is_told_to_the_minute(many: TestClient) -> None:
    note = many.get("/portfolios").text.split("when the youngest began")[0].rsplit("since", 1)[1]
    assert re.fullmatch(r' <time datetime="[^"]*" data-clock="minute">\d{4}-\d\d-\d\d \d\d:\d\d UTC</time>\s*, ', note)


def test_words_find_portfolios_by_name_in_any_order_of_the_list(many: TestClient) -> None:
    assert rows(many.get("/portfolios?q=P13").text) == ["p130", "p13"]
    assert rows(many.get("/portfolios?q=13+p&sort=profit").text) == ["p13", "p113", "p130"]
    assert "No portfolio has these words" in many.get("/portfolios?q=nothing").text


def test_a_portfolio_is_put_beside_the_others_and_taken_away_by_an_address_that_can_be_shared(many: TestClient) -> None:
    first = many.get("/portfolios?with=p07&with=p09&with=never-was").text
    assert beside(first) == ["main", "p07", "p09"]
    there = link(first, "Put p130 beside the others")
    assert beside(many.get(there).text) == ["main", "p07", "p09", "p130"]
    back = link(many.get(there).text, "Take p130 away from the others")
    assert beside(many.get(back).text) == ["main", "p07", "p09"]
    alone = link(many.get("/portfolios?with=p130").text, "Take p130 away from the others")
    assert beside(many.get(alone).text) == ["main"]


def test_the_portfolio_that_is_looked_at_is_beside_the_others_and_stays_chosen(many: TestClient) -> None:
    page = many.get("/portfolios?portfolio=p03").text
    assert beside(page) == ["main", "p03", "p127", "p128", "p129", "p130"]
    kept = [unescape(one) for one in re.findall(r'href="(/portfolios[^"#]*)#list"', page)]
    assert kept
    assert [one for one in kept if "portfolio=p03" not in one] == []
    assert '<input type="hidden" name="portfolio" value="p03">' in page[page.index('class="filters"') :]


def test_one_that_has_copied_nothing_is_not_among_the_best_where_all_others_lose(database: Engine) -> None:
    with database.begin() as c:
        make(c, 8)
        made = [p for p in read_portfolios(c) if p.name != "main"]
    losers = [msgspec.structs.replace(p, equity_micro=Usdc(90_000_000 + n)) for n, p in enumerate(made)]
    fresh = msgspec.structs.replace(losers[0], name="fresh", equity_micro=Usdc(100_000_000), realized_pnl_micro=Usdc(0))
    assert [p.name for p in side_by_side([*losers, fresh], ())] == ["p04", "p05", "p06", "p07", "p08"]


def test_an_address_of_a_portfolio_that_there_is_not_says_so_on_every_page(many: TestClient, database: Engine) -> None:
    with database.begin() as c:
        portfolios_store.archive(c, "p05", at=AT, by="test")
    for path in (
        "/",
        "/trades",
        "/orders",
        "/positions",
        "/leaders",
        f"/leaders/{LEADERS[0]}",
        "/portfolios",
        "/settings",
    ):
        for name in ("main", "p07"):
            assert "There is no portfolio" not in many.get(path, params={"portfolio": name}).text
        told = many.get(path, params={"portfolio": "p0777<"}).text
        assert 'There is no portfolio <span translate="no">p0777&lt;</span>' in told, path
        assert re.search(r'Did you mean <a href="[^"]*portfolio=p\d+" translate="no">p\d+</a>', told), path
        assert "There is no portfolio" not in many.get(path, params={"portfolio": "p05"}).text
    assert "is archived</b> and takes part no longer; what follows is of" in many.get("/?portfolio=p05").text
    assert "is archived</b>" not in many.get("/positions?portfolio=p05").text
    assert "<h2>1 archived portfolio</h2>" in many.get("/portfolios?status=archived").text


def test_a_file_of_a_portfolio_that_there_is_not_is_refused_by_name(many: TestClient) -> None:
    for path in ("/trades.csv?", "/trades.csv?by=fills&", "/orders.csv?", "/positions.csv?"):
        assert many.get(f"{path}portfolio=p07").status_code == 200
        refused = many.get(f"{path}portfolio=p0777")
        assert refused.status_code == 422
        assert "there is no portfolio 'p0777'; did you mean p" in refused.json()["detail"]


def test_profit_since_all_run_begins_with_what_each_was_worth_then(many: TestClient, database: Engine) -> None:
    def told(page: str) -> list[str]:
        line = page[page.index(">profit since all run</td>") :]
        return re.findall(r'class="num">(.*?) <small>', line[: line.index("</tr>")])

    with database.begin() as c:
        portfolios_store.add(c, "young", {}, at=AT + 1, by="test")
    page = many.get("/portfolios?with=young&with=p130").text
    assert [re.sub("<[^>]*>", "", one) for one in told(page)] == ["0.00", "0.00", "0.00"]
    assert "All 132 portfolios" in page
    assert re.search(r">▲</i> \+130\.00</span>", page[page.index(">profit since its start</td>") :])


def test_settings_that_differ_are_told_for_people(many: TestClient, database: Engine) -> None:
    changes = {"order_latency_ms": 1500, "paused": True, "per_trade_cap_usdc": 0, "fixed_usdc": 12.5}
    with database.begin() as c:
        settings_store.change(c, changes, at=AT, by="test", portfolio="p01")
    page = many.get("/portfolios?with=p01").text
    table = page[page.index('<section class="card gap" id="differ">') :]
    cells = re.findall(
        r'<td class="num">([^<]*)</td><td class="num">([^<]*)</td></tr>', table[: table.index("</table>")]
    )
    assert sorted(cells) == [("25", "12.5"), ("250", "no limit"), ("300", "1,500"), ("off", "on")]


def test_no_more_are_put_side_by_side_than_can_be_read(many: TestClient) -> None:
    page = many.get("/portfolios?" + "&".join(f"with=p{n:02}" for n in range(1, 100))).text
    assert beside(page) == ["main", *(f"p{n:02}" for n in range(1, 12))]
    assert "Put p130 beside the others" not in page


def test_archived_portfolios_are_a_list_of_their_own_where_there_are_many(many: TestClient, database: Engine) -> None:
    with database.begin() as c:
        for n in range(1, 11):
            portfolios_store.archive(c, f"p{n:02}", at=AT, by="test")
    page = many.get("/portfolios?status=archived&sort=name").text
    assert rows(page) == [f"p{n:02}" for n in range(1, 11)]
    assert "Put p01 beside" not in page
    assert "All 10 archived portfolios" in page
    assert "All 121 portfolios" in many.get("/portfolios").text


def test_the_file_has_all_that_match_in_the_order_of_the_page(many: TestClient) -> None:
    told = many.get("/portfolios.csv?q=p12&sort=profit")
    assert told.headers["content-type"].startswith("text/csv")
    found = list(csv.DictReader(io.StringIO(told.text)))
    assert [row["portfolio"] for row in found] == ["p12", *(f"p{n}" for n in range(120, 130))]
    assert (found[0]["profit_usdc"], found[0]["profit_percent"], found[0]["copies"]) == ("12", "12.0", "1")


def test_which_of_many_portfolios_a_page_is_about_is_chosen_from_a_list_without_a_script(many: TestClient) -> None:
    for path in ("/", "/trades?q=tide", "/orders", "/positions", "/leaders", f"/leaders/{LEADERS[0]}"):
        page = many.get(path, params=None).text
        form = page[page.index('<form class="picked"') :]
        form = form[: form.index("</form>")]
        assert form.count("<option") == 131, path
        assert '<option value="main" selected>' in form
        assert re.search(r'<label>Portfolio <select name="portfolio"', form)
        assert ('name="q" value="tide"' in form) == ("tide" in path)
        assert '<nav class="picker" aria-label="Portfolio">' not in page
    settings = many.get("/settings?portfolio=p07").text
    assert '<option value="p07" selected>' in settings
    assert '<option value="">All portfolios</option>' in settings


def test_rest_gives_portfolios_in_pages_and_by_words(many: TestClient) -> None:
    def names(query: str = "") -> list[str]:
        return [p["name"] for p in many.get(f"/api/v1/portfolios{query}").json()]

    assert len(names()) == 131
    assert names("?limit=2&offset=1") == ["p01", "p02"]
    assert names("?q=P13") == ["p13", "p130"]


def test_a_day_of_many_portfolios_tells_those_that_moved_most_and_what_the_others_came_to(database: Engine) -> None:
    with database.begin() as c:
        make(c, 30)
    lines = daily.summary(database, AT)
    told = [line.split(":")[0] for line in lines[1:-1] if "USDC" in line]
    assert told == ["main", "p30", "p29", "p28", "p27", "p26", "p04", "p03", "p02", "p01"]
    assert lines[-1] == f"and 21 more portfolios: +{sum(range(5, 26))}.00 together"


def test_the_foremost_of_many_are_main_the_best_and_the_worst_and_of_few_all(database: Engine) -> None:
    with database.begin() as c:
        make(c, 9)
        all_of_them = read_portfolios(c)
    assert foremost(all_of_them, 10) == all_of_them
    assert [p.name for p in foremost(all_of_them, 6)] == ["main", "p09", "p08", "p07", "p02", "p01"]


def test_an_event_of_the_stream_has_main_and_the_chosen_of_many_portfolios(database: Engine) -> None:
    with database.begin() as c:
        make(c, MOST_PORTFOLIOS)
        all_of_them = read_portfolios(c)
    some = all_of_them[:MOST_PORTFOLIOS]
    assert _status(Snapshot(portfolios=some), "p07")["portfolios"] == some
    told = _status(Snapshot(portfolios=all_of_them), "p07")["portfolios"]
    assert told == [p for p in all_of_them if p.name in ("main", "p07")]


def test_what_all_tabs_show_is_read_less_often_where_it_costs_much() -> None:
    assert [pause_after(cost, EVERY) for cost in (0.002, 0.1, 60.0)] == [EVERY, 1.0, LONGEST]


def test_a_terminal_shows_some_of_many_portfolios_and_a_pipe_all(database: Engine, tmp_path: Path) -> None:
    with database.begin() as c:
        make(c, 40)
        c.execute(insert(t.worker_status).values(name="worker", at=AT, data={}))
    env = environment(tmp_path, NO_COLOR="1")
    piped = processes.run("status", cwd=tmp_path, env=env).stdout
    assert len(re.findall(r"^(?:main|p\d+) ", piped, re.M)) == 41
    shown = at_terminal(
        lambda tty: processes.start("status", cwd=tmp_path, env=env, stdout=tty, stderr=tty), columns=90
    )
    told = re.findall(r"^(main|p\d+) ", shown, re.M)
    assert told == ["main", *(f"p{n}" for n in range(40, 30, -1)), *(f"p{n:02}" for n in range(9, 0, -1))]
    assert "21 more: pilotfish portfolio list" in " ".join(shown.split())


@pytest.fixture
def decided(database: Engine) -> Engine:
    """Trades on which main decided, and on the first of them 130 others: a third of them for another reason."""
    bench_pages.fill_database(database, 20)
    d = t.decisions
    with database.begin() as c:
        row = dict(c.execute(select(d).where(d.c.trade_id == 1)).one()._mapping)
        for n in range(1, 131):
            reason = "SKIP_SPREAD" if n % 3 == 0 else row["reason"]
            c.execute(insert(t.portfolios).values(name=f"p{n:03}", bankroll_micro=1, created_at=AT))
            c.execute(insert(d).values({**row, "id": 1_000 + n, "portfolio": f"p{n:03}", "reason": reason}))
    return database


def test_what_many_portfolios_decided_on_a_trade_is_told_in_groups(decided: Engine) -> None:
    with TestClient(server.build(decided, NOWHERE), base_url="http://127.0.0.1:8080") as client:
        told = client.get("/parts/trade/1?portfolio=p007").text
        assert re.findall(r'<section class="card verdict"><div class="head"><h2[^>]*>([^<]+)', told) == ["p007", "main"]
        assert "129 other portfolios" in told
        others = told[told.index('id="others"') :]
        groups = re.findall(r"</span> (\d+)</dt><dd>(.*?)</dd>", others[: others.index("</section>")])
        assert [n for n, _ in groups] == ["86", "43"]
        assert ["p003" in names for _, names in groups] == [False, True]
        assert groups[0][1].endswith("<span>and 74 more</span>")
        assert len(client.get("/api/v1/trades/1").json()["decisions"]) == 131
    with snapshot(decided) as c:
        few, many = (statements(c, partial(read_trade, trade_id=n, whole=("main",))) for n in (2, 1))
    assert few == many


def test_a_terminal_tells_why_in_groups_and_a_pipe_whole(decided: Engine, tmp_path: Path) -> None:
    env = environment(tmp_path, NO_COLOR="1")
    words = ("trades", "--why", "1", "--portfolio", "p007")
    piped = processes.run(*words, cwd=tmp_path, env=env).stdout
    assert len(re.findall(r"^(?:main|p\d{3}): ", piped, re.M)) == 131
    shown = at_terminal(lambda tty: processes.start(*words, cwd=tmp_path, env=env, stdout=tty, stderr=tty), columns=100)
    assert re.findall(r"^(main|p\d{3}): ", shown, re.M) == ["main", "p007"]
    assert re.search(r"129 more portfolios: 86 [^,]+, 43 skipped: spread; pilotfish trades", " ".join(shown.split()))
    listed = processes.run("trades", "--limit", "20", cwd=tmp_path, env=env).stdout
    assert re.search(r"87 [^,]+, 43 skipped: spread", listed)
    assert "p003" not in listed


async def test_a_page_about_a_portfolio_that_was_just_made_knows_it(tmp_path: Path) -> None:
    database = fresh_database(tmp_path / "x.db")
    with database.begin() as c:
        make(c, 2)
    reader = Reader(database, every=3_600.0, looked_at_for=3_600.0)
    reading = asyncio.create_task(reader.run())
    try:
        known = await reader.knowing("p01")
        with database.begin() as c:
            portfolios_store.add(c, "just made", {}, at=AT, by="test")
        assert await reader.knowing("p02") is known
        assert await reader.knowing("there is none") is known
        found = await reader.knowing("just made")
        assert [p.name for p in found.portfolios] == ["main", "p01", "p02", "just made"]
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
