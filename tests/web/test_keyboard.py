"""A whole visit by keys alone, in a real Chromium: nothing is pressed with a mouse, and nothing is given the focus but
by the keys that a person has. Wherever the focus goes it is seen, and it stays while the page changes by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.rig import WALLET, Pilot, Stand, rig, until
from tests.web.chromium import window
from tests.web.focus import HERE, SEEN

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
SPREAD, TIDE = "Will it rain?", "Will the tide turn?"
MOST_TABS = 250
"""More than any page has places to stop at."""


@dataclass
class Hands:
    """Somebody at the keyboard."""

    page: Page

    def press(self, *keys: str) -> None:
        """Some keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        """Write where the focus is."""
        self.page.keyboard.type(text)

    def here(self) -> str:
        """What has the focus, by its name."""
        return str(self.page.evaluate(HERE))

    def seen(self) -> None:
        """The focus is drawn, within the window, and nothing covers it."""
        assert self.page.evaluate(SEEN) == [True, True, True], self.page.evaluate("document.activeElement.outerHTML")[
            :300
        ]

    def to(self, name: str, key: str = "Tab") -> None:
        """Go on with Tab until what has that name has the focus; the focus is seen all the way."""
        wanted = re.compile(name)
        for _ in range(MOST_TABS):
            self.press(key)
            if self.here():
                self.seen()
            if wanted.fullmatch(self.here()):
                return
        raise AssertionError(f"{name!r} is not reached with {key} at {self.page.url}")

    def stops(self) -> int:
        """Go once through all of the page; returns at how many places the focus stopped. The last is followed by none,
        and so is what a trap would never leave."""
        for count in range(MOST_TABS):
            self.press("Tab")
            if not self.here():
                return count
            self.seen()
        raise AssertionError(f"there is no end of {self.page.url}")


@pytest.fixture(scope="module")
def traded(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stand, Pilot, str]]:
    """A desk on which one BUY was copied and one was skipped."""
    with rig(tmp_path_factory.mktemp("keys"), admin_token=TOKEN, max_spread_bps=1200) as (stand, pilot):
        tide, spread = stand.market(question=TIDE), stand.market(question=SPREAD)
        stand.book(spread, bids=[(0.20, 1000)], asks=[(0.60, 1000)])
        pilot.cli("leaders", "add", WALLET, "--label", "The tide", "--no-record")
        pilot.start()
        address = pilot.start_web()
        stand.fill(spread, "BUY", 100)
        stand.fill(tide, "BUY", 100)
        pilot.fills(1)
        until("both are decided", lambda: len(pilot.export("decisions")) == 2)
        yield stand, pilot, address


def test_a_whole_visit_by_keys_alone(traded: tuple[Stand, Pilot, str], browser: Browser) -> None:
    stand, pilot, address = traded
    seen = window(browser, address)
    page = seen.page
    hands = Hands(page)
    (tide,) = pilot.held()

    # sign in
    seen.open("/")
    hands.to("Sign in")
    hands.press("Enter")
    page.wait_for_url("**/login**")
    hands.seen()
    hands.write(TOKEN)
    hands.press("Enter")
    page.get_by_role("button", name="Sign out").wait_for()

    # add a leader by name, and read who that is
    hands.press("g", "l")
    page.wait_for_url("**/leaders")
    name = stand.get("")["leaders"][0]["label"]
    hands.to("Wallet, profile URL or user name")
    hands.write(f"@{name}")
    hands.press("Enter")
    expect(page.locator("[data-shown]").get_by_role("heading", name=name)).to_be_visible()
    hands.to("Follow on paper")
    hands.press("Enter")
    expect(page.locator(".toast")).to_contain_text(f"{name} is followed from now on")
    assert hands.here() == "Wallet, profile URL or user name"
    hands.seen()
    expect(page.locator("tbody.followed tr")).to_have_count(2)

    # read the verdict of a leader; what has the focus keeps it while their trades come in
    hands.to("The tide")
    hands.press("Enter")
    page.wait_for_url(f"**/leaders/{WALLET}")
    expect(page.locator("#finding")).to_contain_text("Copying The tide:")
    hands.to("spread")
    trades = int(page.locator("#figures .value").first.inner_text())
    stand.fill(tide, "BUY", 10)
    expect(page.locator("#figures .value").first).to_have_text(str(trades + 1))
    assert hands.here() == "spread"
    hands.seen()

    # from a reason to its trade, and its trace
    hands.press("Enter")
    page.wait_for_url("**reason=SKIP_SPREAD**")
    hands.to("– spread")
    hands.press("Enter")
    drawer = page.locator("dialog.drawer")
    expect(drawer.locator(".trace .no")).to_contain_text("failed")
    hands.seen()
    hands.to("Identifiers")
    hands.press("Enter")
    hands.to("Copy the wallet")
    hands.press("Escape")
    expect(drawer).to_have_count(0)
    assert hands.here() == "– spread"
    hands.seen()

    # close a position
    hands.press("g", "p")
    page.wait_for_url("**/positions")
    hands.to(f"Close {re.escape(TIDE)}, Yes")
    hands.press("Enter")
    expect(page.locator("dialog.ask h2")).to_have_text("Close this position?")
    expect(page.get_by_role("button", name="Sell 100.00 shares")).to_be_focused()
    hands.seen()
    hands.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    assert hands.here() == f"Close {TIDE}, Yes"
    assert len(pilot.held()) == 1, "Escape sells nothing"
    hands.press("Enter")
    expect(page.get_by_role("button", name="Sell 100.00 shares")).to_be_focused()
    hands.press("Enter")
    row = page.locator("table.positions tbody tr")
    expect(row).to_contain_text("↩ sold")
    assert page.evaluate("document.activeElement.closest('tr').id") == row.get_attribute("id")
    hands.seen()

    # export what was sold
    hands.to("Closed", "Shift+Tab")
    hands.press("Enter")
    page.wait_for_url("**status=closed**")
    hands.to("CSV")
    with page.expect_download() as found:
        hands.press("Enter")
    assert TIDE in Path(found.value.path()).read_text()

    # search among wallets that are named, and read what was found
    hands.press("g", "d")
    page.wait_for_url("**/discover")
    hands.to("Whom.*")
    hands.press("End")
    hands.to("Wallets, one a line, or CSV, or JSON")
    hands.write(WALLET)
    hands.press("Tab")
    hands.seen()
    hands.press("Enter")
    expect(page.locator("#answer .finding")).to_contain_text("None of 1 wallet could be looked back at")
    hands.to("search 1")
    hands.press("Enter")
    page.wait_for_url("**/discover?search=1")

    # find a setting, change it, and take the change back
    hands.press("g", "s")
    page.wait_for_url("**/settings")
    hands.press("/")
    assert hands.here() == "Find a setting"
    hands.seen()
    hands.write("fixed amount")
    hands.to(r"Fixed amount for each order \(fixed_usdc\)")
    hands.press("ControlOrMeta+a")
    hands.write("12")
    hands.press("Enter")
    note = page.locator("form[data-setting=fixed_usdc] [data-source]")
    expect(note).to_have_text("dashboard")
    assert hands.here().startswith("Fixed amount")
    hands.to("Undo")
    hands.press("Enter")
    expect(note).to_have_text("default")
    expect(page.locator(".toast", has_text="is saved")).to_have_count(1)
    hands.to(r"Fixed amount for each order \(fixed_usdc\)", "Shift+Tab")

    # reset
    hands.to("Find a setting", "Shift+Tab")
    hands.press("ControlOrMeta+a", "Delete")
    hands.to("Reset paper state")
    hands.press("Enter")
    expect(page.locator("dialog.ask")).to_be_visible()
    hands.seen()
    hands.write("RESET")
    hands.press("Enter")
    page.locator(".toast", has_text="The paper state is reset").wait_for()
    assert pilot.export("fills") == []
    assert hands.here() == "Reset paper state"

    # and out
    hands.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    hands.seen()
    hands.press("Enter")
    expect(page.locator("dialog")).to_have_count(0)
    assert hands.here() == "Reset paper state"
    hands.to("Sign out")
    hands.press("Enter")
    page.get_by_role("link", name="Sign in").wait_for()
    pilot.verify()
    seen.clean()


@pytest.mark.parametrize("width", [1440, 360])
@pytest.mark.parametrize("path", ["/", "/leaders", f"/leaders/{WALLET}", "/discover", "/trades", "/positions",
                                  "/orders", "/latency", "/portfolios", "/settings", "/login",
                                  "/api/docs"])  # fmt: skip
def test_wherever_tab_stops_it_is_seen_and_whatever_a_press_opens_a_key_opens_too(
    traded: tuple[Stand, Pilot, str], browser: Browser, path: str, width: int
) -> None:
    _, _, address = traded
    seen = window(browser, address, width, TOKEN)
    page = seen.open(path)
    page.wait_for_load_state("load")
    if path.startswith("/leaders/"):
        page.locator("#record .pairs").wait_for()
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    there = page.evaluate(
        "[...document.querySelectorAll('a[href],button,input,select,textarea,summary,[tabindex=\"0\"]')].filter((e) =>"
        " e.checkVisibility() && !e.disabled && e.type !== 'hidden').length"
    )
    begun = page.evaluate("document.activeElement !== document.body")  # a field to write into has the focus already
    assert begun + Hands(page).stops() == there, "each is reached once"
    mouse_only = page.evaluate(
        """[...document.querySelectorAll('tr[data-href],tr[data-open]')].filter((row) => {
             const to = row.dataset.href || row.dataset.open;
             const links = [...row.querySelectorAll('a')];
             return !links.some((a) => a.dataset.drawer === to || a.getAttribute('href') === to);
           }).concat([...document.querySelectorAll(
             '[data-post],[data-drawer],[data-close],[data-copy],[data-fold],[data-unfold],[data-unset]'
           )].filter((e) => !e.matches('button,a[href]'))).map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert mouse_only == []
    seen.clean()
