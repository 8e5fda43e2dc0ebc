"""A visit by keys alone in a real Firefox: the same pages, another engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rig import WALLET, rig, until
from tests.web.firefox import Firefox, launched
from tests.web.focus import HERE, SEEN

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
TIDE = "Will the tide turn?"
MOST_TABS = 250
RINGED = f"String(({SEEN})()) === 'true,true,true'"


async def to(firefox: Firefox, name: str, key: str = "Tab") -> None:
    """Go on with Tab until what has that name has the focus; the focus is seen all the way."""
    for _ in range(MOST_TABS):
        await firefox.press(key)
        here = await firefox.ask(HERE)
        if here:
            await firefox.until(RINGED)  # it scrolls there in its own time
        if re.fullmatch(name, here):
            return
    raise AssertionError(f"{name!r} is not reached with {key}")


def text(selector: str, wanted: str) -> str:
    """That an element has these words."""
    return f"(document.querySelector({selector!r}) || document.body).textContent.includes({wanted!r})"


async def test_the_pages_are_used_by_keys_alone_in_firefox_too(firefox: str, tmp_path: Path) -> None:
    with rig(tmp_path, admin_token=TOKEN) as (stand, pilot):
        tide = stand.market(question=TIDE)
        pilot.cli("leaders", "add", WALLET, "--label", "The tide", "--no-record")
        pilot.start()
        address = pilot.start_web()
        stand.fill(tide, "BUY", 100)
        pilot.fills(1)
        async with launched(firefox, tmp_path) as window:
            await window.open(address)
            await to(window, "Sign in")
            await window.press("Enter")
            await window.arrive("location.pathname === '/login' && document.activeElement.id === 'token'")
            await window.press(*TOKEN, "Enter")
            await window.arrive("document.querySelector('[data-post=\"/logout\"]')")

            # somebody is added by name
            name = stand.get("")["leaders"][0]["label"]
            await window.press("g", "l")
            await window.arrive("location.pathname === '/leaders' && document.querySelector('form[data-show]')")
            await to(window, "Wallet, profile URL or user name")
            await window.press(*f"@{name}", "Enter")
            await window.until(text("[data-shown]", "Their own record"))
            await to(window, "Follow on paper")
            await window.press("Enter")
            await window.until("document.querySelectorAll('tbody.followed tr').length === 2")

            # the verdict, while trades come in; the trace of a trade
            await to(window, "The tide")
            await window.press("Enter")
            await window.arrive(f"location.pathname.endsWith('{WALLET}') && " + text("#finding", "Copying The tide:"))
            await to(window, "Their trades")
            stand.fill(tide, "BUY", 10)
            await window.until("document.querySelector('#figures .value').textContent === '2'")
            assert await window.ask(HERE) == "Their trades"
            await window.press("Enter")
            await window.arrive("location.pathname === '/trades' && document.querySelector('.feed [data-drawer]')")
            await to(window, "✓ filled")
            await window.press("Enter")
            await window.until(text("dialog.drawer", "passed"))
            await window.until(RINGED)
            await window.press("Escape")
            await window.until("!document.querySelector('dialog')")
            assert await window.ask(HERE) == "✓ filled"

            # a position is closed, and what was sold is a file
            await window.press("g", "p")
            await window.arrive("location.pathname === '/positions' && document.querySelector('button[data-ask]')")
            await to(window, f"Close {re.escape(TIDE)}, Yes")
            await window.press("Enter")
            await window.until("document.activeElement.textContent.startsWith('Sell ')")
            await window.press("Enter")
            await window.until(text("table.positions tbody", "↩ sold"))
            await to(window, "Closed", "Shift+Tab")
            await window.press("Enter")
            await window.arrive("location.search.includes('status=closed') && document.querySelector('.positions')")
            await to(window, "CSV")
            await window.press("Enter")
            file = window.downloads / "pilotfish-positions-closed.csv"
            until("the file is there", lambda: file.exists() and TIDE in file.read_text())

            # a setting is changed, and the paper state reset
            await window.press("g", "s")
            await window.arrive("location.pathname === '/settings' && document.querySelector('#danger')")
            await window.press("/", *"fixed amount")
            await to(window, r"Fixed amount for each order \(fixed_usdc\)")
            await window.press("Control+a", *"12", "Enter")
            await window.until("document.querySelector('form[data-setting=fixed_usdc] [data-source]').textContent"
                               " === 'dashboard'")  # fmt: skip
            await to(window, "Find a setting", "Shift+Tab")
            await window.press("Control+a", "Delete")
            await to(window, "Reset paper state")
            await window.press("Enter")
            await window.until("document.activeElement.matches('dialog input')")
            await window.press(*"RESET", "Enter")
            await window.until(text("#toasts", "The paper state is reset"))
            assert pilot.export("fills") == []
        pilot.verify()
