"""``reset``: the paper state begins anew."""

from __future__ import annotations

import typer
from sqlalchemy import Engine

from pilotfish.app.lease import LeaseError
from pilotfish.app.reset import reset_now
from pilotfish.cli import session
from pilotfish.store import commands_store, portfolios_store
from pilotfish.store.database import snapshot

RESET_SECONDS = 15.0
ALL = "all portfolios that take part"
STAY = "archived ones stay as they are"


def reset(
    yes: bool = typer.Option(False, "--yes", help="Do it without asking."),
    portfolio: str = typer.Option("", "--portfolio", help="Only this portfolio."),
) -> None:
    """Wipe the paper state: positions, intents, fills, ledger, equity. Trades, leaders and settings stay, and
    archived portfolios as they are."""
    reset_paper(portfolio, yes=yes)


def reset_paper(portfolio: str, *, yes: bool) -> None:
    """Reset one portfolio, or all that take part (empty): by the worker if one runs, else here."""
    database = session.existing(session.begin())
    name = portfolio or None
    if name is not None:
        with snapshot(database) as c:
            portfolios_store.find(c, name)
    if not yes:
        stay = "" if portfolio else f" {STAY.capitalize()}."
        typer.confirm(f"Wipe positions, fills and ledger of {portfolio or ALL}?{stay}", abort=True)
    try:
        reset_now(database, name, by="terminal")
    except LeaseError:
        _ask_worker(database, name)
    print(f"paper state of {portfolio or ALL} is reset" + ("" if portfolio else f"; {STAY}"))


def _ask_worker(database: Engine, portfolio: str | None) -> None:
    """A worker runs: it does the reset, between two events."""
    with database.begin() as c:
        number = commands_store.ask(c, "reset", {"portfolio": portfolio}, at=session.now(), by="terminal")
    if commands_store.wait(database, number, RESET_SECONDS) is None:
        raise LeaseError(f"the worker did not do the reset within {RESET_SECONDS:.0f} s; it stays asked for")
