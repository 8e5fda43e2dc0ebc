"""``portfolio``: policies side by side on the same leaders."""

from __future__ import annotations

import typer

from pilotfish.cli import printed, session
from pilotfish.cli.printed import Column, Table, minute, say
from pilotfish.cli.reset import reset_paper
from pilotfish.core import settings as s
from pilotfish.core.numerals import count, gain, money
from pilotfish.store import names, portfolios_store, settings_store
from pilotfish.store.database import snapshot
from pilotfish.store.views.portfolios import Portfolio, read_portfolios

app = typer.Typer(help="Try policies side by side on the same leaders.", no_args_is_help=True)
_SET = typer.Option([], "--set", metavar="NAME=VALUE", help="A setting of its own; may be given several times.")

LIST: Table[Portfolio] = Table(
    Column("portfolio", lambda p: p.name, 1),
    Column("state", lambda p: p.status, 5),
    Column("equity", lambda p: money(p.equity_micro), 2, right=True),
    Column("PnL", lambda p: gain(p.equity_micro - p.bankroll_micro), 3, right=True),
    Column("fees", lambda p: money(p.fees_micro), 7, right=True),
    Column("drawdown", lambda p: money(p.drawdown_micro), 6, right=True),
    Column("won", lambda p: f"{count(p.won)} of {count(p.won + p.lost)}", 8),
    Column("open", lambda p: count(p.open_positions), 4, right=True),
    Column("since", lambda p: minute(p.began_at), 9),
    Column("bankroll", lambda p: money(p.bankroll_micro), 10, right=True, extra=True),
    Column("cash", lambda p: money(p.cash_micro), 11, right=True, extra=True),
    Column("realised", lambda p: gain(p.realized_pnl_micro), 12, right=True, extra=True),
    Column("unrealised", lambda p: gain(p.unrealized_pnl_micro), 13, right=True, extra=True),
    Column("copies", lambda p: "all leaders" if p.follows_all else "chosen leaders", 14, extra=True),
    Column("note", lambda p: p.note, 15, least=20, extra=True),
)


@app.command("list")
def list_(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = LIST.option,
    wide: bool = printed.WIDE,
) -> None:
    """All portfolios with their figures; the drawdown is the worst so far."""
    view = LIST.view(columns, wide=wide)
    with snapshot(session.reading(session.begin(), as_json=as_json)) as c:
        rows = read_portfolios(c)
    if as_json:
        session.print_json(rows)
        return
    if not rows:
        say("None yet: a worker makes the portfolio main when it runs first")
        return
    view.print(rows)


@app.command("add")
def add(
    name: str,
    set_: list[str] = _SET,
    leader: list[str] = typer.Option(
        [], "--leader", help="Copy only this leader, by wallet or label; may be given several times."
    ),
) -> None:
    """Make a portfolio that starts now with its bankroll in cash."""
    env, changes = session.begin(), _changes(set_)
    with session.database(env).begin() as c:
        chosen = [names.wallet(c, one) for one in leader] or None
        made = portfolios_store.add(c, name, env, at=session.now(), by="terminal", changes=changes, leaders=chosen)
    print(f"portfolio {made} copies {'all leaders' if chosen is None else f'{len(chosen)} leaders'} from now on")


@app.command("clone")
def clone(source: str, name: str, set_: list[str] = _SET) -> None:
    """Make a portfolio with another one's settings and leaders, to try a change from now on."""
    env, changes = session.begin(), _changes(set_)
    with session.database(env).begin() as c:
        at = session.now()
        main = settings_store.policy_of(env, settings_store.load(c), portfolios_store.MAIN)
        portfolios_store.ensure_main(c, main, at)
        made = portfolios_store.clone(c, source, name, env, at=at, by="terminal", changes=changes)
    print(f"portfolio {made} does what {source} does, from now on, with cash only")


@app.command("follow")
def follow(
    name: str,
    wallets: list[str] = typer.Argument(
        None, metavar="[WALLET]...", help="The leaders that it copies, by wallet or label."
    ),
    everybody: bool = typer.Option(False, "--all", help="All leaders, also those to come."),
) -> None:
    """Choose whom a portfolio copies from now on."""
    if everybody == bool(wallets):
        raise typer.BadParameter("give the wallets, or --all")
    with session.existing(session.begin()).begin() as c:
        chosen = None if everybody else [names.wallet(c, one) for one in wallets]
        portfolios_store.set_follows(c, name, chosen, at=session.now(), by="terminal")
    print(f"portfolio {name} copies {'all leaders' if chosen is None else ', '.join(chosen)} from now on")


@app.command("archive")
def archive(name: str) -> None:
    """End a portfolio; its books stay as they are."""
    with session.existing(session.begin()).begin() as c:
        portfolios_store.archive(c, name, at=session.now(), by="terminal")
    print(f"portfolio {name} is archived")


@app.command("reset")
def reset(name: str, yes: bool = typer.Option(False, "--yes", help="Do it without asking.")) -> None:
    """Wipe one portfolio's paper state and begin again with its bankroll."""
    reset_paper(name, yes=yes)


def _changes(given: list[str]) -> dict[str, object]:
    changes: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {text}: expected NAME=VALUE")
        setting = s.find(name.strip())
        s.parse(setting, value.strip())
        changes[setting.name] = value.strip()
    return changes
