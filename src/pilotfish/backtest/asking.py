"""Reading the histories of many wallets within a number of requests: activity first, which says who is worth more, then
what belongs to it, the cheapest wallets first. What is there already costs nothing; what is not asked is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from pilotfish.backtest.candidates import Candidate
from pilotfish.backtest.one_wallet import Dropped, too_few
from pilotfish.history.cost import least_requests
from pilotfish.history.folder import History
from pilotfish.history.past import lacking, markets_of
from pilotfish.history.plan import plan_of, tape_spans
from pilotfish.history.pull import BEGINNING, pull
from pilotfish.history.records import Missing
from pilotfish.history.spending import Budget
from pilotfish.history.windows import NOT_ASKED, State
from pilotfish.polymarket.history_api import HistoryApi

ACTIVITY_REQUESTS = 10
"""Most requests for the activity of one wallet: ten thousand rows."""
AT_ONCE = 8
"""Wallets whose activity is read at the same time."""
FAILED_SHARE = 10
"""One in so many windows of the tape may have failed: with more, a copy looks impossible that was only not seen."""
SILENT = 3
"""Wallets in a row of which the venue answers nothing, after which it is asked no more."""


class Drop(NamedTuple):
    """A wallet that goes no further, and why; ``detail`` is for people."""

    wallet: str
    why: Dropped
    detail: str = ""


class Asked(NamedTuple):
    """``enough`` traded enough; ``known`` of them have a history that can be looked back at, in the order of the
    candidates. ``early`` dropped out by their activity, ``late`` by what belongs to it."""

    enough: list[Candidate]
    known: list[Candidate]
    early: list[Drop]
    late: list[Drop]
    requests: int


class Told(NamedTuple):
    """How far a search is: in this ``stage``, ``done`` of ``of`` wallets; ``requests`` made since its beginning. Where
    wallets are not alike in what they take, ``worked`` is how much of how much work is done."""

    stage: str
    done: int
    of: int
    requests: int
    worked: tuple[int, int] | None = None


class Span(NamedTuple):
    """What is looked back at (epoch seconds, both inclusive), and what time it is."""

    from_at: int
    to_at: int
    now: int


async def ask(
    history: History, api: HistoryApi, candidates: Sequence[Candidate], span: Span, budget: Budget,
    told: Callable[[Told], None] = lambda _: None,
) -> Asked:  # fmt: skip
    """Read what is missing of these wallets, within a budget. What is read is on disk at once: stopped at any moment,
    the same call goes on from there. Raises :class:`~pilotfish.history.folder.HistoryError`."""
    asking = _Asking(history, api, span, budget, told)
    enough, early = await asking.activity(candidates)
    known, late = await asking.rest(enough)
    return Asked(enough, known, early, late, budget.made)


class _Asking:
    def __init__(
        self, history: History, api: HistoryApi, span: Span, budget: Budget, told: Callable[[Told], None]
    ) -> None:
        self._history, self._api, self._span, self._budget, self._told = history, api, span, budget, told
        self._silent = 0
        """Wallets in a row of which nothing was answered."""

    # -- activity ----------------------------------------------------------------------------------------------

    async def activity(self, candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Drop]]:
        """Who traded enough. Half of the requests at most go into finding out."""
        half = Budget(self._budget.left // 2 if self._budget.left is not None else None, within=self._budget)
        drops: dict[str, Drop | None] = {}
        todo = list(candidates)
        self._told(Told("activity", 0, len(candidates), self._budget.made))
        while todo:
            # As many at once as can have all that they may take: so it does not matter who is answered first.
            room = AT_ONCE if half.left is None else max(1, min(AT_ONCE, half.left // ACTIVITY_REQUESTS))
            batch, todo = todo[:room], todo[room:]
            answers = await asyncio.gather(*(self._active(one.wallet, half) for one in batch))
            drops |= {one.wallet: answer for one, answer in zip(batch, answers, strict=True)}
            self._told(Told("activity", len(candidates) - len(todo), len(candidates), self._budget.made))
        enough = [one for one in candidates if drops[one.wallet] is None]
        return enough, [drop for drop in drops.values() if drop is not None]

    async def _active(self, wallet: str, half: Budget) -> Drop | None:
        own = Budget(ACTIVITY_REQUESTS, within=half)
        detail = ""
        if self._gaps(wallet) and self._may_ask(half):
            pulled = await pull(
                self._history, self._api, wallet, from_at=self._span.from_at, now=self._span.now, budget=own,
                activity_only=True,
            )  # fmt: skip
            detail = "; ".join(pulled.failures)
            self._heard(bool(pulled.failures) and not pulled.rows)
        gaps = self._gaps(wallet)
        if any(gap.why == State.FAILED for gap in gaps) or (gaps and self._silent >= SILENT):
            return Drop(wallet, Dropped.REFUSED, detail)
        if gaps:
            return Drop(wallet, Dropped.TOO_MANY if own.made >= ACTIVITY_REQUESTS else Dropped.NOT_ASKED)
        deeds = list(self._history.deeds(wallet, self._span.from_at, self._span.to_at))
        few = too_few(deeds)
        return Drop(wallet, few) if few is not None else None

    def _gaps(self, wallet: str) -> list[Missing]:
        """What of a wallet's activity was never answered. What the venue has no more of is no gap to ask for."""
        missing = self._history.missing("activity", wallet, (self._span.from_at, self._span.to_at))
        return [gap for gap in missing if gap.why != State.CAPPED]

    # -- what belongs to it --------------------------------------------------------------------------------------

    async def rest(self, enough: Sequence[Candidate]) -> tuple[list[Candidate], list[Drop]]:
        """Whose history is known, the cheapest read first."""
        costs = {one.wallet: await asyncio.to_thread(self._cost, one.wallet) for one in enough}
        drops: dict[str, Drop | None] = {}
        order = sorted(enough, key=lambda one: costs[one.wallet])
        began, left, work = self._budget.made, self._budget.left, sum(costs.values())
        work = work if left is None else min(work, left)

        def told(done: int) -> None:
            made = self._budget.made
            # The dearest come last: of the time that is left, wallets say too little, requests more.
            self._told(Told("history", done, len(order), made, (made - began, work) if work else None))

        for done, one in enumerate(order):
            told(done)
            drops[one.wallet] = await self._complete(one.wallet, costs[one.wallet], partial(told, done))
        told(len(order))
        known = [one for one in enough if drops[one.wallet] is None]
        return known, [drop for one in enough if (drop := drops[one.wallet]) is not None]

    async def _complete(self, wallet: str, cost: int, told: Callable[[], None]) -> Drop | None:
        left = self._budget.left
        if cost and left is not None and cost > left:
            return Drop(wallet, Dropped.NOT_ASKED, f"{cost} requests are needed, {left} are left")
        detail = ""
        if cost and self._may_ask(self._budget):
            own = Budget(within=self._budget)
            pulled = await pull(
                self._history, self._api, wallet, from_at=self._span.from_at, now=self._span.now, budget=own,
                told=lambda _: told(),
            )  # fmt: skip
            detail = "; ".join(pulled.failures[:3])
            self._heard(bool(pulled.failures) and not pulled.rows)
        gaps = await asyncio.to_thread(self._lacking, wallet)
        if any(gap.why == NOT_ASKED for gap in gaps):
            why = Dropped.REFUSED if self._silent >= SILENT else Dropped.NOT_ASKED
            return Drop(wallet, why, detail or "only a part could be read")
        failed = sum(gap.kind == "tape" and gap.why == State.FAILED for gap in gaps)
        if failed * FAILED_SHARE > await asyncio.to_thread(self._windows_of_tape, wallet):
            return Drop(wallet, Dropped.REFUSED, detail)
        return None

    def _cost(self, wallet: str) -> int:
        """The least that completing a history takes; 0 = it is there."""
        if not any(gap.why in (NOT_ASKED, State.FAILED) for gap in self._lacking(wallet)):
            return 0
        plan = plan_of(self._history.deeds(wallet, self._span.from_at, self._span.now), self._span.now)
        return least_requests(self._history, plan, markets_of(self._history, plan), self._span.from_at, self._span.now)

    def _lacking(self, wallet: str) -> list[Missing]:
        from_at, to_at = self._span.from_at, self._span.to_at
        plan = plan_of(self._history.deeds(wallet, from_at, to_at), to_at)
        gaps = lacking(self._history, wallet, plan, markets_of(self._history, plan), from_at, to_at)
        before = self._history.missing("activity", wallet, (BEGINNING, from_at - 1))
        if before and self._history.newest("positions", wallet) is None:
            gaps.append(Missing(kind="positions", key=wallet, from_at=from_at, to_at=from_at, why=NOT_ASKED))
        return gaps

    def _windows_of_tape(self, wallet: str) -> int:
        deeds = self._history.deeds(wallet, self._span.from_at, self._span.to_at)
        return sum(len(spans) for spans in tape_spans(plan_of(deeds, self._span.to_at)).values())

    # -- the venue -----------------------------------------------------------------------------------------------

    def _may_ask(self, budget: Budget) -> bool:
        return self._silent < SILENT and budget.room != 0

    def _heard(self, nothing: bool) -> None:
        self._silent = self._silent + 1 if nothing else 0
