"""What all views share: the shape of a row, and how times and prices are written in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, Protocol, TypeAlias, TypeVar, overload

import msgspec

from pilotfish.core.units import MICRO

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = "date-time"
Iso: TypeAlias = Annotated[str, msgspec.Meta(extra_json_schema={"format": INSTANT})]
"""An instant as ISO 8601 UTC, to the microsecond; REST's description and Parquet know it by this."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A row as people read it; encoded, it is what REST, exports and ``--json`` give."""


class Page(View, Generic[T], frozen=True, kw_only=True):
    """Rows, newest first, and the id to continue before (``None`` = that was all)."""

    data: list[T]
    next_before: int | None


def joined(kind: type[T], row: View, **more: object) -> T:
    """A row of ``kind``: the fields of another row, and those that are named, which win."""
    return kind(**{**msgspec.structs.asdict(row), **more})


class Numbered(Protocol):
    """What has an id to continue by."""

    @property
    def id(self) -> int:
        """The row's number."""


def following(rows: Sequence[Numbered], limit: int) -> int | None:
    """The id to continue before: of rows, newest first, of which one more than ``limit`` was asked for."""
    return rows[limit - 1].id if len(rows) > limit else None


@overload
def iso(micros: int) -> Iso: ...


@overload
def iso(micros: int | None) -> Iso | None: ...


def iso(micros: int | None) -> Iso | None:
    """µs since the epoch as ISO 8601 UTC."""
    if micros is None:
        return None
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def micros_of(text: str) -> int:
    """µs since the epoch of an ISO 8601 day or time as a person wrote it; without a zone it is UTC. Raises
    :class:`ValueError` for what is none, and for what in UTC is outside of the years 1 to 9999."""
    when = datetime.fromisoformat(text)
    try:
        there = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text[:40]!r} is outside of the years 1 to 9999") from None
    return (there - _EPOCH) // timedelta(microseconds=1)


@overload
def decimal(micro: int) -> float: ...


@overload
def decimal(micro: int | None) -> float | None: ...


def decimal(micro: int | None) -> float | None:
    """Millionths as a number for JSON."""
    return None if micro is None else micro / MICRO
