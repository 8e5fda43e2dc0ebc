"""``report`` and ``trades``: would copying have paid, why was this not copied."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

import typer
from sqlalchemy import Connection, select

from pilotfish.cli import printed, session
from pilotfish.cli.printed import Column, Table, minute, say
from pilotfish.core.check_words import Line
from pilotfish.core.names import UnknownNameError
from pilotfish.core.numerals import NOTHING, count, gain, money, percent, plural, precise, price, rounded, shares
from pilotfish.core.reasons import words
from pilotfish.core.units import SECOND, Micros
from pilotfish.store import names, portfolios_store
from pilotfish.store import report as shortfall
from pilotfish.store import tables as t
from pilotfish.store.copies import WORDS, State
from pilotfish.store.database import snapshot
from pilotfish.store.interned import spelled
from pilotfish.store.views.base import iso, micros_of
from pilotfish.store.views.decisions import (
    FEW,
    Decision,
    DecisionOfPortfolio,
    DecisionTraced,
    TradeTraced,
    TradeWithDecisions,
    read_trade,
    read_trades_with_decisions,
)
from pilotfish.store.views.explained import Explained, explained, grouped
from pilotfish.store.views.report import Reported, Shortfall
from pilotfish.store.views.trades import TradeFilter

MOST_PORTFOLIOS = 10
"""Portfolios that a terminal shows."""


class AskedFor(StrEnum):
    """What became of a trade, as ``trades --state`` asks for it."""

    FILLED = State.FILLED.value
    OUT = State.OUT.value
    NOT_FILLED = State.NOT_FILLED.value
    SKIPPED = State.SKIPPED.value
    WAITING = State.WAITING.value


_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def since_of(text: str, now: int) -> int | None:
    """``7d``, ``12h`` or an ISO 8601 time as µs since the epoch; empty = ``None``."""
    text = text.strip()
    if not text:
        return None
    ago = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if ago is not None:
        return max(0, now - int(ago[1]) * _UNITS[ago[2]] * SECOND)
    try:
        return micros_of(text)
    except ValueError:
        raise typer.BadParameter(f"{text[:40]!r}: expected 7d, 12h, 30m, or a date like 2026-11-01") from None


def _whose(row: Shortfall) -> str:
    """Whose row it is; a total's is nobody's."""
    return row.label or row.leader or "all leaders"


BY_LEADER: Table[Shortfall] = Table(
    Column("leader", _whose, 1),
    Column("copied", lambda r: f"{count(r.orders_copied)} of {count(r.orders)}", 5, right=True),
    Column("paid", lambda r: money(r.paid_micro), 4, right=True),
    Column("theirs", lambda r: gain(r.ideal_micro), 3, right=True),
    Column("lost", lambda r: gain(-r.difference_micro), 6, right=True),
    Column("made", lambda r: gain(r.actual_micro), 2, right=True),
    Column("return", lambda r: percent(r.actual_micro, r.paid_micro, 2, sign=True), 7, right=True),
    Column("trades", lambda r: count(r.trades), 8, right=True, extra=True),
    Column("fills", lambda r: count(r.fills), 9, right=True, extra=True),
    Column("open", lambda r: count(r.open_positions), 10, right=True, extra=True),
    Column("wallet", lambda r: r.leader, 11, extra=True),
)
"""``theirs`` is what their prices would have made at our size, ``lost`` what was lost on the way."""
PARTS: Table[tuple[str, str]] = Table(
    Column("part", lambda part: part[0], 2, least=20), Column("USDC", lambda part: part[1], 1, right=True)
)


def report(
    leader: str = typer.Option("", "--leader", help="Only this leader, by wallet or label."),
    since: str = typer.Option("", "--since", help="Only from then on: 7d, 12h, or a date."),
    portfolio: str = typer.Option("", "--portfolio", help="Only this portfolio."),
    everything: bool = typer.Option(False, "--all", help="Archived portfolios, too."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = BY_LEADER.option,
    wide: bool = printed.WIDE,
) -> None:
    """Would copying have paid: an answer in a sentence, then the leaders' prices at our size against what we got, where
    the difference went, and the total over all leaders."""
    begin = since_of(since, session.now())
    view = BY_LEADER.view(columns, wide=wide)
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        of = {"portfolio": names.wanted_portfolio(c, portfolio), "leader": names.wanted_leader(c, leader)}
        found = shortfall.totals(c, **of, since=begin, archived=everything)
        fresh = _reset_since(c, of["portfolio"], {one.portfolio for one in found}, archived=everything)
    if as_json:
        session.print_json([row for one in found for row in one.rows])
        return
    if not found and not fresh:
        say(f"Nothing was decided {'since then' if begin else 'yet'}.")
    many = len(found) > MOST_PORTFOLIOS and sys.stdout.isatty()
    whole = sorted(found, key=_first)[:MOST_PORTFOLIOS] if many else found
    for one in whole:
        _print_portfolio(one, view, named=len(found) + len(fresh) > 1)
    if many:
        more = count(len(found) - len(whole))
        say(f"main, and those whose copies made most; {more} more: pilotfish report --portfolio NAME, or in a pipe")
        return
    for name, at in fresh.items():
        since = f"nothing was decided since it was reset, {minute(iso(at))} UTC"
        say(f"{name}: {since}; what was decided before does not count.")


def _first(one: Reported) -> tuple[bool, int]:
    """``main``, then those whose copies made most."""
    return one.portfolio != portfolios_store.MAIN, -one.total.actual_micro


def _reset_since(c: Connection, portfolio: str | None, told: set[str], *, archived: bool) -> dict[str, Micros]:
    """When the portfolios that are asked for and have nothing to tell were reset."""
    p = t.portfolios.c
    wanted = [p.name == portfolio] if portfolio else [] if archived else [p.status == "active"]
    rows = c.execute(select(p.name, p.reset_at).where(p.reset_at.is_not(None), *wanted).order_by(spelled(p.name)))
    return {name: at for name, at in rows if name not in told}


def _print_portfolio(one: Reported, view: printed.View[Shortfall], *, named: bool) -> None:
    """The verdict, each leader's table, and what they add up to."""
    say(f"{one.portfolio}: {one.total.verdict}" if named else one.total.verdict)
    for row in one.rows:
        since = f" since {minute(row.since)} UTC" if row.since else ""
        say("")
        say((f"{row.portfolio}: {_whose(row)}{since}", "bold"))
        PARTS.view(more=printed.PIPE).print(_difference(row))
    if len(one.rows) > 1:
        say("")
        view.print([*one.rows, one.total])


def _difference(row: Shortfall) -> Iterator[tuple[str, str]]:
    """From what their prices would have made to what we made, part by part."""
    yield "at their prices, every trade whole and free", gain(row.ideal_micro)
    for meaning, lost, causes in _parts(row):
        if rounded(lost):
            yield meaning, gain(-lost)
            told = {words(cause): amount for cause, amount in causes.items() if rounded(amount)}
            yield from ((f"of that: {cause}", gain(-amount)) for cause, amount in told.items())
    yield f"copied, fees paid; {row.copied_of}", gain(row.actual_micro)


def _parts(row: Shortfall) -> tuple[tuple[str, int, Mapping[str, int]], ...]:
    """What each part of the shortfall is, how much, and what it is made of."""
    p = row.parts
    return (
        ("delay: their price to the mid at our order", p.delay_micro, {}),
        ("spread and impact: the mid to our price", p.spread_micro, {}),
        ("fees", p.fees_micro, {}),
        ("delay of trades copied late (catch-up)", p.catch_up_micro, {}),
        ("trades not copied", p.skipped_micro, row.skipped_by_reason),
        ("sizes cut, or not filled whole", p.clipped_micro, row.clipped_by_cause),
        ("exits of our own", p.own_exits_micro, row.own_exits_by_cause),
    )


MAX_ID = 2**63 - 1
"""The largest number that a row can have."""


class _Line(NamedTuple):
    """A trade, what one portfolio made of it, and what the others did."""

    trade: TradeWithDecisions
    decision: DecisionOfPortfolio | None
    others: list[DecisionOfPortfolio]

    @property
    def state(self) -> str:
        """What became of it."""
        d = self.decision
        if d is None:
            return ""
        return ("partly filled" if d.partly else WORDS[d.state]) + (", orphaned" if d.orphaned else "")

    @property
    def why(self) -> str:
        """Why it was not copied, or not whole."""
        d = self.decision
        if d is None:
            return ""
        return d.reason.words if d.state in (State.SKIPPED, State.WAITING) else d.why or ""


TRADES: Table[_Line] = Table(
    Column("id", lambda r: str(r.trade.id), 1, right=True),
    Column("traded", lambda r: r.trade.traded_at[:19].replace("T", " "), 9),
    Column("leader", lambda r: r.trade.label or r.trade.leader, 4),
    Column("side", lambda r: r.trade.side, 6),
    Column("market", lambda r: r.trade.title or "", 3, least=16),
    Column("outcome", lambda r: r.trade.outcome or "", 8, least=12),
    Column("shares", lambda r: shares(r.trade.shares_micro), 10, right=True),
    Column("price", lambda r: price(r.trade.price), 7, right=True),
    Column("became", lambda r: r.state, 2),
    Column("why", lambda r: r.why, 5, least=12),
    Column("ours", lambda r: _ours(r.decision) if r.decision is not None else "", 11),
    Column("others", lambda r: _others(r.others), 12),
    Column("wallet", lambda r: r.trade.leader, 13, extra=True),
    Column("lag", lambda r: precise(r.trade.lag_ms), 14, right=True, extra=True),
    Column("first", lambda r: r.trade.first_source.value, 15, extra=True),
    Column("class", lambda r: r.trade.kind.value, 16, extra=True),
    Column("transaction", lambda r: r.trade.tx_hash, 17, extra=True),
    Column("token", lambda r: r.trade.token_id, 18, extra=True),
)
"""``became``, ``why`` and ``ours`` are of the portfolio that is looked at."""
CHECKS: Table[Line] = Table(
    Column("ok", lambda line: ("✓", "green") if line.passed else ("✗", "red"), 1),
    Column("check", lambda line: line.name, 2, least=20),
    Column("value", lambda line: line.value, 3),
    Column("limit", lambda line: line.limit, 4),
)


def trades(
    why: int | None = typer.Option(
        None, "--why", metavar="ID", min=1, max=MAX_ID, help="Why this trade was copied or not: every check."
    ),
    limit: int = typer.Option(20, "--limit", min=1, max=1000, help="How many, newest first."),
    leader: str = typer.Option("", "--leader", help="Only this leader, by wallet or label."),
    state: AskedFor | None = typer.Option(None, "--state", help="Only what became this in the portfolio."),
    portfolio: str = typer.Option(portfolios_store.MAIN, "--portfolio", help="In this portfolio."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = TRADES.option,
    wide: bool = printed.WIDE,
) -> None:
    """Leaders' trades with what became of each: filled, order out, not filled, skipped or waiting, and why; --why ID
    shows every check of one."""
    view = TRADES.view(columns, wide=wide)
    with snapshot(session.reading(session.begin(), as_json=as_json, code=0 if why is None else 1)) as c:
        wallet = names.wanted_leader(c, leader)
        if why is None:
            wanted = TradeFilter(
                portfolio=names.portfolio(c, portfolio), leader=wallet, state=state.value if state else None
            )
            rows = read_trades_with_decisions(c, wanted, limit=limit)
            session.print_json(rows) if as_json else _print_trades(rows, portfolio, view)
            return
        found = read_trade(c, why)
        of, left = _told(found.decisions if found is not None else [], names.portfolio(c, portfolio), as_json=as_json)
        decided = [explained(c, decision) for decision in of]
    if found is None:
        raise UnknownNameError(f"there is no trade {why}; `pilotfish trades` lists the newest with their ids")
    if as_json:
        session.print_json(found)
    else:
        _print_why(found, decided, wide=wide)
        if left:
            say("")
            one = f"pilotfish trades --why {why} --portfolio NAME tells one"
            say(f"{plural(len(left), 'more portfolio')}: {_in_groups(left)}; {one}, a pipe all")


def _told(
    decided: list[DecisionTraced], portfolio: str, *, as_json: bool
) -> tuple[list[DecisionTraced], list[DecisionTraced]]:
    """Which decisions a terminal tells whole, and which only as so many; a pipe tells all."""
    if len(decided) <= FEW or as_json or not sys.stdout.isatty():
        return decided, []
    whole = [d for d in decided if d.portfolio in (portfolio, portfolios_store.MAIN)]
    return whole, [d for d in decided if d not in whole]


def _print_trades(rows: list[TradeWithDecisions], portfolio: str, view: printed.View[_Line]) -> None:
    if not rows:
        say("No such trades.")
        return
    mine = [next((d for d in r.decisions if d.portfolio == portfolio), None) for r in rows]
    view.print(_Line(r, d, [o for o in r.decisions if o is not d]) for r, d in zip(rows, mine, strict=True))


def _others(decided: list[DecisionOfPortfolio]) -> str:
    """What other portfolios made of it; of many, how many did what."""
    if len(decided) < FEW:
        return ", ".join(f"{d.portfolio}: {_became(d)}" for d in decided)
    return _in_groups(decided)


def _in_groups(decided: Iterable[Decision | DecisionOfPortfolio]) -> str:
    return ", ".join(f"{count(len(one.portfolios))} {one.said}" for one in grouped(decided))


def _ours(d: DecisionOfPortfolio | Decision) -> str:
    """What we got, and of how much where it was not all."""
    told = f"{shares(d.our_shares_micro)} at {price(d.our_price)}" if d.our_shares_micro else ""
    if d.partly:
        buys = bool(d.order_usdc_micro)
        got, of = (d.our_usdc_micro, d.order_usdc_micro) if buys else (d.our_shares_micro, d.order_shares_micro)
        told += f" ({money(got or 0)} of {money(of or 0)} {'USDC' if buys else 'shares'})"
    return told.strip()


def _became(d: DecisionOfPortfolio | Decision) -> str:
    """What became of a decision, in words."""
    if d.state in (State.SKIPPED, State.WAITING):
        return f"{WORDS[d.state]}: {d.reason.words}"
    told = f"{'partly filled' if d.partly else WORDS[d.state]} {_ours(d)}".strip()
    return told + (f": {d.why}" if d.why else "") + (", orphaned by a reorg" if d.orphaned else "")


def _print_why(found: TradeTraced, decided: list[Explained], *, wide: bool) -> None:
    say(
        f"{found.side} {shares(found.shares_micro)} {found.outcome or NOTHING} at {price(found.price)}"
        f" by {found.leader} in {found.title or 'an unknown market'}, {found.traded_at}"
    )
    for one in decided:
        d = one.decision
        see = f" trade {one.see}." if one.see is not None else ""
        say("")
        say(f"{d.portfolio}: {_became(d)}")
        say(f"{one.why}{see} ({d.reason})")
        CHECKS.view(wide=wide, more="--wide").print(one.lines)
        for intent in d.intents:
            for fill in intent.fills:
                say(
                    f"filled {shares(fill.shares_micro)} at {price(fill.price)}; against the leader's price: delay"
                    f" {gain(-fill.delay_cost_micro)}, spread and impact {gain(-fill.spread_cost_micro)},"
                    f" fee {gain(-fill.fee_micro)}"
                )
