"""``report``, ``trades`` and ``positions``: would copying have paid, why was this not copied, what is held."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import select

from pilotfish.cli import session
from pilotfish.core.numerals import count, gain, money, percent, price, shares
from pilotfish.core.reasons import words
from pilotfish.core.units import MICRO, SECOND
from pilotfish.store import commands_store, names, portfolios_store
from pilotfish.store import report as shortfall
from pilotfish.store import tables as t
from pilotfish.store.copies import WORDS, State
from pilotfish.store.database import snapshot
from pilotfish.store.names import short
from pilotfish.store.views.decisions import (
    Decision,
    DecisionOfPortfolio,
    TradeTraced,
    TradeWithDecisions,
    read_trade,
    read_trades_with_decisions,
)
from pilotfish.store.views.explained import Explained, explained
from pilotfish.store.views.positions import read_positions
from pilotfish.store.views.report import Reported, Shortfall
from pilotfish.store.views.trades import TradeFilter

CLOSE_SECONDS = 5.0


class AskedFor(StrEnum):
    """What became of a trade, as ``trades --state`` asks for it."""

    FILLED = State.FILLED.value
    OUT = State.OUT.value
    NOT_FILLED = State.NOT_FILLED.value
    SKIPPED = State.SKIPPED.value
    WAITING = State.WAITING.value


_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

positions_app = typer.Typer(help="What the portfolios hold.", no_args_is_help=True)


def since_of(text: str, now: int) -> int | None:
    """``7d``, ``12h`` or an ISO 8601 time as µs since the epoch; empty = ``None``."""
    text = text.strip()
    if not text:
        return None
    ago = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]] * SECOND
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text[:40]!r}: expected 7d, 12h, 30m, or a date like 2026-11-01") from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * MICRO)


def report(
    leader: str = typer.Option("", "--leader", help="Only this leader's wallet."),
    since: str = typer.Option("", "--since", help="Only from then on: 7d, 12h, or a date."),
    portfolio: str = typer.Option("", "--portfolio", help="Only this portfolio."),
    everything: bool = typer.Option(False, "--all", help="Archived portfolios, too."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Would copying have paid: an answer in a sentence, then the leaders' prices at our size against what we got, where
    the difference went, and the total over all leaders."""
    begin = since_of(since, session.now())
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        of = {"portfolio": names.wanted_portfolio(c, portfolio), "leader": names.wanted_leader(c, leader)}
        found = shortfall.totals(c, **of, since=begin, archived=everything)
    if as_json:
        session.print_json([row for one in found for row in one.rows])
        return
    if not found:
        print("Nothing was decided yet" + (" since then" if begin else "") + ".")
        return
    console = Console()
    for one in found:
        _print_portfolio(console, one, named=len(found) > 1)


def _print_portfolio(console: Console, one: Reported, *, named: bool) -> None:
    """The verdict, each leader's table, and what they add up to."""
    console.print(f"{escape(one.portfolio)}: {escape(one.total.verdict)}" if named else escape(one.total.verdict))
    for row in one.rows:
        _print(console, row)
    if len(one.rows) < 2:
        return
    table = Table(
        "leader", "orders copied", "paid", "at their prices", "lost on the way", "we made", "of what was paid"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for row in one.rows:
        table.add_row(*_summary(row, escape(row.label or short(row.leader))))
    table.add_section()
    table.add_row(*_summary(one.total, "all leaders"))
    console.print(table)


def _summary(row: Shortfall, who: str) -> tuple[str, ...]:
    return (
        who, f"{count(row.orders_copied)} of {count(row.orders)}", money(row.paid_micro), gain(row.ideal_micro),
        gain(-row.difference_micro), gain(row.actual_micro), percent(row.actual_micro, row.paid_micro, 2, sign=True),
    )  # fmt: skip


def _print(console: Console, row: Shortfall) -> None:
    who = escape(row.label or row.leader)
    since = f" since {row.since[:16].replace('T', ' ')} UTC" if row.since else ""
    table = Table(f"{escape(row.portfolio)}: {who}{since}", "USDC", "")
    table.columns[1].justify = "right"
    table.add_row("at their prices, every trade whole and free", gain(row.ideal_micro), "")
    for meaning, lost, causes in _parts(row):
        if lost:
            told = ", ".join(f"{words(cause)} {gain(-amount)}" for cause, amount in causes.items() if amount)
            table.add_row(f"  {meaning}", gain(-lost), escape(told))
    table.add_section()
    table.add_row("copied, fees paid", gain(row.actual_micro), row.copied_of)
    console.print(table)


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


def trades(
    why: int | None = typer.Option(
        None, "--why", metavar="ID", min=1, max=MAX_ID, help="Why this trade was copied or not: every check."
    ),
    limit: int = typer.Option(20, "--limit", min=1, max=1000, help="How many, newest first."),
    leader: str = typer.Option("", "--leader", help="Only this leader's wallet."),
    state: AskedFor | None = typer.Option(None, "--state", help="Only what became this in the portfolio."),
    portfolio: str = typer.Option(portfolios_store.MAIN, "--portfolio", help="Whose decisions --state goes by."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Leaders' trades with what became of each: filled, order out, not filled, skipped or waiting, and why; --why ID
    shows every check of one."""
    with snapshot(session.reading(session.begin(), as_json=as_json, code=0 if why is None else 1)) as c:
        wallet = names.wanted_leader(c, leader)
        if why is None:
            wanted = TradeFilter(
                portfolio=names.portfolio(c, portfolio), leader=wallet, state=state.value if state else None
            )
            rows = read_trades_with_decisions(c, wanted, limit=limit)
            session.print_json(rows) if as_json else _print_trades(rows)
            return
        found = read_trade(c, why)
        decided = [explained(c, decision) for decision in found.decisions] if found is not None else []
    if found is None:
        raise typer.BadParameter(f"there is no trade {why}")
    if as_json:
        session.print_json(found)
    else:
        _print_why(found, decided)


def _print_trades(rows: list[TradeWithDecisions]) -> None:
    table = Table("id", "traded", "leader", "side", "market", "outcome", "shares", "price", "decided")
    for r in rows:
        decided = ", ".join(f"{d.portfolio}: {_became(d)}" for d in r.decisions)
        table.add_row(
            str(r.id), r.traded_at[:19].replace("T", " "), r.leader[:10], r.side,
            escape((r.title or "?")[:50]), escape((r.outcome or "?")[:20]), shares(r.shares_micro),
            price(r.price), escape(decided),
        )  # fmt: skip
    Console().print(table)


def _became(d: DecisionOfPortfolio | Decision) -> str:
    """What became of a decision, in words."""
    if d.state in (State.SKIPPED, State.WAITING):
        return d.reason
    told = "partly filled" if d.partly else WORDS[d.state]
    if d.our_shares_micro:
        told += f" {shares(d.our_shares_micro)} at {price(d.our_price)}"
    if d.partly:
        buys = bool(d.order_usdc_micro)
        got, of = (d.our_usdc_micro, d.order_usdc_micro) if buys else (d.our_shares_micro, d.order_shares_micro)
        told += f" ({money(got or 0)} of {money(of or 0)} {'USDC' if buys else 'shares'})"
    return told + (f": {d.why}" if d.why else "") + (", orphaned by a reorg" if d.orphaned else "")


def _print_why(found: TradeTraced, decided: list[Explained]) -> None:
    console = Console()
    console.print(
        f"{found.side} {shares(found.shares_micro)} {escape(found.outcome or '')} at {price(found.price)}"
        f" by {found.leader} in {escape(found.title or 'an unknown market')}, {found.traded_at}"
    )
    for one in decided:
        d = one.decision
        see = f" trade {one.see}." if one.see is not None else ""
        console.print(f"\n{escape(d.portfolio)}: {escape(_became(d))}\n{escape(one.why)}{see} ({d.reason})")
        table = Table("check", "value", "limit", "")
        for line in one.lines:
            sign = "[green]✓[/]" if line.passed else "[red]✗[/]"
            table.add_row(escape(line.name), escape(line.value), escape(line.limit), sign)
        console.print(table)
        for intent in d.intents:
            for fill in intent.fills:
                console.print(
                    f"filled {shares(fill.shares_micro)} at {price(fill.price)}; against the leader's price: delay"
                    f" {gain(-fill.delay_cost_micro)}, spread and impact {gain(-fill.spread_cost_micro)},"
                    f" fee {gain(-fill.fee_micro)}"
                )


@positions_app.command("list")
def positions(
    everything: bool = typer.Option(False, "--all", help="Closed and resolved ones, too."),
    portfolio: str = typer.Option("", "--portfolio", help="Only this portfolio."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Positions, the largest first."""
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        wanted = None if everything else "open"
        rows, _ = read_positions(c, portfolio=names.wanted_portfolio(c, portfolio), status=wanted, limit=None)
    if as_json:
        session.print_json(rows)
        return
    table = Table("portfolio", "market", "outcome", "shares", "cost", "worth", "PnL", "status")
    for r in rows:
        earned = r.unrealized_pnl_micro + r.realized_pnl_micro
        table.add_row(
            escape(r.portfolio), escape(r.title or r.token_id[:16]), escape(r.outcome),
            shares(r.shares_micro), money(r.cost_micro), money(r.value_micro),
            gain(earned), r.status,
        )  # fmt: skip
    Console().print(table)


@positions_app.command("close")
def close(
    portfolio: str,
    token: str = typer.Argument("", help="The token to sell; without one every position is sold."),
    leader: str = typer.Option("", "--leader", help="Only what was copied from this wallet."),
    yes: bool = typer.Option(False, "--yes", help="Do it without asking."),
) -> None:
    """Sell paper positions at what the book bids. Needs a running worker."""
    database = session.existing(session.begin())
    with snapshot(database) as c:
        portfolios_store.find(c, portfolio)
        wallet = names.wanted_leader(c, leader)
        held = t.positions.c.shares_micro > 0
        wanted = [held, t.positions.c.portfolio == portfolio]
        if token:
            wanted.append(t.positions.c.token_id == token)
        if wallet:
            wanted.append(t.positions.c.leader == wallet)
        n = len(list(c.execute(select(t.positions.c.token_id).where(*wanted))))
    if n == 0:
        raise typer.BadParameter("no such open position")
    if not yes:
        typer.confirm(f"Sell {n} position{'s' if n != 1 else ''} of {portfolio}?", abort=True)
    payload = {"portfolio": portfolio, "token_id": token or None, "leader": wallet}
    with database.begin() as c:
        number = commands_store.ask(c, "close", payload, at=session.now(), by="terminal")
    print(commands_store.wait(database, number, CLOSE_SECONDS) or "asked for; a worker does it as soon as it runs")
