"""Fetching of a wallet's past what is not there yet: activity, then what became of its markets, their tapes around its
trades, prices, and what it holds.

A pull can be killed at any moment and begun again: what a window says is on disk before the next one is asked for. A
failure of the venue costs the window that it happened in; only a folder that takes no more ends the pull.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import msgspec

from pilotfish.history.folder import History
from pilotfish.history.keeping import parts_of
from pilotfish.history.market_pull import BudgetSpentError, Found, read_markets
from pilotfish.history.plan import Plan, plan_of, prices_span, tape_spans
from pilotfish.history.records import Deed, HeldToken, PastMarket
from pilotfish.history.rows import parse_deed, parse_point, parse_print
from pilotfish.history.spending import Budget, each
from pilotfish.history.windows import State, Window, cut, wanted
from pilotfish.polymarket.activity import Reading
from pilotfish.polymarket.history_api import CONDITIONS_AT_ONCE, PRICES_SPAN, HistoryApi
from pilotfish.polymarket.http import VenueError

STAGES = ("activity", "markets", "tape", "prices", "positions")
"""In the order in which they are read."""
AT_ONCE = 8
"""Questions that are out at the same time."""
PAGES = 20
"""Answers of one reading, after which what was read is written."""
MOST_PAGES = 200
"""Answers after which a second counts as one that cannot be read."""
BUNDLE = 700
"""Rows of tape up to which windows are read as one: most of a page, since the time between trades has fewer."""
BEGINNING = 1
"""The ``start`` with which the venue gives all that there is (PROTOCOL.md section 4)."""


class Told(NamedTuple):
    """How far a pull is: of its ``stage``, ``done`` of ``of`` parts; rows and requests since its beginning."""

    stage: str
    done: int
    of: int
    rows: int
    requests: int


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What a pull brought. ``budget_spent``: something was left out for want of requests."""

    wallet: str
    from_at: int
    to_at: int
    rows: int
    requests: int
    trades: int
    combos: int
    failures: list[str]
    budget_spent: bool


Ask: TypeAlias = Callable[[int, int, int], Awaitable[Reading]]


async def pull(
    history: History, api: HistoryApi, wallet: str, *, from_at: int, now: int, budget: int | Budget | None = None,
    again: bool = False, activity_only: bool = False, told: Callable[[Told], None] = lambda _: None,
) -> Pulled:  # fmt: skip
    """Read what history lacks of ``wallet`` (lower case) from ``from_at`` (:data:`BEGINNING` = all) to ``now`` (epoch
    seconds, both inclusive), within ``budget`` requests. ``again``: what was capped is asked for once more;
    ``activity_only``: nothing that belongs to it. Raises :class:`~.folder.HistoryError`."""
    allowed = budget if isinstance(budget, Budget) else Budget(budget)
    work = _Pull(history, api, wallet, allowed, now, again, told)
    return await work.run(max(BEGINNING, from_at), activity_only=activity_only)


class _Pull:
    def __init__(
        self, history: History, api: HistoryApi, wallet: str, budget: Budget, now: int, again: bool,
        told: Callable[[Told], None],
    ) -> None:  # fmt: skip
        self._history, self._api, self._wallet = history, api, wallet
        self._budget, self._now, self._again, self._told = budget, now, again, told
        self._began = api.requests
        self._rows = 0
        self._at = Told(STAGES[0], 0, 1, 0, 0)
        self._failures: list[str] = []

    async def run(self, from_at: int, *, activity_only: bool) -> Pulled:
        self._stage("activity", 1)
        await self._spans("activity", self._wallet, [(from_at, self._now)], self._api.activity, self._deed)
        deeds = self._history.deeds(self._wallet, from_at, self._now)
        plan = await asyncio.to_thread(plan_of, deeds, self._now)
        if not activity_only:
            markets = await self._markets(plan)
            await self._tapes(plan)
            await self._prices(plan, markets, from_at)
            self._stage("positions", 1)
            await self._positions()
        return Pulled(
            wallet=self._wallet,
            from_at=from_at,
            to_at=self._now,
            rows=self._rows,
            requests=self._api.requests - self._began,
            trades=plan.trades,
            combos=len(plan.combos),
            failures=self._failures,
            budget_spent=self._budget.spent,
        )

    # -- stages ------------------------------------------------------------------------------------------------

    async def _markets(self, plan: Plan) -> dict[str, PastMarket]:
        known: dict[str, PastMarket] = {}
        todo: list[str] = []
        for condition in sorted(plan.conditions):
            newest = self._history.newest("markets", condition)
            if newest is not None and newest.state is State.COMPLETE:
                market = self._history.market(condition)
                known |= {condition: market} if market is not None else {}
            else:
                todo.append(condition)
        tokens: dict[str, list[str]] = {}
        for token, span in plan.tokens.items():
            tokens.setdefault(span.condition_id, []).append(token)
        batches = [todo[n : n + CONDITIONS_AT_ONCE] for n in range(0, len(todo), CONDITIONS_AT_ONCE)]

        async def read(batch: Sequence[str]) -> None:
            try:
                found = await read_markets(self._api, batch, tokens, self._budget.one)
            except BudgetSpentError:
                return
            for condition, one in found.items():
                market = await self._keep_market(condition, one, plan.conditions[condition])
                known.update({condition: market} if market is not None else {})
            self._step()

        self._stage("markets", len(batches))
        await each(batches, read, AT_ONCE)
        return known

    async def _keep_market(self, condition: str, found: Found, event: str) -> PastMarket | None:
        market = found.market
        if market is not None and market.event == condition and event:
            market = msgspec.structs.replace(market, event=event)
        if found.why:
            self._failures.append(f"markets {condition}: {found.why}")
        window = Window(self._now, self._now, found.state)
        await self._write("markets", condition, window, [market] if market is not None else [], found.why)
        await asyncio.to_thread(self._history.tidy, "markets", condition)
        return market

    async def _tapes(self, plan: Plan) -> None:
        spans = tape_spans(plan)
        self._stage("tape", len(spans))

        async def read(condition: str) -> None:
            await self._spans("tape", condition, spans[condition], self._api.tape, parse_print, bundle=True)
            self._step()

        await each(spans, read, AT_ONCE)

    async def _prices(self, plan: Plan, markets: Mapping[str, PastMarket], from_at: int) -> None:
        self._stage("prices", len(plan.tokens))
        begin = max(from_at, plan.first_at or from_at)

        async def read(token: str) -> None:
            span = plan.tokens[token]
            asked = [prices_span(span, markets.get(span.condition_id), begin, self._now)]
            await self._spans("prices", token, asked, self._api.prices, parse_point, longest=PRICES_SPAN)
            self._step()

        await each(sorted(plan.tokens), read, AT_ONCE)

    async def _positions(self) -> None:
        try:
            self._budget.one()
            held = await self._api.positions(self._wallet)
        except BudgetSpentError:
            return
        except VenueError as problem:
            self._failures.append(str(problem))
            await self._write("positions", self._wallet, Window(self._now, self._now, State.FAILED), [], str(problem))
            return
        whole = held.whole and not held.unread
        rows = [
            HeldToken(token_id=token, condition_id=held.conditions.get(token, ""), shares=shares)
            for token, shares in sorted(held.shares.items())
        ]
        window = Window(self._now, self._now, State.FRESH if whole else State.CAPPED)
        await self._write("positions", self._wallet, window, rows, "" if whole else "not all positions could be read")
        await asyncio.to_thread(self._history.tidy, "positions", self._wallet)
        self._step()

    # -- windows -----------------------------------------------------------------------------------------------

    async def _spans(
        self, kind: str, key: str, spans: Iterable[tuple[int, int]], ask: Callable[[str, int, int, int],
        Awaitable[Reading]], parse: Callable[[Any], Any], *, longest: int | None = None, bundle: bool = False,
    ) -> None:  # fmt: skip
        """Read and keep what these spans lack; nothing once the budget is spent. ``bundle``: spans between which little
        happened, as far as was seen, are read as one."""
        windows = await asyncio.to_thread(self._history.windows, kind, key)
        todo = deque(gap for low, high in spans for gap in wanted(windows, low, high, again=self._again))
        if longest is not None:
            todo = deque(cut(todo, longest))
        some, rows, seconds = bool(todo), 1, 0
        try:
            while todo:
                low, high = todo.popleft()
                while bundle and seconds and todo and (todo[0][1] - low) * rows <= BUNDLE * seconds:
                    high = todo.popleft()[1]
                rows += await self._span(kind, key, low, high, partial(ask, key), parse)
                seconds += high - low + 1
        except BudgetSpentError:
            return
        finally:
            if some:
                await asyncio.to_thread(self._history.tidy, kind, key)

    async def _span(self, kind: str, key: str, low: int, high: int, ask: Ask, parse: Callable[[Any], Any]) -> int:
        """Read and keep the seconds from ``low`` to ``high``; gives the number of rows."""
        most, rows = PAGES, 0
        while low <= high:
            got = self._budget.reserve(self._budget.share(most, AT_ONCE) if most == PAGES else most)
            try:
                reading = await ask(low, high, got)
            except VenueError as problem:
                await self._failed(kind, key, low, high, str(problem))
                return rows
            self._budget.back(got - reading.requests)
            if reading.through == low:
                if most >= MOST_PAGES and got == most:
                    await self._failed(kind, key, low, high, f"second {low} cannot be read page by page")
                    return rows
                most = MOST_PAGES
                continue
            end = high if reading.through is None else reading.through - 1
            for part in parts_of(reading, parse, low, end, self._now):
                await self._write(kind, key, part.window, part.records, part.why)
            rows += len(reading.rows)
            low, most = end + 1, PAGES
        return rows

    async def _failed(self, kind: str, key: str, low: int, high: int, why: str) -> None:
        self._failures.append(f"{kind} {key}: {why}")
        await self._write(kind, key, Window(low, high, State.FAILED), [], why)

    async def _write(self, kind: str, key: str, window: Window, records: Sequence[Any], why: str) -> None:
        await asyncio.to_thread(self._history.write, kind, key, window, records, why)
        self._rows += len(records)
        self._tell()

    def _deed(self, row: Any) -> Deed:
        return parse_deed(row, self._wallet)

    # -- progress ----------------------------------------------------------------------------------------------

    def _stage(self, stage: str, of: int) -> None:
        self._at = Told(stage, 0, of, self._rows, 0)
        self._tell()

    def _step(self) -> None:
        self._at = self._at._replace(done=self._at.done + 1)
        self._tell()

    def _tell(self) -> None:
        self._told(self._at._replace(rows=self._rows, requests=self._api.requests - self._began))
