"""Figures that stand beside one another are of one instant, also while leaders trade and books move."""

from __future__ import annotations

import html
import re
import urllib.request
from pathlib import Path

import pytest

from tests.rig import rig, until

MOVES = 8


def told(address: str, path: str) -> str:
    """A page's text, without its markup."""
    with urllib.request.urlopen(address + path, timeout=30) as answer:
        words = re.sub(r"<[^>]*>", " ", answer.read().decode())
    return " ".join(html.unescape(words).split())


@pytest.mark.slow
def test_the_sentence_and_the_figures_of_the_overview_agree_at_each_look(tmp_path: Path) -> None:
    with rig(tmp_path, "--seed", "5", "--speed", "8", mark_interval_ms=500) as (stand, pilot):
        for leader in stand.get("")["leaders"]:
            pilot.cli("leaders", "add", leader["wallet"], "--label", leader["label"])
        pilot.start()
        address = pilot.start_web()
        pilot.fills(3)
        until("the sentence", lambda: re.search(r"Copying all .*? leaders: .\d", told(address, "/")), 60)
        seen: set[str] = set()

        def moved() -> bool:
            page = told(address, "/")
            said = re.search(r"Copying all \d+ leaders: (\S+) USDC on", page)
            shown = re.search(r"Equity, USDC \S+ (?:[▲▼] )?(\S+) \(", page)
            assert said and shown, page
            assert said[1] == shown[1], page
            seen.add(said[1])
            return len(seen) > MOVES

        until("the figures moved often enough", moved, 60)
