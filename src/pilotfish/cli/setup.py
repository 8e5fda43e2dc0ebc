"""``init`` and ``doctor``: the first minutes, and whether everything is there."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pilotfish.app.config import ConfigError, environment, misnamed
from pilotfish.app.who import UnansweredError
from pilotfish.cli import session
from pilotfish.cli.printed import say, say_beside
from pilotfish.cli.their_record import Person, in_a_line, label_of, look_up
from pilotfish.core import settings as s
from pilotfish.core.numerals import plural
from pilotfish.core.problem import Problem
from pilotfish.store import leaders_store

if TYPE_CHECKING:
    from pilotfish.app.doctor import Finding

SIGNS = {"ok": ("● ok  ", "green"), "warn": ("▲ note", "yellow"), "fail": ("✗ fail", "red")}


class InitError(Problem):
    """The set-up cannot be written."""


def doctor(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Check every service and setting; a fix for whatever is wrong. Exit code 0 = copying can go on."""
    try:
        env = session.begin()
    except ConfigError as problem:
        from pilotfish.app.doctor import Finding

        found = [Finding("settings", "fail", str(problem), "correct it")]
        if not as_json:
            _line(found[0])
    else:
        found = asyncio.run(_examine(env, aloud=not as_json))
    good = all(f.state != "fail" for f in found)
    if as_json:
        session.print_json({"ok": good, "checks": found})
    raise typer.Exit(0 if good else 1)


async def _examine(env: dict[str, s.Value], *, aloud: bool) -> list[Finding]:
    from pilotfish.app.doctor import Finding, examine

    strangers = misnamed()
    readable = f"{len(env)} named in the environment or .env, all readable"
    told = "; ".join(map(str, strangers))
    found = [
        Finding("settings", "warn", told, "correct the name, or take the line out")
        if strangers
        else Finding("settings", "ok", readable)
    ]
    if aloud:
        _line(found[0])
    async for finding in examine(env):
        found.append(finding)
        if aloud:
            _line(finding)
    return found


def _line(f: Finding) -> None:
    took = f" ({f.ms} ms)" if f.ms is not None else ""
    say_beside([SIGNS[f.state], f"  {f.name:<18} "], f.detail, (took, "dim"))
    if f.fix:
        say_beside([f"{'':<27}", ("→ ", "dim")], (f.fix, "dim"))


def init(
    leaders: list[str] = typer.Option(
        [],
        "--leader",
        metavar="WHO",
        help="Somebody to follow: a wallet, the URL of a profile, or a user name; may be given several times.",
    ),
    polygon_ws_url: str = typer.Option("", "--polygon-ws-url", help="Polygon JSON-RPC over WebSocket (wss://…)."),
    force: bool = typer.Option(False, "--force", help="Write over a .env that is there."),
    yes: bool = typer.Option(False, "--yes", help="Ask nothing; take what the options say."),
) -> None:
    """Write .env from a few answers, and follow the first leaders. Who each of them is is looked up at the venue and
    shown first; where it cannot be asked, wallets are followed all the same."""
    path = Path.cwd() / ".env"
    if path.exists() and not force:
        raise InitError(f"{path} is there already; --force writes over it")
    if not yes and not sys.stdin.isatty():
        raise InitError("there is nobody to ask; give --yes, with --leader and --polygon-ws-url")
    polygon_ws_url = _checked(polygon_ws_url)
    env = environment(os.environ)
    people, not_found = _looked_up(env, leaders)
    chosen = {person.wallet: person for person in people}
    if not yes:
        chosen |= {person.wallet: person for person in _ask_leaders(env)}
        polygon_ws_url = polygon_ws_url or _checked(
            typer.prompt(
                "Polygon WebSocket URL (a free plan of a provider; empty = go without, trades are seen some seconds"
                " later)",
                default="", show_default=False,
            )
        )  # fmt: skip
    token = secrets.token_urlsafe(18)
    _write(path, polygon_ws_url, token)
    with session.database(session.begin()).begin() as c:
        for wallet, person in chosen.items():
            leaders_store.add(c, wallet, label_of(c, person), session.now(), by="init")
    say(f"{path} is written (readable by you alone), with a token for changing things in the dashboard: {token}")
    say(f"{plural(len(chosen), 'leader')} followed. Next: pilotfish doctor, then pilotfish run")
    if not polygon_ws_url:
        say("Without POLYGON_WS_URL trades are seen when the Data API shows them, some seconds after the chain.")
    if not_found:
        raise InitError(f"not followed yet: {', '.join(not_found)}; later: pilotfish leaders add WHO")


def _checked(polygon_ws_url: str) -> str:
    url = polygon_ws_url.strip()
    if url and not url.startswith(("ws://", "wss://")):
        raise InitError("the Polygon URL must begin with wss:// (or ws://): logs come over a WebSocket")
    return url


def _looked_up(env: dict[str, s.Value], given: list[str]) -> tuple[list[Person], list[str]]:
    """Who was named on the command line, and the names that the venue could not be asked for. Raises what is wrong with
    a wallet or a name."""
    people, not_found = [], []
    for who, found in zip(given, look_up(env, given), strict=True) if given else ():
        if isinstance(found, UnansweredError):
            say(("▲ ", "yellow"), f"{found}")
            not_found.append(who)
        elif isinstance(found, Problem):
            raise found
        else:
            say(in_a_line(found))
            people.append(found)
    return people, not_found


def _ask_leaders(env: dict[str, s.Value]) -> list[Person]:
    people: list[Person] = []
    while True:
        given = typer.prompt(
            "Whom to follow (wallet, profile URL or user name; empty = no more)", default="", show_default=False
        ).strip()
        if not given:
            return people
        (found,) = look_up(env, [given])
        if isinstance(found, Problem):
            say(f"  {found}")
            continue
        say(in_a_line(found))
        if typer.confirm("Follow them?", default=True):
            people.append(found)


def _write(path: Path, polygon_ws_url: str, token: str) -> None:
    lines = [
        "# Written by `pilotfish init`. .env.example names every setting; what the dashboard sets wins over this file.",
        f"ADMIN_TOKEN={token}",
        f"TRIGGER_MODE={'both' if polygon_ws_url else 'api'}",
        f"POLYGON_WS_URL={polygon_ws_url}" if polygon_ws_url else "# POLYGON_WS_URL=wss://…   (then TRIGGER_MODE=both)",
    ]
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write("\n".join(lines) + "\n")
