"""``settings``: every setting with its value and where that comes from."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pilotfish.app import alerts
from pilotfish.cli import session
from pilotfish.core import settings as s
from pilotfish.core.settings import Effective
from pilotfish.store import names, portfolios_store, settings_store
from pilotfish.store.views.settings import setting_row

app = typer.Typer(help="Look at settings and change them; a running worker takes changes up at once.",
                  no_args_is_help=True)  # fmt: skip
_PORTFOLIO = typer.Option("", "--portfolio", help="For one portfolio instead of all.")


def _effective(portfolio: str) -> dict[str, Effective]:
    """Settings have values before anything was recorded, too."""
    env = session.begin()
    with session.reading(env, as_json=True).connect() as c:
        return settings_store.effective(env, settings_store.load(c), names.wanted_portfolio(c, portfolio))


@app.command("list")
def list_(json: bool = typer.Option(False, "--json", help="Print JSON."), portfolio: str = _PORTFOLIO) -> None:
    """All settings."""
    effective = _effective(portfolio)
    if json:
        session.print_json([setting_row(e) for e in effective.values()])
        return
    table = Table("setting", "value", "unit", "from", "overrides")
    group = ""
    for e in effective.values():
        if e.setting.group != group:
            group = e.setting.group
            table.add_section()
        row = setting_row(e)
        beaten = ", ".join(f"{o.source} {o.value}" for o in row.overrides)
        table.add_row(e.setting.name, escape(str(row.value)), row.unit, row.source, escape(beaten))
    Console().print(table)


@app.command("get")
def get(
    name: str,
    json: bool = typer.Option(False, "--json", help="Print JSON with source and help."),
    portfolio: str = _PORTFOLIO,
) -> None:
    """One setting's effective value."""
    setting = s.find(name)
    row = setting_row(_effective(portfolio)[setting.name])
    if json:
        session.print_json(row)
    else:
        value = row.value
        print(str(value).lower() if isinstance(value, bool) else value)


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_(name: str, value: str, portfolio: str = _PORTFOLIO) -> None:
    """Change a setting; it wins over the environment and is taken up by a running worker at once."""
    _change(name, value, portfolio)


@app.command("unset")
def unset(name: str, portfolio: str = _PORTFOLIO) -> None:
    """Take a change back: the environment's value or the default counts again."""
    _change(name, None, portfolio)


def _change(name: str, value: str | None, portfolio: str) -> None:
    env, setting = session.begin(), s.find(name)
    if value is not None:
        s.parse(setting, value)
    alerts.check({setting.name: value})
    of_its_own = portfolio not in ("", portfolios_store.MAIN)
    database = session.existing(env) if value is None or of_its_own else session.database(env)
    with database.begin() as c:
        if of_its_own:
            portfolios_store.find(c, portfolio)
        settings_store.change(c, {name: value}, at=session.now(), by="terminal", portfolio=portfolio)
        stored = settings_store.load(c)
    e = settings_store.effective(env, stored, portfolio or None)[setting.name]
    row = setting_row(e)
    beaten = "".join(f"; overrides {o.source} {o.value}" for o in row.overrides)
    print(f"{row.name} = {row.value}{' ' + row.unit if row.unit else ''} ({row.source}{beaten})")
