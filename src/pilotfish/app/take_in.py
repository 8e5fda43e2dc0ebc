"""Taking in what was missed: the seconds that a request names are read again, whole, and handed to the engine as
backfill. It is recorded, and copied by nobody: it is too late for that, and snapshots have told the holdings."""

from __future__ import annotations

import msgspec

from pilotfish.core.events import ApiWindowRead
from pilotfish.core.trade import LeaderFill
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.poller import Poller
from pilotfish.polymarket.http import VenueError

TAKE_IN = "take_in"
"""The kind of the request."""
MOST_SECONDS = 200
"""Seconds that one request may name."""
REACH_SECONDS = 7 * 86_400
"""What is older is not taken in: the identities of what is there are no longer in memory."""


class TakeIn(msgspec.Struct, frozen=True):
    """A leader, and the epoch seconds in which trades of theirs are missing."""

    leader: str
    seconds: list[int]


async def take_in(hub: Hub, poller: Poller, payload: object, command: int) -> str:
    """Read and hand over; the engine answers the request. Gives why that could not be done; empty = it was."""
    try:
        asked = msgspec.convert(payload, TakeIn)
    except msgspec.ValidationError as problem:
        return f"it cannot be read ({problem})"
    cursor = poller.cursors.get(asked.leader)
    if cursor is None:
        return f"{asked.leader[:42]} is not followed"
    oldest = int(hub.clock.wall()) - REACH_SECONDS
    if len(asked.seconds) > MOST_SECONDS or any(second <= oldest for second in asked.seconds):
        return f"at most {MOST_SECONDS} seconds, none older than {REACH_SECONDS // 86_400} days, can be taken in"
    fills: list[LeaderFill] = []
    for second in sorted(set(asked.seconds)):
        try:
            window = await poller.api.activity(asked.leader, second, second)
        except VenueError as problem:
            return f"the venue did not answer: {problem}"
        fills += window.fills
    event = ApiWindowRead(
        at=hub.now(), leader=asked.leader, fills=tuple(fills), cursor_ts=cursor.cursor_ts, backfill=True,
        command=command,
    )  # fmt: skip
    await hub.emit(event)
    return ""
