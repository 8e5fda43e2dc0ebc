"""What there is of a wallet, in figures and in a sentence; and taking it away again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from pilotfish.history.folder import History, Kept
from pilotfish.history.past import lacking, markets_of
from pilotfish.history.plan import Plan, plan_of
from pilotfish.history.records import Deed, Missing

WORDS = {
    "activity": ("window of activity", "windows of activity"),
    "markets": ("market", "markets"),
    "tape": ("window of the tape", "windows of the tape"),
    "prices": ("window of prices", "windows of prices"),
    "positions": ("look at positions", "looks at positions"),
}


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet's history from ``from_at`` to ``to_at`` (epoch seconds). ``deeds`` are numbers of rows by type; of the
    ``markets``, so many are known and ``settled``."""

    wallet: str
    from_at: int
    to_at: int
    first_at: int | None
    deeds: dict[str, int]
    trades: int
    combos: int
    tokens: int
    markets: int
    settled: int
    files: int
    bytes: int
    missing: list[Missing]

    @property
    def sentence(self) -> str:
        """Whether it is complete, in a line."""
        return told_of(self.missing)


def told_of(missing: Sequence[Missing]) -> str:
    """``Complete`` or what is missing, with numbers: the first line of whatever rests on a history."""
    if not missing:
        return "Complete: all that was asked for is known."
    counts = Counter((m.kind, m.why) for m in missing)
    parts = [f"{n:,} {WORDS[kind][n != 1]} {why}" for (kind, why), n in sorted(counts.items())]
    return f"Incomplete: {', '.join(parts)}."


def span_of(history: History, wallet: str) -> tuple[int, int] | None:
    """From when to when a wallet's activity was asked for; ``None`` where it never was."""
    windows = history.windows("activity", wallet)
    return (min(w.from_at for w in windows), max(w.to_at for w in windows)) if windows else None


def summarize(history: History, wallet: str, from_at: int, to_at: int) -> Summary:
    """What there is of a wallet in these seconds. Raises :class:`~.folder.HistoryError`."""
    kinds: Counter[str] = Counter()
    plan = plan_of(_counted(history, wallet, from_at, to_at, kinds), to_at)
    markets = markets_of(history, plan)
    files = _files(history, wallet, plan)
    return Summary(
        wallet=wallet,
        from_at=from_at,
        to_at=to_at,
        first_at=plan.first_at,
        deeds=dict(sorted(kinds.items())),
        trades=plan.trades,
        combos=len(plan.combos),
        tokens=len(plan.tokens),
        markets=len(plan.conditions),
        settled=sum(m.payouts is not None for m in markets.values()),
        files=len(files),
        bytes=sum(f.size for f in files),
        missing=lacking(history, wallet, plan, markets, from_at, to_at),
    )


def _counted(history: History, wallet: str, from_at: int, to_at: int, kinds: Counter[str]) -> Iterable[Deed]:
    for deed in history.deeds(wallet, from_at, to_at):
        kinds[deed.kind] += 1
        yield deed


def keys_of(wallet: str, plan: Plan) -> dict[str, list[str]]:
    """Everything that belongs to a wallet, by kind."""
    return {
        "activity": [wallet],
        "positions": [wallet],
        "markets": list(plan.conditions),
        "tape": list(plan.tape),
        "prices": list(plan.tokens),
    }


def _files(history: History, wallet: str, plan: Plan) -> list[Kept]:
    return [f for kind, keys in keys_of(wallet, plan).items() for key in keys for f in history.files(kind, key)]


def forget(history: History, wallet: str) -> int:
    """Remove a wallet's history, and what no other wallet needs of it; gives the number of files."""
    mine = keys_of(wallet, _plan(history, wallet))
    for other in history.keys("activity"):
        if other != wallet:
            theirs = keys_of(other, _plan(history, other))
            mine = {kind: sorted(set(keys) - set(theirs[kind])) for kind, keys in mine.items()}
    removed = 0
    for kind in reversed(mine):
        for key in mine[kind]:
            removed += len(history.files(kind, key))
            history.remove(kind, key)
    return removed


def _plan(history: History, wallet: str) -> Plan:
    span = span_of(history, wallet)
    return plan_of(history.deeds(wallet, *span), span[1]) if span is not None else Plan()
