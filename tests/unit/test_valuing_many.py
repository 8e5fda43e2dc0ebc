"""What many portfolios are worth is written in turns; of few, at each tick. What was booked is written at once."""

from __future__ import annotations

import pytest

from pilotfish.core import events as ev
from pilotfish.core.effects import Effect, Insert
from pilotfish.core.engine import Engine
from pilotfish.core.events import PortfolioState
from pilotfish.core.records import EquityRecord
from pilotfish.core.settings import Globals, policy_from
from pilotfish.core.units import MICRO, SECOND
from pilotfish.core.valuing import AT_A_TICK, EQUITY_EVERY

AT = 1_800_000_000 * SECOND
TICK = 2 * SECOND
POLICY = policy_from({})


def portfolio(n: int) -> PortfolioState:
    return PortfolioState(name=f"p{n:04}", bankroll=100 * MICRO, cash=100 * MICRO, policy=POLICY)


def begun(portfolios: int) -> Engine:
    engine = Engine()
    engine.apply(ev.Restored(at=AT, portfolios=tuple(map(portfolio, range(portfolios))), globals=Globals()))
    return engine


def valued(effects: list[Effect]) -> list[str]:
    return [e.record.portfolio for e in effects if isinstance(e, Insert) and isinstance(e.record, EquityRecord)]


def ticked(engine: Engine, ticks: int, since: int = AT) -> list[list[str]]:
    return [valued(engine.apply(ev.Tick(at=since + n * TICK))) for n in range(1, ticks + 1)]


@pytest.mark.parametrize("portfolios", [1, AT_A_TICK])
def test_few_portfolios_are_all_valued_at_each_tick(portfolios: int) -> None:
    engine = begun(portfolios)
    first, then = ticked(engine, 2)
    assert len(first) == portfolios
    assert then == [], "nothing changed"
    assert len(valued(engine.apply(ev.Tick(at=AT + TICK + EQUITY_EVERY)))) == portfolios


def test_of_many_portfolios_each_has_its_turn() -> None:
    portfolios = 3 * AT_A_TICK
    engine = begun(portfolios)
    rounds = ticked(engine, 3)
    assert [len(one) for one in rounds] == [AT_A_TICK] * 3
    assert len({name for one in rounds for name in one}) == portfolios


def test_many_portfolios_that_stand_still_are_written_as_seldom_as_few() -> None:
    """A thousand rows a minute of which none says anything new would be 1.4 million a day."""
    portfolios = 20 * AT_A_TICK
    engine = begun(portfolios)
    ticked(engine, 20)
    hour = 3600 * SECOND // TICK
    again = [name for one in ticked(engine, hour, AT + 20 * TICK) for name in one]
    assert portfolios < len(again) <= AT_A_TICK * 60


def test_a_portfolio_that_joins_many_is_valued_at_once() -> None:
    engine = begun(3 * AT_A_TICK)
    added = ev.PortfolioAdded(at=AT + 1, state=portfolio(9_999))
    assert valued(engine.apply(added)) == ["p9999"]


def test_a_day_begins_for_all_of_many_at_once() -> None:
    engine = begun(3 * AT_A_TICK)
    engine.apply(ev.Tick(at=AT + TICK))
    tomorrow = AT + 86_400 * SECOND
    engine.apply(ev.Tick(at=tomorrow))
    assert {desk.day for desk in engine.state.desks.values()} == {tomorrow // (86_400 * SECOND)}
