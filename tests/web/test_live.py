"""An open page shows what changes by itself, and takes nothing from the person who uses it meanwhile."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.rig import Pilot, Stand, rig
from tests.web.chromium import Watched, window

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stand, Pilot, str, list[str]]]:
    with rig(tmp_path_factory.mktemp("live"), admin_token=TOKEN, max_spread_bps=1200) as (stand, pilot):
        tokens = [stand.market(question=f"Will number {n} come up?") for n in range(12)]
        pilot.follow()
        pilot.start()
        address = pilot.start_web()
        for token in tokens[:10]:
            stand.fill(token, "BUY", 100, 0.50)
        pilot.fills(10)
        yield stand, pilot, address, tokens


def test_focus_scroll_and_what_was_unfolded_survive_an_update(
    running: tuple[Stand, Pilot, str, list[str]], browser: Browser
) -> None:
    stand, _, address, tokens = running
    seen = window(browser, address)
    page = seen.open("/")
    feed = page.locator("#feed tbody")
    expect(feed).to_contain_text("number 0")
    page.set_viewport_size({"width": 1440, "height": 700})
    page.evaluate("document.getElementById('feed-scroll').style.maxHeight = '120px'")
    page.evaluate("document.getElementById('feed-scroll').scrollTop = 60")
    page.locator("#held tbody tr", has_text="number 3").get_by_role("link").first.focus()
    before = page.evaluate("document.activeElement.closest('tr').id")
    stand.fill(tokens[10], "BUY", 100, 0.50)
    expect(feed).to_contain_text("number 10")
    expect(page.locator("#held tbody")).to_contain_text("number 10")
    assert page.evaluate("document.activeElement.closest('tr').id") == before
    assert page.evaluate("document.getElementById('feed-scroll').scrollTop") > 0
    seen.clean()


def test_a_page_asks_only_for_what_it_does_not_have(running: tuple[Stand, Pilot, str, list[str]]) -> None:
    _, _, address, _ = running
    with urllib.request.urlopen(f"{address}/portfolios", timeout=10) as answer:
        whole = answer.read()
        policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert b'id="main"' in whole
    have: dict[str, str] = {}
    for _ in range(20):
        request = urllib.request.Request(f"{address}/portfolios", headers={"X-Live": json.dumps(have)})
        with urllib.request.urlopen(request, timeout=10) as answer:
            if answer.status == 204:
                break
            told = json.load(answer)
        assert set(told["parts"]) <= {*told["have"], "main"}
        have = told["have"]
    else:
        pytest.fail("a page that does not change always says that it has")
    nonsense = urllib.request.Request(f"{address}/portfolios", headers={"X-Live": "{"})
    with urllib.request.urlopen(nonsense, timeout=10) as answer:
        assert set(json.load(answer)["parts"]) == {"main"}


def test_a_monitor_that_asks_for_no_content_is_answered_alike(running: tuple[Stand, Pilot, str, list[str]]) -> None:
    _, _, address, _ = running
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/", 200), ("/api/v1/status", 200), ("/nowhere", 404)):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (status, b""), path
        assert int(answer.headers["content-length"]) > 0, path
        connection.request("GET", path)  # nothing of the first answer is left in between
        assert connection.getresponse().status == status, path
        connection.close()


def test_a_dashboard_that_went_away_is_said_and_found_again(
    running: tuple[Stand, Pilot, str, list[str]], browser: Browser
) -> None:
    _, _, address, _ = running
    seen = window(browser, address)
    page = seen.open("/")
    page.route("**/*", lambda route: route.abort())
    expect(page.get_by_text("The dashboard does not answer.")).to_be_visible()
    page.unroute("**/*")
    expect(page.get_by_text("The dashboard does not answer.")).to_have_count(0)


def with_help(browser: Browser, address: str) -> Watched:
    """A window in which the list of keys was asked for."""
    seen = window(browser, address)
    seen.open("/").keyboard.press("?")
    expect(seen.page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    return seen


def test_pages_open_by_the_keyboard_and_writing_opens_none(
    running: tuple[Stand, Pilot, str, list[str]], browser: Browser
) -> None:
    _, _, address, _ = running
    seen = with_help(browser, address)
    page = seen.page
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/settings")
    page.keyboard.press("/")
    page.keyboard.type("gt slippage")
    assert page.url.endswith("/settings")
    expect(page.get_by_label("Find a setting")).to_have_value("gt slippage")
    page.get_by_label("Find a setting").fill("slippage")
    expect(page.get_by_text("Slippage of a SELL", exact=True)).to_be_visible()
    expect(page.get_by_text("Widest spread", exact=True)).to_be_hidden()
    seen.clean()


def test_a_key_pressed_right_after_a_dialog_was_closed_counts(
    running: tuple[Stand, Pilot, str, list[str]], browser: Browser
) -> None:
    """A closed dialog keeps the focus until the browser gets round to it, and what is pressed meanwhile reaches it."""
    _, _, address, _ = running
    seen = with_help(browser, address)
    page = seen.page
    page.evaluate("""() => {
        const field = document.querySelector("dialog[open] [data-keys]");
        const press = (key) => field.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        press("g"); press("o");
        field.closest("dialog").close();
        press("g"); press("s");
    }""")
    page.wait_for_url("**/settings")
    seen.clean()
