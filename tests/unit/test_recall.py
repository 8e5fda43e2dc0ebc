"""What is no longer in memory comes with the event that needs it: nothing turns out otherwise than had it been kept."""

from __future__ import annotations

import pytest

from pilotfish.core import events as ev
from pilotfish.core.units import SECOND
from tests.story import Story, make

KILLS = (90, 200, 340)


def played(seed: int, keep: int | None, kills: tuple[int, ...] = KILLS) -> tuple[Story, int]:
    """A story, and with how many of its events something of the past came."""
    story = make(seed)
    story.keep = keep
    brought = 0

    def count(event: ev.Event, _effects: object) -> None:
        nonlocal brought
        brought += bool(isinstance(event, ev.ChainFillSeen | ev.ApiWindowRead) and event.past)

    story.watch = count
    story.play(kills)
    return story, brought


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep_sec", [40])
def test_a_story_is_the_same_to_the_byte_however_little_is_kept(seed: int, keep_sec: int) -> None:
    whole, none = played(seed, None)
    short, brought = played(seed, keep_sec * SECOND)
    assert none == 0
    assert brought > 0
    assert short.digests() == whole.digests()
    whole.database.dispose()
    short.database.dispose()
