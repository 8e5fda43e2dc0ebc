"""The shortfall report as people read it: a line for each portfolio and leader."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from pilotfish.core.numerals import count
from pilotfish.core.reasons import known
from pilotfish.core.shortfall import ORPHANED
from pilotfish.core.units import Usdc
from pilotfish.store.accounts import Line
from pilotfish.store.names import labels
from pilotfish.store.views.base import View, iso


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
    (:mod:`pilotfish.core.shortfall`)."""

    portfolio: str
    leader: str
    label: str
    since: str | None
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

    @property
    def copied_of(self) -> str:
        """How many of their orders were copied, in words; trades by themselves count as one each."""
        told = f"{count(self.orders_copied)} of {count(self.orders)} orders copied"
        return told + (f" ({count(self.trades)} fills)" if self.trades > self.orders else "")


def shortfall(c: Connection, lines: Mapping[tuple[str, str], Line], since: int | None) -> list[Shortfall]:
    """Lines by (portfolio, leader) as rows, the largest turnover first."""
    names = labels(c)
    rows = [_row(who, names.get(who[1], ""), line, iso(since)) for who, line in lines.items()]
    return sorted(rows, key=lambda r: (r.portfolio, -r.turnover_micro, r.leader))


def _row(who: tuple[str, str], label: str, line: Line, since: str | None) -> Shortfall:
    missed = {cause: Usdc(amount) for cause, amount in sorted(line.parts.missed.items())}
    why = {cause: known(cause) for cause in missed}
    skipped = {k: v for k, v in missed.items() if (r := why[k]) is not None and (r.skips or r.waits)}
    own = {k: v for k, v in missed.items() if ((r := why[k]) is not None and r.own_exit) or k == ORPHANED}
    clipped = {k: v for k, v in missed.items() if k not in skipped and k not in own}
    return Shortfall(
        portfolio=who[0],
        leader=who[1],
        label=label,
        since=since,
        ideal_micro=Usdc(line.ideal),
        actual_micro=Usdc(line.actual),
        difference_micro=Usdc(line.parts.total),
        parts=Parts(
            delay_micro=Usdc(line.parts.delay),
            spread_micro=Usdc(line.parts.spread),
            fees_micro=Usdc(line.parts.fees),
            catch_up_micro=Usdc(line.parts.catch_up),
            skipped_micro=Usdc(sum(skipped.values())),
            clipped_micro=Usdc(sum(clipped.values())),
            own_exits_micro=Usdc(sum(own.values())),
        ),
        skipped_by_reason=skipped,
        clipped_by_cause=clipped,
        own_exits_by_cause=own,
        trades=line.trades,
        copied=line.copied,
        orders=line.orders,
        orders_copied=line.orders_copied,
        fills=line.fills,
        turnover_micro=Usdc(line.turnover),
        open_positions=line.open,
    )
