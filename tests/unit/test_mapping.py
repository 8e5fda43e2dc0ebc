"""Records and rows."""

from __future__ import annotations

import msgspec

from pilotfish.core import events as ev
from pilotfish.core.effects import Delete, Effect, Insert, Update, Upsert
from pilotfish.core.records import Record
from pilotfish.simtest.run import Run
from pilotfish.simtest.store import open_store
from pilotfish.simtest.world import make
from pilotfish.store.mapping import row_of


def test_a_row_holds_what_its_record_says_in_plain_values() -> None:
    seen: dict[type[Record], int] = {}

    def look(_event: ev.Event, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Insert | Update | Upsert):
                record: Record = effect.record
            elif isinstance(effect, Delete):
                record = effect.key
            else:
                continue
            seen[type(record)] = seen.get(type(record), 0) + 1
            row, plain = row_of(record), msgspec.to_builtins(record)
            assert list(row.items()) == list(plain.items())
            assert [type(value) for value in row.values()] == [type(value) for value in plain.values()]

    database = open_store()
    for seed in range(12):
        Run(database, make(seed, 30), seed, look).play()
    assert len(seen) >= 18, f"few kinds of records were written: {sorted(kind.__name__ for kind in seen)}"
