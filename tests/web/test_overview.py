"""The overview in a real Chromium: it answers its questions, stays whole at 360 px, and asks nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.rig import rig
from tests.web.chromium import window

HOSTILE = '<img src=x onerror="window.hacked=1"> =cmd'


@pytest.mark.slow
def test_the_overview_answers_its_questions(tmp_path: Path, browser: Browser) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market(question=HOSTILE)
        other = stand.market(question="Will the tide turn?")
        stand.book(other, bids=[(0.20, 1000)], asks=[(0.60, 1000)])
        address = pilot.start_web()
        seen = window(browser, address)
        page = seen.open("/")
        page.get_by_text("No worker has run yet.").wait_for()

        pilot.start()
        page.get_by_text("Whom would you copy?").wait_for()
        page.get_by_text("Nobody is followed yet").wait_for()
        pilot.follow()
        page.get_by_text("Nothing happened yet").wait_for()
        assert page.get_by_text("Whom would you copy?").count() == 0, "the page turned into the overview by itself"

        stand.fill(token, "BUY", 100, 0.50)
        stand.fill(other, "BUY", 100, 0.50)
        pilot.fills(1)
        page.locator(".feed .result", has_text="✓ filled").wait_for()
        page.get_by_text("– spread").wait_for()
        assert page.locator(".feed tbody tr").count() == 2
        page.locator(".held tbody tr").first.wait_for()
        assert page.locator(".held tbody tr").count() == 1
        assert HOSTILE in page.locator(".held .market").inner_text()
        assert page.evaluate("window.hacked") is None
        reason = page.locator(".feed .result .chip").first.get_attribute("title")
        assert reason is not None
        assert reason.startswith("SKIP_SPREAD: The spread is wider")
        for light in ("Mode: both", "Polygon", "Data API", "Order books", "Database"):
            assert page.locator(".light.ok", has_text=light).count() == 1, light
        assert "Simulated venue" in page.locator(".banner").first.inner_text()
        spread_paid = "document.querySelector('.figure.first .value').textContent === '9,999.50'"
        page.wait_for_function(spread_paid)
        assert page.locator("canvas").count() == 1
        page.wait_for_function("document.querySelector('time[data-ago]').textContent.endsWith('ago')")

        page.get_by_role("button", name="Switch between dark and light").click()
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark, "it stays so"

        narrow = window(browser, address, 360)
        narrow.open("/").locator(".feed tbody tr").first.wait_for()
        narrow.clean()

        pilot.stop()
        page.get_by_text("The worker is not running.").wait_for(timeout=15_000)
        seen.clean()
