"""``init`` and ``doctor``: the first minutes, and whether everything is there."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pilotfish.app.config import ConfigError, misnamed
from pilotfish.cli import session
from pilotfish.cli.printed import say
from pilotfish.core import settings as s
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
    say(SIGNS[f.state], f"  {f.name:<18} {f.detail}", (f" ({f.ms} ms)" if f.ms is not None else "", "dim"))
    if f.fix:
        say(f"        {'':<18} ", (f"→ {f.fix}", "dim"))


def init(
    leaders: list[str] = typer.Option([], "--leader", help="A wallet to follow; may be given several times."),
    polygon_ws_url: str = typer.Option("", "--polygon-ws-url", help="Polygon JSON-RPC over WebSocket (wss://…)."),
    force: bool = typer.Option(False, "--force", help="Write over a .env that is there."),
    yes: bool = typer.Option(False, "--yes", help="Ask nothing; take what the options say."),
) -> None:
    """Write .env from a few answers, and follow the first leaders."""
    path = Path.cwd() / ".env"
    if path.exists() and not force:
        raise InitError(f"{path} is there already; --force writes over it")
    if not yes:
        if not sys.stdin.isatty():
            raise InitError("there is nobody to ask; give --yes, with --leader and --polygon-ws-url")
        leaders = [*leaders, *_ask_leaders()]
        polygon_ws_url = polygon_ws_url or typer.prompt(
            "Polygon WebSocket URL (a free plan of a provider; empty = go without, trades are seen some seconds later)",
            default="", show_default=False,
        )  # fmt: skip
    wallets = [leaders_store.wallet_of(wallet) for wallet in leaders]
    polygon_ws_url = polygon_ws_url.strip()
    if polygon_ws_url and not polygon_ws_url.startswith(("ws://", "wss://")):
        raise InitError("the Polygon URL must begin with wss:// (or ws://): logs come over a WebSocket")
    token = secrets.token_urlsafe(18)
    _write(path, polygon_ws_url, token)
    with session.database(session.begin()).begin() as c:
        for wallet in wallets:
            leaders_store.add(c, wallet, "", session.now(), by="init")
    print(f"{path} is written (readable by you alone), with a token for changing things in the dashboard: {token}")
    print(f"{len(wallets)} leaders followed. Next: pilotfish doctor, then pilotfish run")
    if not polygon_ws_url:
        print("Without POLYGON_WS_URL trades are seen when the Data API shows them, some seconds after the chain.")


def _ask_leaders() -> list[str]:
    wallets: list[str] = []
    while True:
        given = typer.prompt("Wallet to follow (0x…; empty = no more)", default="", show_default=False).strip()
        if not given:
            return wallets
        try:
            wallets.append(leaders_store.wallet_of(given))
        except leaders_store.LeaderError as problem:
            print(f"  {problem}")


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
