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


@pytest.fixture(autouse=True)
def no_window_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """A window that a test leaves behind would go on asking for its page, beside all later tests of the module."""
    if "browser" not in request.fixturenames:
        yield
        return
    browser: Browser = request.getfixturevalue("browser")
    before = set(browser.contexts)
    yield
    for context in set(browser.contexts) - before:
        context.close()
