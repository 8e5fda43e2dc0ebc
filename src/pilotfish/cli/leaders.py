"""``leaders``: who is followed."""

from __future__ import annotations

import sys

import msgspec
import typer

from pilotfish.cli import printed, session
from pilotfish.cli.printed import Column, Table, minute, say
from pilotfish.core.numerals import count, gain, money, percent, plural, price, shares
from pilotfish.core.problem import Problem
from pilotfish.core.reasons import words
from pilotfish.core.units import plain_name
from pilotfish.store import leaders_store, names, portfolios_store
from pilotfish.store.copies import WORDS
from pilotfish.store.database import snapshot
from pilotfish.store.views.leaders import Leader, became, read_leader, read_leaders
from pilotfish.store.views.positions import HoldingBesideOurs

app = typer.Typer(help="Follow, list, pause and leave wallets.", no_args_is_help=True)


def _status(row: Leader) -> str:
    return f"formerly followed, left {row.left_at[:10]}" if row.left_at else row.status


LIST: Table[Leader] = Table(
    Column("label", lambda r: r.label, 1),
    Column("wallet", lambda r: r.wallet, 2),
    Column("status", _status, 3),
    Column("followed", lambda r: minute(r.followed_from) or ("never" if r.left_at else "when a worker runs"), 4),
    Column("added", lambda r: minute(r.added_at), 5, extra=True),
)
HOLDINGS: Table[HoldingBesideOurs] = Table(
    Column("market", lambda h: h.title or "", 3, least=20),
    Column("outcome", lambda h: h.outcome or "", 4, least=12),
    Column("theirs", lambda h: shares(h.shares_micro), 1, right=True),
    Column("ours", lambda h: shares(h.our_shares_micro), 2, right=True),
    Column("cost", lambda h: money(h.our_cost_micro), 5, right=True),
    Column("bid", lambda h: price(h.bid), 6, right=True),
    Column("token", lambda h: h.token_id, 7, extra=True),
)
MOST_HELD = 20
"""Holdings printed."""


@app.command("add")
def add(
    wallet: str = typer.Argument(
        metavar="WHO", help="Their wallet (0x and 40 hex digits), the URL of their profile, or their user name."
    ),
    label: str = typer.Option("", "--label", help="A name for them."),
    record: bool = typer.Option(True, help="Ask the venue for their own record first."),
) -> None:
    """Follow a wallet from now on, also one that was left. Who that is and what the venue says of their own trading is
    printed first. Works while a worker runs and before."""
    from pilotfish.cli import their_record  # slow to import: it asks the venue, which no other command here does

    env = session.begin()
    who = their_record.Person(their_record.meant(env, wallet), "", "", None)
    if record:
        (found,) = their_record.look_up(env, [who.wallet])
        if isinstance(found, Problem):
            raise found
        who = found
        for line in [*([f"{who.wallet} is {who.name}."] if who.name else []), *their_record.record_told(who.record)]:
            say(line)
    wallet = who.wallet
    with session.database(env).begin() as c:
        label = label or their_record.label_of(c, who)
        result = leaders_store.add(c, wallet, label, session.now(), by="terminal")
    told = {
        "added": "is followed from now on",
        "again": "is followed again, from now on; what happened in between is never copied",
    }
    print(f"{wallet} {told.get(result, 'is followed already')}")


@app.command("list")
def list_(
    everybody: bool = typer.Option(False, "--all", help="Formerly followed ones, too."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = LIST.option,
    wide: bool = printed.WIDE,
) -> None:
    """Who is followed, or was."""
    view = LIST.view(columns, wide=wide)
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        rows = read_leaders(c, "all" if everybody else "followed")
        former = [] if everybody else read_leaders(c, "former")
    if as_json:
        session.print_json(rows)
        return
    if not rows:
        say("Nobody is followed: pilotfish leaders add WALLET --label NAME")
    else:
        view.print(rows)
    if former:
        say(f"{len(former)} formerly followed: pilotfish leaders list --all")


@app.command("show")
def show(
    wallet: str = typer.Argument(help="The leader's wallet, or label."),
    portfolio: str = typer.Option(portfolios_store.MAIN, "--portfolio", help="In this portfolio."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = HOLDINGS.option,
    wide: bool = printed.WIDE,
) -> None:
    """Worth copying? Their trades, what was copied, what it came to, and what they hold beside us; also of somebody
    who was followed once."""
    view = HOLDINGS.view(columns, wide=wide)
    with snapshot(session.reading(session.begin(), as_json=as_json, code=1)) as c:
        found = read_leader(c, names.leader(c, wallet), names.portfolio(c, portfolio))
    if found is None:
        raise leaders_store.LeaderError(f"{wallet} was never followed; `pilotfish leaders list --all` shows who was")
    if as_json:
        session.print_json(found)
        return
    share = percent(found.orders_copied, found.orders)
    skipped = ", ".join(f"{count(n)} {words(reason)}" for reason, n in found.skipped.items()) or "none"
    say(f"{found.label or found.wallet} ({_status(found)}), in portfolio {portfolio}")
    told = ", ".join(f"{count(n)} {WORDS[state]}" for state, n in became(found).items())
    say(
        f"{plural(found.trades, 'trade')}, {count(found.copied)} copied ({share} of what could be: {told}),"
        f" skipped: {skipped}"
    )
    say(
        f"realised {gain(found.realized_pnl_micro)}, unrealised {gain(found.unrealized_pnl_micro)},"
        f" fees {money(found.fees_micro)}, {plural(found.open_positions, 'open position')}"
    )
    if found.report:
        line = found.report
        lost = msgspec.structs.asdict(line.parts)
        parts = ", ".join(f"{plain_name(k)[0]} {gain(-v)}" for k, v in lost.items() if v)
        say(f"at their prices {gain(line.ideal_micro)}, ours {gain(line.actual_micro)} ({parts or 'no difference'})")
    if not found.holdings:
        say("They hold nothing that we know of.")
        return
    view.print(found.holdings if wide or not sys.stdout.isatty() else found.holdings[:MOST_HELD])
    if len(found.holdings) > MOST_HELD and not wide and sys.stdout.isatty():
        say(f"{len(found.holdings) - MOST_HELD} more holdings: --wide")


@app.command("remove")
def remove(wallet: str = typer.Argument(help="The leader's wallet, or label.")) -> None:
    """Follow a wallet no longer. What was copied stays, and their results: `leaders list --all`, `leaders show`."""
    _set(wallet, "removed", "is no longer followed; what was copied stays")


@app.command("rename")
def rename(wallet: str = typer.Argument(help="The leader's wallet, or label."), label: str = typer.Argument()) -> None:
    """Give a leader another name; also one who was followed once."""
    with session.database(session.begin()).begin() as c:
        wallet = names.wallet(c, wallet)
        leaders_store.rename(c, wallet, label, session.now(), by="terminal")
    print(f"{wallet} is called {label}")


@app.command("pause")
def pause(wallet: str = typer.Argument(help="The leader's wallet, or label.")) -> None:
    """Record a leader's trades, but copy none."""
    _set(wallet, "paused", "is paused")


@app.command("resume")
def resume(wallet: str = typer.Argument(help="The leader's wallet, or label.")) -> None:
    """Copy a paused leader again."""
    _set(wallet, "active", "is copied again")


def _set(wallet: str, status: str, told: str) -> None:
    with session.existing(session.begin()).begin() as c:
        wallet = names.wallet(c, wallet)
        leaders_store.set_status(c, wallet, status, session.now(), by="terminal")
    print(f"{wallet} {told}")
