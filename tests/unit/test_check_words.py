"""A trace in a reader's words."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pilotfish.core
from pilotfish.core.check_words import CHECKS, PLAIN, line, why
from pilotfish.core.reasons import MEANING, Reason
from pilotfish.store.views.decisions import Told, TraceLine

CORE = Path(pilotfish.core.__file__).parent
RULES = ("policy", "buying", "exits", "copying")
LINE = 4
"""A line of a trace: check, value, limit, passed."""
MADE_UP = {"polygon_healthy", "api_healthy"}
"""Names that the code puts together: the source's and what is asked of it."""


def checked(check: str, value: Told, limit: Told, passed: bool) -> TraceLine:
    """A line of a trace as it is read."""
    return TraceLine(check=check, value=value, limit=limit, passed=passed)


def written() -> set[str]:
    """Names of checks that the rules write."""
    found: set[str] = set()
    for name in RULES:
        for node in ast.walk(ast.parse((CORE / f"{name}.py").read_text())):
            if isinstance(node, ast.List) and len(node.elts) == LINE and isinstance(node.elts[0], ast.Constant):
                found.add(str(node.elts[0].value))
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            where = {"note": 0, "require": 2}.get(called)
            if where is not None and len(node.args) > where:
                said = node.args[where]
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    found.add(said.value)
    caps = "".join((CORE / f"{name}.py").read_text() for name in RULES)
    return found | set(re.findall(r'"(\w+_left_micro|(?:only|skip)_(?:categories|keywords))"', caps))


def test_every_check_that_a_rule_writes_has_a_readable_name_and_no_name_is_of_none() -> None:
    assert written() | MADE_UP == set(CHECKS)
    assert len(CHECKS) > 50
    assert [words.name for words in CHECKS.values() if "_" in words.name] == []


@pytest.mark.parametrize(
    ("check", "value", "limit"),
    [
        (checked("spread_bps", 1200, 1000, False), "1,200 bps", "at most 1,000 bps"),
        (checked("slippage_ticks", 1, 2, True), "1 tick", "at most 2 ticks"),
        (checked("depth_usdc_micro", 12_345_678, 50_000_000, False), "12.345678 USDC", "at least 50.00 USDC"),
        (checked("leader_price_micro", 461_000, [10_000, 990_000], True), "0.461", "from 0.01 to 0.99"),
        (checked("age_ms", 2_100, 15_000, True), "2.1 s", "at most 15 s"),
        (checked("book_age_ms", 5_003, 5_000, False), "5.003 s", "at most 5 s"),
        (checked("side", "BUY", "both", True), "BUY", "both are copied"),
        (checked("side", "BUY", "sell", False), "BUY", "only sell is copied"),
        (checked("catch_up_age_sec", 301, 300, False), "301 s", "at most 300 s"),
        (checked("order_already_copied", True, False, False), "yes", "has to be no"),
        (checked("buys_of_outcome", 3, 3, False), "3", "less than 3"),
        (checked("market", None, 5, False), "not known", "known after 5 tries"),
        (checked("market", "closed", "open", False), "closed", "has to be open"),
        (checked("catch_up_opens_new", True, False, False), "yes", "not allowed"),
        (checked("only_keywords", [], ["cup"], False), "none", "one of cup"),
        (checked("leader_value_micro", None, 1, False), "not known", "has to be known"),
        (checked("wanted_usdc_micro", 25_000_000, "fixed_usdc x 1", True), "25.00 USDC", "by fixed_usdc x 1"),
        (checked("leader_sold_shares_micro", 1_000_000, None, True), "1.00 share", ""),
        (checked("pending_buy_left_micro", 0, 25_000_000, True), "0.00 USDC", "of 25.00 USDC"),
        (checked("written_long_ago_micro", 5, 7, True), "0.000005 USDC", ""),
    ],
)
def test_a_check_is_told_with_its_unit_and_what_its_limit_demands(check: TraceLine, value: str, limit: str) -> None:
    told = line(check)
    assert (told.code, told.value, told.limit, told.passed) == (check.check, value, limit, check.passed)


def test_what_a_cap_leaves_is_the_most_that_may_be_spent_and_not_the_least() -> None:
    """Written is what is left and what is wanted of it."""
    refused = line(checked("per_market_left_micro", 10_000_000, 25_000_000, False))
    assert (refused.value, refused.limit) == ("25.00 USDC", "at most 10.00 USDC")
    cut = line(checked("per_market_left_micro", 10_000_000, 25_000_000, True))
    assert (cut.value, cut.limit) == ("25.00 USDC", "cut to 10.00 USDC")
    enough = line(checked("cash_left_micro", 90_000_000, 25_000_000, True))
    assert (enough.value, enough.limit) == ("25.00 USDC", "at most 90.00 USDC")


def test_one_name_for_two_rules_is_told_by_its_limit() -> None:
    assert line(checked("value_over_cost_bps", 510, 500, True)).limit == "at least 500 bps"
    assert line(checked("value_over_cost_bps", -1010, -1000, True)).limit == "at most −1,000 bps"
    assert line(checked("held_shares_micro", 5_000_000, 1, True)).limit == "more than none"
    assert line(checked("held_shares_micro", 4_000, 10_000, True)).limit == "less than 0.01 shares"


def test_why_is_a_plain_sentence_with_the_figures_of_the_check_that_ended_it() -> None:
    passed = checked("age_ms", 2_100, 15_000, True)
    spread = checked("spread_bps", 1200, 1000, False)
    assert why(Reason.SKIP_SPREAD, [passed, spread]) == (
        "The spread is too wide. Spread: 1,200 bps, at most 1,000 bps."
    )
    same = [checked("order_already_copied", True, False, False)]
    assert why(Reason.SKIP_SAME_ORDER, same) == "The leader's order was already copied."
    assert why(Reason.SKIP_SAME_ORDER, same, see=True) == "The leader's order was already copied: see"
    assert why(Reason.COPY, [passed]) == "Every check was passed."
    assert why(Reason.SKIP_BACKFILL, []) == MEANING[Reason.SKIP_BACKFILL]


def test_no_reason_is_told_by_the_code_of_a_setting() -> None:
    for reason in Reason:
        assert "_" not in why(reason, []), reason
    assert set(PLAIN) <= set(Reason)
