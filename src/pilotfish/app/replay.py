"""Replaying a journal: the recorded events go through a fresh engine, whose effects must be the recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from pilotfish.app import journal_format as form
from pilotfish.app.outcome import Tally
from pilotfish.core import events as ev
from pilotfish.core.drive import played
from pilotfish.core.effects import Delete, Effect, Insert, Update, Upsert
from pilotfish.core.engine import Engine

SHOWN_CHARACTERS = 600
"""Of an effect that differs."""


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first thing that is not as it was: where, and what. ``sequence`` counts a run's events from 0; ``at`` in µs.
    ``effects`` are this engine's, ``effect`` the first of them that differs."""

    run: str
    sequence: int | None = None
    event: str = ""
    at: int | None = None
    differs: str
    effects: list[str] = []
    effect: str = ""


class Replayed(msgspec.Struct, kw_only=True):
    """``difference`` = ``None``: identical. ``notes``: what a person should know besides."""

    runs: int = 0
    events: int = 0
    difference: Difference | None = None
    notes: list[str] = []


class Original:
    """The recorded side: an engine for each run, its tally over all of them."""

    def __init__(self, *, go_on: bool = False) -> None:
        self.engine = Engine()
        self.tally = Tally()
        self.result = Replayed()
        self._go_on = go_on
        """Go on after effects that differ: the first difference is kept."""

    def play(self, chosen: list[form.Run], each: Callable[[Iterable[form.Entry]], Iterable[form.Entry]]) -> None:
        """Replay runs, one after the other, up to the first difference, or on beyond it. ``each`` passes the entries of
        a run on, and may look ahead in them."""
        for run in chosen:
            if not run.whole:
                self._differs(run, differs=_pruned(run))
                return
            reader = form.Reader(run)
            self.engine = Engine()
            try:
                for entry in each(reader):
                    if not self._apply(run, entry):
                        return
            except form.DamagedError as problem:
                self._differs(run, sequence=reader.events, differs=f"the journal is damaged: {problem}")
                return
            except OSError as problem:
                self._differs(run, sequence=reader.events, differs=f"the journal cannot be read: {problem}")
                return
            self.result.runs += 1
            self._note(reader)

    def _apply(self, run: form.Run, entry: form.Entry) -> bool:
        event = form.decode_event(entry.event)
        if isinstance(event, ev.Restored):
            self.tally.begin(event.portfolios)
        elif isinstance(event, ev.PortfolioAdded):
            self.tally.begin([event.state])
        kind, at = type(event).__name__, event.at
        try:
            effects = played(self.engine, event)
        except Exception as problem:  # whatever another version of the engine meets
            told = f"this engine cannot apply it: {type(problem).__name__}: {problem}"
            self._differs(run, sequence=entry.sequence, event=kind, at=at, differs=told)
            return False
        digest, marks = form.digest_of(effects)
        if digest != entry.digest:
            differs, effect = _what(effects, marks, entry.marks)
            names = [_name(e) for e in effects]
            self._differs(
                run, sequence=entry.sequence, event=kind, at=at, differs=differs, effects=names, effect=effect
            )
            if not self._go_on:
                return False
        self.tally.see(self.engine, effects)
        self.result.events += 1
        return True

    def _differs(
        self,
        run: form.Run,
        *,
        differs: str,
        sequence: int | None = None,
        event: str = "",
        at: int | None = None,
        effects: list[str] | None = None,
        effect: str = "",
    ) -> None:
        if self.result.difference is not None:
            return
        self.result.difference = Difference(
            run=run.name, sequence=sequence, event=event, at=at, differs=differs, effects=effects or [], effect=effect
        )

    def _note(self, reader: form.Reader) -> None:
        notes, run, head = self.result.notes, reader.run.name, reader.head
        if reader.torn:
            notes.append(f"run {run}: {reader.torn}: the worker died while it was written")
        if head is not None and head.code != form.engine_code():
            notes.append(f"run {run} was written by another engine (pilotfish {head.program}, code {head.code})")
        if reader.end is None:
            notes.append(
                f"run {run} has no end: the worker was killed, or still runs; {reader.events} events are there"
            )
        elif reader.end.how != "stopped":
            notes.append(f"run {run} ends early: {reader.end.how}")


def whole_runs(found: list[form.Run]) -> tuple[list[form.Run], list[str]]:
    """Without those whose beginning is gone, where there are others; and what to say of them."""
    whole = [run for run in found if run.whole]
    if not whole:
        return found, []
    return whole, [f"{_pruned(run)}; left out" for run in found if not run.whole]


def _pruned(run: form.Run) -> str:
    return (
        f"the beginning of run {run.name} was pruned: it begins at segment {run.segments[0].number}, and only a whole"
        " run can be replayed (journal_max_mb and journal_max_days bound what is kept)"
    )


def replay(folder: Path, wanted: str = "all") -> Replayed:
    """Replay runs of a journal. Raises :class:`~pilotfish.app.journal_format.JournalError` where there is none."""
    chosen, notes = whole_runs(form.choose(form.runs(folder), wanted))
    original = Original()
    original.play(chosen, lambda entries: entries)
    original.result.notes[:0] = notes
    return original.result


def _what(effects: list[Effect], now: bytes, then: bytes) -> tuple[str, str]:
    """What differs, in words, and the effect of now that does."""
    size = form.CHECK.size
    for place in range(max(len(now), len(then)) // size):
        mine, theirs = (marks[place * size : (place + 1) * size] for marks in (now, then))
        if mine == theirs:
            continue
        told = f"effect {place + 1} of {len(then) // size}"
        if not mine:
            return f"{told}: it is missing now", ""
        effect = effects[place]
        told = f"{told}: {_name(effect)} differs" if theirs else f"{_name(effect)} comes on top of {told[10:]}"
        return told, msgspec.json.encode(effect).decode()[:SHOWN_CHARACTERS]
    return "the digest of its effects", ""


def _name(effect: Effect) -> str:
    kind = type(effect).__name__
    if isinstance(effect, Delete):
        return f"{kind} {effect.key.table}"
    return f"{kind} {effect.record.table}" if isinstance(effect, Insert | Update | Upsert) else kind
