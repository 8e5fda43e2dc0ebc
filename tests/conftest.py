"""What all tests share: the recorded payloads, and how a missing real part is treated."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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
