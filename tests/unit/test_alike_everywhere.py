"""What is asked has one answer, whichever database it is asked of, and whoever came into it first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, Connection, Engine, insert, select
from sqlalchemy.dialects import postgresql

from pilotfish.core.reasons import Reason
from pilotfish.core.settings import Globals, policy_from
from pilotfish.store import exports, leaders_store, portfolios_store, restore
from pilotfish.store import tables as t
from pilotfish.store.database import empty_database, open_to_read, snapshot
from pilotfish.store.interned import as_text
from pilotfish.store.views.leaders import read_leader
from pilotfish.store.views.markets import tokens_by_words
from pilotfish.store.views.order_feed import read_leader_orders
from pilotfish.store.views.positions import read_holdings, read_positions
from pilotfish.store.views.trades import TradeFilter
from tests.fresh import fresh_database

AT = 1_800_000_000 * 1_000_000
ANNA, BERTA = "0x" + "a" * 40, "0x" + "b" * 40
TITLES = ("Ökonomie: ÉLECTIONS 2028?", "Σ of ΟΔΟΣ", "plain 100%_\\ sure", "", "Ünder")


@pytest.fixture
def database() -> Iterator[Engine]:
    made = empty_database()
    yield made
    made.dispose()


def market(token: str, title: str | None) -> dict[str, object]:
    return {
        "token_id": token, "condition_id": "", "outcome": "", "title": title, "category": "", "tick_micro": 1,
        "fee_rate_ppm": 0, "delay_ms": 0, "fetched_at": AT,
    }  # fmt: skip


def position(portfolio: str, leader: str, token: str, opened_at: int = AT) -> dict[str, object]:
    amounts = dict.fromkeys(("shares_micro", "cost_micro", "realized_pnl_micro", "fees_micro"), 5)
    return {
        "portfolio": portfolio, "leader": leader, "token_id": token, "condition_id": "", "outcome": "", **amounts,
        "status": "open", "opened_at": opened_at,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("Ökonomie", ["0"]), ("ökonomie: é", ["0"]), ("ÖKONOMIE", ["0"]), ("élections", ["0"]), ("σ OF οδος", ["1"]),
        ("100%_\\ S", ["2"]), ("%", ["2"]), ("_", ["2"]), ("ü", ["4"]), ("o", ["0", "1"]),
    ],
)  # fmt: skip
def test_words_of_a_title_are_found_in_letters_of_any_alphabet(
    database: Engine, words: str, found: list[str]
) -> None:  # fmt: skip
    with database.begin() as c:
        c.execute(insert(t.markets), [market(str(n), title) for n, title in enumerate(TITLES)])
        c.execute(insert(t.markets).values(market("none", None)))
        assert sorted(tokens_by_words(c, words)) == found


def test_each_way_of_opening_a_database_knows_letters_of_any_alphabet(tmp_path: Path) -> None:
    made = fresh_database(tmp_path / "x.db")
    with made.begin() as c:
        c.execute(insert(t.markets).values(market("1", TITLES[0])))
    read = open_to_read(f"sqlite:///{tmp_path / 'x.db'}")
    assert read is not None
    for one in (made, read):
        with snapshot(one) as c:
            assert tokens_by_words(c, "ÖKONOMIE") == ["1"]
        one.dispose()


@pytest.mark.parametrize("column", [t.portfolios.c.name, t.markets.c.title, t.positions.c.token_id, t.follows.c.leader])
def test_postgresql_orders_texts_by_code_points_as_sqlite_does(column: ColumnElement[str]) -> None:
    told = str(select(t.audit.c.id).order_by(as_text(column).desc()).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert told.endswith(f'ORDER BY ({column}) COLLATE "C" DESC')
    assert as_text(t.audit.c.id) is t.audit.c.id


@pytest.mark.parametrize(
    "column",
    [t.markets.c.title, t.markets.c.title.desc().nulls_last(), t.settings.c.name, t.decisions.c.reason,
     t.trades.c.tx_hash, t.positions.c.leader],
)  # fmt: skip
def test_a_query_that_databases_would_order_each_in_its_own_way_is_refused(
    database: Engine, column: ColumnElement[str]
) -> None:  # fmt: skip
    with database.connect() as c, pytest.raises(TypeError, match="ordered in another way"):
        c.execute(select(t.audit.c.id).order_by(column))
    with pytest.raises(TypeError, match="something else than its text"):
        as_text(t.decisions.c.reason)


def of_texts(database: Engine) -> dict[str, object]:
    """What is found by texts and ordered by them, of names that came in another order."""
    with database.begin() as c:
        for wallet in (BERTA, ANNA):
            leaders_store.add(c, wallet, "", AT, by="test")
        for n, name in enumerate(("b", "a", "B", "A-1", "A")):
            portfolios_store.add(c, name, {}, at=AT, by="test", leaders=[BERTA, ANNA])
            c.execute(insert(t.markets).values(market(f"{9 - n}", name)))
            c.execute(insert(t.positions).values(position(name, (BERTA, ANNA)[n % 2], f"{9 - n}")))
        c.execute(insert(t.markets), [market(f"1{n}", title) for n, title in enumerate(TITLES)])
    with snapshot(database) as c:
        return {
            "active": portfolios_store.active(c),
            "follows": portfolios_store.follows(c, "b"),
            "exported": [row.portfolio for row in exports.rows(c, "positions")],  # type: ignore[attr-defined]
            "by title": [row.title for row in read_positions(c, sort="title", descending=False)[0]],
            "by title, down": [row.title for row in read_positions(c, sort="title", descending=True)[0]],
            "found": sorted(tokens_by_words(c, "ÖKONOMIE: él")),
        }


def test_names_and_titles_are_ordered_by_code_points_whoever_came_first(database: Engine) -> None:
    told = ["A", "A-1", "B", "a", "b"]
    assert of_texts(database) == {
        "active": told, "follows": [ANNA, BERTA], "exported": told, "by title": told, "by title, down": told[::-1],
        "found": ["10"],
    }  # fmt: skip


def test_holdings_of_one_size_are_in_the_order_of_their_tokens(database: Engine) -> None:
    with database.begin() as c:
        for token in ("3", "1", "2"):
            c.execute(insert(t.leader_holdings).values(leader=ANNA, token_id=token, shares_micro=7, updated_at=AT))
        assert [row.token_id for row in read_holdings(c, ANNA, "main")] == ["1", "2", "3"]


def test_a_start_takes_positions_up_in_the_order_in_which_they_were_opened(database: Engine) -> None:
    opened = [(BERTA, "2", AT), (ANNA, "9", AT + 2), (BERTA, "1", AT + 1), (ANNA, "10", AT + 1)]
    with database.begin() as c:
        portfolios_store.ensure_main(c, policy_from({}), AT)
        for leader, token, at in opened:
            c.execute(insert(t.positions).values(position("main", leader, token, at)))
        begun = restore.restored(c, {"main": policy_from({})}, Globals(), AT + 9)
    taken = [(p.leader, p.token_id) for p in begun.portfolios[0].positions]
    assert taken == [(BERTA, "2"), (ANNA, "10"), (BERTA, "1"), (ANNA, "9")]


def decided(number: int, reason: Reason, **more: object) -> dict[str, object]:
    return {
        "id": number, "trade_id": number, "portfolio": "main", "action": "skip", "reason": reason.value,
        "decided_at": AT + number, "trace": [], "leader": ANNA, "token_id": "1", "side": "BUY", "class": "live",
        **more,
    }  # fmt: skip


def traded(number: int) -> dict[str, object]:
    return {
        "id": number, "leader": ANNA, "tx_hash": f"0x{number:064x}", "token_id": "1", "side": "BUY",
        "shares_micro": 1, "occurrence": 1, "first_source": "api", "class": "live", "usdc_micro": 1,
        "traded_at": AT + number, "order_hash": "0x" + "7" * 64,
    }  # fmt: skip


def skipped(c: Connection, reasons: tuple[Reason, ...]) -> None:
    """Fills of one leader, each skipped for a reason."""
    portfolios_store.ensure_main(c, policy_from({}), AT)
    leaders_store.add(c, ANNA, "", AT, by="test")
    for n, reason in enumerate(reasons, start=1):
        c.execute(insert(t.trades).values(traded(n)))
        c.execute(insert(t.decisions).values(decided(n, reason)))


def test_why_fills_of_an_order_were_not_copied_is_told_in_the_order_of_the_fills(database: Engine) -> None:
    came = (Reason.SKIP_SLIPPAGE, Reason.SKIP_PAUSED, Reason.SKIP_DEPTH, Reason.SKIP_SLIPPAGE)
    with database.begin() as c:
        skipped(c, came)
        (order,) = read_leader_orders(c, TradeFilter(portfolio="main"), limit=5).data
        assert order.decision is not None
        told = list(order.decision.skipped.items())
        assert told == [(Reason.SKIP_SLIPPAGE, 2), (Reason.SKIP_PAUSED, 1), (Reason.SKIP_DEPTH, 1)]


def test_reasons_that_came_as_often_as_each_other_are_in_the_order_of_their_names(database: Engine) -> None:
    came = (Reason.SKIP_SLIPPAGE, Reason.SKIP_PAUSED, Reason.SKIP_SLIPPAGE, Reason.SKIP_DEPTH, Reason.SKIP_CASH)
    with database.begin() as c:
        skipped(c, came)
        found = read_leader(c, ANNA, "main")
        assert found is not None
        told = list(found.skipped.items())
        assert told == [("SKIP_SLIPPAGE", 2), ("SKIP_CASH", 1), ("SKIP_DEPTH", 1), ("SKIP_PAUSED", 1)]
