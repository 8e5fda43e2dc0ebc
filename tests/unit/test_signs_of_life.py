"""Which loop has hung: told by the time by which it was to show itself again, and by nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import aiohttp

from pilotfish.app.lease import Holder
from pilotfish.app.standby import FREE_SECONDS, HANG_SECONDS, Patience
from pilotfish.app.watchdog import STALL_SECONDS, Watch
from pilotfish.core.events import Tick
from pilotfish.feeds.clock import Clock
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.parts import PATIENCE, WAITS
from pilotfish.polymarket.http import Service


@dataclass
class Hand:
    """A clock whose time is set by hand."""

    at: float = 1000.0
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(micros=lambda: int(self.at * 1e6), steady=lambda: self.at)


async def part(hub: Hub, name: str, within: float, patience: float) -> asyncio.Task[None]:
    """A loop that shows itself once."""
    shown = asyncio.Event()

    async def once() -> None:
        hub.beat(within, patience)
        shown.set()
        await asyncio.Event().wait()

    task = hub.spawn(once(), name, essential=True)
    await shown.wait()
    return task


async def test_a_part_is_shown_when_it_is_late_and_ends_the_worker_after_its_patience() -> None:
    hand = Hand()
    hub = Hub(hand.clock)
    watch = Watch(hub)
    await part(hub, "a-feed", 5.0, PATIENCE)
    for late, shown, ended in (
        (0.0, False, False), (STALL_SECONDS - 1, False, False), (STALL_SECONDS + 1, True, False),
        (STALL_SECONDS + PATIENCE - 1, True, False), (STALL_SECONDS + PATIENCE + 1, True, True),
    ):  # fmt: skip
        watch.look(hand.at + 5.0 + late)
        assert ("a-feed" in hub.stalled, hub.fatal is not None) == (shown, ended), late
    assert "a-feed has not moved for" in str(hub.fatal)
    await hub.close()


async def test_what_works_inside_a_lasting_connection_leaves_nothing_due_behind() -> None:
    """A look-up over a quiet socket says that it goes on; that the socket stays quiet afterwards is no hang."""
    hand = Hand()
    hub = Hub(hand.clock)
    shown, leave = asyncio.Event(), asyncio.Event()

    async def one() -> float:
        hub.progress()
        await hub.emit(Tick(at=1))
        shown.set()
        await leave.wait()
        return 5.0

    task = hub.spawn(hub.rounds("a socket", one, lasting=True), "a-socket", essential=True)
    await shown.wait()
    watch = Watch(hub)
    watch.look(hand.at + 3600)
    assert not hub.stalled
    assert hub.fatal is None
    leave.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    watch.look(hand.at + 5.0 + STALL_SECONDS + 1)
    assert "a-socket" in hub.stalled, "between two connections it has to show itself again"
    task.cancel()
    await hub.close()


async def test_a_part_without_patience_ends_the_worker_as_soon_as_it_is_late() -> None:
    hand = Hand()
    hub = Hub(hand.clock)
    await part(hub, "a-loop", 0.0, 0.0)
    Watch(hub).look(hand.at + STALL_SECONDS + 1)
    assert hub.fatal is not None
    await hub.close()


async def test_a_part_that_goes_on_is_shown_no_longer_and_one_that_waits_for_another_never() -> None:
    hand = Hand()
    hub = Hub(hand.clock)
    watch = Watch(hub)
    await part(hub, "waits", WAITS, 0.0)
    late = await part(hub, "late", 0.0, PATIENCE)
    watch.look(hand.at + 60)
    assert list(hub.stalled) == ["late"]
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    watch.look(hand.at + 61)
    assert hub.stalled == {}
    assert hub.fatal is None
    await hub.close()


async def test_what_a_loop_does_in_tasks_of_its_own_is_its_sign_of_life_and_what_it_starts_for_others_is_not() -> None:
    hand = Hand()
    hub = Hub(hand.clock)
    shown: list[str] = []

    async def one(name: str) -> None:
        shown.append(name)
        hub.beat(1.0)

    async def loop() -> None:
        hub.beat(0.0)
        hub.spawn(one("somebody else's"), "market-1")
        await asyncio.sleep(0)
        await asyncio.gather(*[asyncio.create_task(one("its own")) for _ in range(2)])
        await asyncio.Event().wait()

    hub.spawn(loop(), "a-loop", essential=True)
    while len(shown) < 3:
        await asyncio.sleep(0)
        (told,) = hub.parts
        if shown == ["somebody else's"]:
            assert told.due == hand.at
    (told,) = hub.parts
    assert told.due == hand.at + 1.0
    await hub.close()


async def test_a_queue_that_is_full_is_waited_for_without_being_blamed() -> None:
    hand = Hand()
    hub = Hub(hand.clock)
    from pilotfish.core.events import Tick

    async def loop() -> None:
        while True:
            hub.beat(0.0)
            await hub.emit(Tick(at=hub.now()))

    hub.spawn(loop(), "tick", essential=True)
    while not hub.queue.full():
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    Watch(hub).look(hand.at + 1_000_000)
    assert hub.fatal is None
    await hub.close()


async def test_whoever_waits_for_its_turn_below_a_limit_is_not_blamed_and_then_has_to_go_on() -> None:
    hand = Hand()
    hub = Hub(hand.clock)
    asked, told, leave, left = (asyncio.Event() for _ in range(4))

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        told.set()
        await leave.wait()
        writer.close()
        await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    where = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with aiohttp.ClientSession() as session:
        service = Service(
            session, "data", where, per_second=1000, routes={"/slow": 2}, progress=hub.progress, queued=hub.queued
        )
        for _ in range(4):
            await service.throttle.wait("/slow", first=False)

        async def loop() -> None:
            asked.set()
            await service.get("/slow")

        hub.spawn(loop(), "comparing", essential=True)
        await asked.wait()
        watch = Watch(hub)
        watch.look(hand.at + 1_000_000)
        assert (hub.stalled, hub.fatal) == ({}, None)
        await told.wait()
        watch.look(hand.at + STALL_SECONDS + PATIENCE + 1)
        assert "comparing has not moved for" in str(hub.fatal)
        await hub.close()
    leave.set()
    await left.wait()
    server.close()
    await server.wait_closed()


# -- who stands by -------------------------------------------------------------------------------------------------


def holder(beat: int, *, dead: bool = False, locked: bool = True) -> Holder:
    return Holder("a", beat, dead, locked, "host", 1)


def test_a_holder_who_shows_himself_is_never_taken_over() -> None:
    patience = Patience()
    assert not any(patience.gone(holder(n, locked=n % 2 == 0), float(n)) for n in range(100))


def test_a_silent_holder_is_gone_at_once_if_dead_soon_if_unlocked_and_later_in_any_case() -> None:
    assert Patience().gone(None, 0.0)
    assert Patience().gone(holder(1, dead=True), 0.0)
    for locked, seconds in ((False, FREE_SECONDS), (True, HANG_SECONDS)):
        patience = Patience()
        assert not patience.gone(holder(1, locked=locked), 50.0)
        assert not patience.gone(holder(1, locked=locked), 50.0 + seconds - 0.1)
        assert patience.gone(holder(1, locked=locked), 50.0 + seconds)


def test_a_database_that_was_out_says_nothing_of_the_holder() -> None:
    patience = Patience()
    assert not patience.gone(holder(1), 0.0)
    patience.forget()
    assert not patience.gone(holder(1), 100.0)
    assert patience.gone(holder(1), 100.0 + HANG_SECONDS)


def test_a_lock_without_a_row_is_somebody_who_is_just_beginning() -> None:
    patience = Patience()
    starting = Holder("", 0, dead=False, locked=True, host="", pid=0)
    assert not any(patience.gone(starting, float(n)) for n in range(100))


# -- a clock that is set -------------------------------------------------------------------------------------------


class SetClock:
    """A machine whose clock is set while time goes on."""

    def __init__(self) -> None:
        self.steady, self.offset = 100.0, 1_800_000_000.0
        self.clock = Clock(micros=lambda: round((self.steady + self.offset) * 1e6), steady=lambda: self.steady)


def test_a_clock_that_is_set_back_a_little_is_caught_up_with_and_nothing_stands_still() -> None:
    machine = SetClock()
    hub = Hub(machine.clock)
    before = hub.now()
    machine.offset -= 30
    machine.steady += 1.0
    assert before + 800_000 < hub.now() < before + 1_000_000, "what is timed goes on"
    assert 29 < hub.ahead < 31
    machine.steady += 400.0
    assert hub.now() == machine.clock.micros()
    assert hub.ahead == 0


def test_a_clock_that_is_set_forward_is_followed_at_once() -> None:
    machine = SetClock()
    hub = Hub(machine.clock)
    hub.now()
    machine.offset += 3600
    assert hub.now() == machine.clock.micros()


async def test_a_clock_that_is_set_back_by_an_hour_ends_the_worker_by_name() -> None:
    machine = SetClock()
    hub = Hub(machine.clock)
    hub.now()
    hub.spawn(Watch(hub).run(), "watch", essential=True)
    machine.offset -= 3600
    await asyncio.wait_for(hub.failed.wait(), 30)
    assert "the machine's clock was set back by 3600 s" in str(hub.fatal)
    await hub.close()
