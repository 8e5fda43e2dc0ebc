"""Errors that a person can do something about."""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 - what it is for a person
    """An expected failure. Its message says what was tried, what is wrong and what to do; no traceback is needed."""
