"""Somebody's own record, asked for and told in a few lines of the terminal."""

from __future__ import annotations

import asyncio

from pilotfish.app.config import process_value
from pilotfish.cli.printed import plain
from pilotfish.core.numerals import count, gain, money, percent, price_micro, shares
from pilotfish.core.settings import Value
from pilotfish.polymarket.http import Service, make_session
from pilotfish.polymarket.record import Record, read_record

PATIENCE = 8.0
"""Seconds after which whoever follows somebody waits no longer for their record."""
LARGEST = 5
"""Positions printed."""


def ask(environment: dict[str, Value], wallet: str) -> Record | None:
    """A wallet's record; ``None`` where the venue took too long."""

    async def read() -> Record:
        async with asyncio.timeout(PATIENCE), make_session() as http:
            url = process_value(environment, "data_api_url")
            return await read_record(Service(http, "data", url, per_second=5, attempts=1), wallet)

    try:
        return asyncio.run(read())
    except TimeoutError:
        return None


def record_told(record: Record | None) -> list[str]:
    """A record in lines; what was not told is said, all of it at once where nothing was."""
    if record is None:
        return [f"Their own record is not known: the venue did not answer within {count(round(PATIENCE))} s."]
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
