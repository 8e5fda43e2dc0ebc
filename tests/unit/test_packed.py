"""Traces and payloads are kept packed, come back as they were, and rows of before are read beside them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, text

from pilotfish.cli.benches import mix as bench_mix
from pilotfish.store import packed
from pilotfish.store import tables as t
from tests.fresh import fresh_in_memory

HELD = {
    1: "e1337273630a300b",
    2: "36473345db1d9d83",
}


def test_a_dictionary_never_changes() -> None:
    assert {n: hashlib.sha256(d).hexdigest()[:16] for n, d in packed.DICTIONARIES.items()} == HELD


@given(st.text(), st.sampled_from(sorted(packed.DICTIONARIES)))
def test_any_text_comes_back_as_it_was(told: str, dictionary: int) -> None:
    assert packed.unpack(packed.pack(told, dictionary)) == told


def test_what_is_kept_of_a_log_and_of_a_trace_is_a_fraction_of_its_text() -> None:
    raw = bench_mix.chain_fill(5, bench_mix.AT).raw
    assert len(packed.pack(raw, 2)) * 3 < len(raw)
    said = packed.DICTIONARIES[1][-400:].decode()
    assert len(packed.pack(said[said.index("[[") :], 1)) < 40


def test_rows_of_before_are_read_beside_packed_ones() -> None:
    database = fresh_in_memory()
    with database.begin() as c:
        c.execute(insert(t.trade_raw).values(trade_id=1, source="api", payload='{"a": 1}' * 50))
        c.execute(text("INSERT INTO trade_raw VALUES (2, 'api', '{\"a\": 1}')"))
        assert list(c.execute(select(t.trade_raw.c.payload)).scalars()) == ['{"a": 1}' * 50, '{"a": 1}']
        kept = c.execute(text("SELECT typeof(payload), length(payload) FROM trade_raw ORDER BY trade_id")).all()
        assert [tuple(row) for row in kept] == [("blob", kept[0][1]), ("text", 8)]
        assert kept[0][1] < 100


def test_a_value_of_an_unknown_dictionary_is_refused() -> None:
    with pytest.raises(ValueError, match="dictionary 9"):
        packed.unpack(b"\x09abc")
