"""Broken input of every kind is refused as such: payloads, backups, files of a set-up, addresses of pages."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from pilotfish.core.problem import Problem
from pilotfish.store.archive import ArchiveError
from pilotfish.store.backup import backup
from pilotfish.store.database import open_database
from pilotfish.store.refill import refill
from pilotfish.store.setup_file import read_setup
from pilotfish.web.server import build
from tests.fresh import fresh_database
from tests.fuzz import MOST_GROWN, fuzz
from tests.old_databases import story
from tests.story import make
from tests.unit.test_hostile_payloads import PARSERS

pytestmark = pytest.mark.slow


def test_broken_payloads_bring_a_record_or_the_parsers_own_error() -> None:
    found = fuzz(4_000, seed=11)
    assert found.failures == []
    assert found.slowest < 1.0
    assert found.grown < MOST_GROWN
    for kind in PARSERS:  # each parser was reached, and gave and refused some
        assert found.outcomes[kind, "record"] + found.outcomes[kind, "refused"] > 20, kind
    assert fuzz(500, seed=3).outcomes == fuzz(500, seed=3).outcomes


def test_a_backup_with_any_byte_changed_restores_right_or_not_at_all(tmp_path: Path) -> None:
    path, chance = tmp_path / "x.pilotfish", random.Random(5)
    made = backup(story().database, path)
    good = path.read_bytes()
    database = open_database(f"sqlite:///{tmp_path / 'new.db'}", migrate=False)
    refused = 0
    for _ in range(40):
        data = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            manifest, differences = refill(database, path, replace=True)
        except ArchiveError:
            refused += 1
        else:  # a byte that says nothing, such as a time of the archive's own
            assert (manifest.tables, differences) == (made.tables, [])
    assert refused > 20
    database.dispose()


@given(st.text(max_size=300) | st.lists(st.sampled_from(
    ["[settings]", "[leaders.", "0x" + "a" * 40, "]", "fixed_usdc", " = ", "5", '"', "\n", "[portfolios.main]",
     "leaders", '"all"', "[", "{", "}", "#", "1e999", "nan", "2026-01-01", "[[", "settings"]
)).map("".join))  # fmt: skip
def test_any_text_is_a_set_up_or_refused_as_none(text: str) -> None:
    with contextlib.suppress(Problem):
        read_setup(text, "x.toml")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The dashboard over a story."""
    database = fresh_database(tmp_path_factory.mktemp("pages") / "x.db")
    make(3, 2, 14, database).play()
    with TestClient(build(database, {}), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client
    database.dispose()


PATHS = ("/", "/leaders", "/leaders/{}", "/trades", "/trades.csv", "/positions", "/latency", "/portfolios", "/settings",
         "/look-backs", "/look-backs/{}", "/parts/trade/{}", "/parts/{}", "/api/v1/trades", "/api/v1/trades/{}",
         "/api/v1/decisions", "/api/v1/equity", "/{}")  # fmt: skip
NAMES = ("portfolio", "leader", "q", "state", "before", "sort", "limit", "page", "period", "token_id", "since",
         "reason", "action", "_parts", "class")  # fmt: skip
ODD = st.one_of(
    st.text(max_size=40), st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["", "0", "-1", "main", "0x", "%00", "\0", "..", "../../etc/passwd", "<script>", "'; --", "nan"]),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    path=st.sampled_from(PATHS),
    part=ODD,
    query=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), ODD, max_size=4),
)
def test_no_address_brings_an_error_of_this_program(
    pages: TestClient, path: str, part: str, query: dict[str, str]
) -> None:
    from urllib.parse import quote

    answer = pages.get(path.format(quote(part, safe="", errors="replace")), params=_sendable(query))
    assert answer.status_code < 500, (path, part, query)
    assert "Traceback" not in answer.text


def _sendable(query: dict[str, str]) -> dict[str, str]:
    """What can be part of an address at all: no half of a pair of surrogates."""
    return {_whole(name): _whole(value) for name, value in query.items()}


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
