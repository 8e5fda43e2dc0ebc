"""Pages in the reader's own zone and manner of writing, over days with 23, 24 and 25 hours and a leap day."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from pilotfish.store import tables as t
from pilotfish.store.backup import backup
from pilotfish.store.refill import refill
from tests.fresh import fresh_database
from tests.rig import Pilot
from tests.story import play

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
MICRO = 1_000_000
INSTANTS = {
    "2026-03-29T00:59:59.250000Z": {
        "Europe/Berlin": "29.03.2026, 01:59:59,250",
        "America/New_York": "03/28/2026, 08:59:59.250 PM",
    },
    "2026-03-29T01:00:00.250000Z": {
        "Europe/Berlin": "29.03.2026, 03:00:00,250",
        "America/New_York": "03/28/2026, 09:00:00.250 PM",
    },
    "2026-10-25T00:30:00.000000Z": {
        "Europe/Berlin": "25.10.2026, 02:30:00,000",
        "America/New_York": "10/24/2026, 08:30:00.000 PM",
    },
    "2026-10-25T01:30:00.000000Z": {
        "Europe/Berlin": "25.10.2026, 02:30:00,000",
        "America/New_York": "10/24/2026, 09:30:00.000 PM",
    },
    "2026-03-08T06:59:59.000000Z": {
        "Europe/Berlin": "08.03.2026, 07:59:59,000",
        "America/New_York": "03/08/2026, 01:59:59.000 AM",
    },
    "2026-03-08T07:00:00.000000Z": {
        "Europe/Berlin": "08.03.2026, 08:00:00,000",
        "America/New_York": "03/08/2026, 03:00:00.000 AM",
    },
    "2024-02-29T23:30:00.000000Z": {
        "Europe/Berlin": "01.03.2024, 00:30:00,000",
        "America/New_York": "02/29/2024, 06:30:00.000 PM",
    },
}
"""Instants around changes of the clock and a leap day, and how two readers have them."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard over a story's database, in which some trades were made at those instants."""
    folder = tmp_path_factory.mktemp("reader")
    backup(play(3, minutes=6, deeds=60).database, folder / "x.backup")
    database = fresh_database(folder / "pilotfish.db")
    refill(database, folder / "x.backup")
    with database.begin() as c:
        ids = [row.id for row in c.execute(t.trades.select().order_by(t.trades.c.id.desc()).limit(len(INSTANTS)))]
        for number, iso in zip(ids, INSTANTS, strict=True):
            at = micros(iso)
            c.execute(update(t.trades).where(t.trades.c.id == number).values(traded_at=at))
    database.dispose()
    pilot = Pilot(folder, {}, admin_token=TOKEN)
    try:
        yield pilot.start_web()
    finally:
        pilot.close()


def micros(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * MICRO)


def reader(browser: Browser, locale: str, zone: str) -> Page:
    page = browser.new_context(locale=locale, timezone_id=zone, viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(30_000)
    return page


def opened(page: Page, address: str, path: str) -> Page:
    page.goto(address + path)
    page.locator("html[data-ready] #main").wait_for()
    return page


def get(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"{address}/api/v1{path}", timeout=10) as answer:
        return json.load(answer)


READERS = {"Europe/Berlin": "de-DE", "America/New_York": "en-US"}


@pytest.mark.parametrize("zone", READERS)
def test_instants_are_of_the_readers_zone_in_their_form_over_changes_of_the_clock(
    browser: Browser, address: str, zone: str
) -> None:
    page = opened(reader(browser, READERS[zone], zone), address, "/trades?by=fills")
    for iso, shown in INSTANTS.items():
        without = re.sub(r"[.,]\d{3}(?= |$)", "", shown[zone])
        utc = iso[:23].replace("T", " ") + " UTC"
        one = page.locator(f"#main time[datetime='{iso}']").first
        assert one.get_attribute("title") == f"{without} {zone}, {utc}"
    iso = list(INSTANTS)[1]
    shown = {name: re.sub(r"[.,]\d{3}(?= |$)", "", told) for name, told in INSTANTS[iso].items()}
    page.locator(f"tr:has(time[datetime='{iso}']) a[data-drawer]").first.click()
    block = page.locator(f"dialog time[datetime='{iso}']").first
    block.wait_for()
    assert block.inner_text() == shown[zone]
    assert block.get_attribute("title") == iso[:23].replace("T", " ") + " UTC"
    assert page.locator("footer[data-zone]").inner_text().startswith(f"Times are of {zone}; UTC is on hover")


def test_the_same_hour_twice_is_told_apart_by_utc_on_hover(browser: Browser, address: str) -> None:
    page = opened(reader(browser, "de-DE", "Europe/Berlin"), address, "/trades?by=fills")
    twice = [page.locator(f"#main time[datetime='2026-10-25T0{hour}:30:00.000000Z']").first for hour in (0, 1)]
    titles = [str(one.get_attribute("title")) for one in twice]
    assert [title.split(" Europe")[0] for title in titles] == ["25.10.2026, 02:30:00"] * 2
    assert [title.split(", ")[-1] for title in titles] == ["2026-10-25 00:30:00.000 UTC", "2026-10-25 01:30:00.000 UTC"]


GROUPS = {"de-DE": (".", ","), "fr-FR": ("\u202f", ","), "en-GB": (",", ".")}


@pytest.mark.parametrize("locale", GROUPS)
def test_numbers_are_written_as_the_readers_language_does_in_figures_and_sentences(
    browser: Browser, address: str, locale: str
) -> None:
    thousands, point = GROUPS[locale]
    plain = opened(reader(browser, "en-US", "UTC"), address, "/")
    page = opened(reader(browser, locale, "UTC"), address, "/")
    for place in (".figure .value", "#main .said, #main .verdict, .figure .note"):
        for one, other in zip(plain.locator(place).all(), page.locator(place).all(), strict=True):
            wanted = re.sub(
                r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+",
                lambda m: m[0].translate({ord(","): thousands, ord("."): point}),
                one.inner_text(),
            )
            assert other.inner_text() == wanted
    equity = page.locator(".figure .value").first.inner_text()
    assert re.search(rf"\d{re.escape(thousands)}\d{{3}}{re.escape(point)}\d\d", equity), equity
    footer = page.locator("footer[data-zone]").inner_text()
    assert (footer == "All times are UTC.") == (locale == "en-GB")
    assert ("type numbers with a point" in footer) == (locale != "en-GB")


def test_names_and_what_is_typed_or_copied_stay_as_they_are(browser: Browser, address: str) -> None:
    page = opened(reader(browser, "de-DE", "Europe/Berlin"), address, "/settings")
    text = page.locator("#main").inner_text()
    assert "1,000,000" in text
    assert page.locator("input[name=fixed_usdc], .setting:has(code:text-is('fixed_usdc')) .ctl b").first.is_visible()
    written = page.evaluate(
        """() => {
        const probe = document.createElement("div");
        probe.innerHTML = '<p>1,234.50 of 0.5, v0.1.0 at 127.0.0.1:8080, id 12.5x</p><code>0.5</code>'
          + '<a translate="no">Over 2.5</a><p data-as-typed>12.5</p>';
        document.body.append(probe);
        return new Promise((told) => setTimeout(() => told([...probe.children].map((e) => e.textContent))));
        }"""
    )
    assert page.evaluate("['2028-02-29', '1,000'].map(reader.label)") == ["29.02.2028", "1.000"]
    assert written == ["1.234,50 of 0,5, v0.1.0 at 127.0.0.1:8080, id 12.5x", "0.5", "Over 2.5", "12.5"]


def test_what_changes_by_itself_stays_in_the_readers_manner(browser: Browser, address: str) -> None:
    page = opened(reader(browser, "de-DE", "Europe/Berlin"), address, "/")
    before = page.locator(".figure .value").all_inner_texts()
    page.evaluate("document.getElementById('live').dataset.have = '{}'")
    with page.expect_response(lambda answer: answer.request.headers.get("x-live") is not None and answer.ok) as found:
        pass
    found.value.finished()
    page.wait_for_function("document.getElementById('live').dataset.have !== '{}'")
    assert page.locator(".figure .value").all_inner_texts() == before


def test_days_are_of_utc_wherever_the_reader_is(browser: Browser, address: str) -> None:
    leader = get(address, "/leaders")[0]["wallet"]
    page = opened(reader(browser, "en-US", "America/Los_Angeles"), address, f"/leaders/{leader}")
    card = page.locator("section:has(.note:text('days in UTC'))")
    card.locator(".chart canvas").wait_for()
    options = json.loads(str(card.locator(".chart").get_attribute("data-chart")))
    points = [point for line in options["series"] for point in line["data"]]
    assert points
    assert all(point[0] % 86_400_000 == 0 for point in points)
    assert options["useUTC"] is True


def test_a_sentence_tells_an_instant_as_exactly_as_a_person_needs(browser: Browser, address: str) -> None:
    told = "() => [...document.querySelectorAll('time[data-clock]')].map(t => [t.dataset.clock, t.textContent])"
    page = opened(reader(browser, "en-US", "America/New_York"), address, "/portfolios")
    written = page.evaluate(
        """() => ['minute', 'second', 'milli'].map((to) => reader.instant('2026-03-29T00:59:59.250000Z', to))"""
    )
    assert written == ["03/28/2026, 08:59 PM", "03/28/2026, 08:59:59 PM", "03/28/2026, 08:59:59.250 PM"]
    page = opened(page, address, "/positions?status=all")
    page.locator("tr[data-open] td.num").first.click()
    page.locator("dialog time[data-clock]").first.wait_for()
    shown = [tuple(one) for one in page.evaluate(told)]
    assert {to for to, _ in shown} <= {"minute", "second"}
    assert [text for _, text in shown if re.search(r"\.\d{3}", text)] == []
