"""Feeds live by the clock and the chance that the hub gives them: the machine's, or a simulation's own."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pilotfish.feeds.clock import Clock
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.poller import Poller
from pilotfish.polymarket.data_api import DataApi
from pilotfish.polymarket.http import Service, make_session

LEADER = "0x" + "a1" * 20
START = 1_800_000_000


@dataclass
class Turned:
    """A clock that goes only when it is turned. ``set_by``: by how much it was set, which no time passes in."""

    seconds: float = 0.0
    set_by: float = 0.0

    def clock(self) -> Clock:
        return Clock(
            micros=lambda: round((START + self.seconds + self.set_by) * 1_000_000), steady=lambda: self.seconds
        )


async def test_an_hour_of_silence_is_an_hour_of_the_clock_that_was_handed_in() -> None:
    turned = Turned()
    hub = Hub(turned.clock(), random.Random(7))
    hub.settings = {"leader_stagger_ms": 0}
    async with make_session() as session:
        poller = Poller(hub, DataApi(Service(session, "data", "http://127.0.0.1:9", per_second=10, attempts=1)))
        poller.follow(LEADER, START, START)
        assert poller.healthy()[0]
        turned.seconds += 3600
        healthy, why = poller.healthy()
        assert not healthy
        assert why.startswith("no answer for 3600 s")
        await hub.close()


def test_the_hubs_time_is_the_clocks_and_never_goes_back() -> None:
    turned = Turned()
    hub = Hub(turned.clock())
    first = hub.now()
    assert first == START * 1_000_000
    turned.set_by -= 60
    assert hub.now() == first + 1
    turned.set_by += 60
    turned.seconds += 60
    assert hub.now() == (START + 60) * 1_000_000


def test_the_same_seed_gives_the_same_chance() -> None:
    assert Hub(chance=random.Random(3)).chance.random() == Hub(chance=random.Random(3)).chance.random()
