"""From an intent to its fills: latency, the book of that later instant, retries of exits, settlement, marks."""

from __future__ import annotations

from pilotfish.core import fills, ledger
from pilotfish.core.book import Book, bid_value
from pilotfish.core.desk import Desk
from pilotfish.core.effects import Insert, NeedBook, SetTimer, Update, Upsert, intent_row, intent_update
from pilotfish.core.events import IntentState, Market
from pilotfish.core.exits import Exits
from pilotfish.core.fees import UNKNOWN_FEE, FeeSchedule
from pilotfish.core.reasons import Outcome
from pilotfish.core.sizing import buy_limit
from pilotfish.core.state import State
from pilotfish.core.trade import Side, Trade
from pilotfish.core.units import MICRO, SECOND, price_of

EQUITY_EVERY = 60 * SECOND
ORPHAN_PATIENCE = 10 * SECOND
"""How long an orphaned fill's way out waits: most transactions are mined again within a few blocks."""


class Execution:
    """Works intents off."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.exits = Exits(state)
        self._marks: dict[str, tuple[int | None, int | None]] = {}
        self._due: dict[str, set[tuple[str, int]]] = {}
        """Token -> intents that wait for a book of it."""
        self._of_trade: dict[int, list[tuple[str, IntentState, list[int]]]] = {}
        """Trade -> (portfolio, intent, fill ids), for reorgs. Bounded: oldest go first."""
        self._on_hold: set[int] = set()
        """Trades that a reorg took back: their intents wait whether they are mined again."""

    def restore(self, desk: Desk, intents: tuple[IntentState, ...], trades: dict[int, Trade], at: int) -> None:
        """Intents that were open when the worker stopped are decided anew under the catch-up rules."""
        self._on_hold.update(t.id for t in trades.values() if not t.active)
        for intent in intents:
            intent.recheck = True
            desk.intents[intent.id] = intent
            if intent.side == "SELL":
                intent.give_up_at = max(intent.give_up_at, at + desk.policy.of(intent.leader).sell_retry_sec * SECOND)
            self.state.out.append(SetTimer(f"due|{desk.name}|{intent.id}", max(at, intent.due_at)))

    def remember(self, desk: Desk, recent: tuple[tuple[IntentState, tuple[int, ...]], ...]) -> None:
        """Fills from before a restart that a reorg could still touch."""
        for intent, fill_ids in recent:
            known = desk.intents.get(intent.id, intent)
            self._of_trade.setdefault(intent.trade_id, []).append((desk.name, known, list(fill_ids)))

    def due(self, name: str, intent_id: int) -> None:
        """An intent's order has reached the venue (or its retry is due): read the book."""
        desk = self.state.desks.get(name)
        intent = desk.intents.get(intent_id) if desk else None
        if intent is None or intent.trade_id in self._on_hold:
            return
        self._due.setdefault(intent.token_id, set()).add((name, intent_id))
        self.state.out.append(NeedBook(intent.token_id))

    def on_book(self, book: Book, at: int) -> None:
        """A book came: value positions with it and fill what waits for it."""
        last_fill = self.state.ids["fill"]
        for name, intent_id in sorted(self._due.pop(book.token_id, ())):
            desk = self.state.desks.get(name)
            intent = desk.intents.get(intent_id) if desk else None
            if desk is None or intent is None:
                continue
            if book.requested_at < intent.due_at:
                self.due(name, intent_id)
            else:
                self._work(desk, intent, book, at)
        self._mark(book, at)
        if self.state.ids["fill"] != last_fill:
            self.value(at)

    def _mark(self, book: Book, at: int) -> None:
        """Value what is held of a token at what its bids would pay for all of it."""
        for desk in self.state.desks.values():
            positions = [p for p in desk.by_token.get(book.token_id, ()) if p.shares]
            total = sum(p.shares for p in positions)
            mark = bid_value(book, total) * MICRO // total if total else 0
            for position in positions:
                if mark != position.mark_price:
                    position.mark_price = mark
                    self.state.put_position(desk, position)
                self.exits.look(desk, position, at)
        best = (book.best_bid, book.best_ask)
        if self._marks.get(book.token_id) != best:
            self._marks[book.token_id] = best
            row = {"token_id": book.token_id, "bid_micro": best[0], "ask_micro": best[1], "at": at}
            self.state.out.append(Upsert("marks", row))

    def on_no_book(self, token_id: str, at: int) -> None:
        """No book could be had: a BUY gives up after a few tries, an exit goes on until its time is over."""
        for name, intent_id in sorted(self._due.pop(token_id, ())):
            desk = self.state.desks.get(name)
            intent = desk.intents.get(intent_id) if desk else None
            if desk is None or intent is None:
                continue
            intent.attempts += 1
            over = intent.attempts >= desk.policy.book_attempts if intent.side == "BUY" else at >= intent.give_up_at
            if over:
                self._end(desk, intent, "failed", Outcome.FAILED_NO_BOOK)
            else:
                self._later(desk, intent, at)

    # -- filling -----------------------------------------------------------------------------------------------

    def _work(self, desk: Desk, intent: IntentState, book: Book, at: int) -> None:
        market = self.state.markets.get(intent.token_id)
        schedule = market.fee if market else UNKNOWN_FEE
        if intent.side == "BUY":
            self._buy(desk, intent, book, schedule, at)
        else:
            self._sell(desk, intent, book, schedule, at)

    def _buy(self, desk: Desk, intent: IntentState, book: Book, schedule: FeeSchedule, at: int) -> None:
        policy = desk.policy.of(intent.leader)
        if intent.recheck and at - intent.traded_at > policy.max_live_lag_sec * SECOND:
            if at - intent.traded_at > policy.catch_up_buy_max_age_sec * SECOND:
                return self._end(desk, intent, "cancelled", Outcome.CANCELLED_TOO_OLD)
            worse = 0 if policy.catch_up_buy_require_better_price else policy.catch_up_buy_max_worse_bps
            intent.limit_price = min(intent.limit_price, buy_limit(intent.leader_price, MICRO, worse, book.tick))
        fill = fills.simulate_buy(
            book,
            intent.budget,
            intent.limit_price,
            desk.cash,
            schedule,
            intent.leader_price,
            self.state.memory,
            desk.name,
            intent.share_cap,
        )
        if fill is None:
            broke = desk.cash < MICRO // 100
            return self._end(desk, intent, "cancelled", Outcome.CANCELLED_NO_CASH if broke else Outcome.UNFILLED_PRICE)
        position = desk.position((intent.leader, intent.token_id), self.state.markets.get(intent.token_id))
        entries = ledger.buy(position, fill.shares, fill.usdc, fill.fee, at)
        self._book_fill(desk, intent, book, fill, position, entries, at, schedule)
        whole = intent.budget - fill.usdc < MICRO // 100 or fill.shares == intent.share_cap
        desk.unspend(intent.created_at, intent.budget - fill.usdc)
        return self._end(desk, intent, "filled" if whole else "partial", None)

    def _sell(self, desk: Desk, intent: IntentState, book: Book, schedule: FeeSchedule, at: int) -> None:
        position = desk.positions.get((intent.leader, intent.token_id))
        left = min(intent.shares - intent.filled_shares, position.shares if position else 0)
        if position is None or left <= 0:
            return self._end(desk, intent, "filled" if intent.filled_shares else "cancelled", None)
        fill = fills.simulate_sell(
            book, left, intent.limit_price, schedule, intent.leader_price, self.state.memory, desk.name
        )
        if fill is not None:
            entries = ledger.sell(position, fill.shares, fill.usdc, fill.fee, at)
            self._book_fill(desk, intent, book, fill, position, entries, at, schedule)
        if fill is not None and fill.shares == left:
            return self._end(desk, intent, "filled", None)
        if at >= intent.give_up_at:
            return self._end(desk, intent, "partial" if intent.filled_shares else "failed", Outcome.FAILED_LIMIT)
        intent.state = "working"
        return self._later(desk, intent, at)

    def _book_fill(
        self, desk: Desk, intent: IntentState, book: Book, fill: fills.PaperFill,
        position: ledger.Position, entries: list[ledger.Entry], at: int, schedule: FeeSchedule,
    ) -> None:  # fmt: skip
        state, side = self.state, Side(intent.side)
        fills.commit(fill, side, book, state.memory, desk.name)
        intent.filled_shares += fill.shares
        fill_id = state.next_id("fill")
        if position.shares:
            position.mark_price = bid_value(book, position.shares) * MICRO // position.shares
        state.out.append(
            Insert(
                "fills",
                {
                    "id": fill_id,
                    "intent_id": intent.id,
                    "portfolio": desk.name,
                    "leader": intent.leader,
                    "token_id": intent.token_id,
                    "side": intent.side,
                    "shares_micro": fill.shares,
                    "usdc_micro": fill.usdc,
                    "price_micro": price_of(fill.usdc, fill.shares),
                    "fee_micro": fill.fee,
                    "filled_at": at,
                    "levels": [[t.price, t.shares] for t in fill.takes],
                    "delay_cost_micro": fill.delay_cost,
                    "spread_cost_micro": fill.spread_cost,
                    "leader_price_micro": intent.leader_price,
                    "mid2_micro": fill.mid2,
                    "fee_rate_ppm": schedule.rate_ppm,
                    "fee_half_exponent": schedule.half_exponent,
                    "status": "ok",
                },
            )
        )
        state.book_cash(desk, entries, at=at, leader=intent.leader, token_id=intent.token_id, fill_id=fill_id)
        state.put_position(desk, position, intent.rule or "leader")
        if not intent.trade_id:
            return
        known = self._of_trade.setdefault(intent.trade_id, [])
        for entry in known:
            if entry[1] is intent:
                entry[2].append(fill_id)
                break
        else:
            known.append((desk.name, intent, [fill_id]))
        while len(self._of_trade) > 5000:
            del self._of_trade[next(iter(self._of_trade))]

    def _end(self, desk: Desk, intent: IntentState, state: str, reason: Outcome | None) -> None:
        intent.state, intent.reason = state, reason.value if reason else None
        desk.intents.pop(intent.id, None)
        if intent.side == "BUY" and not intent.filled_shares:
            desk.unspend(intent.created_at, intent.budget)
        self.state.out.append(intent_update(intent))

    def _later(self, desk: Desk, intent: IntentState, at: int) -> None:
        intent.due_at = at + desk.policy.retry_interval_ms * 1000
        self.state.out.append(intent_update(intent))
        self.state.out.append(SetTimer(f"due|{desk.name}|{intent.id}", intent.due_at))

    # -- reorgs ------------------------------------------------------------------------------------------------

    def orphan(self, trade: Trade, at: int) -> None:
        """A reorg took a trade back: hold open intents, mark its fills, leave the position if that is the policy."""
        self._on_hold.add(trade.id)
        for name, intent, fill_ids in self._of_trade.get(trade.id, ()):
            desk = self.state.desks.get(name)
            if desk is None:
                continue
            for fill_id in fill_ids:
                self.state.out.append(Update("fills", {"id": fill_id, "status": "orphaned"}))
            key = (intent.leader, intent.token_id)
            shares = min(intent.filled_shares, desk.held(key))
            if desk.policy.of(trade.leader).orphan_policy != "exit" or intent.side != "BUY" or shares <= 0:
                continue
            way_out = IntentState(
                id=self.state.next_id("intent"),
                decision_id=intent.decision_id,
                trade_id=0,
                portfolio=name,
                leader=intent.leader,
                token_id=intent.token_id,
                condition_id=intent.condition_id,
                side="SELL",
                shares=shares,
                budget=0,
                limit_price=1,
                leader_price=intent.leader_price,
                traded_at=at,
                created_at=at,
                due_at=at + ORPHAN_PATIENCE + desk.policy.of(trade.leader).order_latency_ms * 1000,
                give_up_at=at + ORPHAN_PATIENCE + desk.policy.sell_retry_sec * SECOND,
                rule="reorg",
            )
            desk.intents[way_out.id] = way_out
            self.state.out.append(Insert("intents", intent_row(way_out)))
            self.state.out.append(SetTimer(f"due|{name}|{way_out.id}", way_out.due_at))

    def revive(self, trade: Trade, at: int) -> None:
        """The trade stands again: open intents go on, fills count, a way out that has not begun is called off."""
        self._on_hold.discard(trade.id)
        for name, desk in self.state.desks.items():
            for intent in [i for i in desk.intents.values() if i.trade_id == trade.id]:
                self.state.out.append(SetTimer(f"due|{name}|{intent.id}", max(at, intent.due_at)))
        for name, intent, fill_ids in self._of_trade.get(trade.id, ()):
            for fill_id in fill_ids:
                self.state.out.append(Update("fills", {"id": fill_id, "status": "ok"}))
            owner = self.state.desks.get(name)
            if owner is None:
                continue
            for exit_intent in list(owner.intents.values()):
                mine = exit_intent.decision_id == intent.decision_id and exit_intent.trade_id == 0
                if mine and not exit_intent.filled_shares:
                    self._end(owner, exit_intent, "cancelled", Outcome.CANCELLED_REORG)

    def give_up_reorg(self, trade_id: int) -> None:
        """A retracted trade was not mined again in time: its open intents end."""
        if trade_id in self._on_hold:
            for desk in self.state.desks.values():
                for intent in [i for i in desk.intents.values() if i.trade_id == trade_id]:
                    self._end(desk, intent, "cancelled", Outcome.CANCELLED_REORG)

    # -- settlement and value ----------------------------------------------------------------------------------

    def settle(self, market: Market, at: int) -> None:
        """The market is resolved: every position in the token is paid out."""
        assert market.payout is not None
        for desk in self.state.desks.values():
            desk.missed = {key for key in desk.missed if key[1] != market.token_id}
            for intent in [i for i in desk.intents.values() if i.token_id == market.token_id]:
                self._end(desk, intent, "cancelled", Outcome.CANCELLED_RESOLVED)
            for position in desk.by_token.get(market.token_id, ()):
                if position.shares:
                    entries = ledger.settle(position, market.payout, at)
                    of = {"leader": position.leader, "token_id": market.token_id}
                    self.state.book_cash(desk, entries, at=at, fill_id=None, **of)
                    self.state.put_position(desk, position, "resolved")

    def archive(self, desk: Desk) -> None:
        """A portfolio takes part no longer: its open intents end."""
        for intent in list(desk.intents.values()):
            self._end(desk, intent, "cancelled", Outcome.CANCELLED_ARCHIVED)

    def value(self, at: int) -> None:
        """Write what each portfolio is worth, when that changed or a minute has passed."""
        for desk in self.state.desks.values():
            desk.begin_day(at)
            sums = desk.sums
            figures = (desk.cash, sums.worth, sums.cost, sums.realized, sums.fees, sums.open)
            if figures == desk.last_equity and at - desk.last_equity_at < EQUITY_EVERY:
                continue
            desk.last_equity, desk.last_equity_at = figures, at
            desk.peak = max(desk.peak, desk.equity)
            desk.drawdown = max(desk.drawdown, desk.peak - desk.equity)
            self.state.out.append(
                Insert(
                    "equity_snapshots",
                    {
                        "portfolio": desk.name,
                        "at": at,
                        "equity_micro": desk.equity,
                        "cash_micro": desk.cash,
                        "positions_value_micro": sums.worth,
                        "cost_micro": sums.cost,
                        "realized_pnl_micro": sums.realized,
                        "unrealized_pnl_micro": sums.worth - sums.cost,
                        "fees_micro": sums.fees,
                        "open_positions": sums.open,
                        "peak_micro": desk.peak,
                        "drawdown_micro": desk.drawdown,
                    },
                )
            )
