"""What an engine in Python cannot do without: the effects of a mix made anew, with their records and the lines of their
traces, and nothing looked up, reckoned or decided."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from pilotfish.cli.benches.engine_mix import Mix, own_time, prepared
from pilotfish.cli.benches.figure import same
from pilotfish.core.drive import played
from pilotfish.core.effects import Effect
from pilotfish.core.records import DecisionChange

_TRACE = DecisionChange.__struct_fields__.index("trace")


class _Parts(NamedTuple):
    """What an effect is made of: ``values`` are the fields of its record, or its own where it has none."""

    kind: type[Any]
    record: type[Any] | None
    values: list[Any]
    trace: list[Any] | None
    """The lines of a decision's trace, which are made anew, too."""

    def made(self) -> Any:
        """The effect."""
        if self.trace is not None:
            self.values[_TRACE] = [[name, value, limit, passed] for name, value, limit, passed in self.trace]
        if self.record is None:
            return self.kind(*self.values)
        return self.kind(self.record(*self.values))


def spent(mixed: Mix) -> float:
    """Seconds of this process's own time to make what an engine makes of the measured part."""
    engine = prepared(mixed)
    parts = []
    for event in mixed.events:
        effects = played(engine, event)
        parts.append([_parts(effect) for effect in effects])
        same("the effects of an event", [p.made() for p in parts[-1]], effects)

    def make() -> None:
        for effects in parts:
            for part in effects:
                part.made()

    return own_time(make)


def _parts(effect: Effect) -> _Parts:
    record = getattr(effect, "record", None)
    values = list(msgspec.structs.astuple(effect if record is None else record))
    trace = values[_TRACE] if isinstance(record, DecisionChange) else None
    return _Parts(type(effect), None if record is None else type(record), values, trace)
