"""What a stream of events came to, portfolio by portfolio: from the engine's books, and counted from its effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.effects import Effect, Insert, Update, WipePaper
from pilotfish.core.engine import Engine
from pilotfish.core.records import DecisionChange, DecisionRecord, EntryRecord, FillRecord, RoundTripRecord


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts in millionths, as they stand at the end; decisions, fills and round trips of the stream alone. Fills and
    round trips count from the last reset on, as the books do."""

    equity_micro: int
    cash_micro: int
    realized_pnl_micro: int
    unrealized_pnl_micro: int
    fees_micro: int
    open_positions: int
    copied: int
    skipped: dict[str, int]
    fills: int
    round_trips: int


class Tally:
    """Counts over one engine's effects; ``begin`` with what it was restored from."""

    def __init__(self) -> None:
        self._copied: Counter[str] = Counter()
        self._skipped: dict[str, Counter[str]] = {}
        self._fills: Counter[str] = Counter()
        self._trips: Counter[str] = Counter()
        self._waiting: dict[int, str] = {}
        """Decisions that are not final -> whose they are."""
        self._cash: dict[str, int] = {}
        """What the ledger says that each portfolio has."""

    def begin(self, states: Iterable[ev.PortfolioState]) -> None:
        """Portfolios with their open business."""
        for state in states:
            self._cash[state.name] = state.cash
            self._waiting |= {p.id: state.name for p in state.pending}

    def see(self, engine: Engine, effects: Iterable[Effect]) -> None:
        """Count what came of one event."""
        for effect in effects:
            match effect:
                case Insert(DecisionRecord() as made):
                    self._decided(made.portfolio, made)
                case Update(DecisionChange() as made) if made.id in self._waiting:
                    self._decided(self._waiting[made.id], made)
                case Insert(FillRecord(portfolio=name)):
                    self._fills[name] += 1
                case Insert(RoundTripRecord(portfolio=name)):
                    self._trips[name] += 1
                case Insert(EntryRecord(portfolio=name, amount_micro=amount)):
                    self._cash[name] = self._cash.get(name, 0) + amount
                case WipePaper(name):
                    self._fills[name] = self._trips[name] = 0
                    self._cash[name] = engine.state.desks[name].bankroll
                case _:
                    pass

    def _decided(self, portfolio: str, made: DecisionChange) -> None:
        if made.action == "wait":
            self._waiting[made.id] = portfolio
            return
        self._waiting.pop(made.id, None)
        if made.action == "copy":
            self._copied[portfolio] += 1
        else:
            self._skipped.setdefault(portfolio, Counter())[made.reason.value] += 1

    def outcomes(self, engine: Engine, only: str | None = None) -> dict[str, Outcome]:
        """By portfolio: what takes part at the end."""
        return {
            name: Outcome(
                equity_micro=desk.equity,
                cash_micro=desk.cash,
                realized_pnl_micro=desk.sums.realized,
                unrealized_pnl_micro=desk.sums.worth - desk.sums.cost,
                fees_micro=desk.sums.fees,
                open_positions=desk.sums.open,
                copied=self._copied[name],
                skipped=dict(sorted(self._skipped.get(name, {}).items())),
                fills=self._fills[name],
                round_trips=self._trips[name],
            )
            for name, desk in sorted(engine.state.desks.items())
            if only is None or name == only
        }

    def wrong_cash(self, engine: Engine) -> list[str]:
        """Portfolios whose cash is not what their ledger says."""
        return [
            f"portfolio {name}: cash is {desk.cash}, the ledger says {self._cash[name]}"
            for name, desk in engine.state.desks.items()
            if desk.cash != self._cash[name]
        ]
