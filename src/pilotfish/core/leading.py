"""What leaders hold, and what moves it without a trade: snapshots, splits, merges, redemptions, conversions.

A snapshot lags by seconds, so it corrects only when it disagrees twice in a row with no trade in between, or when a
move that the API shows explains the difference to the millionth. Each correction is a row with its cause.
"""

from __future__ import annotations

from pilotfish.core import events as ev
from pilotfish.core.copying import Copying
from pilotfish.core.effects import Insert, NeedHoldings, SetTimer, Update, Upsert
from pilotfish.core.gaps import after_reading
from pilotfish.core.holdings import Holding
from pilotfish.core.recording import trade_change
from pilotfish.core.records import AdjustmentRecord, CursorRecord, GapRecord, HoldingRecord
from pilotfish.core.state import Leader, State
from pilotfish.core.timers import HoldingsAgain
from pilotfish.core.trade import SELL, Trade, exit_without_trade
from pilotfish.core.units import SECOND, Micros, Shares, Usdc

BOOTSTRAP = "bootstrap"
"""The cause of what the first snapshot says."""
GONE = "gone"
"""The cause of a correction to zero that no trade and no move explains."""
MOVES_KEPT = 500
"""Moves without a trade remembered per leader."""
SNAPSHOT_DOUBT = 10 * SECOND
"""A snapshot may or may not contain a trade that is this close to it."""
RECHECK_AFTER = 20 * SECOND
"""A snapshot that disagrees is compared with a second one after this time."""


class Leading:
    """Keeps ``state.holdings`` and their rows."""

    def __init__(self, state: State, copying: Copying) -> None:
        self.state = state
        self.copying = copying

    def holding(self, leader: str, token_id: str) -> Holding:
        held = self.state.holdings.get((leader, token_id))
        if held is None:
            held = self.state.holdings[(leader, token_id)] = Holding()
        return held

    def moved(self, trade: Trade) -> list[Trade]:
        """Move what is held by a trade; returns the trades whose ``leader_pre_sell_shares`` this changed. What is sold
        of a token that nobody knew of, and that the first snapshot does not list, was all of it: it is in there."""
        key = (trade.leader, trade.token_id)
        held = self.state.holdings.get(key)
        if held is None:
            held, leader = self.holding(*key), self.state.leaders[trade.leader]
            if trade.side is SELL and trade.traded_at < leader.told_at // SECOND * SECOND:
                held.begin_with(0, leader.told_at, leader.floor_ts * SECOND)
        return held.add_trade(trade)

    def write_holding(
        self, leader: str, token_id: str, moved: int, at: int, cause: str | None = None, tx_hash: str | None = None,
        told: tuple[int, int] | None = None,
    ) -> int | None:  # fmt: skip
        """Write a holding's row; what its trades do not explain becomes an adjustment row with its cause.

        ``told``: what a snapshot said, as of when. Returns the adjustment's id, if there was one.
        """
        number = None
        s, key = self.state, (leader, token_id)
        held = s.holdings.get(key)
        shares = held.shares if held is not None else self.holding(leader, token_id).shares
        explained = s.holding_sums.get(key, 0) + moved
        if shares != explained or told is not None:
            number = s.next_id("adjustment")
            adjustment = AdjustmentRecord(
                id=number,
                leader=leader,
                token_id=token_id,
                before_micro=Shares(explained),
                delta_micro=Shares(shares - explained),
                cause=cause or "unseen",
                tx_hash=tx_hash,
                at=Micros(at),
                said_micro=Shares(told[0]) if told else None,
                as_of=Micros(told[1]) if told else None,
            )
            s.out.append(Insert(adjustment))
        s.holding_sums[key] = shares
        record = HoldingRecord(leader, token_id, Shares(shares), Micros(at))
        s.out.append(Upsert(record))
        return number

    def settle_holding(self, trade: Trade, at: int) -> None:
        """Write a holding that came out differently when its trades were put into another order."""
        key = (trade.leader, trade.token_id)
        held = self.state.holdings.get(key)
        if held is not None and held.shares != self.state.holding_sums.get(key, 0):
            self.write_holding(trade.leader, trade.token_id, 0, at)

    def snapshot(self, e: ev.HoldingsSnapshot) -> None:
        leader = self.state.leaders.get(e.leader)
        if leader is None or not leader.active:
            return
        if e.value is not None and e.value != leader.value:
            leader.value = e.value
            self.write_cursor(leader, e.at)
        told = dict(e.holdings)
        for token, condition in e.conditions:
            self.state.is_of(token, condition)
        said_of = set(told)
        if e.whole:
            said_of |= {token for wallet, token in self.state.holdings if wallet == e.leader}
        tokens = sorted(said_of - set(e.unread))
        if e.bootstrap and not leader.bootstrapped:
            leader.bootstrapped = True
            leader.looked_at = e.as_of if e.whole else 0
            leader.told_at = e.as_of if e.whole and not e.unread else 0
            for token in tokens:
                self._correct(e, token, told.get(token, 0), BOOTSTRAP)
            self.write_cursor(leader, e.at)
            self.copying.told_holdings(e.leader, e.at)
            return
        suspects: dict[str, int] = {}
        for token in tokens:
            said, holding = told.get(token, 0), self.holding(e.leader, token)
            if said in (holding.shares, holding.held_at(e.as_of)):
                leader.agreed[token] = e.as_of
                continue
            move, exact = self._explanation(leader, token, said - holding.shares, said)
            if leader.suspects.get(token) == said or (exact and not holding.traded_since(e.as_of - SNAPSHOT_DOUBT)):
                gone = move is None and said == 0
                self._correct(e, token, said, move.kind if move else GONE if gone else "reconciled", move)
            else:
                suspects[token] = said
                leader.agreed.setdefault(token, max(leader.looked_at, leader.follow_from))
        leader.suspects = suspects
        if e.whole:
            leader.looked_at = e.as_of
        if suspects:
            self.recheck_later(leader, e.at)

    def recheck_later(self, leader: Leader, at: int) -> None:
        """Compare a leader's holdings once more, soon."""
        leader.recheck_at = at + RECHECK_AFTER
        self.state.ask(SetTimer(HoldingsAgain(leader.wallet), leader.recheck_at))

    def recheck(self, wallet: str) -> None:
        """It is time to compare a leader's holdings."""
        leader = self.state.leaders.get(wallet)
        if leader is not None and leader.recheck_at is not None:
            leader.recheck_at = None
            if leader.active:
                self.state.ask(NeedHoldings(wallet, bootstrap=False))

    def _explanation(self, leader: Leader, token: str, delta: int, left: int) -> tuple[ev.Move | None, bool]:
        """The move that explains a difference, if any, and whether it does so to the millionth. One that does not is
        likely only where it came after our books and a snapshot last agreed; of several, the last of the token's own
        market."""
        condition = self.state.conditions.get(token)
        since = leader.agreed.get(token, max(leader.looked_at, leader.follow_from)) - SNAPSHOT_DOUBT
        likely = None
        for move in reversed(leader.moves.values()):
            if move.condition_id != condition and move.kind != "CONVERSION":
                continue
            exact = {"SPLIT": delta == move.amount, "MERGE": delta == -move.amount, "REDEEM": delta < 0 and left == 0}
            if exact.get(move.kind, False) and move.condition_id == condition:
                return move, True
            nearer = likely is None or (move.condition_id == condition and likely.condition_id != condition)
            if nearer and move.at >= since and self._fits(move, token, delta):
                likely = move
        return likely, False

    def _fits(self, move: ev.Move, token: str, delta: int) -> bool:
        """Whether a move can have changed a token's holding in this direction. A CONVERSION takes second outcomes and
        gives the first ones of other markets; where it is not known which one the token is, it may have been taken."""
        if move.kind != "CONVERSION":
            return (delta < 0) == move.is_exit
        market = self.state.markets.get(token)
        first = market is not None and market.index == 0
        return not first if delta < 0 else first and move.condition_id != self.state.conditions.get(token)

    def _correct(self, e: ev.HoldingsSnapshot, token: str, said: int, cause: str, move: ev.Move | None = None) -> None:
        """Set a holding to what a snapshot said. One that an exit explains is copied as such, and so is one that has
        gone for a reason nobody saw."""
        holding = self.holding(e.leader, token)
        before, as_of = holding.shares, e.as_of
        self.state.leaders[e.leader].agreed[token] = as_of
        if cause == BOOTSTRAP:
            as_of = holding.told_as_of(said, as_of)
            changed = holding.begin_with(said, as_of, self.state.leaders[e.leader].floor_ts * SECOND)
        else:
            changed = holding.set_to(said, as_of)
        for trade in {t.id: t for t in changed}.values():
            self.state.out.append(Update(trade_change(trade)))
        known = (e.leader, token) in self.state.holding_sums  # what was before may yet change
        told = (said, as_of) if said or before or known else None
        number = self.write_holding(e.leader, token, 0, e.at, cause, move.tx_hash if move else None, told)
        sold = before - holding.shares
        if number is None or sold <= 0:
            return
        gone = cause == GONE
        if gone:
            self.state.leaders[e.leader].gone[token] = e.as_of
        if gone or (move is not None and move.is_exit):
            book = self.state.books.get(token)
            price = (book.best_bid or 0) if book else 0
            at = move.at if move is not None else e.as_of
            trade = exit_without_trade(e.leader, token, sold, before, price, at, unexplained=gone)
            self.copying.exit(trade, number, e.at)

    def moves(self, leader: Leader, moves: tuple[ev.Move, ...], at: int) -> None:
        """Remember moves without a trade, and look at what they did to the holdings."""
        fresh = False
        for move in moves:
            key = (move.tx_hash, move.kind, move.condition_id)
            if key not in leader.moves and move.at >= leader.follow_from // SECOND * SECOND:
                leader.moves[key] = move
                fresh = True
        while len(leader.moves) > MOVES_KEPT:
            del leader.moves[next(iter(leader.moves))]
        for condition in dict.fromkeys(m.condition_id for m in moves if m.kind == "REDEEM") if fresh else ():
            for token in list(self.state.tokens_of.get(condition, ())):
                self.copying.waits.forget_market(token, at)
        if fresh:
            self.state.ask(NeedHoldings(leader.wallet, bootstrap=False))

    def coverage(self, leader: Leader, e: ev.ApiWindowRead) -> None:
        """Remember what of the history could not be read, and what now has been.

        The cursor passes a gap in the same commit that says so; a later reading of those seconds closes it.
        """
        if e.read_from is None:
            return
        left = after_reading(leader.gaps, e.read_from, e.read_to, e.gaps)
        for low, high in sorted(leader.gaps ^ left):
            gap = GapRecord(
                leader=leader.wallet, from_ts=low, to_ts=high, changed_at=Micros(e.at), is_open=(low, high) in left
            )
            self.state.out.append(Upsert(gap))
        leader.gaps = left

    def write_cursor(self, leader: Leader, at: int) -> None:
        record = CursorRecord(
            leader=leader.wallet,
            api_cursor_ts=leader.cursor_ts,
            api_cursor_initialized=True,
            api_cursor_updated_at=Micros(at),
            follow_from=Micros(leader.follow_from),
            floor_ts=leader.floor_ts,
            bootstrapped=leader.bootstrapped,
            positions_value_micro=None if leader.value is None else Usdc(leader.value),
        )
        self.state.out.append(Upsert(record))
