"""The end of a story against the truth: trades, holdings, exits in proportion, classes, fees, liquidity, settlement,
and the books. Each check names the promise that it holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, TypeAlias

from sqlalchemy import Connection, select

from pilotfish.core import sizing
from pilotfish.core.leading import GONE, RECHECK_AFTER
from pilotfish.core.units import SECOND, proceeds_of
from pilotfish.simtest import steps as st
from pilotfish.simtest.feeds import Span, apply, tx
from pilotfish.simtest.run import BrokenPromise, Run
from pilotfish.store import tables as t
from pilotfish.store.interned import as_text
from pilotfish.store.verify import verify

UNKNOWN_RATE = 70_000
"""Charged where a market's schedule is not known."""
ALONE = 300 * SECOND
"""Exits further apart than this cannot overlap."""
SEEN_WITHIN = 700 * SECOND
"""What moved a holding without a trade is seen so soon: two looks at it, and the time in between."""
EXITS = ("MERGE", "REDEEM", "CONVERSION", GONE)
"""Causes of what is copied as an exit."""
_COPIED, _UNSOLD = ("COPY", "SKIP_NO_POSITION"), ("failed", "partial")
Key: TypeAlias = tuple[str, str, str]
"""(portfolio, leader, token)"""


def judge(run: Run) -> None:
    """Raises :class:`BrokenPromise` for the first promise that does not hold at the end of a story."""
    with run.database.connect() as c:
        world = _World(run, c)
        for promise, check in (
            ("one trade, once", world.trades),
            ("identical fills in log order", world.occurrences),
            ("holdings are the leaders'", world.holdings),
            ("what was held before each SELL", world.before_sells),
            ("a SELL waits for what is held", world.first_looks),
            ("whatever waits ends", world.waits),
            ("a late trade is late", world.classes),
            ("what a leader did before or between is not copied", world.followings),
            ("a move without a trade has its cause", world.causes),
            ("what was taken without a trade is seen", world.falls),
            ("an exit without a trade is decided", world.moves),
            ("exits in proportion", world.exits),
            ("out of turn is what came out of turn", world.turns),
            ("nothing is left of what its leader has sold", world.leftovers),
            ("shares add up", world.shares),
            ("settled once, at the payout", world.settled),
            ("the market's own fee", world.fees),
            ("no liquidity twice", world.liquidity),
            ("the books", lambda: iter(verify(c))),
        ):
            for detail in check():
                raise BrokenPromise(promise, detail)


class _World:
    def __init__(self, run: Run, c: Connection) -> None:
        self.run, self.venue, self.c = run, run.venue, c
        self.rows = {name: list(c.execute(select(t.metadata.tables[name]).order_by(*_order(name)))) for name in _READ}
        self.followed = {st.LEADERS[n]: n for n, spans in run.venue.followed.items() if spans[-1].until is None}
        self.doubtful = {
            (st.LEADERS[x.leader], st.token(x.market, x.outcome))
            for x in run.venue.trades
            if tx(x.number) in run.venue.unsure
        }

    def trades(self) -> Iterator[str]:
        want: Counter[Any] = Counter()
        """Of who is followed still: all since then. Of who was left, what was seen until then."""
        may: Counter[Any] = Counter()
        for trade in self.venue.standing():
            span = self.venue.span(trade.leader, st.START + trade.at)
            if span is not None:
                (want if span.until is None else may)[_key(trade)] += trade.count
        have = Counter(
            (r.leader, r.tx_hash, r.token_id, r.side, r.shares_micro) for r in self.rows["trades"] if not r.retracted_at
        )
        for key in sorted({*want, *have}):
            if key[1] not in self.venue.unsure and not want[key] <= have[key] <= want[key] + may[key]:
                yield f"{have[key]} recorded of {want[key] + may[key]} in transaction {int(key[1], 16)}"

    def occurrences(self) -> Iterator[str]:
        logs: dict[Any, list[int]] = defaultdict(list)
        for r in self.rows["trades"]:
            if r.log_index is not None and not r.retracted_at:
                logs[(r.leader, r.tx_hash, r.token_id, r.side, r.shares_micro)].append(r.log_index)
        for key, order in logs.items():
            if order != sorted(order):
                yield f"transaction {int(key[1], 16)} has logs {order}"

    def holdings(self) -> Iterator[str]:
        have = {(r.leader, r.token_id): r.shares_micro for r in self.rows["leader_holdings"]}
        for wallet, n in self.followed.items():
            truth = self.venue.holdings(n, 2**62)
            for token in sorted({*truth, *(k[1] for k in have if k[0] == wallet)}):
                if (wallet, token) not in self.doubtful and have.get((wallet, token), 0) != truth.get(token, 0):
                    yield f"leader {n} token {token}: {have.get((wallet, token), 0)}, truly {truth.get(token, 0)}"

    def before_sells(self) -> Iterator[str]:
        """Not in a following's own first second: what a snapshot of that second contains cannot be known. Nor in one
        of which no snapshot came."""
        rows = {(r.tx_hash, r.occurrence): r for r in self.rows["trades"] if not r.retracted_at}
        moved = {(m.leader, token) for m in self.venue.moves for token in st.moved_by(m, {})}
        for n in self.venue.followed:
            held: dict[str, int] = {}
            unseen: set[tuple[int, str]] = set()
            for trade in [x for x in self.venue.standing() if x.leader == n]:
                token, span = st.token(trade.market, trade.outcome), self.venue.span(n, st.START + trade.at)
                row = rows.get((tx(trade.number), 1))
                whole = all((tx(trade.number), k + 1) in rows for k in range(trade.count))
                here = (span.since if span is not None else 0, token)
                within = span is not None and st.START + trade.at >= span.since + SECOND
                told = span is not None and self._told(st.LEADERS[n], span, self.run.now)
                known = within and told and (n, token) not in moved and (st.LEADERS[n], token) not in self.doubtful
                sure = known and here not in unseen
                if not whole or (row is not None and row.traded_at_estimated):
                    unseen.add(here)  # and a place that is only estimated, for good where no row comes any more
                elif row is not None and sure and trade.side == "SELL":
                    said, truly = row.leader_pre_sell_shares_micro, held.get(token, 0)
                    if said != truly:
                        yield f"trade {trade.number}: {said} before it, truly {truly}"
                apply(held, trade)

    def first_looks(self) -> Iterator[str]:
        """A SELL is copied once a snapshot has told what its leader holds, or after a wait that its trace tells of."""
        trades = {r.id: r for r in self.rows["trades"]}
        for d in self.rows["decisions"]:
            trade = trades.get(d.trade_id)
            if trade is None or d.side != "SELL" or d.action != "copy":
                continue
            spans = [s for s in self.venue.followed[st.LEADERS.index(d.leader)] if s.holds(d.decided_at)]
            told = any(self._told(d.leader, span, d.decided_at) for span in spans)  # two may share a second
            if not told and not any(check == "holdings_missing_ms" for check, *_ in d.trace):
                yield f"decision {d.id} on transaction {int(trade.tx_hash, 16)} knows nothing of what is held"

    def _told(self, leader: str, span: Span, by: int) -> bool:
        """True if a snapshot of a following had come by an instant: else nobody said what is held."""
        until = by if span.until is None else min(by, span.until)
        return any(who == leader and span.since <= at <= until for who, at in self.run.told)

    def waits(self) -> Iterator[str]:
        archived = {r.name for r in self.rows["portfolios"] if r.status != "active"}
        for r in self.rows["decisions"]:
            if r.action == "wait" and r.portfolio not in archived:
                yield f"decision {r.id} still waits: {r.reason}"
        for r in self.rows["intents"]:
            young = r.created_at > self.run.now - ALONE
            if r.state in ("pending", "working") and r.portfolio not in archived and not young:
                yield f"order {r.id} is still {r.state}"

    def classes(self) -> Iterator[str]:
        trades = {r.id: r for r in self.rows["trades"]}
        for d in self.rows["decisions"]:
            trade = trades.get(d.trade_id)
            if trade is None or d.side != "BUY" or d.action != "copy" or self._estimated(trade):
                continue
            policy = [p for at, name, p in self.run.policies_seen if name == d.portfolio and at <= d.decided_at][-1]
            age = d.decided_at - trade.traded_at
            if age > policy.max_live_lag_sec * SECOND and d._mapping["class"] == "live":
                yield f"trade {trade.id} was {age / SECOND:.1f} s old and decided as live"
            if age > max(policy.catch_up_buy_max_age_sec, policy.max_live_lag_sec) * SECOND:
                yield f"trade {trade.id} was {age / SECOND:.1f} s old and copied"

    def _estimated(self, *trades: Any) -> bool:
        known = {trade.tx_hash for trade in trades}
        return any(tx(x.number) in known and x.no_time for x in self.venue.trades)

    def followings(self) -> Iterator[str]:
        trades = {r.id: r for r in self.rows["trades"]}
        for d in self.rows["decisions"]:
            trade = trades.get(d.trade_id)
            if trade is None or d.action != "copy":
                continue
            span = self.venue.span(st.LEADERS.index(d.leader), trade.traded_at)
            if span is None or (span.until is not None and d.decided_at > span.until):
                yield f"decision {d.id} copies transaction {int(trade.tx_hash, 16)} of who was left"

    def causes(self) -> Iterator[str]:
        """Not over a restart: what our books and the venue agreed on before it is not stored; and not while a trade of
        the token was made and not seen yet, which nobody can tell from a move. Nor of conversions: which of their
        markets' tokens they took is a guess."""
        moves = {tx(m.number): m for m in self.venue.moves}
        touched = Counter((st.LEADERS[m.leader], token) for m in self.venue.moves for token in st.moved_by(m, {}))
        for a in self.rows["holding_adjustments"]:
            move = moves.get(a.tx_hash)
            if (
                move is None
                or move.kind == "CONVERSION"
                or not a.delta_micro
                or any(st.START + move.at < b <= a.at for b in self.run.starts)
            ):
                continue
            if self._unseen(a.leader, a.token_id, a.at):
                continue
            by = st.moved_by(move, {a.token_id: 1}).get(a.token_id, 0)
            right = by * a.delta_micro > 0 or (by and touched[(a.leader, a.token_id)] > 1)
            if (st.LEADERS[move.leader], move.kind) != (a.leader, a.cause) or not right:
                yield f"adjustment {a.id} of token {a.token_id} by {a.delta_micro} is called move {move.number}"

    def _unseen(self, leader: str, token: str, at: int) -> bool:
        """True if the leader had made a trade of a token that no source had shown, or that was not settled yet."""
        for step in self.run.story:
            if not isinstance(step, st.Trade) or st.LEADERS[step.leader] != leader:
                continue
            last = max(step.api_us, step.chain_us or 0) + (step.again_us or 0) + step.reorg_us
            if token == st.token(step.market, step.outcome) and st.START + step.at <= at <= st.START + step.at + last:
                return True
        return False

    def falls(self) -> Iterator[str]:
        """Where nothing stood in the way: the leader is followed, sources and process were there, and nothing else was
        seen of the token meanwhile. A move that the API shows only after two looks at the holding has no name by then.
        """
        seen = {(a.leader, a.token_id, a.cause, a.delta_micro) for a in self.rows["holding_adjustments"]}
        for n in self.followed.values():
            held: dict[str, int] = {}
            for step in self.venue.deeds(n):
                if isinstance(step, st.Move) and step.kind in st.TAKING:
                    cause = GONE if step.kind == "SEND" else step.kind
                    for token, delta in st.moved_by(step, held).items():
                        fell = max(delta, -held.get(token, 0))
                        causes = {cause} if step.api_us <= RECHECK_AFTER else {cause, GONE, "reconciled"}
                        known = fell >= 0 or any((st.LEADERS[n], token, one, fell) in seen for one in causes)
                        if not known and self._undisturbed(step, token):
                            yield f"move {step.number} took {-fell} of token {token}, and no {cause} by that is known"
                apply(held, step)

    def _undisturbed(self, move: st.Move, token: str) -> bool:
        begin, end = move.at - 60 * SECOND, move.at + SEEN_WITHIN
        span = self.venue.span(move.leader, st.START + begin)
        if span is None or span.until is not None or (st.LEADERS[move.leader], token) in self.doubtful:
            return False
        for step in self.run.story:
            last = step.at
            match step:
                case st.Trade() if step.leader == move.leader and token == st.token(step.market, step.outcome):
                    last += max(step.api_us, step.chain_us or 0) + (step.again_us or 0) + step.reorg_us
                case st.Move() if step is not move and step.leader == move.leader and token in st.moved_by(step, {}):
                    last += SEEN_WITHIN
                case st.Down(source="api"):
                    last += step.lasts_us
                case st.Kill():  # what books and venue agreed on is not stored: from a restart on a cause is a guess
                    last = end
                case _:
                    continue
            if step.at < end and last > begin:
                return False
        return True

    def moves(self) -> Iterator[str]:
        decided = {(d.adjustment_id, d.portfolio) for d in self.rows["decisions"]}
        chosen = {s.portfolio for s in self.run.story if isinstance(s, st.Follows)}
        for a in self.rows["holding_adjustments"]:
            if a.cause not in EXITS or a.delta_micro >= 0:
                continue
            for p in self.rows["portfolios"]:
                whole = p.status == "active" and p.name not in chosen and (p.reset_at or 0) < a.at
                held = self._held((p.name, a.leader, a.token_id), a.at - 1)
                if whole and held > 0 and (a.id, p.name) not in decided:
                    yield f"adjustment {a.id} is an exit that {p.name} has not decided on, of {held}"

    def exits(self) -> Iterator[str]:
        trades = {r.id: r for r in self.rows["trades"]}
        gone = {r.id: -r.delta_micro for r in self.rows["holding_adjustments"]}
        resets = {r.name: r.reset_at or 0 for r in self.rows["portfolios"]}
        without = {d.id for d in self.rows["decisions"] if d.adjustment_id is not None}
        intents = {r.decision_id: r for r in self.rows["intents"] if r.trade_id or r.decision_id in without}
        spans: dict[Key, list[tuple[int, int]]] = defaultdict(list)
        for r in self.rows["intents"]:
            spans[(r.portfolio, r.leader, r.token_id)].append((r.created_at, self.run.ended.get(r.id, self.run.now)))
        for d in self.rows["decisions"]:
            trade, order = trades.get(d.trade_id), intents.get(d.id)
            sold = gone.get(d.adjustment_id) if trade is None else trade.shares_micro
            if sold is None or order is None or d.side != "SELL" or d.action != "copy":
                continue
            key = (d.portfolio, d.leader, d.token_id)
            near = [1 for begin, end in spans[key] if begin - ALONE < d.decided_at < max(begin + ALONE, end)]
            if len(near) > 1 or d.decided_at <= resets[d.portfolio]:
                continue
            held = self._held(key, d.decided_at)
            checks = {check: value for check, value, _, _ in d.trace}
            before = checks.get("leader_pre_sell_shares_micro")
            if checks.get("later_trades"):  # then it sells nothing of what later BUYs brought
                since = self._copied_since(d, trade)
                if any(i.side == "SELL" for i in since):
                    continue  # what it sells then depends on all of them; a property of its own holds that
                held -= self._filled(since, d.decided_at)
            want = sizing.sell_shares(held, sold, before, 999_000)
            if order.shares_micro != want:
                yield f"decision {d.id}: {order.shares_micro} sold of {held}, in proportion {want}"

    def _copied_since(self, d: Any, trade: Any) -> list[Any]:
        """The portfolio's orders on later trades of the token that were decided before a SELL that came late."""
        trades = {r.id: r for r in self.rows["trades"]}
        return [
            i
            for i in self.rows["intents"]
            if i.trade_id
            and (i.portfolio, i.leader, i.token_id) == (d.portfolio, d.leader, d.token_id)
            and trades[i.trade_id].traded_at >= trade.traded_at
            and i.decision_id < d.id
        ]

    def _filled(self, orders: list[Any], at: int) -> int:
        numbers = {i.id for i in orders}
        return sum(f.shares_micro for f in self.rows["fills"] if f.intent_id in numbers and f.filled_at <= at)

    def _held(self, key: Key, at: int) -> int:
        """Shares held of a position at an instant, by fills and entries up to it."""
        held = 0
        for f in self.rows["fills"]:
            if (f.portfolio, f.leader, f.token_id) == key and f.filled_at <= at:
                held += f.shares_micro if f.side == "BUY" else -f.shares_micro
        for e in self.rows["ledger_entries"]:
            if (e.portfolio, e.leader, e.token_id) == key and e.at <= at and e.shares_micro:
                held -= e.shares_micro
        return held

    def turns(self) -> Iterator[str]:
        """A trade comes after later ones only where one of them was decided, or missed, before it came."""
        trades = {r.id: r for r in self.rows["trades"]}
        mine: dict[Key, dict[int, int]] = defaultdict(dict)
        for d in self.rows["decisions"]:
            if d.trade_id:
                mine[(d.portfolio, d.leader, d.token_id)][d.trade_id] = d.id
        for d in self.rows["decisions"]:
            trade = trades.get(d.trade_id)
            if trade is None or not any(check == "later_trades" for check, *_ in d.trace):
                continue
            known = mine[(d.portfolio, d.leader, d.token_id)]
            others = [x for x in trades.values() if (x.leader, x.token_id) == (trade.leader, trade.token_id)]
            if self._estimated(*others):
                continue
            if not any(x.traded_at >= trade.traded_at and known.get(x.id, 0) < d.id for x in others if x is not trade):
                yield f"decision {d.id} on transaction {int(trade.tx_hash, 16)} is told as late, with nothing before it"

    def leftovers(self) -> Iterator[str]:
        """Where trades came in their order, each SELL was to be copied, and each of ours could be filled."""
        trades = {r.id: r for r in self.rows["trades"]}
        intents = {r.decision_id: r for r in self.rows["intents"] if r.trade_id}
        unsold = {
            (r.portfolio, r.leader, r.token_id) for r in self.rows["intents"] if r.side == "SELL" and r.state in _UNSOLD
        }
        chosen = {s.portfolio for s in self.run.story if isinstance(s, st.Follows)}
        active = {p.name for p in self.rows["portfolios"] if p.status == "active"} - chosen
        mine: dict[Key, list[Any]] = defaultdict(list)
        for d in self.rows["decisions"]:
            mine[(d.portfolio, d.leader, d.token_id)].append(d)
        for p in self.rows["positions"]:
            key = (p.portfolio, p.leader, p.token_id)
            if (
                not p.shares_micro
                or key in unsold
                or p.portfolio not in active
                or not self._plain(p.leader, p.token_id)
            ):
                continue
            ours = [d for d in mine[key] if d.trade_id]
            order = [(trades[d.trade_id].traded_at, d.id) for d in ours]
            sales = [d for d in ours if d.side == "SELL"]
            copied = [d.reason in _COPIED and (d.id not in intents or intents[d.id].state == "filled") for d in sales]
            sure = order == sorted(order) and not self._estimated(*[trades[d.trade_id] for d in ours])
            if sales and sure and all(copied):
                yield f"{p.portfolio} holds {p.shares_micro} of token {p.token_id}, of which its leader holds nothing"

    def _plain(self, leader: str, token: str) -> bool:
        """True where a leader, followed once and ever since, bought and sold a token and holds nothing of it in the
        end, and nothing else happened to it."""
        n = self.followed.get(leader)
        if n is None or len(self.venue.followed[n]) > 1 or st.market_of(token) in self.venue.payouts:
            return False
        moved = any(m.leader == n and token in st.moved_by(m, {}) for m in self.venue.moves)
        return not (moved or (leader, token) in self.doubtful or self.venue.holdings(n, 2**62).get(token))

    def shares(self) -> Iterator[str]:
        for p in self.rows["positions"]:
            held = self._held((p.portfolio, p.leader, p.token_id), 2**62)
            if held != p.shares_micro:
                yield f"position {p.portfolio} {p.token_id}: {p.shares_micro}, by its fills and entries {held}"

    def settled(self) -> Iterator[str]:
        for e in self.rows["ledger_entries"]:
            if e.kind != "settle":
                continue
            payout = self.venue.payouts.get(st.market_of(e.token_id))
            if payout is None:
                yield f"token {e.token_id} was settled and its market is not resolved"
                continue
            payout = 1_000_000 - payout if int(e.token_id) % 10 else payout
            if e.amount_micro != proceeds_of(e.shares_micro or 0, payout) or not e.shares_micro:
                yield f"entry {e.id} pays {e.amount_micro} for {e.shares_micro} shares at {payout}"
        archived = {r.name for r in self.rows["portfolios"] if r.status != "active"}
        for p in self.rows["positions"]:
            if p.shares_micro and st.market_of(p.token_id) in self.venue.payouts and p.portfolio not in archived:
                yield f"position {p.portfolio} {p.token_id} is open and its market resolved"

    def fees(self) -> Iterator[str]:
        for f in self.rows["fills"]:
            own = self.venue.fees.get(st.market_of(f.token_id), 0)
            if f.fee_rate_ppm not in (own, UNKNOWN_RATE):
                yield f"fill {f.id} was charged {f.fee_rate_ppm}, its market charges {own}"

    def liquidity(self) -> Iterator[str]:
        fills: dict[str, list[Any]] = defaultdict(list)
        for f in self.rows["fills"]:
            fills[f.token_id].append(f)
        for token, mine in fills.items():
            taken: Counter[tuple[str, str, int]] = Counter()
            largest: dict[tuple[str, int], int] = {}
            books = [(b.received_at, 0, b) for b in self.run.books_seen if b.token_id == token and not b.crossed]
            events: list[tuple[int, int, Any]] = [*books, *((f.filled_at, 1, f) for f in mine)]
            for _, kind, x in sorted(events, key=lambda e: e[:2]):
                if kind == 0:
                    sides = {("BUY", lv.price): lv.size for lv in x.asks} | {
                        ("SELL", lv.price): lv.size for lv in x.bids
                    }
                    for level in [k for k in taken if k[1:] not in sides]:
                        del taken[level]
                    largest = {k: max(size, largest.get(k, 0)) for k, size in sides.items()}
                    continue
                for price, shares in x.levels:
                    taken[(x.portfolio, x.side, price)] += shares
                    if taken[(x.portfolio, x.side, price)] > largest.get((x.side, price), 0):
                        yield f"fill {x.id}: more taken at {price} than was ever there"


_READ = (
    "trades", "leader_holdings", "holding_adjustments", "decisions", "intents", "fills", "positions", "ledger_entries",
    "portfolios",
)  # fmt: skip


def _order(name: str) -> list[Any]:
    return [as_text(column) for column in t.metadata.tables[name].primary_key]


def _key(trade: st.Trade) -> tuple[str, str, str, str, int]:
    token = st.token(trade.market, trade.outcome)
    return (st.LEADERS[trade.leader], tx(trade.number), token, trade.side, trade.shares)
