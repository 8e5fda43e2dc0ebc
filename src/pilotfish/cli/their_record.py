"""Somebody before they are followed: who that is and their own record, asked for and told in lines of the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import aiohttp
from sqlalchemy import Connection

from pilotfish.app.config import process_value
from pilotfish.app.logs import plain
from pilotfish.app.who import UnansweredError, WhoError, wallet_meant
from pilotfish.core.numerals import count, gain, money, percent, price_micro, shares
from pilotfish.core.settings import Value
from pilotfish.polymarket.gamma import Gamma
from pilotfish.polymarket.http import Service, VenueError, make_session
from pilotfish.polymarket.record import Record, read_record
from pilotfish.store.leaders_store import LeaderError
from pilotfish.store.names import labels

PATIENCE = 8.0
"""Seconds after which whoever follows somebody waits no longer for their record."""
LATE = f"the venue did not answer within {count(round(PATIENCE))} s"
LARGEST = 5
"""Positions printed."""


class Person(NamedTuple):
    """Somebody whom one may want to follow. ``name``: what the venue calls them, empty where it knows none or was not
    asked; ``untold``: why it could not say. ``record`` is ``None`` where the venue took too long."""

    wallet: str
    name: str
    untold: str
    record: Record | None


def meant(environment: dict[str, Value], who: str) -> str:
    """The wallet of what a person gave; only for a name the venue is asked. Raises ``WhoError`` or ``LeaderError``."""

    async def ask() -> str:
        async with make_session() as http:
            return await _meant(_services(environment, http)[1], who)

    return asyncio.run(ask())


def look_up(environment: dict[str, Value], given: Sequence[str]) -> list[Person | WhoError | LeaderError]:
    """Who each of those is that a person gave, as wallets, URLs of profiles or names, or why that cannot be said. All
    are asked for at once."""

    async def ask() -> list[Person | WhoError | LeaderError]:
        async with make_session() as http:
            data, gamma = _services(environment, http)
            return list(await asyncio.gather(*(_person(data, gamma, who) for who in given)))

    return asyncio.run(ask())


def _services(environment: dict[str, Value], http: aiohttp.ClientSession) -> tuple[Service, Gamma]:
    def service(name: str) -> Service:
        return Service(http, name, process_value(environment, f"{name}_api_url"), per_second=5, attempts=1)

    return service("data"), Gamma(service("gamma"))


async def _person(data: Service, gamma: Gamma, who: str) -> Person | WhoError | LeaderError:
    try:
        wallet = await _meant(gamma, who)
    except (WhoError, LeaderError) as problem:
        return problem
    (name, untold), record = await asyncio.gather(_name(gamma, wallet), _record(data, wallet))
    return Person(wallet, name, untold, record)


async def _meant(gamma: Gamma, who: str) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            return await wallet_meant(gamma, who)
    except TimeoutError:
        raise UnansweredError(f"the venue cannot be asked who {who[:80]!r} is ({LATE}); paste the wallet") from None


async def _name(gamma: Gamma, wallet: str) -> tuple[str, str]:
    """What the venue calls them, and why it did not say."""
    try:
        async with asyncio.timeout(PATIENCE):
            profile = await gamma.profile(wallet)
    except TimeoutError:
        return "", LATE
    except VenueError as problem:
        return "", str(problem)
    name = plain(profile.name) if profile is not None else ""
    return ("" if name.lower().startswith("0x") else name), ""


async def _record(data: Service, wallet: str) -> Record | None:
    try:
        async with asyncio.timeout(PATIENCE):
            return await read_record(data, wallet)
    except TimeoutError:
        return None


def in_a_line(person: Person) -> str:
    """Who that is and their record, in a line."""
    who = person.name or "somebody without a name at the venue"
    if person.untold:
        who = f"somebody whose name is not known ({person.untold})"
    told = record_told(person.record)
    return f"{person.wallet} is {who}. {told[0] if told else 'The venue knows of no trades of theirs.'}"


def label_of(c: Connection, person: Person) -> str:
    """What to call somebody whom nobody gave a label: what the venue calls them, unless they have one already."""
    return person.name if person.wallet not in labels(c) else ""


def record_told(record: Record | None) -> list[str]:
    """A record in lines; what was not told is said, all of it at once where nothing was."""
    if record is None:
        return [f"Their own record is not known: {LATE}."]
    lines = [line for line in (_made(record), _decided(record), _holds(record)) if line]
    if not lines:
        return [f"Their own record is not known: {record.missing[0].why}."] if record.missing else []
    lines += [
        f"  {plain(p.outcome)} of {plain(p.title) or 'an unknown market'}: {shares(p.shares)}"
        + (f" at {price_micro(p.average)}" if p.average is not None else "")
        + f", worth {money(p.value)}"
        for p in record.held[:LARGEST]
    ]
    untold = [f"{one.what} ({one.why})" for one in record.missing]
    return [*lines, *([f"Not told by the venue: {'; '.join(untold)}."] if untold else [])]


def _made(r: Record) -> str:
    if r.realized is None and r.volume is None:
        return ""
    made = f"Their own record: {gain(r.realized)} USDC made" if r.realized is not None else "Their own record:"
    traded = f" on {money(r.volume, 0)} USDC traded" if r.volume is not None else ""
    markets = f" in {count(r.markets)} market{'s' if r.markets != 1 else ''}" if r.markets is not None else ""
    ranked = f"; rank {count(r.rank)} by profit" if r.rank is not None else ""
    return f"{made}{traded}{markets}{ranked}."


def _decided(r: Record) -> str:
    if r.won is None or not r.decided:
        return ""
    of = f"their newest {count(r.decided)}" if r.more_decided else count(r.decided)
    return f"{count(r.won)} of {of} decided positions made money ({percent(r.won, r.decided)})."


def _holds(r: Record) -> str:
    if r.open is None:
        return f"What they hold is worth {money(r.value)} USDC." if r.value is not None else ""
    number = f"{count(r.open)}{' or more' if r.more_open else ''} position{'s' if r.open != 1 else ''}"
    return f"They hold {number}" + (f" worth {money(r.value)} USDC." if r.value is not None else ".")
