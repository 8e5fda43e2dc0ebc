"""Promises that the source itself must keep."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from pilotfish.core.reasons import MEANING, Reason
from pilotfish.core.settings import ALL, Policy
from pilotfish.store import database, tables
from tests.conftest import PROJECT

SOURCE = PROJECT / "src" / "pilotfish"


def test_no_range_scan_of_logs_anywhere() -> None:
    files = list(SOURCE.rglob("*.py"))
    assert len(files) > 50
    assert [f.name for f in files if "getLogs" in f.read_text()] == []


def test_no_registry_or_machine_is_named() -> None:
    forbidden = ("pypi" + ".org", "npmjs" + ".org", "pythonhosted" + ".org", "deb.debian" + ".org", "/wor" + "k/")
    for file in PROJECT.rglob("*"):
        hidden = any(p.startswith(".") and p != ".ci" for p in file.relative_to(PROJECT).parts)
        if file.is_file() and not hidden and file.suffix in (".py", ".toml", ".lock", ".md", ".sh", ".css", ".js", ""):
            text = file.read_text(errors="ignore")
            assert not [name for name in forbidden if name in text], file


def test_migrations_make_exactly_the_declared_tables(tmp_path: Path) -> None:
    engine = database.open_database(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as c, database.empty_database().connect() as declared:
        assert indexes(c) == indexes(declared)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*expression-based index")
            context = MigrationContext.configure(c, opts={"include_object": is_reflected})
            assert compare_metadata(context, tables.metadata) == []
        assert set(inspect(c).get_table_names()) == {*tables.metadata.tables, "alembic_version"}
    versions = sorted(p.stem for p in (SOURCE / "store" / "migrations" / "versions").glob("0*.py"))
    assert versions[-1].startswith(database.HEAD)


def indexes(c: Connection) -> dict[str, str]:
    """Each index by name, as SQLite has it."""
    made = c.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
    return {row.name: row.sql for row in made}


def is_reflected(_what: object, name: str, kind: str, *_: object) -> bool:
    """False for indexes over an expression, which are told by their text alone."""
    return kind != "index" or not name.endswith(tuple(f"_{ratio}" for ratio in tables.TRIP_RATIOS))


def test_every_reason_is_explained() -> None:
    assert set(MEANING) == set(Reason)
    assert all(text.endswith(".") for text in MEANING.values())


def test_every_field_of_a_policy_is_a_declared_setting() -> None:
    assert set(Policy.__struct_fields__) - {"by_leader"} <= {s.name for s in ALL}


def test_every_folder_says_what_lives_there() -> None:
    for init in SOURCE.rglob("__init__.py"):
        assert init.read_text().strip().startswith('"""'), init


def test_a_backtest_walks_no_book_charges_no_fee_and_sizes_nothing_itself() -> None:
    """What the engine, its paper venue and its rules do is theirs alone: a backtest answers their questions."""
    rules = {
        "pilotfish.core.sizing", "pilotfish.core.fees", "pilotfish.core.fills", "pilotfish.core.policy",
        "pilotfish.core.ledger", "pilotfish.core.settlement", "pilotfish.core.lateness", "pilotfish.core.paper",
    }  # fmt: skip
    called = {
        "calibration.py": {"buy_limit", "sell_limit", "simulate_buy", "simulate_sell", "PaperFill", "NO_FEE"},
    }
    files = sorted((SOURCE / "backtest").glob("*.py"))
    assert len(files) > 15
    for file in files:
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in rules:
                assert {name.name for name in node.names} <= called.get(file.name, set()), (file.name, node.lineno)
            if isinstance(node, ast.ImportFrom) and node.module == "pilotfish.core.book":
                assert {name.name for name in node.names} <= {"Book", "Level", "LiquidityMemory", "make_book"}, (
                    file.name
                )
            if isinstance(node, ast.For | ast.comprehension):
                over = ast.unparse(node.iter)
                assert not over.endswith((".bids", ".asks")), f"{file.name} goes through the levels of a book: {over}"
