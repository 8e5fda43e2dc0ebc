"""The documentation as a site: it is whole by itself, can be searched without a server, and looks right everywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import pytest

from tests.conftest import PROJECT
from tests.web.chromium import launched

pytestmark = pytest.mark.slow


class _Loads(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = dict(attrs)
        address = have.get(
            {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}.get(tag, "")
        )
        if address and have.get("rel") not in ("prev", "next", "canonical"):
            self.found.append(address)


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does."""
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "--site-dir", str(site)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(words, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; a link or an anchor that leads nowhere fails it."""
    folder = tmp_path_factory.mktemp("site")
    done = build(PROJECT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_is_built_whole_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        for address in _Loads(page).found:
            assert not re.match(r"(https?:)?//", address), (page.name, address)
            if not address.startswith("data:") and page.name != "404.html":
                assert (page.parent / re.split("[?#]", address)[0]).exists(), (page.name, address)
    for sheet in site.rglob("*.css"):
        assert re.search(r"(@import|url\()\s*['\"]?(https?:)?//", sheet.read_text()) is None, sheet.name
    linked = (site / "outside.txt").read_text().splitlines()
    assert "https://huggingface.co/papers/2606.04217" in linked


@pytest.mark.parametrize("width", [1440, 360])
def test_the_site_is_read_and_searched_from_its_folder(site: Path, chromium: str, width: int) -> None:
    elsewhere: list[str] = []
    wrong: list[str] = []
    with launched(chromium) as browser:
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
            page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else elsewhere.append(r.url))
            page.on("pageerror", lambda e: wrong.append(str(e)))
            for name in ("index", "concepts/decision", "reference/settings", "reference/rest", "behaviour", "backtest"):
                page.goto(f"{(site / name).as_uri()}.html")
                page.locator("h1").wait_for()
                asked = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
                assert asked[0] <= asked[1], (name, width)
            page.goto(f"{site.as_uri()}/concepts/decision.html")
            drawn = page.locator(".picture svg .t").first
            colour = drawn.evaluate("e => getComputedStyle(e).fill")
            assert colour == ("rgb(31, 41, 51)" if scheme == "light" else "rgb(228, 231, 235)")
            page.keyboard.press("/")
            page.keyboard.type("max_open_positions")
            page.locator(".md-search-result__item a[href*='reference/settings']").first.wait_for()
    assert elsewhere == []
    assert wrong == []


def test_a_link_or_an_anchor_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    config = (PROJECT / "mkdocs.yml").read_text()
    validation = config[config.index("validation:") : config.index("nav:\n")]
    (tmp_path / "mkdocs.yml").write_text(f"site_name: x\n{validation}")
    for wrong in ("[x](nowhere.md)", "[x](#nowhere)"):
        (tmp_path / "docs" / "index.md").write_text(f"# A page\n\n{wrong}\n")
        done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
        assert done.returncode != 0
        assert "nowhere" in done.stderr
