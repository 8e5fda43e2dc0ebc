"""What SQLite keeps small comes back as the text that it was, whoever wrote it, and is found by it."""

from __future__ import annotations

import gc
import hashlib
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, bindparam, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from pilotfish.core.effects import Delete, Insert, Update, Upsert
from pilotfish.core.reasons import Action, Reason
from pilotfish.core.records import HoldingRecord, TradeChange, TradeRaw, TradeRecord
from pilotfish.core.trade import Side, Source, TradeClass
from pilotfish.store import interned
from pilotfish.store import tables as t
from pilotfish.store.backup import backup
from pilotfish.store.batch import write
from pilotfish.store.database import empty_database, open_database
from pilotfish.store.interned import WORDS, ending_in, spelled
from pilotfish.store.mapping import UnreadableRowError, read, read_rows
from pilotfish.store.numbers import numbers_of
from pilotfish.store.refill import refill

ODD = (
    "",
    "None",
    "0x",
    "0xAB",
    "0xabc",
    "0xab",
    "0x" + "é" * 4,
    "é" * 1_000,
    "a" * 1_000,
    "\0",
    "a\nb",
    "1",
    "12",
    "0x 1",
)
texts = st.one_of(st.sampled_from(ODD), st.text(), st.from_regex(r"0x([0-9a-f]{2})*", fullmatch=True))
GIVEN_OUT = {"side": 2, "source": 2, "class": 3, "role": 2, "action": 4, "reason": 51}
"""So many words of each kind are in databases by their places."""
_numbers = count(1)


def trade(number: int, **said: Any) -> TradeRecord:
    """A trade of which some is said."""
    return TradeRecord(
        **{
            "id": number, "usdc_micro": 1, "traded_at": number, "traded_at_estimated": False,
            "first_seen_by_api_at": None, "first_seen_by_polygon_at": None, "is_combo": False, "condition_id": None,
            "outcome": None, "title": None, "slug": None, "fee_micro": None, "role": None, "order_hash": None,
            "exchange": None, "block_number": None, "block_hash": None, "log_index": None,
            "leader_pre_sell_shares_micro": None, "api_lagged": False, "retracted_at": None, "leader": "0x1",
            "tx_hash": f"0x{number:064x}", "token_id": "1", "side": Side.BUY, "shares_micro": 1, "occurrence": 1,
            "first_source": Source.API, "trade_class": TradeClass.LIVE, "moves_holding": True,
        } | said
    )  # fmt: skip


@pytest.fixture(scope="module")
def module() -> Iterator[Engine]:
    database = empty_database()
    yield database
    database.dispose()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    yield made
    made.dispose()


def stored(database: Engine, number: int) -> TradeRecord:
    with database.connect() as c:
        return next(read_rows(c, TradeRecord, read(TradeRecord).where(t.trades.c.id == number)))


@given(texts, texts, texts, st.none() | texts)
def test_any_text_comes_back_and_is_found_by_itself_whoever_wrote_it(
    module: Engine, leader: str, tx: str, title: str, block: str | None
) -> None:
    by_writer, by_statement = next(_numbers), next(_numbers)
    said = {"leader": leader, "tx_hash": tx, "title": title, "block_hash": block, "order_hash": tx}
    with module.begin() as c:
        write(c, [Insert(trade(by_writer, **said, occurrence=by_writer))])
    row = msgspec.to_builtins(trade(by_statement, **said, occurrence=by_statement))
    with module.begin() as c:
        c.execute(insert(t.trades).values(row))
    tr = t.trades.c
    with module.connect() as c:
        for wanted in (
            tr.leader == leader, tr.leader.in_([leader, "nobody"]), tr.tx_hash == tx, tr.title == title,
            ending_in(tr.order_hash, [tx]), spelled(tr.title) == title,
            tr.block_hash.is_(None) if block is None else tr.block_hash == block,
        ):  # fmt: skip
            assert {by_writer, by_statement} <= set(c.execute(select(tr.id).where(wanted)).scalars()), wanted
    for number in (by_writer, by_statement):
        found = stored(module, number)
        assert (found.leader, found.tx_hash, found.title, found.block_hash) == (leader, tx, title, block)


def test_a_name_that_nobody_knows_finds_nothing_and_differs_from_all(database: Engine) -> None:
    with database.begin() as c:
        write(c, [Insert(trade(1, title="known")), Insert(trade(2))])
    tr = t.trades.c
    with database.connect() as c:
        assert c.execute(select(tr.id).where(tr.title == "unknown")).all() == []
        assert c.execute(select(tr.id).where(tr.title.in_(["unknown", "other"]))).all() == []
        assert c.execute(select(tr.id).where(tr.title.in_([]))).all() == []
        assert list(c.execute(select(tr.id).where(tr.title.not_in([]))).scalars()) == [1, 2]
        for differs in (tr.title != "unknown", tr.title.not_in(["unknown", "other"])):
            assert list(c.execute(select(tr.id).where(differs)).scalars()) == [1]
        assert c.execute(select(tr.id).where(tr.title != "known")).all() == []


def test_what_would_compare_numbers_of_names_is_refused_before_it_is_asked() -> None:
    leader: Any = t.trades.c.leader
    wrong: list[Callable[[], object]] = [
        lambda: leader < "a", lambda: leader.like("a%"), lambda: leader.desc(), lambda: leader + "a",
        lambda: leader.between("a", "b"),
    ]  # fmt: skip
    for asked in wrong:
        with pytest.raises(TypeError, match="compare its text"):
            asked()


def test_rows_are_ordered_by_the_texts_of_names(database: Engine) -> None:
    wallets = ["0xc", "0xa", "0xb"]
    with database.begin() as c:
        for wallet in wallets:
            c.execute(insert(t.leaders).values(wallet=wallet, label="", status="active", added_at=1, updated_at=1))
    with database.connect() as c:
        w = t.leaders.c.wallet
        assert list(c.execute(select(w).order_by(spelled(w))).scalars()) == sorted(wallets)
        assert c.execute(select(func.max(spelled(w)))).scalar() == "0xc"
        assert list(c.execute(select(w).where(spelled(w).like("%b"))).scalars()) == ["0xb"]


HELD = {"shares_micro": 1, "updated_at": 1}


def test_every_way_of_inserting_and_changing_gives_numbers(database: Engine) -> None:
    h = t.leader_holdings
    with database.begin() as c:
        c.execute(insert(h).values(leader="one", token_id="1", **HELD))
        c.execute(insert(h), [{"leader": f"many {n}", "token_id": "2", **HELD} for n in range(3)])
        c.execute(insert(h).values([{"leader": f"multi {n}", "token_id": "3", **HELD} for n in range(2)]))
        c.execute(insert(h).values(leader=bindparam("who"), token_id="4", **HELD), {"who": "bound"})
        c.execute(update(h).where(h.c.leader == "one").values(token_id="changed"))
        c.execute(
            update(h).where(h.c.leader == bindparam("of")).values(leader=bindparam("to")),
            [{"of": "many 1", "to": "new"}],
        )
    with database.connect() as c:
        found = {(leader, token) for leader, token in c.execute(select(h.c.leader, h.c.token_id))}
        assert found == {
            ("one", "changed"), ("many 0", "2"), ("new", "2"), ("many 2", "2"), ("multi 0", "3"), ("multi 1", "3"),
            ("bound", "4"),
        }  # fmt: skip


def test_what_would_be_written_or_compared_without_a_number_is_refused(database: Engine) -> None:
    h = t.leader_holdings
    with database.begin() as c, pytest.raises(TypeError, match="give the text itself"):
        c.execute(insert(h).values(leader="one", token_id=literal("4"), **HELD))
    for other in (literal("x"), t.follows.c.leader, spelled(h.c.leader)):
        with pytest.raises(TypeError, match="compare its text"):
            assert h.c.leader == other
    with pytest.raises(TypeError, match="compare its text"):
        h.c.leader.in_(select(t.follows.c.leader))
    assert str(h.c.leader == t.trades.c.leader) == "leader_holdings.leader = trades.leader"


def test_a_name_without_a_number_cannot_be_written(database: Engine) -> None:
    with pytest.raises(IntegrityError), database.begin() as c:
        c.exec_driver_sql("INSERT INTO leader_holdings VALUES ((SELECT id FROM names WHERE name = 'x'), 1, 1, 1)")


@pytest.mark.parametrize(
    "wrote",
    [
        "INSERT INTO leaders VALUES ('0xab', '', 'active', 1, 1)",
        "INSERT INTO portfolios (name, bankroll_micro) VALUES ('main', 1)",
        "UPDATE trades SET title = 'a title'",
        "UPDATE trades SET leader = '0xab'",
    ],
)
def test_what_a_version_before_numbers_writes_is_refused(database: Engine, wrote: str) -> None:
    with database.begin() as c:
        write(c, [Insert(trade(1))])
    with pytest.raises(IntegrityError, match="CHECK constraint failed: typeof"), database.begin() as c:
        c.exec_driver_sql(wrote)


def test_a_transaction_that_is_taken_back_takes_its_names_with_it(database: Engine, tmp_path: Path) -> None:
    other = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(ZeroDivisionError), database.begin() as c:
        write(c, [Insert(trade(1, title="taken back", leader="first"))])
        1 / 0  # noqa: B018
    with other.begin() as c:
        write(c, [Insert(trade(2, title="of another", leader="second"))])
    with database.begin() as c:
        write(c, [Insert(trade(3, title="taken back", leader="first"))])
    assert (stored(database, 2).title, stored(database, 2).leader) == ("of another", "second")
    assert (stored(database, 3).title, stored(database, 3).leader) == ("taken back", "first")
    other.dispose()


def test_names_of_a_transaction_that_is_taken_back_between_two_others_are_forgotten(database: Engine) -> None:
    with pytest.raises(ZeroDivisionError), database.begin() as c:
        c.execute(insert(t.leader_holdings).values(leader="x", token_id="1", **HELD))
        write(c, [Insert(trade(1, leader="x"))])
        1 / 0  # noqa: B018
    with database.begin() as c:
        c.execute(insert(t.leader_holdings).values(leader="y", token_id="2", **HELD))
        write(c, [Insert(trade(1, leader="x")), Insert(trade(2, leader="y"))])
    assert [stored(database, n).leader for n in (1, 2)] == ["x", "y"]


def test_writers_that_race_for_the_same_new_names_agree_on_their_numbers(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    writers = [open_database(url) for _ in range(3)]
    ready = threading.Barrier(len(writers))

    def race(who: int) -> None:
        ready.wait()
        for n in range(20):
            with writers[who].begin() as c:
                write(c, [Insert(trade(100 * who + n + 1, title=f"title {n}", leader=f"leader {who}"))])

    threads = [threading.Thread(target=race, args=(who,)) for who in range(len(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with writers[0].connect() as c:
        tr = t.trades.c
        assert set(c.execute(select(tr.id, tr.title, tr.leader)).all()) == {
            (100 * who + n + 1, f"title {n}", f"leader {who}") for who in range(len(writers)) for n in range(20)
        }
        assert c.execute(select(func.count(), func.count(t.names.c.name.distinct()))).one() == (25 - 1, 25 - 1)
    for one in writers:
        one.dispose()


def test_names_that_are_kept_in_memory_are_bounded(database: Engine) -> None:
    numbers = numbers_of(database)
    numbers.MOST = 20
    for n in range(1, 60):
        with database.begin() as c:
            write(c, [Insert(trade(n, title=f"title {n}"))])
        assert len(numbers) <= 25
    assert [stored(database, n).title for n in (1, 30, 59)] == ["title 1", "title 30", "title 59"]


def test_rows_are_changed_replaced_and_deleted_by_names(database: Engine) -> None:
    def held(leader: str, shares: int) -> HoldingRecord:
        return HoldingRecord(leader=leader, token_id="7", shares_micro=shares, updated_at=1)  # type: ignore[arg-type]

    whole = trade(1, title="a", block_hash="0x" + "ab" * 32)
    with database.begin() as c:
        write(c, [Insert(whole), Upsert(held("x", 1)), Upsert(held("y", 2))])
    change = {name: getattr(whole, name) for name in TradeChange.__struct_fields__} | {
        "title": "b",
        "block_hash": "odd",
    }
    with database.begin() as c:
        write(c, [Update(TradeChange(**change)), Upsert(held("x", 3)), Delete(held("y", 0))])
    assert (stored(database, 1).title, stored(database, 1).block_hash) == ("b", "odd")
    with database.connect() as c:
        h = t.leader_holdings.c
        assert c.execute(select(h.leader, h.shares_micro)).all() == [("x", 3)]


def test_our_words_are_kept_by_places_that_never_change() -> None:
    given_out = [(kind, WORDS[kind][:n]) for kind, n in sorted(GIVEN_OUT.items())]
    assert hashlib.sha256(msgspec.json.encode(given_out)).hexdigest()[:16] == "d19d91006309a27e"
    for kind, members in (
        ("side", Side),
        ("source", Source),
        ("class", TradeClass),
        ("action", Action),
        ("reason", Reason),
    ):
        assert {str(member.value) for member in members} == set(WORDS[kind]), f"{kind}: new words go to the end"
        assert len(set(WORDS[kind])) == len(WORDS[kind]) <= 128


def test_a_word_of_a_later_version_is_kept_as_it_is(database: Engine) -> None:
    with database.begin() as c:
        c.execute(insert(t.trades).values(msgspec.to_builtins(trade(1)) | {"role": "arbiter", "class": "1"}))
    with database.connect() as c:
        assert c.execute(select(t.trades.c.role, t.trades.c["class"])).one() == ("arbiter", "1")
        kept = c.execute(text("SELECT typeof(role), typeof(class), typeof(side), typeof(leader) FROM trades")).one()
        assert tuple(kept) == ("text", "text", "integer", "integer")
        assert c.execute(select(t.trades.c.id).where(t.trades.c["class"] == "1")).scalar() == 1
        c.exec_driver_sql("UPDATE trades SET class = 99")
        with pytest.raises(UnreadableRowError, match="another version wrote it"):
            list(read_rows(c, TradeRecord, read(TradeRecord)))


def test_a_backup_by_a_version_that_does_not_know_a_word_says_it_to_one_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    with made.begin() as c:
        write(c, [Insert(trade(1, role="taker"))])
        c.exec_driver_sql("UPDATE trades SET role = 2, class = 3")
    backup(made, tmp_path / "x.pilotfish")
    new = open_database(f"sqlite:///{tmp_path / 'y.db'}", migrate=False)
    refill(new, tmp_path / "x.pilotfish")
    monkeypatch.setattr(interned, "WORDS", {**WORDS, "role": ("taker", "maker", "judge"), "class": (*"123", "later")})
    tr = t.trades.c
    for one in (made, new):
        with one.connect() as c:
            assert c.execute(select(tr.role, tr["class"]).where(tr.id == 1)).one() == ("judge", "later")
        one.dispose()
    taken = interned.Code("role", 5).process_bind_param
    assert [taken(2, dialect) for dialect in (sqlite.dialect(), postgresql.dialect())] == [2, "judge"]  # type: ignore[no-untyped-call]


def test_a_payload_needs_no_trade_to_be_kept(database: Engine) -> None:
    with database.begin() as c:
        write(
            c,
            [Insert(trade(1)), Insert(TradeRaw(1, Source.API, '{"a": "0x1"}')), Insert(TradeRaw(2, Source.API, "{}"))],
        )
    with database.connect() as c:
        assert list(c.execute(select(t.trade_raw.c.payload)).scalars()) == ['{"a": "0x1"}', "{}"]
        kept = c.execute(text("SELECT substr(payload, 1, 1) FROM trade_raw")).scalars()
        assert list(kept) == [b"\4", b"\3"]


def test_hashes_are_found_by_an_index_of_their_ends(database: Engine) -> None:
    alike, other = "0x" + "ab" * 31 + "01", "0x" + "ab" * 31 + "02"
    with database.begin() as c:
        write(c, [Insert(trade(1, order_hash=alike)), Insert(trade(2, order_hash=other))])
    found = select(t.trades.c.id).where(ending_in(t.trades.c.order_hash, [alike]))
    with database.connect() as c:
        assert list(c.execute(found).scalars()) == [1]
        compiled = found.compile(database, compile_kwargs={"literal_binds": False, "render_postcompile": True})
        plan = c.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", tuple(interned.bytes_of(x) for x in (alike, alike)))
        assert any("ix_trades_order_id" in row[3] for row in plan)


def test_what_is_known_of_a_database_goes_with_its_engine(tmp_path: Path) -> None:
    made = open_database(f"sqlite:///{tmp_path / 'gone.db'}")
    with made.begin() as c:
        write(c, [Insert(trade(1))])
    made.dispose()
    gone = weakref.ref(made)
    del made, c
    gc.collect()
    assert gone() is None


def test_a_connection_that_has_not_begun_yet_is_written_to_as_well(database: Engine) -> None:
    with database.connect() as c:
        write(c, [Insert(trade(1, title="kept"))])
        c.commit()
        write(c, [Insert(trade(2, title="taken back"))])
        c.rollback()
        write(c, [Insert(trade(3, title="later"))])
        c.commit()
    assert [stored(database, n).title for n in (1, 3)] == ["kept", "later"]
