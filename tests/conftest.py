"""What all tests share: the recorded payloads, and how a missing real part is treated."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

PROJECT = Path(__file__).resolve().parent.parent


def need(part: str, there: bool, how: str) -> None:
    """Fail in CI, and skip loudly elsewhere, where a real part of a test is not there."""
    if there:
        return
    message = f"REAL PART MISSING: {part}. {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of recorded payloads."""
    folder = Path(os.environ.get("PILOTFISH_REAL_DATA", PROJECT.parent / "shared" / "data" / "real"))
    need("recorded payloads", folder.is_dir(), "Set PILOTFISH_REAL_DATA to their folder.")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium."""
    path = shutil.which("chromium") or ""
    need("Chromium", bool(path), "apt-get install chromium")
    return path


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A table of the scenarios that ran: the promise, whether it held, and what was seen."""
    rows = [
        (report.nodeid.split("::")[-1], report.outcome, [str(v) for k, v in report.user_properties if k == "saw"])
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if "tests/scenario/" in report.nodeid and report.when == "call"
    ]
    if not rows:
        return
    terminalreporter.section("scenarios")
    for name, outcome, seen in sorted(rows):
        terminalreporter.line(
            f"{'ok  ' if outcome == 'passed' else 'FAIL'} {name.removeprefix('test_').replace('_', ' ')}"
        )
        for text in seen:
            terminalreporter.line(f"       {text}")
