"""A history as a pull leaves it behind, written from the stand-in venue's past: many wallets without a pull."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pilotfish.history.folder import History
from pilotfish.history.records import Past
from pilotfish.history.windows import State, Window
from pilotfish.sim.past import make_past, past_of
from pilotfish.sim.past_people import Person

DAY = 86_400
TO_AT = 1_790_000_000 // DAY * DAY
DAYS = 60


def keep(history: History, past: Past) -> None:
    """Write a past as complete."""
    whole = Window(1, past.to_at, State.COMPLETE)
    history.write("activity", past.wallet, whole, list(past.deeds))
    for condition, market in past.markets.items():
        history.write("markets", condition, Window(past.to_at, past.to_at, State.COMPLETE), [market])
        history.write("tape", condition, whole, list(past.tape[condition]))
    for token, line in past.prices.items():
        history.write("prices", token, whole, list(line))


def in_memory(past: Past) -> Past:
    """The same past with all that it reads from files: two of them can be compared."""
    return msgspec.structs.replace(
        past,
        deeds=list(past.deeds),
        tape={key: list(rows) for key, rows in past.tape.items()},
        tape_known={key: list(spans) for key, spans in past.tape_known.items()},
        prices={key: list(line) for key, line in past.prices.items()},
    )


def kept_world(history: History, seed: int, people: Sequence[Person], to_at: int = TO_AT) -> None:
    """Write the pasts of all of these, which end at a second."""
    world = make_past(seed, from_at=to_at - DAYS * DAY, to_at=to_at, people=people)
    for person in people:
        keep(history, past_of(world, person.wallet))
