"""What a search through many wallets found: how many fell out where, and the board. As JSON it is one object, which can
be written to a file and looked at again.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from pilotfish.backtest.asking import Asked
from pilotfish.backtest.candidates import Candidate
from pilotfish.backtest.judgement import MIN_EVENTS, Judgement, Terms, Verdict
from pilotfish.backtest.one_wallet import MIN_TRADES, Dropped, Looked
from pilotfish.backtest.ranking import PastRank, Ranked, rank
from pilotfish.core.numerals import count, plural
from pilotfish.core.problem import Problem


class What(StrEnum):
    """The steps of a funnel, in order."""

    CANDIDATES = "candidates"
    ENOUGH_TRADES = "enough_trades"
    HISTORY_KNOWN = "history_known"
    LOOKED_BACK = "looked_back"
    ENOUGH_EVENTS = "enough_events"
    COPYABLE = "copyable"


_WORDS = {
    What.CANDIDATES: "candidates",
    What.ENOUGH_TRADES: f"with at least {MIN_TRADES} BUYs",
    What.HISTORY_KNOWN: "with a history that is known",
    What.LOOKED_BACK: "looked back at",
    What.ENOUGH_EVENTS: f"with at least {MIN_EVENTS} independent events",
    What.COPYABLE: "copyable, their number reckoned in",
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the funnel, and that in words: so many ``wallets`` came this far; those that did not are ``dropped``,
    by reason."""

    step: What
    words: str
    wallets: int
    dropped: dict[str, int] = {}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet on the board. ``edge_per_usdc`` is what a dollar made after all costs, ``low`` and ``high`` its 90 %
    interval, ``q_value`` the p-value with the number of wallets reckoned in; ``result_micro`` in millionths of a USDC.
    ``incomplete`` says what is missing of the history; empty = nothing. ``category`` is that in which most was paid."""

    place: int
    wallet: str
    name: str
    verdict: Verdict
    why: str
    edge_per_usdc: float | None
    low: float | None
    high: float | None
    shrunk: float | None
    p_value: float | None
    q_value: float
    events: int
    trades: int
    filled_share: float
    result_micro: int
    flags: tuple[str, ...]
    incomplete: str
    category: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found, from ``from_at`` to ``to_at`` (epoch seconds), at a size (millionths of a USDC; the mean one
    where sizes differ) and delay. ``why`` is the answer in words; ``tested`` are all who were looked back at;
    ``incomplete`` of them rest on histories with gaps. ``problems`` are wallets of whom something went wrong, each with
    what."""

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
    rows: tuple[Row, ...]
    problems: tuple[str, ...] = ()


class FoundFileError(Problem):
    """A file is not what ``discover --out`` writes, or cannot be written."""


def found_of(candidates: Sequence[Candidate], asked: Asked, looked: Sequence[Looked], span: tuple[int, int]) -> Found:
    """The funnel and the board of these wallets; ``looked`` are those of ``asked.known``, in their order."""
    judged = {one.wallet: one.judgement for one in looked if one.judgement is not None}
    board = rank(judged)
    by_wallet = {one.wallet: one for one in looked}
    rows = tuple(_row(ranked, by_wallet[ranked.wallet]) for ranked in board.rows)
    terms = next((judgement.terms for judgement in judged.values()), None)
    drops = [*asked.early, *asked.late]
    size = sum(j.terms.size for j in judged.values()) // len(judged) if judged else 0
    delay_ms = terms.delay_ms if terms is not None else 0
    funnel = _funnel(candidates, asked, looked, rows, judged)
    return Found(
        from_at=span[0],
        to_at=span[1],
        size_micro=size,
        delay_ms=delay_ms,
        why=_why(funnel, board.tested, board.copyable, Terms(size=size, delay_ms=delay_ms), span),
        requests=asked.requests,
        funnel=funnel,
        past_rank=board.past_rank,
        tested=board.tested,
        copyable=board.copyable,
        incomplete=sum(bool(row.incomplete) for row in rows),
        rows=rows,
        problems=(
            *(f"{drop.wallet}: {drop.why}: {drop.detail}" for drop in drops if drop.detail),
            *(f"{one.wallet}: {one.dropped}: {one.detail}" for one in looked if one.dropped and one.detail),
        ),
    )


def _funnel(
    candidates: Sequence[Candidate], asked: Asked, looked: Sequence[Looked], rows: Sequence[Row],
    judged: dict[str, Judgement],
) -> tuple[Step, ...]:  # fmt: skip
    enough = [row for row in rows if row.events >= MIN_EVENTS]
    copyable = [row for row in enough if row.verdict is Verdict.COPYABLE]
    return (
        _step(What.CANDIDATES, len(candidates), ()),
        _step(What.ENOUGH_TRADES, len(asked.enough), (drop.why for drop in asked.early)),
        _step(What.HISTORY_KNOWN, len(asked.known), (drop.why for drop in asked.late)),
        _step(What.LOOKED_BACK, len(rows), (one.dropped for one in looked if one.dropped is not None)),
        _step(What.ENOUGH_EVENTS, len(enough), [Dropped.FEW_EVENTS] * (len(rows) - len(enough))),
        _step(
            What.COPYABLE, len(copyable), (_left_at(row, judged[row.wallet]) for row in enough if row not in copyable)
        ),
    )


def _step(step: What, wallets: int, dropped: Iterable[Dropped]) -> Step:
    counts = Counter(why.value for why in dropped)
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return Step(step=step, words=_WORDS[step], wallets=wallets, dropped=ordered)


def _why(funnel: Sequence[Step], tested: int, copyable: int, terms: Terms, span: tuple[int, int]) -> str:
    """The answer: how many were tested, how many survive, and how many of those luck may have made."""
    if not tested:
        return f"None of {plural(funnel[0].wallets, 'wallet')} could be looked back at."
    begun, ended = (datetime.fromtimestamp(at, UTC).date().isoformat() for at in span)
    of = f"Of {plural(tested, 'wallet')} tested"
    if copyable:
        told = (
            f"{of}, {count(copyable)} would have paid to be copied {terms.words}, {begun} to {ended}; of those named "
            "so, at most one in ten is luck, on average."
        )
    else:
        told = (
            f"{of}, none can be told from luck as worth copying {terms.words}, {begun} to {ended}: whoever looks best "
            "here may be the luckiest."
        )
    lucky = funnel[-1].dropped.get(Dropped.TESTED_MANY, 0)
    if not lucky:
        return told
    looks = "1 more looks" if lucky == 1 else f"{count(lucky)} more look"
    return f"{told} {looks} copyable alone, and not among so many, of whom some do as well by luck."


def _left_at(row: Row, alone: Judgement) -> Dropped:
    if row.verdict is Verdict.NOT_COPYABLE:
        return Dropped.NOT_COPYABLE
    return Dropped.TESTED_MANY if alone.verdict is Verdict.COPYABLE else Dropped.UNSURE


def _row(ranked: Ranked, looked: Looked) -> Row:
    judged = ranked.judgement
    return Row(
        place=ranked.place,
        wallet=ranked.wallet,
        name=looked.name,
        verdict=ranked.verdict,
        why=ranked.why,
        edge_per_usdc=judged.edge_per_usdc,
        low=judged.interval.low if judged.interval is not None else None,
        high=judged.interval.high if judged.interval is not None else None,
        shrunk=ranked.shrunk,
        p_value=judged.figures.p_value,
        q_value=ranked.q_value,
        events=judged.events,
        trades=looked.trades,
        filled_share=looked.filled_share,
        result_micro=looked.result_micro,
        flags=looked.flags,
        incomplete=looked.incomplete,
        category=looked.category,
    )


# -- files -------------------------------------------------------------------------------------------------------------


def write_found(found: Found, path: Path) -> None:
    """Keep what was found: the file is there whole, or as it was. Raises :class:`FoundFileError`."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as problem:
        raise FoundFileError(f"{path} cannot be written: {problem.strerror or problem}; --out names another") from None


def read_found(path: Path) -> Found:
    """What was found before. Raises :class:`FoundFileError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Found)
    except OSError as problem:
        raise FoundFileError(f"{path} cannot be read: {problem.strerror or problem}") from None
    except msgspec.DecodeError as problem:
        raise FoundFileError(f"{path} is not what `pilotfish discover --out` writes: {problem}") from None
