"""One wallet of many, as a job of its own: its past, looked back at, or the reason why not. Any process can do it that
reaches the history; what it answers depends on nothing else.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pilotfish.backtest.assumptions import Band
from pilotfish.backtest.breakdown import By
from pilotfish.backtest.judgement import Judgement
from pilotfish.backtest.look_back import judged
from pilotfish.backtest.told import LookBack
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Policy
from pilotfish.core.trade import Side
from pilotfish.history.folder import History, HistoryError
from pilotfish.history.past import read_past
from pilotfish.history.records import Deed, Past
from pilotfish.history.summary import told_of
from pilotfish.history.windows import NOT_ASKED

MIN_TRADES = 30
"""BUYs that could be copied below which nobody can be told apart from luck: as many events are needed for a verdict."""


class Dropped(StrEnum):
    """Why a wallet is not on the board, or not called copyable; what people read."""

    REFUSED = "the venue did not answer"
    NOT_ASKED = "not asked: the requests were used up"
    TOO_MANY = "more activity than is read of one wallet among many"
    NO_TRADES = "no trades"
    ONLY_COMBOS = "only combos, which are not copied"
    FEW_TRADES = f"fewer than {MIN_TRADES} BUYs"
    NO_MARKETS = "no market is known"
    UNREADABLE = "the history cannot be read"
    FAILED = "the look back failed"
    DIED = "its process died each time"
    FEW_EVENTS = "fewer than 30 independent events"
    NOT_COPYABLE = "not copyable"
    UNSURE = "cannot tell from luck"
    TESTED_MANY = "copyable alone, but not among so many"


class WalletJob(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet to look back at from ``from_at`` to ``to_at`` (epoch seconds); ``history_url`` is where any process that
    does this finds its history."""

    wallet: str
    name: str
    history_url: str
    from_at: int
    to_at: int
    policy: Policy


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a look back at one of many came to: a judgement, or why there is none (``dropped``, and ``detail`` for
    people). ``incomplete`` says what of the history is missing; empty = nothing. ``result_micro`` is the expected
    result in millionths of a USDC, ``flags`` are kinds of doubt, ``category`` is that in which most was paid."""

    wallet: str
    name: str = ""
    dropped: Dropped | None = None
    detail: str = ""
    judgement: Judgement | None = None
    trades: int = 0
    filled_share: float = 0.0
    result_micro: int = 0
    flags: tuple[str, ...] = ()
    incomplete: str = ""
    category: str = ""


class SharedHistoryError(Problem):
    """A worker does not see the history that it was to look at."""


def look_at(job: WalletJob) -> Looked:
    """Look back at a wallet; what keeps it from being judged is in the answer. Raises :class:`SharedHistoryError`,
    which concerns every job of a worker."""
    try:
        past = read_past(History(job.history_url), job.wallet, job.from_at, job.to_at, job.name)
    except HistoryError as problem:
        return Looked(wallet=job.wallet, name=job.name, dropped=Dropped.UNREADABLE, detail=str(problem))
    if any(gap.kind == "activity" and gap.why == NOT_ASKED for gap in past.missing):
        raise SharedHistoryError(
            f"a worker finds no history of {job.wallet} at {job.history_url}; HISTORY_URL has to be a folder or an "
            "object store that all workers reach"
        )
    return looked_at(past, job.policy)


def looked_at(past: Past, policy: Policy) -> Looked:
    """Look back at a past that is read."""
    why = unfit(past)
    if why is not None:
        return Looked(wallet=past.wallet, name=past.name, dropped=why)
    try:
        found, judgement = judged(past, policy, curves=False, steps=False)
    except Exception as problem:
        # A fault that one odd history brings to light costs that wallet, by name, and not what hours found of others.
        told = f"{type(problem).__name__}: {problem}"
        return Looked(wallet=past.wallet, name=past.name, dropped=Dropped.FAILED, detail=told[:300])
    return _answer(past, found, judgement)


def _answer(past: Past, found: LookBack, judgement: Judgement) -> Looked:
    return Looked(
        wallet=past.wallet,
        name=past.name,
        judgement=judgement,
        trades=found.trades,
        filled_share=found.filled_share,
        result_micro=found.result_micro[Band.EXPECTED],
        flags=tuple(flag.kind for flag in found.flags),
        incomplete=told_of(past.missing) if past.missing else "",
        category=_main_category(found),
    )


def _main_category(found: LookBack) -> str:
    """Where most was paid; empty where nothing has ended."""
    parts = [part for part in found.parts if part.by is By.CATEGORY]
    return max(parts, key=lambda part: part.paid).name if parts else ""


def unfit(past: Past) -> Dropped | None:
    """Why nothing can be copied of a past; ``None`` where something can."""
    trades = [deed for deed in past.deeds if deed.kind == "TRADE"]
    if not trades:
        return Dropped.NO_TRADES
    if all(deed.is_combo for deed in trades):
        return Dropped.ONLY_COMBOS
    if not any(deed.condition_id in past.markets for deed in trades):
        return Dropped.NO_MARKETS
    return None


def too_few(deeds: list[Deed]) -> Dropped | None:
    """Why a wallet's activity is not worth any more requests; ``None`` where it is."""
    trades = [deed for deed in deeds if deed.kind == "TRADE"]
    if not trades:
        return Dropped.NO_TRADES
    if all(deed.is_combo for deed in trades):
        return Dropped.ONLY_COMBOS
    bought = sum(deed.side is Side.BUY and not deed.is_combo for deed in trades)
    return Dropped.FEW_TRADES if bought < MIN_TRADES else None
