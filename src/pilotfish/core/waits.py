"""What decisions wait for: each wait is for something of one token, and something ends it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pilotfish.core.desk import Desk, DeskKey, Waiting
from pilotfish.core.effects import NeedBook, NeedMarket, SetTimer
from pilotfish.core.holdings import order_of
from pilotfish.core.patience import given_up_at, waited_since
from pilotfish.core.reasons import Reason
from pilotfish.core.state import State
from pilotfish.core.timers import LookAgain, ReorgOver, Waited
from pilotfish.core.trade import BUY, Trade
from pilotfish.core.units import SECOND

MARKET_REFRESH = 60 * SECOND


class Waits:
    """Asks for what decisions miss, once however many wait, and tries again within bounds."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._waiting: dict[tuple[Waited, str], set[tuple[str, DeskKey]]] = {}
        """What is waited for, and of which token -> the queues that wait for it."""
        self._retries: dict[tuple[Waited, str], int] = {}
        """Look-ups that failed -> when (µs) they are tried again: once, however many wait."""
        self._asked_market: dict[str, int] = {}

    def begin(self, desk: Desk, key: DeskKey, item: Waiting, reason: Reason, at: int) -> None:
        """A decision waits for ``reason``: ask for what it misses, or be woken when its time is over."""
        token = key[1]
        if reason is Reason.WAIT_BOOK:
            self._wait_for(desk, key, Waited.BOOK, token)
            self.state.ask(NeedBook(token))
        elif reason is Reason.WAIT_MARKET:
            self._wait_for(desk, key, Waited.MARKET, token)
            self.ask_market(token, at)
        elif reason is Reason.WAIT_CHAIN:
            self._wait_for(desk, key, Waited.CHAIN, token)
            seen = item.trade.first_seen_by_api_at or at
            self._look_again(item, Waited.CHAIN, token, seen + desk.policy.polygon_gap_grace_ms * 1000)
        elif reason is Reason.WAIT_API:
            self._wait_for(desk, key, Waited.API, token)
            seen = item.trade.first_seen_by_polygon_at or at
            self._look_again(item, Waited.API, token, seen + desk.policy.of(key[0]).api_lag_fallback_ms * 1000)
        elif reason is Reason.WAIT_HOLDINGS:
            self._wait_for(desk, key, Waited.HOLDINGS, token)
            since = waited_since(item.trade, self.state.started_at)
            self._look_again(item, Waited.HOLDINGS, token, since + desk.policy.of(key[0]).sell_retry_sec * SECOND)
        elif reason is Reason.WAIT_REORG:
            self._wait_for(desk, key, Waited.CHAIN, token)
            over = given_up_at(item.trade, self.state.started_at)
            self.state.ask(SetTimer(ReorgOver(item.trade.id), max(at, over)))

    def untold_since(self, desk: Desk, key: DeskKey, trade: Trade) -> int | None:
        """Since when (µs) a SELL waits for the first snapshot of what its leader holds: where one has not come since
        they were followed, and something is held that it could sell, or is about to be bought, or saved up for."""
        leader = self.state.leaders.get(key[0])
        if leader is None or leader.bootstrapped or not trade.id:
            return None
        sells = desk.held(key) > 0 or desk.open_intents(key, BUY) or desk.saved.get(key, 0) > 0
        return waited_since(trade, self.state.started_at) if sells else None

    def _wait_for(self, desk: Desk, key: DeskKey, what: Waited, token: str) -> None:
        self._waiting.setdefault((what, token), set()).add((desk.name, key))

    def _look_again(self, item: Waiting, what: Waited, token_id: str, at: int) -> None:
        item.retry = (what, at)
        self.state.ask(SetTimer(LookAgain(what, token_id), at))

    def over(self, what: Waited, token_id: str) -> Sequence[tuple[str, DeskKey]]:
        """Something has come: the queues (portfolio, leader and token) that have waited for it, and wait no longer."""
        waiting = self._waiting.pop((what, token_id), None)
        return sorted(waiting) if waiting is not None else ()

    def failed(self, what: Waited, token_id: str, at: int, *, final: bool = False) -> None:
        """A look-up failed: count it for everyone who waits for it, and try again later within bounds. While a next
        try is under way, another failure says nothing new."""
        asked = (what, token_id)
        if asked in self._retries and not final:
            return
        again = None
        for name, key in sorted(self._waiting.get(asked, ())):
            desk = self.state.desks.get(name)
            queue = desk.queues.get(key) if desk else None
            if desk is None or not queue:
                continue
            if what is Waited.BOOK:
                queue[0].book_attempts += 10_000 if final else 1
            else:
                queue[0].market_attempts += 1
            mine = at + (0 if final else desk.policy.retry_interval_ms * 1000)
            again = mine if again is None else min(again, mine)
        if again is not None:
            self._retries[asked] = again
            self.state.ask(SetTimer(LookAgain(what, token_id), again))
        elif what is Waited.MARKET:
            self._asked_market.pop(token_id, None)

    def is_due(self, what: Waited, token_id: str, at: int) -> bool:
        """True where it is time to look at what waits for it again, and not a timer of before a try was put off."""
        if self._retries.get((what, token_id), at) > at:
            return False
        self._retries.pop((what, token_id), None)
        if what is Waited.MARKET:
            self._asked_market.pop(token_id, None)
        return True

    def open_timers(self, at: int) -> list[SetTimer]:
        """When each decision that waits for time to pass is looked at again, and each failed look-up is tried again."""
        again = [
            (LookAgain(queue[0].retry[0], key[1]), queue[0].retry[1])
            for desk in self.state.desks.values()
            for key, queue in desk.queues.items()
            if queue and queue[0].retry is not None
        ]
        again += [(LookAgain(what, token_id), due) for (what, token_id), due in self._retries.items()]
        return [SetTimer(timer, max(at, due)) for timer, due in dict.fromkeys(again)]

    def forget_market(self, token: str, at: int) -> None:
        """What is known of a token's market is over: ask anew."""
        self.state.markets.pop(token, None)
        self._asked_market.pop(token, None)
        self.ask_market(token, at)

    def ask_market(self, token: str, at: int) -> None:
        """Ask for a token's market unless that was just done."""
        if at - self._asked_market.get(token, -MARKET_REFRESH) >= MARKET_REFRESH // 6:
            self._asked_market[token] = at
            self.state.ask(NeedMarket(token))


def line_up(queue: deque[Waiting], item: Waiting) -> int:
    """Put a decision into a queue, before what happened after it; returns its place. Among BUYs alone it makes no
    difference who comes first, and what is no trade stays where it came."""
    place = len(queue)
    if item.trade.id:
        while place and queue[place - 1].trade.id and order_of(item.trade) < order_of(queue[place - 1].trade):
            place -= 1
    if all(other.trade.side is BUY for other in [item, *list(queue)[place:]]):
        place = len(queue)
    queue.insert(place, item)
    return place
