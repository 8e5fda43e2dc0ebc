"""From an intent to its fills: latency, the book of that later instant, retries of exits, settlement, marks."""

from __future__ import annotations

from typing import Any

from pilotfish.core import fills, lateness, ledger, sizing
from pilotfish.core.book import CENT, Book, LevelKey, bid_value, share_step, walk_buy
from pilotfish.core.desk import Desk
from pilotfish.core.effects import Delete, Insert, NeedBook, SetTimer, Update, Upsert, intent_row, intent_update
from pilotfish.core.events import IntentState, Market
from pilotfish.core.exits import Exits
from pilotfish.core.fees import UNKNOWN_FEE, FeeSchedule
from pilotfish.core.reasons import Outcome
from pilotfish.core.reorgs import ORPHAN_PATIENCE, given_up_at
from pilotfish.core.state import State
from pilotfish.core.timers import OrderDue, ReorgOver
from pilotfish.core.trade import Side, Trade, TradeClass
from pilotfish.core.units import MICRO, SECOND, cost_of, price_of

EQUITY_EVERY = 60 * SECOND


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
        self._on_hold: dict[int, Trade] = {}
        """Trades that a reorg took back: their intents wait whether they are mined again."""

    def restore(self, desk: Desk, intents: tuple[IntentState, ...], trades: dict[int, Trade], at: int) -> None:
        """Intents that were open when the worker stopped are decided anew under the catch-up rules."""
        self._on_hold.update({t.id: t for t in trades.values() if not t.active})
        for intent in intents:
            intent.recheck = True
            desk.intents[intent.id] = intent
            if intent.side == "SELL":
                intent.give_up_at = max(intent.give_up_at, at + desk.policy.of(intent.leader).sell_retry_sec * SECOND)
            trade = trades.get(intent.trade_id)
            if trade is not None:
                intent.leader_usdc, intent.leader_shares = trade.usdc, trade.shares

    def open_timers(self, at: int) -> list[SetTimer]:
        """When each open order is due; those of retracted trades wait for the reorg's end instead."""
        open_orders = [(desk, i) for desk in self.state.desks.values() for i in desk.intents.values()]
        due = [
            SetTimer(OrderDue(desk.name, i.id), max(at, i.due_at))
            for desk, i in open_orders
            if i.trade_id not in self._on_hold
        ]
        held = dict.fromkeys(i.trade_id for _, i in open_orders if i.trade_id in self._on_hold)
        ends = [(t, given_up_at(self._on_hold[t], self.state.started_at)) for t in held]
        return due + [SetTimer(ReorgOver(t), max(at, end)) for t, end in ends] + self.exits.open_timers(at)

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
        for level in self.state.memory.refresh(book):
            self._level_gone(book.token_id, level)
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
            price = bid_value(book, total) * MICRO // total if total and book.bids else None
            for position in positions:
                if ledger.mark(position, price, at):
                    self.state.put_position(desk, position)
                self.exits.look(desk, position, at)
        best = (book.best_bid, book.best_ask)
        if self._marks.get(book.token_id) != best:
            self._marks[book.token_id] = best
            row = {"token_id": book.token_id, "ask_micro": best[1], "at": at}
            known = {"bid_micro": best[0], "unmarked_since": None} if book.bids else {"unmarked_since": at}
            self.state.out.append(Upsert("marks", {**row, **known}))

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
        late = lateness.classify(intent.traded_at, at, policy.max_live_lag_sec) is TradeClass.CATCH_UP
        if intent.recheck and late:
            if lateness.too_old(intent.traded_at, at, policy):
                return self._end(desk, intent, "cancelled", Outcome.CANCELLED_TOO_OLD)
            usdc, shares = _theirs(intent)
            limit = lateness.catch_up_limit(usdc, shares, policy, self._tick(intent, book))
            intent.limit_price = min(intent.limit_price, limit)
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
            broke = bool(
                walk_buy(book, intent.budget, intent.limit_price, self.state.memory, desk.name, intent.share_cap)
            )
            return self._end(desk, intent, "cancelled", Outcome.CANCELLED_NO_CASH if broke else Outcome.UNFILLED_PRICE)
        position = desk.position((intent.leader, intent.token_id), self.state.markets.get(intent.token_id))
        entries = ledger.buy(position, fill.shares, fill.usdc, fill.fee, at)
        self._book_fill(desk, intent, book, fill, position, entries, at, schedule)
        step = share_step(book.tick)
        left = intent.budget // CENT * CENT - fill.usdc
        whole = left <= cost_of(step, fill.takes[-1].price) or 0 <= intent.share_cap - fill.shares < step
        desk.unspend(intent.created_at, intent.budget - fill.usdc)
        return self._end(desk, intent, "filled" if whole else "partial", None)

    def _sell(self, desk: Desk, intent: IntentState, book: Book, schedule: FeeSchedule, at: int) -> None:
        position = desk.positions.get((intent.leader, intent.token_id))
        left = min(intent.shares - intent.filled_shares, position.shares if position else 0)
        if position is None or left <= 0:
            return self._end(desk, intent, "filled" if intent.filled_shares else "cancelled", None)
        self._finer_tick(desk, intent, book)
        fill = fills.simulate_sell(
            book, left, intent.limit_price, schedule, intent.leader_price, self.state.memory, desk.name
        )
        if fill is not None:
            entries = ledger.sell(position, fill.shares, fill.usdc, fill.fee, at)
            self._book_fill(desk, intent, book, fill, position, entries, at, schedule)
            if position.shares and ledger.is_dust(position.shares, fill.takes[-1].price):
                self.exits.write_off(desk, position, intent, at)
                return self._end(desk, intent, "filled", None)
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
        for take in fill.takes:
            self._take(desk, book.token_id, side, take.price, take.shares, at)
        intent.filled_shares += fill.shares
        fill_id = state.next_id("fill")
        if position.shares:
            worth = bid_value(book, position.shares) * MICRO // position.shares
            ledger.mark(position, worth if book.bids else None, at)
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
        self.state.out.append(SetTimer(OrderDue(desk.name, intent.id), intent.due_at))

    def _tick(self, intent: IntentState, book: Book) -> int:
        """The finest tick of market and book."""
        market = self.state.markets.get(intent.token_id)
        return min(market.tick, book.tick) if market else book.tick

    def _finer_tick(self, desk: Desk, intent: IntentState, book: Book) -> None:
        """The book shows a finer tick than was known at the decision: the leader's SELL is limited by that one."""
        market = self.state.markets.get(intent.token_id)
        priced = intent.leader_shares and sizing.is_priced(intent.leader_usdc, intent.leader_shares, book.tick)
        if priced and (market is None or book.tick < market.tick):
            policy = desk.policy.of(intent.leader)
            bps, ticks = policy.sell_max_slippage_bps, policy.sell_max_slippage_ticks
            limit = sizing.sell_limit(intent.leader_usdc, intent.leader_shares, bps, book.tick, ticks)
            if limit != intent.limit_price:
                intent.limit_price = limit
                self.state.out.append(intent_update(intent))

    # -- liquidity that was used up ----------------------------------------------------------------------------

    def _take(self, desk: Desk, token_id: str, side: Side, price: int, shares: int, at: int) -> None:
        taken = self.state.memory.take(desk.name, token_id, side, price, shares)
        row = {"taken_micro": taken, "at": at, **_level_row(token_id, (desk.name, side, price))}
        self.state.out.append(Upsert("liquidity_taken", row))

    def _level_gone(self, token_id: str, level: LevelKey) -> None:
        self.state.out.append(Delete("liquidity_taken", _level_row(token_id, level)))

    # -- reorgs ------------------------------------------------------------------------------------------------

    def orphan(self, trade: Trade, at: int) -> None:
        """A reorg took a trade back: hold open intents, mark its fills, leave the position if that is the policy."""
        self._on_hold[trade.id] = trade
        for name, intent, fill_ids in self._of_trade.get(trade.id, ()):
            desk = self.state.desks.get(name)
            if desk is None:
                continue
            for fill_id in fill_ids:
                self.state.out.append(Update("fills", {"id": fill_id, "status": "orphaned"}))
            key = (intent.leader, intent.token_id)
            shares, policy = min(intent.filled_shares, desk.held(key)), desk.policy.of(trade.leader)
            if policy.orphan_policy != "exit" or intent.side != "BUY" or shares <= 0:
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
                limit_price=self.exits.limit(desk, desk.positions[key], policy),
                leader_price=intent.leader_price,
                traded_at=at,
                created_at=at,
                due_at=at + ORPHAN_PATIENCE + policy.order_latency_ms * 1000,
                give_up_at=at + ORPHAN_PATIENCE + policy.sell_retry_sec * SECOND,
                rule="reorg",
            )
            desk.intents[way_out.id] = way_out
            self.state.out.append(Insert("intents", intent_row(way_out)))
            self.state.out.append(SetTimer(OrderDue(name, way_out.id), way_out.due_at))

    def revive(self, trade: Trade, at: int) -> None:
        """The trade stands again: open intents go on, fills count, a way out that has not begun is called off."""
        self._on_hold.pop(trade.id, None)
        for name, desk in self.state.desks.items():
            for intent in [i for i in desk.intents.values() if i.trade_id == trade.id]:
                self.state.out.append(SetTimer(OrderDue(name, intent.id), max(at, intent.due_at)))
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
        for level in self.state.memory.drop(market.token_id):
            self._level_gone(market.token_id, level)
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
        self.state.memory.forget(desk.name)
        for intent in list(desk.intents.values()):
            self._end(desk, intent, "cancelled", Outcome.CANCELLED_ARCHIVED)

    def value(self, at: int) -> None:
        """Write what each portfolio is worth, when that changed or a minute has passed."""
        for desk in self.state.desks.values():
            desk.begin_day(at)
            sums = desk.sums
            figures = (desk.cash, sums.worth, sums.unmarked, sums.cost, sums.realized, sums.fees, sums.open)
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
                        "unmarked_value_micro": sums.unmarked,
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


def _theirs(intent: IntentState) -> tuple[int, int]:
    """USDC and shares whose ratio is the leader's price."""
    return (intent.leader_usdc, intent.leader_shares) if intent.leader_shares else (intent.leader_price, MICRO)


def _level_row(token_id: str, level: LevelKey) -> dict[str, Any]:
    portfolio, side, price = level
    return {"portfolio": portfolio, "token_id": token_id, "side": side.value, "price_micro": price}
