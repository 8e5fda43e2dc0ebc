"""Scenarios say what they saw; the table at the end of a run shows all promises with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def saw(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Record what a scenario saw, for the table."""

    def record(text: str) -> None:
        record_property("saw", text)

    return record
