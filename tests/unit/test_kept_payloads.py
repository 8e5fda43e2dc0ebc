"""A payload comes back as it came, whatever it is, and little of it is kept that its trade's row says already."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from pilotfish.cli.benches import mix as bench_mix
from pilotfish.core.effects import Insert
from pilotfish.core.records import TradeRaw
from pilotfish.core.trade import Source
from pilotfish.store import packed, payloads
from pilotfish.store import tables as t
from pilotfish.store.backup import backup
from pilotfish.store.batch import write
from pilotfish.store.database import open_database
from pilotfish.store.payloads import pack, unpack
from pilotfish.store.refill import refill
from pilotfish.store.views.decisions import read_trade
from tests.payloads.logs import files
from tests.unit.test_interned import trade
from tests.unit.test_old_databases import stepped_back

HELD = "68f42898853229af"
digits = st.text("0123456789abcdef", max_size=130)
hexes = st.builds(
    lambda zeros, some: "0x" + "0" * zeros + some, st.sampled_from((0, 1, 24, 31, 60)), digits
) | st.sampled_from([f"0x{one}" for one in payloads.CONSTANTS])
odd = st.sampled_from(("", "0x", "1", "0x12", "é", "\0", "\1", "0X12", "0x" + "A" * 40)) | st.text(max_size=20)
trades = st.tuples(hexes | odd, hexes | odd, st.integers(0, 2**256 - 1).map(str) | odd)


@given(st.lists(hexes | odd | st.sampled_from('{}[],:"'), max_size=20), st.none() | trades, st.lists(st.integers(0, 3)))
def test_any_payload_comes_back_as_it_was(parts: list[str], trade_: tuple[str, str, str] | None, of: list[int]) -> None:
    known = (*trade_, "0" * 24 + trade_[1][2:]) if trade_ is not None else ("", "", "", "")
    said = "".join([*parts, *(f"0x{known[n][2:]}{known[n]}" for n in of)])
    assert unpack(pack(said, trade_), trade_) == said


def test_logs_of_every_shape_come_back_with_their_trades_and_alone() -> None:
    cases = [case for name, some in files().items() if name.startswith("order_filled") for case in some]
    assert len(cases) > 10
    for case in cases:
        said = json.dumps(case["log"])
        of = (case["log"].get("transactionHash", ""), case["expect"]["wallet"], case["expect"]["token_id"])
        assert unpack(pack(said, of), of) == said
        assert unpack(pack(said)) == said


def test_what_is_kept_of_a_log_is_a_tenth_of_its_text() -> None:
    fill = bench_mix.chain_fill(5, bench_mix.AT)
    kept = pack(fill.raw, (fill.tx_hash, fill.leader, fill.token_id))
    assert len(kept) * 9 < len(fill.raw)
    assert len(pack(fill.raw)) * 5 < len(fill.raw)


def test_what_payloads_are_packed_with_never_changes() -> None:
    said = repr((payloads.SKELETONS, payloads.CONSTANTS[:4])).encode()
    assert hashlib.sha256(said).hexdigest()[:16] == HELD


@pytest.mark.parametrize("kept", [b"\4abc", pack("0x" + "ab" * 32)[:-3]])
def test_what_cannot_be_read_is_refused(kept: bytes) -> None:
    with pytest.raises(ValueError, match=r"which is not there|cut short"):
        unpack(kept)


def test_a_payload_is_read_and_backed_up_with_its_trade(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    fills = [bench_mix.chain_fill(i, bench_mix.AT) for i in range(3)]
    with database.begin() as c:
        for n, fill in enumerate(fills, start=1):
            of = trade(n, tx_hash=fill.tx_hash, leader=fill.leader, token_id=fill.token_id)
            write(c, [Insert(of), Insert(TradeRaw(n, Source.POLYGON, fill.raw))])
    other = open_database(f"sqlite:///{tmp_path / 'y.db'}")
    backup(database, tmp_path / "x.pilotfish")
    refill(other, tmp_path / "x.pilotfish")
    for one in (database, other):
        with one.connect() as c:
            assert [read_trade(c, n).raw for n in (1, 2, 3)] == [fill.raw for fill in fills]  # type: ignore[union-attr]
            assert list(c.execute(select(t.trade_raw.c.payload)).scalars()) == [fill.raw for fill in fills]
    with database.connect() as c:
        assert c.execute(text("SELECT max(length(payload)) FROM trade_raw")).scalar_one() < 130
    stepped_back(database, "0015")
    with database.connect() as c:
        kept = c.execute(text("SELECT payload FROM trade_raw ORDER BY trade_id")).scalars()
        assert list(map(packed.unpack, kept)) == [fill.raw for fill in fills]
    database.dispose()
    other.dispose()
