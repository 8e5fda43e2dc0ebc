"""``sim``: the stand-in venue alone."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pilotfish.cli import session
from pilotfish.core.names import UnknownNameError
from pilotfish.sim.manual import HELP, SCENARIOS

if TYPE_CHECKING:
    from pilotfish.sim.venue import Venue

CONTROLS = "Controls of a running venue:\n\n" + "\n\n".join(f"{route}: {text}" for route, text in HELP.items())


def sim(
    port: int = typer.Option(8799, "--port", min=0, max=65_535, help="Port on localhost; 0 = any free one."),
    seed: int = typer.Option(7, "--seed", help="The same seed tells the same story."),
    scenario: str = typer.Option("busy", "--scenario", help=f"One of {', '.join(SCENARIOS)}."),
    replay: Path | None = typer.Option(None, "--replay", help="Serve the recorded rows and logs of this folder."),
    speed: float = typer.Option(1.0, "--speed", min=0.1, max=100, help="Blocks and leaders so many times as fast."),
    past: int = typer.Option(0, "--past", min=0, max=1_000, help="Days that the leaders have traded before."),
    paused: bool = typer.Option(False, "--paused", help="Wait for POST /_sim/resume."),
) -> None:
    """Run the stand-in venue until Ctrl-C; prints the URLs to put into the environment."""
    from pilotfish.sim.venue import Venue

    session.begin()
    if scenario not in SCENARIOS:
        raise typer.BadParameter(f"no scenario {scenario!r}; there are: {', '.join(SCENARIOS)}")
    if 0 < past < 2:
        raise typer.BadParameter("a past has at least 2 days", param_hint="--past")
    if replay is not None and not replay.is_dir():
        raise UnknownNameError(f"there is no folder {replay}")
    asyncio.run(_run(Venue(seed, scenario, replay, paused=paused, speed=speed, past_days=past), port))


sim.__doc__ = f"{sim.__doc__}\n\n{CONTROLS}"


async def _run(venue: Venue, port: int) -> None:
    from pilotfish.sim.server import serve, urls

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(venue, port) as bound:
        for name, url in urls(bound).items():
            print(f"{name}={url}")
        print(f"# controls: http://127.0.0.1:{bound}/_sim   leaders:")
        for character in venue.characters():
            print(f"#   {character.wallet}  {character.label}: {character.manner}")
        print("# ready", flush=True)
        await stop.wait()
