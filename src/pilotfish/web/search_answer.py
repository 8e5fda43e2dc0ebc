"""What a search found beside its board, read back typed: what ``discover --json`` gives (docs/backtest.md). Texts are
texts here, whatever they are called there: another version may have written them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pilotfish.backtest.told import day


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the funnel: so many came this far, and why the others did not."""

    step: str
    words: str
    wallets: int
    dropped: dict[str, int]


class PastRank(msgspec.Struct, frozen=True, kw_only=True):
    """Whether past rank said anything among these wallets."""

    words: str
    correlation: float | None


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    from_at: int
    to_at: int
    size_micro: int
    delay_ms: int
    why: str
    requests: int
    funnel: tuple[Step, ...]
    past_rank: PastRank
    tested: int
    copyable: int
    incomplete: int
    problems: tuple[str, ...] = ()

    @property
    def first_day(self) -> str:
        """The first day that was looked at."""
        return day(self.from_at)

    @property
    def last_day(self) -> str:
        """The last one."""
        return day(self.to_at)


def search_answer(result: Mapping[str, object] | None) -> SearchAnswer | None:
    """What was found, ``None`` where nothing was, or another version wrote what this one cannot read."""
    try:
        return None if result is None else msgspec.convert(result, SearchAnswer)
    except msgspec.ValidationError:
        return None
