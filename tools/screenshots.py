"""Pictures of the dashboard, taken from the demo in Chromium: four for the README, or (--all) every page in dark and
light, at 1440 and 360 px."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from time import sleep
from typing import Any, Literal, TypeAlias

from playwright.sync_api import Browser, Page, sync_playwright

from pilotfish.cli.stand import free_port

Theme: TypeAlias = Literal["light", "dark"]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PAGES = ("/", "/leaders", "/leaders/{leader}", "/trades", "/positions", "/positions?status=closed", "/orders",
         "/look-backs", "/look-backs/1", "/discover", "/latency", "/portfolios", "/settings", "/login",
         "/api/docs")  # fmt: skip
README: tuple[tuple[str, str, Theme, str], ...] = (
    ("overview", "/", "light", ""),
    ("leader", "/leaders/{leader}", "light", ""),
    ("trace", "/trades?reason=SKIP_SLIPPAGE", "dark", ".feed [data-drawer]"),
    ("portfolios", "/portfolios", "dark", ""),
)


def main() -> None:
    """Start the demo, wait until there is something to see, take the pictures, and end it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=Path("docs"))
    options.add_argument("--seconds", type=int, default=75, help="how long the leaders trade before the pictures")
    options.add_argument("--all", action="store_true", help="every page, theme and width")
    given = options.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "pilotfish", "demo", "--port", str(port)]
    demo = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        token = _token(demo)
        base = f"http://127.0.0.1:{port}"
        _clone(base, token)
        for left in range(given.seconds, 0, -5):
            print(f"leaders are trading; pictures in {left} s", flush=True)
            sleep(5)
        given.out.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            leader = _get(base, "/api/v1/leaders")[0]["wallet"]
            (_every if given.all else _readme)(browser, base, token, leader, given.out)
            browser.close()
    finally:
        demo.terminate()
        demo.wait(60)


def _token(demo: subprocess.Popen[str]) -> str:
    assert demo.stderr is not None
    for line in demo.stderr:
        found = re.search(r"Token to change things there: (\w+)", line)
        if found:
            return found[1]
    raise SystemExit("the demo did not start")


def _get(base: str, path: str) -> Any:
    with urllib.request.urlopen(base + path, timeout=10) as answer:
        return json.load(answer)


def _clone(base: str, token: str) -> None:
    """A second portfolio, so that there is something to compare."""
    body = {"name": "half size", "clone_of": "main", "settings": {"fixed_usdc": 12.5, "max_spread_bps": 400}}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(base + "/api/v1/portfolios", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=10).close()


def _window(browser: Browser, base: str, token: str, theme: Theme, width: int) -> Page:
    height = 900 if width > 640 else 780
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{base}/login")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    return page


def _settle(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_load_state("load")
    page.wait_for_timeout(1500)


def _readme(browser: Browser, base: str, token: str, leader: str, out: Path) -> None:
    for name, path, theme, opened in README:
        page = _window(browser, base, token, theme, 1440)
        _settle(page, base + path.format(leader=leader))
        if opened:
            page.locator(opened).first.click()
            page.locator("dialog .trace .no").first.scroll_into_view_if_needed()
            page.wait_for_timeout(300)
        page.screenshot(path=out / f"{name}.png")
        print(f"{out / name}.png")
        page.context.close()


def _every(browser: Browser, base: str, token: str, leader: str, out: Path) -> None:
    themes: tuple[Theme, ...] = ("light", "dark")
    for theme in themes:
        for width in (1440, 360):
            page = _window(browser, base, token, theme, width)
            for path in PAGES:
                _settle(page, base + path.format(leader=leader))
                name = re.sub(r"\W+", "-", path.format(leader="one")).strip("-") or "overview"
                page.screenshot(path=out / f"{name}-{theme}-{width}.png", full_page=True)
            page.context.close()


if __name__ == "__main__":
    main()
