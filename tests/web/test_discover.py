"""Discover in a real Chromium: from a form to a board with its progress, filters, and what can be done with a wallet;
cancelled, with hostile text, on a phone."""

from __future__ import annotations

import csv
import io
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, create_engine, delete

from pilotfish.backtest.one_wallet import Dropped
from pilotfish.core.settings import Value
from pilotfish.history.folder import History
from pilotfish.sim.past_people import Kind, crowd
from pilotfish.store import look_backs_store, searches_store
from pilotfish.store import tables as t
from pilotfish.store.jobs import At
from pilotfish.store.look_backs_store import Job
from pilotfish.store.searches_store import SearchJob, Wanted
from pilotfish.web import server
from pilotfish.web.telling import fell_out
from tests.found import FOUND, row
from tests.fresh import fresh_database
from tests.kept_past import DAY, kept_world
from tests.rig import Pilot, Stand, until
from tests.web.chromium import Watched, window

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
HOSTILE = '<img src=x onerror="window.hacked=1"><b>=cmd</b>'
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
PEOPLE = (*crowd(9, Kind.FLIPPER, 1, events=32), *crowd(9, Kind.SKILLED, 1, events=40, edge_ppm=600_000))
AT = 1_790_000_000_000_000
LONG = 300_000
"""Milliseconds that a search may take on a busy machine."""


@dataclass
class Desk:
    """A venue, a dashboard, and the histories of two people that are read already."""

    stand: Stand
    address: str
    browser: Browser
    database: Engine

    def seen(self, width: int = 1440, *, admin: bool = True) -> Watched:
        return window(self.browser, self.address, width, TOKEN if admin else "")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.address}{path}", timeout=10) as answer:
            return answer.read().decode()

    def keep(self, **more: Any) -> int:
        with self.database.begin() as c:
            return searches_store.keep(c, Wanted(), at=AT, by="test", found={**FOUND, **more})


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("discover")
    kept_world(History(str(folder / "history")), 9, PEOPLE, to_at=int(time.time()) // DAY * DAY)
    stand = Stand(folder, "--past", "10", "--paused", "--seed", "7")
    pilot = Pilot(folder, stand.urls, admin_token=TOKEN)
    try:
        address = pilot.start_web()
        database = create_engine(pilot.environment["DATABASE_URL"])
        yield Desk(stand, address, browser, database)
        database.dispose()
    finally:
        pilot.close()
        stand.close()


def test_where_nobody_was_searched_for_the_page_says_what_to_do(tmp_path: Path) -> None:
    database = fresh_database(tmp_path / "x.db")
    nowhere: dict[str, Value] = dict.fromkeys(("data_api_url", "gamma_api_url"), "http://127.0.0.1:9")
    with TestClient(server.build(database, nowhere), base_url="http://127.0.0.1:8080") as client:
        shown = client.get("/discover").text
        assert "Nobody was searched for yet" in shown
        assert "pilotfish discover --budget 5000" in shown
        assert client.get("/discover?search=7").status_code == 404
    database.dispose()


def ask(page: Page, wallets: str = "", budget: str = "0") -> None:
    form = page.locator("#ask form")
    form.get_by_label("Whom").select_option("wallets" if wallets else "leaderboard")
    if wallets:
        form.get_by_label("Wallets, one a line").fill(wallets)
    form.get_by_label("Requests, at most").fill(budget)
    form.get_by_label("Days").fill("60")
    form.get_by_role("button", name="Search").click()


def test_from_the_form_to_the_board_and_from_there_to_a_look_back_and_to_following(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/discover")
    expect(page.get_by_label("Wallets, one a line")).to_be_hidden()
    ask(page, "nobody at all")
    expect(page.locator("#ask [data-wrong]")).to_contain_text("line 1: 'nobody at all' is not a wallet")
    ask(page)
    expect(page.locator("#ask [data-wrong]")).to_contain_text("takes requests, and none are allowed")
    ask(page, "\n".join(f"{person.wallet},{person.name}" for person in PEOPLE))
    lines = page.locator("table.board tbody tr")
    expect(lines).to_have_count(2, timeout=LONG)

    (listed,) = json.loads(desk.get("/api/v1/searches"))["data"]
    answer = json.loads(desk.get(f"/api/v1/searches/{listed['id']}"))["result"]
    expect(page.locator("#answer .finding")).to_have_text(answer["why"])
    expect(page.locator("#answer .rank")).to_have_text(answer["past_rank"]["words"])
    steps = page.locator("#funnel li")
    expect(steps).to_have_count(6)
    for n, step in enumerate(answer["funnel"]):
        expect(steps.nth(n)).to_contain_text(f"{step['wallets']}{step['words']}")
    best = answer["rows"][0]
    expect(lines.first).to_contain_text(best["name"])
    lines.first.locator("summary").click()
    expect(lines.first).to_contain_text(best["why"])

    with desk.stand.holding("data/v2/activity"):
        lines.first.get_by_role("button", name="Look back").click()
        expect(lines.first.get_by_role("link", name="… looking back")).to_be_visible()
        (look_back,) = json.loads(desk.get("/api/v1/look-backs"))["data"]
        assert (look_back["wallet"], look_back["days"]) == (best["wallet"], 60)
        page.request.post(
            f"{desk.address}/api/v1/look-backs/{look_back['id']}/cancel", headers={"Authorization": f"Bearer {TOKEN}"}
        )
    expect(lines.first.get_by_role("button", name="Look back")).to_be_visible()
    lines.first.get_by_role("button", name="Follow on paper").click()
    expect(lines.first.get_by_role("link", name="Their page")).to_be_visible()
    seen.wrong = [w for w in seen.wrong if "400" not in w]
    seen.clean()


def test_a_search_shows_how_far_it_is_and_is_cancelled_where_it_is_shown(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/discover")
    with desk.stand.holding("data/v2/activity"):
        ask(page, "", "100")
        going = page.locator("#going section")
        expect(going.locator("progress")).to_be_visible()
        expect(going).to_contain_text("step 2 of 4: reading what they did", timeout=LONG)
        going.get_by_role("button", name="Cancel search").click()
        expect(going).to_have_count(0)
    first = page.locator("#searches tbody tr").first
    expect(first.locator(".chip")).to_have_text("– cancelled")
    first.get_by_role("link").click()
    expect(page.locator("#answer")).to_contain_text("the same search goes on from there")
    with desk.stand.holding("data/v2/activity"):
        page.get_by_role("button", name="Search again").click()
        expect(page.locator("#going section")).to_contain_text("the leaderboards, 60 days, at most 100 requests")
        page.locator("#going").get_by_role("button", name="Cancel search").click()
        expect(page.locator("#going section")).to_have_count(0)
    seen.clean()


ABOUT = "about 2 min left in this step"


def test_what_runs_says_about_how_long_its_step_takes_once_that_can_be_told(tmp_path: Path) -> None:
    database = fresh_database(tmp_path / "x.db")
    nowhere: dict[str, Value] = dict.fromkeys(("data_api_url", "gamma_api_url"), "http://127.0.0.1:9")
    with TestClient(server.build(database, nowhere), base_url="http://127.0.0.1:8080") as client:
        for left, told in ((None, False), (118, True)):
            with database.begin() as c:
                number = searches_store.ask(c, Wanted(days=30 if left else 31), at=AT, by="test")
                searches_store.JOBS.take(c, SearchJob, AT)
                searches_store.JOBS.progress(c, number, At("history", 3, 70, 412, left))
                look_backs_store.ask(c, PEOPLE[0].wallet, name="", days=9, values={}, at=AT, by="test")
                taken = look_backs_store.JOBS.take(c, Job, AT)
                if taken is not None:
                    look_backs_store.JOBS.progress(c, taken[0], At("tape", 3, 70, 412, left))
            until("it is told", lambda told=told: (ABOUT in client.get("/discover").text) == told)  # type: ignore[misc]
            shown = client.get("/discover").text
            assert "step 3 of 4: reading the rest of their pasts, 3 of 70 · 412 requests" in shown
            assert "A look back goes first" in shown
            assert (ABOUT in shown) == told
        with database.begin() as c:
            look_backs_store.JOBS.progress(c, 1, At("tape", 3, 70, 412, 35))
        about = "3 of 70 · 412 requests · about 40 s left in this step"
        until("that is told", lambda: about in client.get("/look-backs").text)
    database.dispose()


def test_filters_change_what_is_shown_and_the_file_and_not_the_answer(desk: Desk) -> None:
    number = desk.keep()
    seen = desk.seen(admin=False)
    page = seen.open(f"/discover?search={number}")
    lines = page.locator("table.board tbody tr")
    expect(lines.locator("summary")).to_have_text(["✓ Copyable", "? Cannot tell", "✗ Not copyable"])
    for name, value, left in (("verdict", "cannot_tell", 1), ("category", "sports", 2), ("least", "0.0", 1)):
        page.locator(f"select[name={name}]").select_option(value)
        expect(lines).to_have_count(left)
        page.locator(f"select[name={name}]").select_option("")
        expect(lines).to_have_count(3)
    page.get_by_label("Events, at least").fill("40")
    page.get_by_role("button", name="Show").click()
    expect(lines).to_have_count(2)
    expect(page.locator(".pager").first).to_contain_text("2 of 2 shown, of 3 on the board")
    expect(page.locator("#answer .finding")).to_have_text(FOUND["why"])
    expect(page.locator("#funnel li").nth(1)).to_contain_text("5 no trades")
    link = page.get_by_role("link", name="CSV").get_attribute("href")
    found = list(csv.DictReader(io.StringIO(desk.get(link or ""))))
    assert [(one["place"], one["came_back"], one["low"]) for one in found] == [("1", "1.05", "1.04"), ("3", "1.05", "")]
    page.get_by_label("Events, at least").fill("9999")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#lines")).to_contain_text("Nobody like that")
    seen.clean()


def test_a_board_of_many_is_shown_in_pages_the_best_first(desk: Desk) -> None:
    rows = [row(place, "cannot_tell", 0.5 - place / 100) for place in range(1, 41)]
    number = desk.keep(rows=rows, tested=40)
    seen = desk.seen(admin=False)
    page = seen.open(f"/discover?search={number}&category=sports")
    expect(page.locator("table.board tbody tr")).to_have_count(25)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("table.board tbody tr")).to_have_count(15)
    expect(page.locator("table.board tbody tr").first).to_contain_text("Person 26")
    page.get_by_role("link", name="Best").click()
    expect(page.locator("table.board tbody tr").first).to_contain_text("Person 1")
    seen.clean()


def test_other_peoples_text_stays_text_and_gaps_in_histories_are_said_first(desk: Desk) -> None:
    number = desk.keep(
        why=HOSTILE, problems=[HOSTILE], incomplete=1, past_rank={"words": HOSTILE, "correlation": None},
        funnel=[{"step": HOSTILE, "words": HOSTILE, "wallets": 0, "dropped": {HOSTILE: 2}}],
        rows=[row(1, HOSTILE[:16], None, name=HOSTILE, why=HOSTILE, flags=[HOSTILE], incomplete=HOSTILE,
                  category=HOSTILE)],
    )  # fmt: skip
    seen = desk.seen()
    page = seen.open(f"/discover?search={number}")
    expect(page.locator("#answer .banner")).to_contain_text("of 1 of 3 wallets the history has gaps")
    expect(page.locator("table.board tbody tr")).to_contain_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("#main img").count() == 0
    assert HOSTILE in [one["name"] for one in csv.DictReader(io.StringIO(desk.get(f"/discover/{number}/board.csv")))]
    seen.clean()


def test_who_was_not_asked_is_told_with_what_the_requests_went_into(desk: Desk) -> None:
    of = ("enough_trades", "history_known")
    number = desk.keep(
        funnel=[{"step": s, "words": s, "wallets": 1, "dropped": {Dropped.NOT_ASKED: 332}} for s in of],
        problems=[f"0x1: {Dropped.NOT_ASKED}: 90 requests are needed, 3 are left"],
    )  # fmt: skip
    seen = desk.seen()
    page = seen.open(f"/discover?search={number}")
    for n, step in enumerate(of):
        expect(page.locator("#funnel li").nth(n)).to_contain_text(f"332 {fell_out(Dropped.NOT_ASKED, step)}")
    expect(page.locator("#funnel .others")).to_have_text("0x1: too few requests: 90 requests are needed, 3 are left")
    seen.clean()


def test_what_another_version_found_is_said_and_breaks_no_page(desk: Desk) -> None:
    number = desk.keep(funnel="later")
    seen = desk.seen()
    page = seen.open(f"/discover?search={number}")
    expect(page.locator("#answer")).to_contain_text("another version of pilotfish wrote it")
    expect(page.locator("#answer .finding")).to_have_text(FOUND["why"])
    seen.clean()


def test_who_is_not_signed_in_is_told_what_could_be_done_there(desk: Desk) -> None:
    number = desk.keep()
    seen = desk.seen(admin=False)
    page = seen.open(f"/discover?search={number}")
    expect(page.locator("#ask")).to_contain_text("pilotfish discover --budget")
    expect(page.locator("p.could")).to_contain_text("Sign in to search from here")
    for name in ("Look back", "Follow on paper", "Search", "Cancel"):
        expect(page.locator("#main").get_by_role("button", name=name)).to_have_count(0)
    seen.clean()


@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_fits_a_phone_and_is_accessible(desk: Desk, width: int) -> None:
    number = desk.keep()
    seen = desk.seen(width)
    with desk.database.begin() as c:
        c.execute(delete(t.searches).where(t.searches.c.state != "done"))
    page = seen.open(f"/discover?search={number}")
    page.get_by_label("Whom").select_option("wallets")
    page.locator("details").first.locator("summary").click()
    seen.clean()
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
