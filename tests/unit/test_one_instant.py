"""Rows say what portfolios hold and what they are worth of one and the same instant, whatever has just happened."""

from __future__ import annotations

from pathlib import Path

from pilotfish.core import events as ev
from pilotfish.core.effects import Effect
from pilotfish.store import report
from pilotfish.store.views.portfolios import read_portfolios
from tests.unit.test_restarts import Stored

HELD = 100


class Told(Stored):
    """After every event, what the report's lines come to is what the portfolio has won or lost."""

    looked = 0

    def took(self, event: ev.Event, effects: list[Effect]) -> None:
        """See an event, and what people would be shown right after it."""
        super().took(event, effects)
        with self.database.connect() as c:
            for p in read_portfolios(c):
                parts = sum(row.actual_micro for row in report.report(c, portfolio=p.name))
                assert parts == p.equity_micro - p.bankroll_micro, f"{p.name} after {event}"
                self.looked += 1


def test_a_market_that_moves_between_two_ticks_moves_positions_and_equity_together(tmp_path: Path) -> None:
    desk = Told(tmp_path, slippage_pct="30", price_max="0.99")
    desk.buy(1, HELD)
    for bid in (0.47, 0.44, 0.48):
        desk.bids = [(bid, 100_000)]
        desk.send(desk.book_event(desk.last_fill.token_id))
    desk.send(ev.Tick(at=desk.at + 1_000_000))
    assert desk.stored("positions")[0].mark_price_micro == 480_000
    desk.bids = [(0.42, 100_000)]
    desk.sell(2, HELD / 2, 0.45)
    desk.bids = [(0.40, 100_000)]
    desk.chain_buy(3, HELD, 0.41)
    desk.send(desk.book_event(desk.last_fill.token_id))
    desk.advance(1)
    desk.send(ev.Tick(at=desk.at))
    assert desk.looked > 12
    assert desk.stored("equity_snapshots")[-1].open_positions == 1


def test_a_mark_that_has_no_row_yet_is_not_lost_when_its_position_changes(tmp_path: Path) -> None:
    desk = Told(tmp_path)
    desk.buy(1, HELD)
    desk.bids = [(0.30, 100_000)]
    desk.send(desk.book_event(desk.last_fill.token_id))
    desk.sell(2, HELD / 2, 0.30)
    (position,) = desk.stored("positions")
    assert position.mark_price_micro == 300_000
    desk.restart()
    desk.send(ev.Tick(at=desk.at))
    desk.send(ev.PaperReset(at=desk.at))
    assert [p.shares_micro for p in desk.stored("positions") if p.shares_micro] == []
