"""Leaders, portfolios and settings: what a run begins with, and what comes, changes and goes while it lasts."""

from __future__ import annotations

from collections.abc import Callable

from pilotfish.core import events as ev
from pilotfish.core.bookkeeping import Bookkeeping
from pilotfish.core.copying import Copying
from pilotfish.core.effects import Answered, NeedHoldings, SetTimer, Upsert, WipePaper
from pilotfish.core.exits import Exits
from pilotfish.core.holdings import Holding
from pilotfish.core.observing import Observing
from pilotfish.core.reasons import Outcome, Reason
from pilotfish.core.records import IdsRecord, PortfolioReset
from pilotfish.core.reorgs import Reorgs
from pilotfish.core.state import Leader, State
from pilotfish.core.trade import Trade
from pilotfish.core.units import SECOND, Micros, Usdc


class LifeCycle:
    """``timers`` works all open timers out of the state; a run that begins sets them."""

    def __init__(
        self, state: State, bookkeeping: Bookkeeping, copying: Copying, exits: Exits, reorgs: Reorgs,
        observing: Observing, timers: Callable[[int], list[SetTimer]],
    ) -> None:  # fmt: skip
        self.state = state
        self.bookkeeping = bookkeeping
        self.copying = copying
        self.exits = exits
        self.reorgs = reorgs
        self.observing = observing
        self.leading = observing.leading
        self.recall = observing.recall
        self._timers = timers
        self._moved: dict[tuple[str, str], list[Trade]] = {}
        """Trades of the run before that holdings are rebuilt from once their leader is followed again."""
        self.resuming: list[tuple[str, tuple[ev.PendingDecision, ...], dict[int, Trade]]] = []
        """Decisions that waited at the last stop: whose, which, and the trades of then."""

    def restored(self, e: ev.Restored) -> None:
        """What a run before has left, taken up."""
        s = self.state
        s.globals, s.started_at = e.globals, e.at
        if e.keep:
            self.recall.begin(e.at, e.keep)
            s.recalled.update(e.recalled)
        s.ids.update(
            trade=e.last_trade_id,
            decision=e.last_decision_id,
            intent=e.last_intent_id,
            fill=e.last_fill_id,
            entry=e.last_entry_id,
            adjustment=e.last_adjustment_id,
        )
        trades = {t.id: t for t in e.trades}
        for trade in sorted(e.trades, key=lambda t: t.occurrence):
            s.index.add(trade)
            if trade.moves_holding and trade.active:
                self._moved.setdefault((trade.leader, trade.token_id), []).append(trade)
            s.traded_at[trade.token_id] = max(trade.traded_at, s.traded_at.get(trade.token_id, 0))
        for portfolio in e.portfolios:
            s.add_desk(portfolio)
            for token_id, side, price, shares in portfolio.taken:
                s.memory.take(portfolio.name, token_id, side, price, shares)
        for portfolio in e.portfolios:
            desk = s.desks[portfolio.name]
            for order in portfolio.intents:
                self.bookkeeping.resume(desk, order, trades.get(order.trade_id), e.at)
        self.reorgs.restore(trades, [(s.desks[p.name], p.recent) for p in e.portfolios])
        self.resuming = [(p.name, p.pending, trades) for p in e.portfolios if p.pending]
        for trade in e.trades:
            self.observing.watch(trade, e.at)
        for timer in self._timers(e.at):
            s.ask(timer)

    def portfolio_added(self, e: ev.PortfolioAdded) -> None:
        """A new portfolio takes part."""
        self.state.booked[e.state.name] = self.state.add_desk(e.state)

    def archived(self, e: ev.PortfolioArchived) -> None:
        """A portfolio takes part no longer: what it waits for is closed, its orders are taken back."""
        desk = self.state.desks.get(e.portfolio)
        if desk is not None:
            self._requeue(e.portfolio)
            self.copying.close_all(desk, Reason.SKIP_PAUSED, e.at)
            for order in list(desk.intents.values()):
                self.bookkeeping.cancel(desk, order, Outcome.CANCELLED_ARCHIVED, e.at)
            self.state.memory.forget(desk.name)
            self.state.remove_desk(desk)

    def follows_changed(self, e: ev.FollowsChanged) -> None:
        """A portfolio copies other leaders from now on."""
        desk = self.state.desks.get(e.portfolio)
        if desk is not None:
            self.state.follow(desk, None if e.leaders is None else frozenset(e.leaders))
            self.copying.wake_all(e.at)

    def close_asked(self, e: ev.CloseAsked) -> None:
        """A person wants positions sold."""
        desk = self.state.desks.get(e.portfolio)
        begun = self.exits.close(desk, e.leader, e.token_id, e.at) if desk is not None else []
        if e.command is not None:
            unknown = f"0 exits begun: no portfolio {e.portfolio[:100]} takes part"
            self.state.out.append(Answered(e.command, self.exits.told(begun) if desk is not None else unknown))

    def followed(self, e: ev.LeaderFollowed) -> None:
        """A leader is followed, from now on or again."""
        s = self.state
        leader = s.leaders[e.leader] = Leader(
            wallet=e.leader,
            follow_from=e.follow_from,
            floor_ts=e.floor_ts,
            cursor_ts=e.cursor_ts,
            paused=e.paused,
            bootstrapped=e.bootstrapped,
            value=e.value,
            gaps=set(e.gaps),
            gone=dict(e.gone),
            agreed={token_id: as_of for token_id, _, as_of, _ in sorted(e.sets, key=lambda told: told[2])},
        )
        if e.bootstrapped:
            leader.told_at = max((at for _, _, at, first in e.sets if first and at >= e.floor_ts * SECOND), default=0)
        told: dict[str, list[tuple[int, int, bool]]] = {}
        for token_id, said, as_of, first in e.sets:
            if as_of >= s.kept_since:
                told.setdefault(token_id, []).append((said, as_of, first))
        for token_id, shares in e.holdings:
            if e.is_new and (e.leader, token_id) in s.holdings:
                continue  # left and followed again in one run: what is kept here is newer
            trades = self._moved.pop((e.leader, token_id), ())
            since = e.floor_ts * SECOND
            whole, said_of = self.recall.known_from((e.leader, token_id), trades, told.get(token_id, ()))
            s.holdings[(e.leader, token_id)] = Holding.rebuilt(shares, whole, said_of, since)
            s.holding_sums[(e.leader, token_id)] = shares
        if e.is_new:
            self.leading.write_cursor(leader, e.at)
        if not e.bootstrapped:
            s.ask(NeedHoldings(e.leader, bootstrap=True))
        elif not e.is_new:
            self.leading.recheck_later(leader, e.at)
        self._take_up_pending(e.leader, e.at)

    def _take_up_pending(self, leader: str, at: int) -> None:
        """Decisions that waited at the last stop go on once their leader is followed again."""
        rest = []
        for name, pending, trades in self.resuming:
            mine = tuple(p for p in pending if _leader_of(p, trades) == leader)
            other = tuple(p for p in pending if p not in mine)
            if mine and name in self.state.desks:
                self.copying.restore(self.state.desks[name], mine, trades, at)
            if other:
                rest.append((name, other, trades))
        self.resuming = rest

    def take_up(self, at: int) -> None:
        """Decisions that waited at the last stop, and whose leader nobody has followed again until now, go on."""
        for name, pending, trades in self.resuming:
            self.copying.restore(self.state.desks[name], pending, trades, at)
        self.resuming = []

    def paused(self, e: ev.LeaderPaused) -> None:
        """A leader's copying was paused or resumed."""
        leader = self.state.leaders.get(e.leader)
        if leader is not None:
            leader.paused = e.paused
            self.copying.wake_all(e.at)

    def removed(self, e: ev.LeaderRemoved) -> None:
        """A leader is left."""
        leader = self.state.leaders.get(e.leader)
        if leader is not None:
            leader.active = False
            self.copying.wake_all(e.at)
        self._take_up_pending(e.leader, e.at)

    def policy_changed(self, e: ev.PolicyChanged) -> None:
        """A portfolio's settings changed."""
        desk = self.state.desks.get(e.portfolio)
        if desk is not None:
            desk.policy = e.policy
            self.copying.wake_all(e.at)

    def globals_changed(self, e: ev.GlobalsChanged) -> None:
        """Settings that belong to no portfolio changed."""
        self.state.globals = e.globals

    def reset(self, e: ev.PaperReset) -> None:
        """The paper state of portfolios is wiped."""
        self._requeue(e.portfolio)
        for name, desk in self.state.desks.items():
            if e.portfolio in (None, name):
                self.copying.close_all(desk, Reason.SKIP_RESET, e.at)
                self.bookkeeping.forget(desk, e.at)
                self.reorgs.copied.forget(name)
                desk.wipe()
                self.state.memory.forget(name)
                self.state.out.append(WipePaper(name))
        ids = {"intents": self.state.ids["intent"], "fills": self.state.ids["fill"]}
        ids["ledger_entries"] = self.state.ids["entry"]
        self.state.out.append(Upsert(IdsRecord(name="ids", at=Micros(e.at), data=ids)))
        for name, desk in self.state.desks.items():
            if e.portfolio in (None, name):
                fresh = PortfolioReset(name=name, bankroll_micro=Usdc(desk.bankroll), reset_at=Micros(e.at))
                self.state.out.append(Upsert(fresh))
                self.state.booked[name] = desk
        if e.command is not None:
            self.state.out.append(Answered(e.command, "done"))

    def _requeue(self, portfolio: str | None) -> None:
        """Decisions of a portfolio (``None`` = all) that wait to be taken up wait in its queues instead."""
        for name, pending, trades in self.resuming:
            if portfolio in (None, name):
                self.copying.requeue(self.state.desks[name], pending, trades)
        self.resuming = [r for r in self.resuming if portfolio not in (None, r[0])]


def _leader_of(pending: ev.PendingDecision, trades: dict[int, Trade]) -> str | None:
    trade = pending.exit if pending.trade_id is None else trades.get(pending.trade_id)
    return trade.leader if trade else None
