"""What a past is made of while it stays in its files: each thing is read when it is gone through, a batch at a time, so
that what is in memory does not depend on how long the past is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from pilotfish.history.columns import records_of, table_of
from pilotfish.history.folder import History
from pilotfish.history.records import Deed, PricePoint, Print
from pilotfish.history.spans import Spans

T = TypeVar("T", covariant=True)


class InColumns(Protocol):
    """Rows that can be had as columns, as ``columns`` names them."""

    def columns(self, names: Sequence[str] = ()) -> Iterator[pa.RecordBatch]: ...


class KeptDeeds(Collection[Deed]):
    """A wallet's activity between two seconds, of which ``count`` rows are known; oldest first."""

    def __init__(self, history: History, wallet: str, from_at: int, to_at: int, count: int) -> None:
        self._history, self._wallet, self._span, self._count = history, wallet, (from_at, to_at), count

    def __iter__(self) -> Iterator[Deed]:
        return self._history.deeds(self._wallet, *self._span)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, one: object) -> bool:
        return any(one == deed for deed in self)


class KeptRows(Generic[T]):
    """Rows of one kind and key in some spans; oldest first."""

    def __init__(self, history: History, kind: str, key: str, spans: Spans) -> None:
        self._history, self._kind, self._key, self._spans = history, kind, key, spans

    def columns(self, names: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """The same rows as columns, all or those of these ``names``."""
        return self._history.columns(self._kind, self._key, self._spans, names)

    def __iter__(self) -> Iterator[T]:
        for batch in self.columns():
            yield from records_of(self._kind, batch)


class Each(Mapping[str, T]):
    """For each key what ``of`` makes of it and its spans, made anew when it is asked for."""

    def __init__(self, spans: Mapping[str, Spans], of: Callable[[str, Spans], T]) -> None:
        self._spans, self._of = spans, of

    def __getitem__(self, key: str) -> T:
        return self._of(key, self._spans[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)


def print_columns(rows: Iterable[Print] | InColumns, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A tape as columns, from files or from memory; of these ``names``, and maybe more."""
    return _columns("tape", rows, names)


def point_columns(rows: Iterable[PricePoint] | InColumns) -> Iterator[pa.RecordBatch]:
    """Prices as columns."""
    return _columns("prices", rows, ())


def _columns(kind: str, rows: Iterable[object] | InColumns, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if isinstance(rows, KeptRows):
        return rows.columns(names)
    return iter(table_of(kind, sorted(rows, key=attrgetter("at")), {}).to_batches())  # type: ignore[arg-type]
