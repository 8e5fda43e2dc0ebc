"""``leaders``: who is followed."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pilotfish.cli import session
from pilotfish.core.numerals import count, money, percent, price, shares
from pilotfish.store import browse, leaders_store, portfolios_store, queries
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


@app.command("show")
def show(
    wallet: str = typer.Argument(help="The leader's wallet."),
    portfolio: str = typer.Option(portfolios_store.MAIN, "--portfolio", help="In this portfolio."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Worth copying? His trades, what was copied, what it came to, and what he holds beside us."""
    with snapshot(session.database(session.begin())) as c:
        found = browse.leader(c, leaders_store.wallet_of(wallet), portfolio)
    if found is None:
        raise leaders_store.LeaderError(f"{wallet} is not followed; `pilotfish leaders list` shows who is")
    if as_json:
        session.print_json(found)
        return
    console = Console()
    share = percent(found.get("orders_copied", 0), found.get("orders", 0))
    skipped = ", ".join(f"{n} {reason}" for reason, n in found.get("skipped", {}).items()) or "none"
    console.print(f"{escape(found['label'] or found['wallet'])} ({found['status']}), in portfolio {escape(portfolio)}")
    console.print(
        f"{count(found.get('trades', 0))} trades, {count(found.get('copied', 0))} copied"
        f" ({share} of what could be), skipped: {skipped}"
    )
    console.print(
        f"realised {money(found.get('realized_pnl_micro', 0))},"
        f" unrealised {money(found.get('unrealized_pnl_micro', 0))},"
        f" fees {money(found.get('fees_micro', 0))}, {found.get('open_positions', 0)} open positions"
    )
    if found["report"]:
        line = found["report"]
        parts = ", ".join(f"{k.removesuffix('_micro')} {money(-v)}" for k, v in line["parts"].items() if v)
        console.print(
            f"at his prices {money(line['ideal_micro'])}, ours {money(line['actual_micro'])}"
            f" ({parts or 'no difference'})"
        )
    table = Table("market", "outcome", "he holds", "we hold", "our cost", "bid")
    for h in found["holdings"][:20]:
        table.add_row(
            escape(h["title"] or h["token_id"][:16]), escape(h["outcome"] or ""), shares(h["shares_micro"]),
            shares(h["our_shares_micro"]), money(h["our_cost_micro"]), price(h["bid"]),
        )  # fmt: skip
    console.print(table)


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
