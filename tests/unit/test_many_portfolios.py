"""What is asked of all portfolios is asked once for all of them, and says the same as of each alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, event, insert

from pilotfish.core.units import SECOND
from pilotfish.store import leaders_store, portfolios_store, settings_store
from pilotfish.store import tables as t
from pilotfish.store.database import empty_database
from pilotfish.store.views.portfolios import LATELY, read_portfolios

AT = 1_800_000_000 * SECOND
LEADERS = [f"0x{n:040x}" for n in range(1, 6)]


@pytest.fixture
def database() -> Iterator[Engine]:
    made = empty_database()
    yield made
    made.dispose()


def make(c: Connection, *names: str) -> None:
    for wallet in LEADERS:
        leaders_store.add(c, wallet, "", AT, by="test")
    for n, name in enumerate(names):
        chosen = LEADERS[n % 5 :] if n % 3 else None
        portfolios_store.add(c, name, {}, at=AT + n, by="test", leaders=chosen)


def valued(c: Connection, name: str, at: int, equity: int) -> None:
    figures = dict.fromkeys(
        ("cash_micro", "positions_value_micro", "cost_micro", "realized_pnl_micro", "unrealized_pnl_micro",
         "fees_micro", "open_positions"), 0,
    )  # fmt: skip
    c.execute(insert(t.equity_snapshots).values(portfolio=name, at=at, equity_micro=equity, **figures))


def statements(c: Connection, ask: Callable[[Connection], object]) -> int:
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(c, "before_cursor_execute", note)
    ask(c)
    event.remove(c, "before_cursor_execute", note)
    return len(asked)


def test_all_portfolios_are_told_as_each_is_alone(database: Engine) -> None:
    with database.begin() as c:
        make(c, "new", "old", "busy", "clock", "gone")
        valued(c, "old", AT, 1)
        valued(c, "old", AT + 2, 3)
        valued(c, "old", AT + 1, 2)
        valued(c, "gone", AT, 4)
        for n in range(LATELY + 5):
            valued(c, "busy", AT + n, 100 + n)
        valued(c, "clock", AT + SECOND, 5)
        valued(c, "clock", AT + 1, 6)
        portfolios_store.archive(c, "gone", at=AT, by="test")
        together = read_portfolios(c)
        assert [p.name for p in together] == ["new", "old", "busy", "clock", "gone"]
        assert together == [one for p in together for one in read_portfolios(c, name=p.name)]
        assert {p.name: p.equity_micro for p in together} == {
            "new": together[0].bankroll_micro, "old": 3, "busy": 100 + LATELY + 4, "clock": 6, "gone": 4,
        }  # fmt: skip


@pytest.mark.parametrize("ask", [read_portfolios, portfolios_store.everyones_follows])
def test_of_many_portfolios_as_little_is_asked_as_of_few(database: Engine, ask: Callable[[Connection], object]) -> None:
    with database.begin() as c:
        make(c, "a", "b")
        few = statements(c, ask)
        make(c, *(f"p{n}" for n in range(20)))
        assert statements(c, ask) == few


def test_whom_all_portfolios_copy_is_told_as_of_each_alone(database: Engine) -> None:
    with database.begin() as c:
        make(c, *(f"p{n}" for n in range(8)))
        portfolios_store.archive(c, "p5", at=AT, by="test")
        portfolios_store.set_follows(c, "p3", [], at=AT, by="test")
        together = portfolios_store.everyones_follows(c)
        assert together == {name: portfolios_store.follows(c, name) for name in portfolios_store.active(c)}
        assert "p5" not in together
        assert (together["p0"], together["p3"], together["p4"]) == (None, [], LEADERS[4:])


def test_a_policy_is_resolved_anew_only_where_what_it_comes_from_has_changed(database: Engine) -> None:
    environment = {"price_min": 20_000}
    resolved = settings_store.Policies(environment)
    with database.begin() as c:
        make(c, "a", "b", "c")

        def change(portfolio: str = "", leader: str = "", **changes: object) -> dict[str, settings_store.Policy]:
            settings_store.change(c, changes, at=AT, by="test", portfolio=portfolio, leader=leader)
            stored = settings_store.load(c)
            found = resolved.of(stored, ["a", "b", "c"])
            assert found == {name: settings_store.policy_of(environment, stored, name) for name in found}
            return found

        first = change("a", fixed_usdc="7")
        assert first["b"] is first["c"], "alike"
        then = change("b", fixed_usdc="8")
        assert (then["a"], then["c"]) == (first["a"], first["c"])
        assert then["a"] is first["a"]
        assert then["c"] is first["c"]
        assert then["b"] != first["b"]
        for everyone in (change(fixed_usdc="9"), change(leader=LEADERS[0], fixed_usdc="10")):
            assert all(everyone[name] is not then[name] for name in everyone)
            then = everyone
        assert change("b", fixed_usdc=None)["b"] is then["c"]
