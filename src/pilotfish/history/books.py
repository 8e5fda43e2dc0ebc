"""Recorded order books, read back: of which tokens there are some, and what stood at an instant, never across a gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa

from pilotfish.core.book import Book
from pilotfish.core.problem import Problem
from pilotfish.core.units import SECOND
from pilotfish.history import book_segments as seg
from pilotfish.history.book_columns import in_order, of_tokens, rows_of
from pilotfish.history.book_track import STANDS, BookTrack
from pilotfish.history.folder import History
from pilotfish.history.records import Past
from pilotfish.polymarket.book_rows import BookRow, Heard

MOST_BOOKS = 200_000
"""Books of one token that are made at once."""
AFTER_TRADE = 900
"""Seconds after a trade of which a backtest reads the recorded books: what a copy of it may wait for."""
Spans = Sequence[tuple[int, int]]
"""Stretches in µs, from and to, both inclusive, in order."""


class TooManyBooksError(Problem):
    """More books are wanted at once than memory is used for."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one token, times in µs; ``gaps``: how often nothing was known for a while."""

    token_id: str
    from_at: int
    to_at: int
    rows: int
    snapshots: int
    deltas: int
    answers: int
    trades: int
    gaps: int


class _Part(NamedTuple):
    """A segment, sealed or open."""

    from_at: int
    to_at: int
    run: str
    number: int
    sealed: seg.Segment | None
    open: pa.Table | None


def tracks(history: History, wanted: Mapping[str, Spans], spool: Path | None = None) -> dict[str, BookTrack]:
    """The books of some tokens within spans of their own; of tokens without any there is no track.

    ``spool``: where the worker of this machine keeps the segment that it writes on. Raises
    :class:`~.folder.HistoryError`.
    """
    found = {token: BookTrack(token, spans) for token, spans in wanted.items() if spans}
    if not found:
        return {}
    low = min(spans[0][0] for spans in wanted.values() if spans)
    high = max(spans[-1][1] for spans in wanted.values() if spans)
    parts = _parts(history, spool)
    there = {(part.run, part.number) for part in parts}
    fed: dict[str, str] = {}
    for part in (p for p in parts if p.from_at <= high and low <= p.to_at):
        for row in _rows(history, part, sorted(found)):
            found[row.token_id].see(row)
            fed[row.token_id] = part.run
        if (part.run, part.number + 1) not in there:
            for token in [token for token, run in fed.items() if run == part.run]:
                found[token].end(part.to_at + 1)
    return {token: track for token, track in found.items() if len(track)}


def books_between(history: History, token_id: str, from_at: int, to_at: int, spool: Path | None = None) -> list[Book]:
    """Every book of a token from one instant to another (µs), oldest first, each as of when it was known; an empty one
    says that from then on none was. Books that were read once are among them. Raises :class:`TooManyBooksError` for
    more than :data:`MOST_BOOKS`."""
    track = tracks(history, {token_id: [(from_at, to_at)]}, spool).get(token_id)
    if track is None:
        return []
    if len(track) > MOST_BOOKS:
        raise TooManyBooksError(
            f"{len(track)} books of token {token_id[:12]}… at once; ask for a shorter time with at most {MOST_BOOKS}"
        )
    return sorted([*track.books(), *track.answers()], key=lambda book: book.received_at)


def books_of(history: History, past: Past, spool: Path | None = None) -> dict[str, BookTrack]:
    """The recorded books that a backtest of a past may need: of what was traded, from each trade on."""
    ats: dict[str, list[int]] = {}
    for deed in past.deeds:
        if deed.kind == "TRADE" and past.from_at <= deed.at <= past.to_at:
            ats.setdefault(deed.token_id, []).append(deed.at)
    return tracks(history, {token: _spans(seconds) for token, seconds in ats.items()}, spool)


def recorded(history: History, spool: Path | None = None) -> list[Recorded]:
    """What there is, by token; reads everything."""
    found: dict[str, list[int]] = {}
    for part in _parts(history, spool):
        for row in _rows(history, part, ()):
            told = found.setdefault(row.token_id, [row.at, row.at, 0, 0, 0, 0, 0, 0])
            told[0], told[1] = min(told[0], row.at), max(told[1], row.at)
            told[2] += 1
            place = {Heard.SNAPSHOT: 3, Heard.DELTA: 4, Heard.ANSWER: 5, Heard.TRADE: 6, Heard.GAP: 7}.get(row.kind)
            if place is not None:
                told[place] += 1
    return [
        Recorded(token_id=token, from_at=n[0], to_at=n[1], rows=n[2], snapshots=n[3], deltas=n[4], answers=n[5],
                 trades=n[6], gaps=n[7])
        for token, n in sorted(found.items())
    ]  # fmt: skip


def rows_between(
    history: History, tokens: Sequence[str], from_at: int, to_at: int, spool: Path | None = None
) -> Iterator[BookRow]:
    """The rows of some tokens (none named = all) from one instant to another (µs), segment by segment, by token and
    then by arrival. The end of a recording is a gap."""
    parts = _parts(history, spool)
    there = {(part.run, part.number) for part in parts}
    standing: set[str] = set()
    for part in (p for p in parts if p.from_at <= to_at and from_at <= p.to_at):
        for row in _rows(history, part, tokens):
            if row.kind is Heard.SNAPSHOT:
                standing.add(row.token_id)
            elif row.kind is Heard.GAP:
                standing.discard(row.token_id)
            if from_at <= row.at <= to_at:
                yield row
        if (part.run, part.number + 1) not in there and part.to_at < to_at:
            for token in sorted(standing):
                yield BookRow(token_id=token, at=part.to_at + 1, kind=Heard.GAP, detail="the recording ended")
            standing.clear()


def _parts(history: History, spool: Path | None) -> list[_Part]:
    sealed = seg.segments(history)
    parts = [_Part(s.from_at, s.to_at, s.run, s.number, s, None) for s in sealed]
    done = {(s.run, s.number) for s in sealed}
    for run, number, path in seg.streams(spool) if spool is not None else ():
        if (run, number) in done:
            continue
        table = seg.read_stream(path)
        if table.num_rows:
            ats = table.column("at").to_numpy()
            parts.append(_Part(int(ats.min()), int(ats.max()), run, number, None, table))
    return sorted(parts, key=lambda p: p[:4])


def _rows(history: History, part: _Part, tokens: Sequence[str]) -> Iterator[BookRow]:
    if part.sealed is not None:
        yield from seg.read(history, part.sealed, tokens)
    elif part.open is not None:
        yield from rows_of(in_order(of_tokens(part.open, tokens) if tokens else part.open))


def _spans(seconds: list[int]) -> list[tuple[int, int]]:
    """From a little before each second to :data:`AFTER_TRADE` later, in µs, those that meet joined."""
    spans: list[tuple[int, int]] = []
    for second in sorted(seconds):
        begin, end = second * SECOND - STANDS, (second + AFTER_TRADE) * SECOND
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((begin, end))
    return spans
