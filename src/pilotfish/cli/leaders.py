"""``leaders``: who is followed."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pilotfish.cli import session
from pilotfish.store import leaders_store, queries
from pilotfish.store.database import snapshot

app = typer.Typer(help="Follow, list, pause and leave wallets.", no_args_is_help=True)


@app.command("add")
def add(
    wallet: str = typer.Argument(help="The leader's wallet (0x and 40 hex digits)."),
    label: str = typer.Option("", "--label", help="A name for him."),
) -> None:
    """Follow a wallet from now on. Works while a worker runs and before."""
    with session.database(session.begin()).begin() as c:
        result = leaders_store.add(c, wallet, label, session.now())
    told = {"added": "is followed from now on", "again": "is followed again, from now on"}
    print(f"{wallet.strip().lower()} {told.get(result, 'is followed already')}")


@app.command("list")
def list_(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Who is followed."""
    with snapshot(session.database(session.begin())) as c:
        rows = queries.leaders(c)
    if as_json:
        session.print_json(rows)
        return
    if not rows:
        print("Nobody is followed yet: pilotfish leaders add WALLET --label NAME")
        return
    table = Table("wallet", "label", "status", "followed from")
    for row in rows:
        table.add_row(row["wallet"], escape(row["label"]), row["status"], row["followed_from"] or "when a worker runs")
    Console().print(table)


@app.command("remove")
def remove(wallet: str = typer.Argument(help="The leader's wallet.")) -> None:
    """Follow a wallet no longer. What was copied from him stays."""
    _set(wallet, "removed", "is no longer followed; what was copied stays")


@app.command("pause")
def pause(wallet: str = typer.Argument(help="The leader's wallet.")) -> None:
    """Record a leader's trades, but copy none."""
    _set(wallet, "paused", "is paused")


@app.command("resume")
def resume(wallet: str = typer.Argument(help="The leader's wallet.")) -> None:
    """Copy a paused leader again."""
    _set(wallet, "active", "is copied again")


def _set(wallet: str, status: str, told: str) -> None:
    with session.database(session.begin()).begin() as c:
        leaders_store.set_status(c, wallet, status, session.now())
    print(f"{wallet.strip().lower()} {told}")
