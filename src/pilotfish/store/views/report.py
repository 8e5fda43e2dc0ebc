"""The shortfall report as people read it: a line for each portfolio and leader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection

from pilotfish.core.numerals import count
from pilotfish.core.shortfall import Line
from pilotfish.core.units import Usdc
from pilotfish.core.verdict import Tone, Whom, verdict
from pilotfish.store.names import labels, short
from pilotfish.store.views.base import Iso, View, iso


class Parts(View, frozen=True, kw_only=True):
    """Where the difference between their prices and ours went; positive = it cost us."""

    delay_micro: Usdc
    spread_micro: Usdc
    fees_micro: Usdc
    catch_up_micro: Usdc
    skipped_micro: Usdc
    clipped_micro: Usdc
    own_exits_micro: Usdc


class Shortfall(View, frozen=True, kw_only=True):
    """A portfolio and leader, from ``since`` on (``None`` = from the beginning): ``ideal_micro`` = ``actual_micro`` +
    all parts, exactly. ``…_by_…`` tell what parts are made of: by reasons, or by causes
    (:mod:`pilotfish.core.shortfall`). ``paid_micro`` is what our BUYs cost with fees, ``ideal_paid_micro`` what they
    would have cost at the leader's prices: what percentages are of. ``orders_passed_by_reason`` counts the leader's
    orders that were not copied, ``sold_positions`` the tokens of which something was sold or paid out. ``verdict`` says
    it in a sentence (:mod:`pilotfish.core.verdict`), whose ``tone`` is gain, loss, even or none."""

    portfolio: str
    leader: str
    label: str
    since: Iso | None
    ideal_micro: Usdc
    actual_micro: Usdc
    difference_micro: Usdc
    parts: Parts
    skipped_by_reason: dict[str, Usdc]
    clipped_by_cause: dict[str, Usdc]
    own_exits_by_cause: dict[str, Usdc]
    trades: int
    copied: int
    orders: int
    orders_copied: int
    fills: int
    turnover_micro: Usdc
    open_positions: int
    paid_micro: Usdc
    ideal_paid_micro: Usdc
    orders_passed_by_reason: dict[str, int]
    sold_positions: int
    verdict: str
    tone: Tone

    @property
    def copied_of(self) -> str:
        """How many of their orders were copied, in words; trades by themselves count as one each."""
        told = f"{count(self.orders_copied)} of {count(self.orders)} orders copied"
        return told + (f" ({count(self.trades)} fills)" if self.trades > self.orders else "")


def shortfall(c: Connection, lines: Mapping[tuple[str, str], Line], since: int | None) -> list[Shortfall]:
    """Lines by (portfolio, leader) as rows, the largest turnover first."""
    names = labels(c)
    rows = [
        row_of(portfolio, leader, names.get(leader, ""), line, since) for (portfolio, leader), line in lines.items()
    ]
    return sorted(rows, key=lambda r: (r.portfolio, -r.turnover_micro, r.leader))


def row_of(portfolio: str, leader: str, label: str, line: Line, since: int | None = None) -> Shortfall:
    """One line as a row."""
    return _row(portfolio, leader, label, line, Whom(label or short(leader), period=since is not None), since)


class Reported(NamedTuple):
    """A portfolio's rows, and what they add up to, to the millionth: a row without a leader, or the only one."""

    portfolio: str
    rows: list[Shortfall]
    total: Shortfall


def by_portfolio(c: Connection, lines: Mapping[tuple[str, str], Line], since: int | None = None) -> list[Reported]:
    """Lines by (portfolio, leader) as rows with their totals."""
    rows = groupby(shortfall(c, lines, since), key=lambda row: row.portfolio)  # they are sorted by it
    return [reported(name, lines, list(mine), since) for name, mine in rows]


def reported(
    portfolio: str, lines: Mapping[tuple[str, str], Line], rows: list[Shortfall], since: int | None = None
) -> Reported:
    """One portfolio's rows with their total; also where there is no row."""
    if len(rows) == 1:
        return Reported(portfolio, rows, rows[0])
    summed = Line()
    for row in rows:
        summed.add(lines[portfolio, row.leader])
    whom = Whom(leaders=len(rows), period=since is not None)
    return Reported(portfolio, rows, _row(portfolio, "", "all leaders", summed, whom, since))


def _row(portfolio: str, leader: str, label: str, line: Line, whom: Whom, since: int | None) -> Shortfall:
    skipped, clipped, own = line.parts.skipped, line.parts.clipped, line.parts.own_exits
    said = verdict(whom, line)
    return Shortfall(
        portfolio=portfolio,
        leader=leader,
        label=label,
        since=iso(since),
        ideal_micro=Usdc(line.ideal),
        actual_micro=Usdc(line.actual),
        difference_micro=Usdc(line.parts.total),
        parts=Parts(
            delay_micro=Usdc(line.parts.delay),
            spread_micro=Usdc(line.parts.spread),
            fees_micro=Usdc(line.parts.fees),
            catch_up_micro=Usdc(line.parts.catch_up),
            skipped_micro=_sum(skipped.values()),
            clipped_micro=_sum(clipped.values()),
            own_exits_micro=_sum(own.values()),
        ),
        skipped_by_reason=_usdc(skipped),
        clipped_by_cause=_usdc(clipped),
        own_exits_by_cause=_usdc(own),
        trades=line.trades,
        copied=line.copied,
        orders=line.orders,
        orders_copied=line.orders_copied,
        fills=line.fills,
        turnover_micro=Usdc(line.turnover),
        open_positions=line.open,
        paid_micro=Usdc(line.paid),
        ideal_paid_micro=Usdc(line.ideal_paid),
        orders_passed_by_reason=dict(sorted(line.passed.items(), key=lambda item: (-item[1], item[0]))),
        sold_positions=line.sold,
        verdict=said.text,
        tone=said.tone,
    )


def _sum(amounts: Iterable[int]) -> Usdc:
    return Usdc(sum(amounts))


def _usdc(amounts: Mapping[str, int]) -> dict[str, Usdc]:
    return {cause: Usdc(amount) for cause, amount in amounts.items()}
