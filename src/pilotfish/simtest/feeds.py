"""The venue of a world: what logs, rows, books, markets and snapshots say at any instant, made from the true steps."""

from __future__ import annotations

from dataclasses import dataclass

from pilotfish.core import events as ev
from pilotfish.core.book import make_book
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import MICRO, SECOND
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled
from pilotfish.polymarket.decode import decode_order_filled
from pilotfish.simtest import steps as st

OTHERS = "0x" + "0e" * 20
"""Whoever takes what leaders offer."""
LAG = 5 * SECOND
"""How far snapshots of holdings are behind."""


@dataclass(slots=True)
class Span:
    """From when to when a leader was followed (µs); ``until`` is ``None`` while they are."""

    since: int
    until: int | None = None

    def holds(self, at: int) -> bool:
        """True if an instant is in it."""
        return self.since <= at and (self.until is None or at <= self.until)


class Venue:
    """Knows the truth, and what of it each service shows."""

    def __init__(self, story: list[st.Step]) -> None:
        self.trades = [s for s in story if isinstance(s, st.Trade)]
        self.moves = [s for s in story if isinstance(s, st.Move)]
        self._rows: dict[int, list[tuple[int, int, LeaderFill, int]]] = {}
        """Leader -> (traded, shown, row, how often), in the API's order."""
        for trade in self.standing():
            traded = st.START + trade.at
            self._rows.setdefault(trade.leader, []).append(
                (traded, traded + trade.api_us, self._row(trade), trade.count)
            )
        self.books: dict[str, st.Book] = {}
        self.fees: dict[int, int] = {}
        self.payouts: dict[int, int] = {}
        self.followed: dict[int, list[Span]] = {}
        """Leader -> since when and until when they were followed, in order: nothing else is taken in."""
        self.unsure: set[str] = set()
        """Transactions whose reorg nobody told us of."""

    # -- the chain ---------------------------------------------------------------------------------------------

    def logs(self, trade: st.Trade, block: int = 0) -> list[LeaderFill]:
        """The logs of a trade's transaction, in log order."""
        said = order_filled(
            f"0x{trade.order:064x}", st.LEADERS[trade.leader], CTF_EXCHANGE_V2 if trade.fee else OTHERS, trade.side,
            st.token(trade.market, trade.outcome), trade.shares, trade.shares * trade.price // MICRO, trade.fee,
        )  # fmt: skip
        where = {
            "address": CTF_EXCHANGE_V2,
            "transactionHash": tx(trade.number),
            "blockNumber": hex(1_000_000 + trade.at // (2 * SECOND) + block),
            "blockHash": f"0x{2 * trade.number + block:064x}",
        }
        at = None if trade.no_time else st.START + trade.at
        return [
            decode_order_filled({**said, **where, "logIndex": hex(10 * (trade.number % 50) + n)}).observed(at, "{}")
            for n in range(trade.count)
        ]

    # -- the Data API ------------------------------------------------------------------------------------------

    def rows(self, leader: int, start: int, at: int) -> tuple[tuple[LeaderFill, ...], tuple[ev.Move, ...]]:
        """A leader's rows from ``start`` (epoch seconds) that are shown at ``at``, oldest first."""
        fills: list[LeaderFill] = []
        for traded, shown, row, count in self._rows.get(leader, ()):
            if shown <= at and traded >= start * SECOND:
                fills += [row] * count
        moves = [
            ev.Move(
                kind=m.kind,
                tx_hash=tx(m.number),
                condition_id=st.condition(m.market),
                amount=m.amount,
                at=st.START + m.at,
            )
            for m in self.moves
            if m.leader == leader
            and m.kind != "SEND"
            and st.START + m.at + m.api_us <= at
            and st.START + m.at >= start * SECOND
        ]
        return tuple(fills), tuple(moves)

    def _row(self, trade: st.Trade) -> LeaderFill:
        return LeaderFill(
            source=Source.API,
            leader=st.LEADERS[trade.leader],
            tx_hash=tx(trade.number),
            token_id=st.token(trade.market, trade.outcome),
            side=Side(trade.side),
            shares=trade.shares,
            usdc=trade.shares * trade.price // MICRO,
            traded_at=st.START + trade.at,
            condition_id=st.condition(trade.market),
            outcome="Yes" if trade.outcome == 0 else "No",
            title=f"Market {trade.market}",
            raw="{}",
        )

    def snapshot(self, leader: int, at: int, *, bootstrap: bool) -> ev.HoldingsSnapshot:
        """What a leader holds, as it was some seconds ago."""
        as_of = max(self.followed[leader][-1].since, (at - LAG) // SECOND * SECOND)
        held = self.holdings(leader, as_of)
        return ev.HoldingsSnapshot(
            at=at,
            leader=st.LEADERS[leader],
            as_of=as_of,
            holdings=tuple(sorted((k, v) for k, v in held.items() if v)),
            bootstrap=bootstrap,
            conditions=tuple(sorted((k, st.condition(st.market_of(k))) for k in held)),
            value=1_000 * MICRO,
        )

    # -- the truth ---------------------------------------------------------------------------------------------

    def span(self, leader: int, at: int) -> Span | None:
        """The time of following that an instant (µs) belongs to, if any."""
        return next((span for span in reversed(self.followed.get(leader, ())) if span.holds(at)), None)

    def standing(self) -> list[st.Trade]:
        """The trades that stand in the end, in chain order."""
        return sorted((t for t in self.trades if t.reorg != "never"), key=lambda t: (t.at, t.number))

    def deeds(self, leader: int) -> list[st.Trade | st.Move]:
        """What a leader truly did, in order."""
        every: list[st.Trade | st.Move] = [*self.standing(), *self.moves]
        return sorted((step for step in every if step.leader == leader), key=lambda step: step.at)

    def holdings(self, leader: int, before: int) -> dict[str, int]:
        """What a leader truly holds of each token, by everything of before ``before`` (µs)."""
        held: dict[str, int] = {}
        for step in self.deeds(leader):
            if st.START + step.at < before:
                apply(held, step)
        return held

    # -- books and markets -------------------------------------------------------------------------------------

    def book(self, token: str, at: int, delay: int, *, up: bool) -> ev.BookSeen | ev.BookMissing:
        """The answer to a question for a token's book."""
        known = self.books.get(token)
        if not up or known is None or known.fails or st.market_of(token) in self.payouts:
            gone = up and known is not None and not known.fails
            return ev.BookMissing(at=at + delay, token_id=token, gone=gone)
        if known.gone:
            return ev.BookMissing(at=at + delay, token_id=token, gone=True)
        book = make_book(
            token, list(known.bids), list(known.asks), requested_at=at, received_at=at + delay, tick=known.tick
        )
        return ev.BookSeen(at=at + delay, book=book)

    def market(self, token: str, at: int, *, up: bool) -> ev.MarketSeen | ev.MarketMissing:
        """The answer to a question for a token's market."""
        market = st.market_of(token)
        if not up:
            return ev.MarketMissing(at=at, token_id=token)
        payout = self.payouts.get(market)
        if payout is not None and int(token) % 10:
            payout = MICRO - payout
        found = ev.Market(
            token_id=token,
            condition_id=st.condition(market),
            outcome="No" if int(token) % 10 else "Yes",
            title=f"Market {market}",
            index=int(token) % 10,
            closed=payout is not None,
            fee=FeeSchedule(rate_ppm=self.fees.get(market, 0)),
            payout=payout,
            fetched_at=at,
        )
        return ev.MarketSeen(at=at, market=found)


def tx(number: int) -> str:
    """The transaction of a trade or move."""
    return f"0x{number:064x}"


def apply(held: dict[str, int], step: st.Trade | st.Move) -> None:
    """Move true holdings by a step; nobody holds less than nothing."""
    if isinstance(step, st.Trade):
        shares = step.shares * step.count * (1 if step.side == "BUY" else -1)
        moved = {st.token(step.market, step.outcome): shares}
    else:
        moved = st.moved_by(step, held)
    for token, shares in moved.items():
        held[token] = max(0, held.get(token, 0) + shares)
