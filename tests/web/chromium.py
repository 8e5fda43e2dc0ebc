"""Pages in a real Chromium, watched for what they ask of others and what goes wrong in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

LEFT_OUT = (
    # Web pages of Chromium's own, of which each window otherwise loads one that nobody sees: more work than ours.
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    # What Playwright leaves out: of an argument that is given twice the last one counts.
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled",
    "PreconnectToSearch",
)  # fmt: skip
"""Features of Chromium that tests do without."""
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    f"--disable-features={','.join(LEFT_OUT)}",
]  # fmt: skip


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as p:
        started = p.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@dataclass
class Watched:
    """One window: what it asked elsewhere, and what went wrong in it."""

    page: Page
    address: str
    elsewhere: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(30_000)
        self.page.on("request", lambda r: self._asked(r.url))
        self.page.on("pageerror", lambda e: self.wrong.append(str(e)))
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type == "error" else None)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.address, self.address.replace("http", "ws"), "data:")):
            self.elsewhere.append(url)

    def open(self, path: str) -> Page:
        """Go to a page of the dashboard."""
        self.page.goto(self.address + path)
        self.page.locator("html[data-ready] #main").wait_for()
        return self.page

    def clean(self) -> None:
        """Nothing was asked elsewhere, nothing went wrong, and nothing is wider than the window."""
        assert self.elsewhere == []
        assert self.wrong == []
        width = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], (self.page.url, width)


def window(
    browser: Browser, address: str, width: int = 1440, token: str = "", theme: Literal["light", "dark"] = "light"
) -> Watched:
    """A window, signed in if there is a token: by what the form of the page sends, without the page."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    if token:
        answer = context.request.post(f"{address}/login", form={"token": token}, max_redirects=0)
        assert answer.status == 303, answer.text()
    return Watched(context.new_page(), address)
