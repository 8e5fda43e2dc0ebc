"""``settings``: every setting with its value and where that comes from."""

from __future__ import annotations

import typer

from pilotfish.cli import printed, session
from pilotfish.cli.printed import Column, Table
from pilotfish.core import settings as s
from pilotfish.core.settings import Effective
from pilotfish.store import names, portfolios_store, settings_store
from pilotfish.store.views.settings import SettingRow, setting_row

app = typer.Typer(help="Look at settings and change them; a running worker takes changes up at once.",
                  no_args_is_help=True)  # fmt: skip
_PORTFOLIO = typer.Option("", "--portfolio", help="For one portfolio instead of all.")


def _value(row: SettingRow) -> str:
    """The value with its unit, as the environment would have it."""
    value = str(row.value).lower() if isinstance(row.value, bool) else str(row.value)
    return f"{value} {row.unit}" if row.unit else value


LIST: Table[SettingRow] = Table(
    Column("setting", lambda r: r.name, 1),
    Column("value", _value, 2, least=12),
    Column("from", lambda r: r.source.value, 3),
    Column("overrides", lambda r: ", ".join(f"{o.source} {o.value}" for o in r.overrides), 4),
    Column("group", lambda r: r.group, 5, extra=True),
    Column("default", lambda r: str(r.default), 6, extra=True),
    Column("help", lambda r: r.help, 7, least=20, extra=True),
)


def _effective(portfolio: str) -> dict[str, Effective]:
    """Settings have values before anything was recorded, too."""
    env = session.begin()
    with session.reading(env, as_json=True).connect() as c:
        return settings_store.effective(env, settings_store.load(c), names.wanted_portfolio(c, portfolio))


@app.command("list")
def list_(
    json: bool = typer.Option(False, "--json", help="Print JSON."),
    portfolio: str = _PORTFOLIO,
    columns: str = LIST.option,
    wide: bool = printed.WIDE,
) -> None:
    """All settings."""
    view = LIST.view(columns, wide=wide)
    rows = [setting_row(e) for e in _effective(portfolio).values()]
    if json:
        session.print_json(rows)
    else:
        view.print(rows)


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
    from pilotfish.app import alerts  # slow to import; who only looks does not need it

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
