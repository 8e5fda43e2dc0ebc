"""``positions``: what is held, and selling it by hand."""

from __future__ import annotations

import typer
from sqlalchemy import select

from pilotfish.cli import printed, session
from pilotfish.cli.printed import Column, Table, minute, say
from pilotfish.core.names import UnknownNameError
from pilotfish.core.numerals import gain, money, plural, price, shares
from pilotfish.store import commands_store, names, portfolios_store
from pilotfish.store import tables as t
from pilotfish.store.database import snapshot
from pilotfish.store.views.positions import PositionInMarket, read_positions

CLOSE_SECONDS = 5.0
app = typer.Typer(help="What the portfolios hold.", no_args_is_help=True)

POSITIONS: Table[PositionInMarket] = Table(
    Column("portfolio", lambda p: p.portfolio, 7),
    Column("leader", lambda p: p.label or p.leader, 6),
    Column("market", lambda p: p.title or "", 1, least=20),
    Column("outcome", lambda p: p.outcome, 2, least=12),
    Column("shares", lambda p: shares(p.shares_micro), 4, right=True),
    Column("cost", lambda p: money(p.cost_micro), 8, right=True),
    Column("worth", lambda p: money(p.value_micro), 5, right=True),
    Column("PnL", lambda p: gain(p.unrealized_pnl_micro + p.realized_pnl_micro), 3, right=True),
    Column("status", lambda p: p.status, 9),
    Column("fees", lambda p: money(p.fees_micro), 10, right=True, extra=True),
    Column("bid", lambda p: price(p.mark_price), 11, right=True, extra=True),
    Column("opened", lambda p: minute(p.opened_at), 12, extra=True),
    Column("closed", lambda p: minute(p.closed_at), 13, extra=True),
    Column("ends", lambda p: minute(p.market_end), 14, extra=True),
    Column("wallet", lambda p: p.leader, 15, extra=True),
    Column("token", lambda p: p.token_id, 16, extra=True),
)


@app.command("list")
def list_(
    everything: bool = typer.Option(
        False, "--all", help="Closed and resolved ones, too, and those of archived portfolios."
    ),
    portfolio: str = typer.Option("", "--portfolio", help="Only this portfolio."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = POSITIONS.option,
    wide: bool = printed.WIDE,
) -> None:
    """Positions, the largest first; of an archived portfolio by its name, or with --all."""
    view = POSITIONS.view(columns, wide=wide)
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        wanted = None if everything else "open"
        mine = names.wanted_portfolio(c, portfolio)
        rows, _ = read_positions(c, portfolio=mine, status=wanted, archived=everything, limit=None)
    if as_json:
        session.print_json(rows)
        return
    if not rows:
        say("Nothing is held." if not everything else "Nothing was ever held.")
        return
    view.print(rows)


@app.command("close")
def close(
    portfolio: str,
    token: str = typer.Argument("", help="The token to sell; without one every position is sold."),
    leader: str = typer.Option("", "--leader", help="Only what was copied from this leader, by wallet or label."),
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
        what = (f" of token {token[:80]!r}" if token else "") + (f" copied from {leader[:60]!r}" if leader else "")
        raise UnknownNameError(
            f"there is no open position{what} in {portfolio}; what it holds:"
            f" `pilotfish positions list --portfolio {portfolio!r}`"
        )
    if not yes:
        typer.confirm(f"Sell {plural(n, 'position')} of {portfolio}?", abort=True)
    payload = {"portfolio": portfolio, "token_id": token or None, "leader": wallet}
    with database.begin() as c:
        number = commands_store.ask(c, "close", payload, at=session.now(), by="terminal")
    print(commands_store.wait(database, number, CLOSE_SECONDS) or "asked for; a worker does it as soon as it runs")
