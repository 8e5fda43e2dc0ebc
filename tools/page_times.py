"""How long each page takes in a database with very many trades: in Chromium until its content is there, right after the
dashboard's start and again later; and the server alone, each time with nothing that it could still have at hand."""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from screenshots import ARGUMENTS

from pilotfish.cli.benches import pages as bench_pages
from pilotfish.cli.session import clean_environment
from pilotfish.cli.stand import free_port
from pilotfish.store.database import open_database

LEADER = f"0x{4:040x}"
CONTENT = (
    ("/", ".held tbody tr"), ("/leaders", "table.rows tbody tr"), (f"/leaders/{LEADER}", ".figure"),
    ("/trades", ".feed tbody tr"), (f"/trades?reason=SKIP_CAP_MARKET&leader={LEADER}", ".feed tbody tr"),
    ("/trades?q=number+77", ".feed tbody tr"), ("/positions", "table.rows tbody tr"), ("/latency", ".figure"),
    ("/portfolios", "table.plain tbody tr"), ("/settings", ".setting"), ("/orders", ".ours tbody tr"),
    ("/trades?by=fills", ".feed tbody tr"), ("/positions?status=closed", "table.rows tbody tr"),
    ("/positions?status=all&sort=return", "table.rows tbody tr"),
)  # fmt: skip
"""Page -> what must be there."""
LATER_SECONDS = 20
ROUNDS = 40
APART_SECONDS = 2.2
"""Between two rounds of questions to the server: longer than any page's answer is shared with the next who asks."""
READY_SECONDS = 60.0


def main() -> None:
    """Fill a database, start the dashboard on it, and open every page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trades", type=int, default=bench_pages.MANY)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pilotfish-pages-") as folder:
        url = f"sqlite:///{Path(folder) / 'x.db'}"
        database = open_database(url)
        print(f"filling a database with {given.trades:,} trades", flush=True)
        bench_pages.fill_database(database, given.trades)
        database.dispose()
        port = free_port()
        env = {**clean_environment(), "DATABASE_URL": url, "WEB_PORT": str(port)}
        web = subprocess.Popen([sys.executable, "-m", "pilotfish", "web"], env=env, cwd=folder)
        try:
            _measure(f"http://127.0.0.1:{port}")
        finally:
            web.terminate()
            web.wait(20)


def _measure(base: str) -> None:
    started = time.monotonic()
    while not _answers(base):
        if time.monotonic() - started > READY_SECONDS:
            raise SystemExit("the dashboard did not start")
        time.sleep(0.05)  # between two looks
    print(f"the dashboard answers after {time.monotonic() - started:.1f} s", flush=True)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        first = [_opened(page, base, *each) for each in CONTENT]
        time.sleep(LATER_SECONDS)  # what is measured next is a dashboard that has run for a while
        later = [_opened(page, base, *each) for each in CONTENT]
        browser.close()
    for (path, _), one, other, times in zip(CONTENT, first, later, _rounds(base), strict=True):
        served = f"{statistics.median(times):4.0f} ms, 95 % {statistics.quantiles(times, n=20)[-1]:4.0f} ms"
        print(f"{path:<80} first {one:5.2f} s   later {other:5.2f} s   server {served}")
    print(f"{'slowest':<80} first {max(first):5.2f} s   later {max(later):5.2f} s")


def _rounds(base: str) -> list[list[float]]:
    """Each page's times in milliseconds: all pages are asked for in turn, again and again."""
    found: list[list[float]] = [[] for _ in CONTENT]
    for _ in range(ROUNDS):
        time.sleep(APART_SECONDS)  # what pages share is read anew
        for (path, _), times in zip(CONTENT, found, strict=True):
            began = time.monotonic()
            with urllib.request.urlopen(base + path, timeout=60) as answer:
                answer.read()
            times.append(1000 * (time.monotonic() - began))
    return found


def _answers(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _opened(page: Page, base: str, path: str, content: str) -> float:
    began = time.monotonic()
    page.goto(base + path, wait_until="commit")
    page.locator(content).first.wait_for()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
