"""What is asked of all portfolios is asked once for all of them, and says the same as of each alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, event, insert

from pilotfish.core.events import Past, PortfolioState
from pilotfish.core.recall import Forgotten
from pilotfish.core.settings import Globals, Policy
from pilotfish.core.units import SECOND
from pilotfish.store import leaders_store, portfolios_store, recalled, report, restore, settings_store
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

        def change(portfolio: str = "", leader: str = "", **changes: object) -> dict[str, Policy]:
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


def traded(c: Connection, number: int, leader: str, token_id: str, *portfolios: str) -> None:
    """A BUY of a leader that portfolios have skipped, so that they miss it, and one of its fills still waits."""
    c.execute(
        insert(t.trades).values({
            "id": number, "leader": leader, "tx_hash": f"0x{number}", "token_id": token_id, "side": "BUY",
            "shares_micro": 1, "occurrence": 1, "first_source": "api", "class": "live", "moves_holding": True,
            "usdc_micro": 1, "traded_at": AT, "first_seen_by_api_at": AT,
        })
    )  # fmt: skip
    c.execute(
        insert(t.decisions),
        [
            {"id": 100 * number + n, "trade_id": number, "portfolio": name, "action": "skip", "reason": "SKIP_SPREAD",
             "decided_at": AT, "trace": [], "leader": leader, "token_id": token_id, "side": "BUY", "class": "live",
             "sized_by_order": True}
            for n, name in enumerate(portfolios)
        ],
    )  # fmt: skip


def holds(c: Connection, leader: str, token_id: str) -> None:
    c.execute(insert(t.leader_holdings).values(leader=leader, token_id=token_id, shares_micro=1, updated_at=AT))


def restored(c: Connection, names: list[str]) -> dict[str, PortfolioState]:
    policies = settings_store.Policies({}).of(settings_store.load(c), names)
    found = restore.restored(c, policies, Globals(), AT, keep=4 * 3600 * SECOND)
    return {p.name: p for p in found.portfolios}


def test_a_start_gives_each_of_many_portfolios_what_it_gives_it_alone(database: Engine) -> None:
    with database.begin() as c:
        names = [f"p{n:02}" for n in range(20)]
        make(c, *names)
        traded(c, 1, LEADERS[0], "11", "p03", "p07")
        traded(c, 2, LEADERS[1], "12", "p07", "p19")
        for leader in LEADERS[:2]:
            holds(c, leader, "11")
            holds(c, leader, "12")
        together = restored(c, names)
        assert together == {name: restored(c, [name])[name] for name in names}
        assert {name: p.missed for name, p in together.items() if p.missed} == {
            "p03": ((LEADERS[0], "11"),), "p07": ((LEADERS[0], "11"), (LEADERS[1], "12")), "p19": ((LEADERS[1], "12"),),
        }  # fmt: skip
        assert [name for name, p in together.items() if p.orders] == ["p03", "p07", "p19"]


def test_only_portfolios_that_decided_on_a_token_are_asked_for_what_they_know_of_it(database: Engine) -> None:
    def past(c: Connection) -> tuple[Past, ...]:
        return recalled.past(c, names, [Forgotten(LEADERS[0], "11", None, (), True)], AT)

    with database.begin() as c:
        names = [f"p{n:02}" for n in range(20)]
        make(c, *names)
        traded(c, 1, LEADERS[0], "11", "p03", "p07")
        (found,) = past(c)
        assert [name for name, _ in found.orders] == ["p03", "p07"]
        before = statements(c, past)
        more = [f"q{n:02}" for n in range(20)]
        make(c, *more)
        names += more
        assert past(c) == (found,)
        assert statements(c, past) == before


def steps(c: Connection, ask: Callable[[], object]) -> int:
    """Virtual machine steps of a question, in tens."""
    raw = c.connection.dbapi_connection
    assert raw is not None
    count = 0

    def counting() -> int:
        nonlocal count
        count += 1
        return 0

    raw.set_progress_handler(counting, 10)
    ask()
    raw.set_progress_handler(None, 10)
    return count


def test_a_start_goes_through_no_holdings_of_leaders_that_a_portfolio_never_decided_on(database: Engine) -> None:
    with database.begin() as c:
        make(c, "a")
        traded(c, 1, LEADERS[0], "11", "a")
        holds(c, LEADERS[0], "11")
        policy = settings_store.policy_of({}, settings_store.load(c), "a")

        def start() -> PortfolioState:
            return restore.portfolio(c, "a", policy, AT)

        alone, cost = start(), steps(c, start)
        for n in range(500):
            holds(c, LEADERS[1], str(n))
        assert start() == alone
        assert steps(c, start) < cost + 20


def test_a_report_of_some_portfolios_says_what_that_of_all_says_of_them(database: Engine) -> None:
    with database.begin() as c:
        names = [f"p{n:02}" for n in range(6)]
        make(c, *names)
        traded(c, 1, LEADERS[0], "11", "p01", "p02")
        traded(c, 2, LEADERS[1], "12", "p02", "p05")
        rows, kept = report.report(c), report.Reports()
        assert len(rows) == 4
        for name in names:
            assert kept.report(c, portfolio=name) == [row for row in rows if row.portfolio == name]
        some = kept.among(c, ("p01", "p05"))
        assert sorted((row.portfolio, row.leader) for row in some) == [("p01", LEADERS[0]), ("p05", LEADERS[1])]
        assert all(row in rows for row in some)
        assert kept.report(c) == rows
