"""What all tests share: the payloads they read, and how a missing real part is treated."""

from __future__ import annotations

import gc
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.payloads.reading import LEFT_OUT, Payloads, everything, recorded_folder

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``payloads`` runs on the project's own, and on the recorded ones where they are."""
    if "payloads" in metafunc.fixturenames:
        every = everything()
        metafunc.parametrize("payloads", every, ids=[p.name for p in every])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules in an order of no meaning, the same each time.

    So what waits and what computes lie beside each other, and tests that run at once seldom all want the processor.
    """
    items.sort(key=lambda item: (zlib.crc32(str(item.path.relative_to(PROJECT)).encode()), str(item.path)))


def pytest_collection_finish() -> None:
    """What is imported and collected stays until the end: the collector need not go through all of it again and again,
    which was a tenth of what tests took."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def recorded() -> Payloads:
    """The recorded payloads, for what is known of them alone."""
    folder = recorded_folder()
    if folder is None:
        pytest.skip(LEFT_OUT)
    return Payloads("recorded", folder)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium."""
    path = shutil.which("chromium") or ""
    need("Chromium", bool(path), "apt-get install chromium")
    return path


@pytest.fixture(scope="session")
def firefox() -> str:
    """The path of Firefox."""
    path = shutil.which("firefox-esr") or shutil.which("firefox") or ""
    need("Firefox", bool(path), "apt-get install firefox-esr")
    return path


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was left out, and a table of the scenarios that ran: the promise, whether it held, and what was seen."""
    if recorded_folder() is None:
        terminalreporter.line(LEFT_OUT)
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
