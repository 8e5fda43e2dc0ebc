"""``replay``: a recorded stream once more, the same or under other settings."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import typer

from pilotfish.app.journal_format import JournalError, find_folder, folder_of
from pilotfish.app.outcome import Outcome
from pilotfish.app.replay import Difference, Replayed
from pilotfish.app.replay import replay as run_again
from pilotfish.app.what_if import AGE, WITHIN, Change, Compared, compare
from pilotfish.cli import printed, session
from pilotfish.cli.printed import Column, Table, say
from pilotfish.core import settings as s
from pilotfish.core.numerals import money
from pilotfish.core.reasons import words
from pilotfish.core.settings import Value
from pilotfish.core.units import SECOND
from pilotfish.store.database import database_url, shown
from pilotfish.store.views.base import iso

BESIDE: Table[tuple[str, str, str]] = Table(
    Column("figure", lambda row: row[0], 1, least=20),
    Column("original", lambda row: row[1], 2, right=True),
    Column("changed", lambda row: row[2], 3, right=True),
)


def replay(
    what: list[str] = typer.Argument(
        None,
        metavar="[FOLDER]",
        help="A journal's folder, or the data folder that holds it; without one, the configured database's.",
    ),
    changes: list[str] = typer.Option(
        [],
        "--set",
        metavar="NAME=VALUE",
        help="What another value of a setting would have made of it; more can follow.",
    ),
    portfolio: str = typer.Option("", "--portfolio", help="Change and show this portfolio only."),
    run: str = typer.Option("all", "--run", help="all, last, a number counted from 1, or a run's name."),
    as_json: bool = typer.Option(False, "--json", help="Print one object."),
) -> None:
    """Run what entered the engine through a fresh one: identical, or the first difference by name. Exit code 0 if
    identical, else 1."""
    env = session.begin()
    folders = [w for w in what or [] if "=" not in w or Path(w).exists()]
    values = dict(_value(given) for given in [*changes, *(w for w in what or [] if w not in folders)])
    if len(folders) > 1:
        raise typer.BadParameter(f"one folder at a time, not {len(folders)}; settings are given as --set name=value")
    folder = find_folder(Path(folders[0]).expanduser()) if folders else _configured(env)
    if not values and not portfolio:
        told = run_again(folder, run)
        _print(told, None, as_json=as_json)
    else:
        compared = compare(folder, run, Change(values, portfolio or None))
        told = compared.replayed
        _print(told, compared, as_json=as_json)
        if compared.books:
            raise typer.Exit(1)
    raise typer.Exit(1 if told.difference else 0)


def _value(given: str) -> tuple[str, Value]:
    """``name=value`` as a setting's name and value; raises :class:`SettingError`."""
    name, equals, value = given.partition("=")
    if not equals:
        raise typer.BadParameter(f"{given[:60]!r} is not name=value")
    setting = s.find(name.strip())
    return setting.name, s.parse(setting, value)


def _configured(env: dict[str, Value]) -> Path:
    url = database_url(str(env.get("database_url", "")))
    folder = folder_of(url)
    if folder is None:
        raise JournalError(f"{shown(url)} has no journal; name a folder")
    return find_folder(folder)


def _print(told: Replayed, compared: Compared | None, *, as_json: bool) -> None:
    if as_json:
        result: dict[str, object] = {"replay": _json(told.difference) if told.difference else "identical"}
        if compared is not None:
            result |= {
                name: msgspec.to_builtins(getattr(compared, name)) for name in ("original", "changed", "answered")
            }
            result["books"] = compared.books or "ok"
        if told.notes:
            result["notes"] = told.notes
        session.print_json(result)
        return
    print("\n".join(f"note: {note}" for note in told.notes), end="\n" if told.notes else "", file=sys.stderr)
    if told.difference is None:
        print(f"identical: {told.events} events of {told.runs} {'run' if told.runs == 1 else 'runs'}")
    else:
        print(_words(told.difference, told.events))
    if compared is not None:
        _side_by_side(compared)


def _json(difference: Difference) -> dict[str, object]:
    shown_at = {"at": iso(difference.at)} if difference.at is not None else {}
    return {**msgspec.to_builtins(difference), **shown_at}


def _words(d: Difference, before: int) -> str:
    where = f"run {d.run}" + (f", event {d.sequence}" if d.sequence is not None else "")
    where += f" ({d.event}, {iso(d.at)})" if d.event and d.at is not None else ""
    lines = [f"differs after {before} events: {where}", f"  {d.differs}"]
    if d.effects:
        lines.append(f"  effects now: {', '.join(d.effects)}")
    if d.effect:
        lines.append(f"  the first that differs, now: {d.effect}")
    return "\n".join(lines)


def _side_by_side(compared: Compared) -> None:
    for name in sorted(compared.original.keys() | compared.changed.keys()):
        sides = (compared.original.get(name), compared.changed.get(name))
        say((name, "bold"))
        BESIDE.view(more=printed.PIPE).print(_figures(sides))
    for what, count in compared.answered.items():
        say(
            f"{what} asked for by the changed side: {count.next} answered by the next recorded answer within"
            f" {WITHIN[what] // SECOND} s, {count.older} by one at most {AGE[what] // SECOND} s old,"
            f" {count.missing} not recorded"
        )
    say("its books: " + ("ok" if not compared.books else "; ".join(compared.books)))


def _figures(sides: tuple[Outcome | None, Outcome | None]) -> list[tuple[str, str, str]]:
    amounts = {
        "equity, USDC": "equity_micro",
        "cash": "cash_micro",
        "realised": "realized_pnl_micro",
        "unrealised": "unrealized_pnl_micro",
        "fees": "fees_micro",
    }
    counts = {"open positions": "open_positions", "fills": "fills", "round trips": "round_trips", "copied": "copied"}
    rows = {word: [money(getattr(o, f)) if o else "–" for o in sides] for word, f in amounts.items()}
    rows |= {word: [str(getattr(o, f)) if o else "–" for o in sides] for word, f in counts.items()}
    rows["skipped"] = [str(sum(o.skipped.values())) if o else "–" for o in sides]
    for reason in sorted({r for o in sides if o for r in o.skipped}):
        rows[f"of those: {words(reason)}"] = [str(o.skipped.get(reason, 0)) if o else "–" for o in sides]
    return [(figure, original, changed) for figure, (original, changed) in rows.items()]
