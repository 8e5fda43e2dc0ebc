"""A browser for the page tests of a module. Not longer: its driver keeps an event loop in this thread, in which no
asynchronous test of another module could run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.web.chromium import launched

expect.set_options(timeout=30_000)
"""Milliseconds: other tests need the processor, too."""


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with launched(chromium) as started:
        yield started
