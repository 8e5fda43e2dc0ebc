"""What was filled on which trade of a leader: a reorg needs it, and a trade that comes late.

Of the newest trades only; a start takes up what was filled within the last hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from pilotfish.core import sizing
from pilotfish.core.desk import Desk, DeskKey
from pilotfish.core.orders import Order
from pilotfish.core.state import State
from pilotfish.core.trade import BUY, SELL, Trade

Sold: TypeAlias = tuple[int, str, int, int | None]
"""A SELL: which, whose, how much was sold, and of how much."""
REMEMBERED = 5_000
"""Trades whose fills are remembered; the oldest go first."""


class Copied:
    """Orders with the ids of their fills, by the trade that they copy."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._of_trade: dict[int, list[tuple[str, Order, list[int]]]] = {}
        """Trade -> (portfolio, order, fill ids)."""

    def add(self, desk: Desk, order: Order, fill_ids: Iterable[int]) -> None:
        """An order was filled, in the run before or just now."""
        if not order.trade_id:
            return
        known = self._of_trade.setdefault(order.trade_id, [])
        for entry in known:
            if entry[1] is order:
                entry[2].extend(fill_ids)
                break
        else:
            known.append((desk.name, order, list(fill_ids)))
        while len(self._of_trade) > REMEMBERED:
            del self._of_trade[next(iter(self._of_trade))]

    def of(self, trade_id: int) -> list[tuple[str, Order, list[int]]]:
        """(portfolio, order, fill ids) of everything that was filled on a trade."""
        return self._of_trade.get(trade_id, [])

    def forget(self, portfolio: str) -> None:
        """A portfolio's paper state is wiped: nothing of what it copied is there any more."""
        for trade_id, known in list(self._of_trade.items()):
            kept = [entry for entry in known if entry[0] != portfolio]
            if kept:
                self._of_trade[trade_id] = kept
            else:
                del self._of_trade[trade_id]

    def later(self, desk: Desk, trade: Trade) -> list[Trade]:
        """The leader's trades of this token after ``trade``, where it comes late: not those that wait behind it, which
        are decided in their turn."""
        key = (trade.leader, trade.token_id)
        holding = self.state.holdings.get(key)
        later = holding.after(trade) if holding is not None else []
        if not later or key not in desk.queues:
            return later
        waiting = {item.trade.id for item in desk.queues[key]}
        return [other for other in later if other.id not in waiting]

    def gone(self, key: DeskKey) -> bool:
        """True where the leader, by our books, holds nothing of the token any more, whatever took it."""
        holding = self.state.holdings.get(key)
        return holding is not None and not holding.shares

    def left(self, desk: Desk, trade_id: int, sold: Iterable[Sold]) -> int:
        """Shares bought on a trade that are still held after the SELLs that came later, as far as these were copied."""
        shares = self._filled(desk, trade_id)
        for sale in sold:
            shares = self._after(desk, shares, sale)
        return shares

    def sold_late(self, desk: Desk, trade: Trade, later: list[Trade], held: int) -> int:
        """Shares of the ``held`` that a SELL sells which comes after ``later`` trades: as many as leave what would be
        held had it come in its turn. What later BUYs brought is not touched, and what later SELLs sold counts by the
        proportion that they have now that this one is known."""
        ratio = desk.policy.of(trade.leader).exit_all_ratio
        left = self._before(desk, later, held)
        left -= sizing.sell_shares(left, trade.shares, trade.leader_pre_sell_shares, ratio)
        for other in later:
            moved = self._moved(desk, other)
            if other.side is BUY:
                left += moved
            elif moved:
                left -= sizing.sell_shares(left, other.shares, other.leader_pre_sell_shares, ratio)
        return min(held, max(0, held - left))

    def bought_late(self, desk: Desk, key: DeskKey, later: list[Trade], full: int) -> int:
        """How many of ``full`` shares a BUY buys that comes after ``later`` trades: as many as lead to what would be
        held had it come in its turn; none where the leader has sold all since, or it is gone otherwise."""
        if self.gone(key):
            return 0
        held = desk.held(key)
        policy = desk.policy.of(key[0])
        left = self._before(desk, later, held) + full
        for other in later:
            if other.side is BUY:
                left += self._moved(desk, other)
            elif policy.copy_side != "buy":
                left -= sizing.sell_shares(left, other.shares, other.leader_pre_sell_shares, policy.exit_all_ratio)
        return min(full, max(0, left - held))

    def _before(self, desk: Desk, later: list[Trade], held: int) -> int:
        """What was held before ``later`` trades, of which ``held`` is left."""
        sold = sum([self._moved(desk, t) for t in later if t.side is SELL])
        return max(0, held + sold - sum([self._moved(desk, t) for t in later if t.side is BUY]))

    def _after(self, desk: Desk, shares: int, sale: Sold) -> int:
        """What a SELL of the leader's leaves of ``shares``, if it was copied."""
        trade_id, leader, sold, before = sale
        if not shares or not self._filled(desk, trade_id):
            return shares
        return sizing.shrink(shares, sold, before, desk.policy.of(leader).exit_all_ratio)

    def _filled(self, desk: Desk, trade_id: int) -> int:
        return sum([order.filled_shares + order.dust for name, order, _ in self.of(trade_id) if name == desk.name])

    def _moved(self, desk: Desk, trade: Trade) -> int:
        """Shares bought or sold on a trade; of a SELL that is still out, all that it is to sell."""
        out = [o for o in desk.open_intents((trade.leader, trade.token_id), SELL) if o.trade_id == trade.id]
        return self._filled(desk, trade.id) + sum([o.shares - o.filled_shares for o in out])


def sold_of(trades: Iterable[Trade]) -> list[Sold]:
    """The SELLs among ``trades``."""
    return [_sale(t) for t in trades if t.side is SELL]


def _sale(trade: Trade) -> Sold:
    return (trade.id, trade.leader, trade.shares, trade.leader_pre_sell_shares)
