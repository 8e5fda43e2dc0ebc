"""A stand-in venue and a worker as processes of their own, as the demo and the bench of open tabs bring them up."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import TYPE_CHECKING

from pilotfish.core.problem import Problem

if TYPE_CHECKING:
    import aiohttp

READY_SECONDS = 30.0
STOP_SECONDS = 8.0


class StandError(Problem):
    """A part could not be brought up; the message says which."""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def spawn(folder: Path, env: dict[str, str], *arguments: str) -> Process:
    """``pilotfish`` with these arguments, in a process group of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilotfish", *arguments, cwd=folder, env=env, stdin=DEVNULL,
        stdout=PIPE if arguments[0] == "sim" else DEVNULL, start_new_session=True,
    )  # fmt: skip


async def venue_urls(venue: Process) -> dict[str, str]:
    """What a spawned ``sim`` prints to be put into the environment. Raises :class:`StandError`."""
    assert venue.stdout is not None
    urls: dict[str, str] = {}
    async with asyncio.timeout(READY_SECONDS):
        while line := (await venue.stdout.readline()).decode().strip():
            if line == "# ready":
                return urls
            name, _, url = line.partition("=")
            if url and not name.startswith("#"):
                urls[name] = url
    raise StandError("the stand-in venue did not start")


def controls_of(urls: dict[str, str]) -> str:
    """Where the venue's controls are."""
    return urls["DATA_API_URL"].removesuffix("/data") + "/_sim"


async def answers(http: aiohttp.ClientSession, port: int) -> bool:
    """True once the dashboard serves pages."""
    try:
        async with http.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    except OSError:
        return False


async def end(children: list[Process]) -> None:
    """End them, the last one first, so that a worker never sees its venue go away."""
    for child in reversed(children):
        if child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
