"""A dashboard of many portfolios in a real Chromium: the one to look at is chosen by keys alone and without a script,
few are side by side, and all pages are readable and fit a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from sqlalchemy import insert

from pilotfish.store import leaders_store, portfolios_store
from pilotfish.store import tables as t
from pilotfish.store.database import open_database
from tests.rig import Pilot
from tests.unit.test_portfolio_list import AT, LEADERS, make
from tests.web.chromium import window
from tests.web.test_pages import _nameless, _small

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
LONG = "W" * 40
"""The name of a portfolio, as long as it may be."""
PAGES = (
    "/", "/portfolios", f"/portfolios?sort=name&with={LONG}", "/settings", f"/settings?leader={LEADERS[0]}",
    "/positions", "/trades", "/orders", "/leaders", f"/leaders/{LEADERS[0]}",
)  # fmt: skip
WIDER = """() => {
  document.querySelectorAll('#whom details').forEach((one) => { one.open = true; });
  const rows = [...document.querySelectorAll('table.rows, #whom')].map((one) => one.parentElement);
  return [document.documentElement, ...rows].filter((one) => one.scrollWidth > one.clientWidth)
    .map((one) => `${one.tagName} #${one.id} ${one.scrollWidth} > ${one.clientWidth}`);
}"""
"""What is wider than its place: the page, or a list whose rows are read one after the other."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard over main and 130 other portfolios, which made the more the higher their numbers are, and one of a
    long name, which lost; one leader's name is as long as it may be, too."""
    folder = tmp_path_factory.mktemp("many")
    database = open_database(f"sqlite:///{folder / 'pilotfish.db'}")
    with database.begin() as c:
        make(c, 130)
        leaders_store.rename(c, LEADERS[0], "W" * 200, AT, by="test")
        portfolios_store.add(c, LONG, {}, at=AT, by="test")
        worth = dict.fromkeys(("equity_micro", "cash_micro"), 9_000_000_000)
        rest = dict.fromkeys(("positions_value_micro", "cost_micro", "realized_pnl_micro", "unrealized_pnl_micro"), 0)
        row = {"portfolio": LONG, "at": AT, "fees_micro": 0, "open_positions": 3, **worth, **rest}
        c.execute(insert(t.equity_snapshots).values(row))
    database.dispose()
    pilot = Pilot(folder, {}, admin_token=TOKEN)
    try:
        yield pilot.start_web()
    finally:
        pilot.close()


def test_a_portfolio_is_chosen_of_many_by_keys_alone(browser: Browser, address: str) -> None:
    seen = window(browser, address)
    page = seen.open("/trades?q=tide")
    chosen = page.get_by_role("combobox", name="Portfolio")
    chosen.focus()
    page.keyboard.type("p07")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**portfolio=p07*")
    expect(page.get_by_role("combobox", name="Portfolio")).to_have_value("p07")
    expect(page.get_by_label("Market", exact=True)).to_have_value("tide")
    page.get_by_role("link", name="Positions").first.click()
    expect(page.get_by_role("combobox", name="Portfolio")).to_have_value("p07")
    seen.clean()


def test_a_portfolio_is_chosen_of_many_without_a_script(browser: Browser, address: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}/settings")
    page.get_by_role("combobox", name="For").select_option("p130")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/settings?portfolio=p130")
    expect(page.get_by_role("combobox", name="For")).to_have_value("p130")


def test_one_of_many_portfolios_is_found_and_put_beside_the_others(browser: Browser, address: str) -> None:
    seen = window(browser, address)
    page = seen.open("/portfolios")
    heads = page.locator("#table thead th")
    expect(heads).to_have_text(["main", "p126", "p127", "p128", "p129", "p130"])
    page.get_by_label("Name", exact=True).fill("p01")
    page.get_by_role("button", name="Find").click()
    rows = page.locator("#list-rows tbody tr")
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name="Put p01 beside the others").click()
    expect(heads).to_have_text(["main", "p01", "p126", "p127", "p128", "p129", "p130"])
    rows.get_by_role("link", name="Take p01 away from the others").click()
    expect(heads).to_have_count(6)
    page.get_by_role("link", name="Clear").click()
    page.get_by_role("link", name="worst drawdown").click()
    expect(page.locator("#list-rows th[aria-sort=descending]")).to_contain_text("worst drawdown")
    expect(rows).to_have_count(50)
    seen.clean()


def test_a_zero_that_means_no_limit_says_so_only_while_it_is_zero(browser: Browser, address: str) -> None:
    seen = window(browser, address, token=TOKEN)
    page = seen.open("/settings?portfolio=p02")
    field, meaning = page.locator("input[name=max_copy_usdc]"), page.locator("[data-setting=max_copy_usdc] [data-zero]")
    for value, shown in (("50", False), ("0", True)):
        field.fill(value)
        field.press("Enter")
        expect(meaning).to_be_visible(visible=shown)
    seen.clean()


@pytest.mark.parametrize("width", [1440, 360])
def test_every_page_of_many_portfolios_is_readable_and_fits(browser: Browser, address: str, width: int) -> None:
    seen = window(browser, address, width, TOKEN)
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
    for path in PAGES:
        page = seen.open(path)
        found = Axe().run(page, options=rules).response["violations"]
        assert [(v["id"], n["html"][:120]) for v in found for n in v["nodes"]] == [], path
        assert _nameless(page) == []
        assert page.evaluate(WIDER) == [], path
        if width == 360 and not path.startswith("/leaders/"):  # their link to the venue is a word of text
            assert _small(page) == []
        seen.clean()


def test_a_portfolio_that_was_just_made_is_the_one_looked_at_and_beside_the_others(
    browser: Browser, address: str
) -> None:
    seen = window(browser, address, token=TOKEN)
    page = seen.open("/portfolios")
    page.get_by_label("Like").select_option("p07")
    page.get_by_label("Its name").fill("just made")
    page.get_by_role("button", name="Duplicate").click()
    page.wait_for_url("**/portfolios?portfolio=just%20made")
    made_later = ["main", "p127", "p128", "p129", "p130"]  # their clock is ahead
    expect(page.locator("#table thead th")).to_have_text(["just made", *made_later])
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Settings").click()
    expect(page.get_by_role("combobox", name="For")).to_have_value("just made")
    seen.clean()
