"""The sentence says what the figures are, whatever they are."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pilotfish.core.numerals import gain, money, percent
from pilotfish.core.reasons import NEVER_COPIED, Reason, words
from pilotfish.core.shortfall import CLIPPED, FEWER_SHARES, ORPHANED, Line, Parts
from pilotfish.core.verdict import Tone, Whom, verdict
from tests.desk import usd

HOLDER = Whom("Holder")
SKIPS = [r.value for r in Reason if (r.skips or r.waits) and r not in NEVER_COPIED]
AT = "At the leader's prices it would have been"
NUMBER = r"[+−]?\d[\d,]*\.\d\d"


def line(actual: float, parts: Parts | None = None, *, paid: float = 100, sold: int = 1, open: int = 0) -> Line:
    """A line that has been copied into, whose parts add up."""
    parts = parts or Parts()
    return Line(
        ideal=usd(actual) + parts.total, actual=usd(actual), parts=parts, paid=usd(paid), ideal_paid=usd(100), fills=1,
        orders=1, orders_copied=1, sold=sold, open=open,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (
            line(-0.74, Parts(fees=usd(3), delay=usd(0.5)), paid=509),
            f"Copying Holder: −0.74 USDC on 509.00 paid, −0.15 %. {AT} +2.76, +2.76 %;"
            " fees took most, −3.00.",
        ),
        (
            line(4, Parts(missed={"SKIP_SPREAD": usd(-5), "SKIP_CASH": usd(1), CLIPPED: usd(0.5)})),
            f"Copying Holder: +4.00 USDC on 100.00 paid, +4.00 %. {AT} +0.50, +0.50 %;"
            " what was not copied (mostly spread) gained most, +4.00.",
        ),
        (
            line(1, Parts(fees=usd(1), delay=usd(1), spread=usd(1))),
            f"Copying Holder: +1.00 USDC on 100.00 paid, +1.00 %. {AT} +4.00, +4.00 %;"
            " fees took the largest part, −1.00.",
        ),
        (line(0), f"Copying Holder: 0.00 USDC on 100.00 paid, 0.00 %. {AT} the same."),
        (
            line(5, Parts(fees=4)),
            f"Copying Holder: +5.00 USDC on 100.00 paid, +5.00 %. {AT} the same to the cent.",
        ),
        (
            line(-2, sold=0, open=3),
            f"Copying Holder: −2.00 USDC on 100.00 paid, −2.00 %, all of it still held. {AT}"
            " the same.",
        ),
        (
            line(-2, Parts(missed={"EXIT_BY_HAND": usd(2), ORPHANED: usd(1)})),
            f"Copying Holder: −2.00 USDC on 100.00 paid, −2.00 %. {AT} +1.00, +1.00 %;"
            " exits of our own took most, −3.00.",
        ),
        (Line(), "Copying Holder: no trade so far that could be copied."),
        (Line(orders=3, orders_copied=2), "Copying Holder: 2 of 3 orders copied, none filled yet."),
        (
            Line(orders=1, passed={"SKIP_SPREAD": 1}),
            "Copying Holder: nothing copied yet of 1 order, all for: spread.",
        ),
        (
            Line(orders=4, passed={"SKIP_SPREAD": 3, "SKIP_CASH": 1}, ideal=usd(7), ideal_paid=usd(70)),
            f"Copying Holder: nothing copied yet of 4 orders, mostly for: spread (3). {AT}"
            " +7.00, +10.00 %.",
        ),
        (
            Line(orders=4, passed={"SKIP_SPREAD": 2, "SKIP_CASH": 1, "WAIT_BOOK": 1}, ideal=2),
            "Copying Holder: nothing copied yet of 4 orders, most often for: spread (2).",
        ),
    ],
)  # fmt: skip
def test_each_case_is_said_as_it_is(of: Line, told: str) -> None:
    assert verdict(HOLDER, of).text == told


def test_several_leaders_and_a_period_are_named() -> None:
    assert verdict(Whom("", 3), line(1)).text == (
        "Copying all 3 leaders: +1.00 USDC on 100.00 paid, +1.00 %. At the leaders' prices it would have been the same."
    )
    assert verdict(Whom("Holder", period=True), line(1)).text.startswith(
        "Copying Holder: +1.00 USDC on 100.00 paid or held at the start, +1.00 %."
    )
    assert verdict(Whom("Holder", period=True), Line()).text == (
        "Copying Holder: no trade in this time that could be copied."
    )
    assert verdict(Whom(leaders=0), Line()).text == "Nothing to judge yet: no trade so far that could be copied."
    worthless = Line(fills=1, turnover=usd(2), ideal=usd(2), actual=usd(2), sold=1)
    assert verdict(Whom("Holder", period=True), worthless).text == (
        f"Copying Holder: +2.00 USDC on 0.00 paid or held at the start. {AT} the same."
    ), "of nothing there is no share"


amounts = st.integers(-(10**13), 10**13)
paid = st.integers(1, 10**13)
known = st.sampled_from([*SKIPS, CLIPPED, FEWER_SHARES, "EXIT_STOP_LOSS", ORPHANED])
causes = st.dictionaries(known, amounts, max_size=5)
parts = st.builds(Parts, delay=amounts, spread=amounts, fees=st.integers(0, 10**12), catch_up=amounts, missed=causes)


@given(amounts, parts, paid, paid, st.integers(0, 5), st.integers(0, 5))
def test_the_figures_of_the_sentence_are_those_of_the_report(
    actual: int, parts: Parts, ours: int, theirs: int, held: int, sold: int
) -> None:
    made = Line(
        ideal=actual + parts.total, actual=actual, parts=parts, paid=ours, ideal_paid=theirs, fills=1, orders=1,
        orders_copied=1, open=held, sold=sold,
    )  # fmt: skip
    answer = verdict(HOLDER, made)
    told = re.match(rf"Copying Holder: ({NUMBER}) USDC on ({NUMBER}) paid, ({NUMBER}) %", answer.text)
    assert told is not None, answer.text
    assert told.groups() == (gain(actual), money(ours), percent(actual, ours, 2, sign=True).removesuffix(" %"))
    assert answer.tone == {"+": Tone.GAIN, "−": Tone.LOSS}.get(gain(actual)[0], Tone.EVEN)
    assert ("all of it still held" in answer.text) == (held > 0 and sold == 0)
    ideal = re.search(
        rf"been ({NUMBER}), ({NUMBER}) %; (.+) (took|gained) (most|the largest part), ({NUMBER})\.$", answer.text
    )
    if ideal is None:
        assert abs(parts.total) < 5_000, answer.text
        assert answer.text.endswith("the same." if parts.total == 0 else "the same to the cent.")
        return
    said, share, what, verb, size, amount = ideal.groups()
    assert (said, share) == (gain(made.ideal), percent(made.ideal, theirs, 2, sign=True).removesuffix(" %"))
    assert (verb == "took") == (parts.total > 0)
    of = {
        "fees": parts.fees,
        "delay": parts.delay,
        "spread and impact": parts.spread,
        "copying late": parts.catch_up,
        "what was not copied": sum(parts.skipped.values()),
        "sizes cut or not filled whole": sum(parts.clipped.values()),
        "exits of our own": sum(parts.own_exits.values()),
    }
    assert sum(of.values()) == parts.total
    side = [abs(x) for x in of.values() if (x > 0) == (parts.total > 0) and x]
    part = of[re.sub(r" \(.*\)", "", what)]
    assert abs(part) == max(side)
    assert (size == "most") == (2 * abs(part) > sum(side))
    assert amount == gain(-part)


@given(st.lists(st.sampled_from(SKIPS), max_size=12), st.integers(0, 3), amounts)
def test_why_nothing_was_copied_is_the_most_frequent_reason(passed: list[str], copied: int, ideal: int) -> None:
    assume(passed or not copied)
    made = Line(orders=len(passed) + copied, orders_copied=copied, passed=dict(Counter(passed)), ideal=ideal)
    answer = verdict(HOLDER, made)
    assert answer.tone is Tone.NONE
    assert (gain(ideal) in answer.text) == (gain(ideal) != gain(0))
    if copied:
        assert f"{copied} of {made.orders} orders copied, none filled yet" in answer.text
    elif passed:
        reason = re.search(r"for: ([a-z ]+?)(?: \((\d+)\))?\.", answer.text)
        assert reason is not None, answer.text
        most = max(Counter(passed).values())
        assert reason[1] in {words(r) for r, n in Counter(passed).items() if n == most}
        assert reason[2] == (str(most) if most < len(passed) else None)
        assert ("mostly" in answer.text) == (most < len(passed) < 2 * most)


@given(st.lists(st.tuples(amounts, parts, paid, paid), min_size=1, max_size=5))
def test_a_total_is_the_sum_of_its_lines(some: list[tuple[int, Parts, int, int]]) -> None:
    total = Line()
    lines = [
        Line(ideal=a + p.total, actual=a, parts=p, paid=ours, ideal_paid=theirs, turnover=ours, orders=2,
             orders_copied=1, passed={"SKIP_CASH": 1}, trades=3, copied=1, fills=1, open=1, sold=1)
        for a, p, ours, theirs in some
    ]  # fmt: skip
    for one in lines:
        total.add(one)
    assert total.ideal == total.actual + total.parts.total == sum(one.ideal for one in lines)
    for name in ("actual", "paid", "ideal_paid", "turnover", "orders", "orders_copied", "trades", "copied", "fills",
                 "open", "sold"):  # fmt: skip
        assert getattr(total, name) == sum(getattr(one, name) for one in lines), name
    assert total.passed == {"SKIP_CASH": len(lines)}
    assert lines[0].parts.total == some[0][1].total, "what is added stays as it is"
