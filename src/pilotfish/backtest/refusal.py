"""A past that nothing can be said of: no trades, only combos, or markets that nobody knows."""

from __future__ import annotations

from pilotfish.core.numerals import count, plural
from pilotfish.core.problem import Problem
from pilotfish.history.records import Past
from pilotfish.history.summary import told_of


class NothingToLookAtError(Problem):
    """There is no past to look back at; the message says of whom, what there is instead, and what to do."""


def refuse_nothing(past: Past, place: str, days: int, *, read: bool) -> None:
    """Raises :class:`NothingToLookAtError`. ``place`` is where history is kept; ``read``: the venue was asked just
    now."""
    trades = [d for d in past.deeds if d.kind == "TRADE"]
    what = f"{past.wallet} over the last {plural(days, 'day')}"
    if not trades:
        again = "; --days looks further back" if read else f"; `pilotfish history pull {past.wallet}` reads them"
        known = f" ({told_of(past.missing)})" if past.missing else ""
        raise NothingToLookAtError(f"there are no trades of {what} at {place}{known}{again}")
    if all(d.is_combo for d in trades):
        raise NothingToLookAtError(f"all {count(len(trades))} trades of {what} are combos, which are not copied")
    if not any(d.condition_id in past.markets for d in trades):
        raise NothingToLookAtError(
            f"of the {count(len(trades))} trades of {what} no market is known; `pilotfish history pull {past.wallet} "
            "--again` asks for them once more"
        )
