"""What is no longer in memory comes with the event that needs it: nothing turns out otherwise than had it been kept."""

from __future__ import annotations

import msgspec
import pytest

from pilotfish.core import events as ev
from pilotfish.core import recall
from pilotfish.core.effects import SetTimer
from pilotfish.core.engine import Engine
from pilotfish.core.settings import policy_from
from pilotfish.core.timers import ApiOverdue
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import SECOND
from tests.story import Story, make

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize("seed", range(2))
def test_a_story_is_the_same_to_the_byte_where_too_many_trades_go_before_their_time(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, none = played(seed, recall.KEEP)
    monkeypatch.setattr(recall, "MOST_KEPT", 16)
    monkeypatch.setattr(recall, "KEPT_AT_LEAST", 5 * SECOND)
    short, brought = played(seed, recall.KEEP)
    assert brought > none, "something had gone that a story needs"
    assert short.digests() == whole.digests()
    whole.database.dispose()
    short.database.dispose()


def test_the_newest_trades_stay_and_there_are_never_many_more_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "MOST_KEPT", 40)
    engine = following(keep=recall.KEEP, copied=False)  # decisions that wait would need their trades
    for n in range(200):
        at = BEGIN + n * 120 * SECOND
        for asked in engine.apply(ev.ChainFillSeen(at=at, fill=log(n, 1_000 + n, at))):
            if isinstance(asked, SetTimer) and isinstance(asked.timer, ApiOverdue):
                engine.apply(ev.TimerFired(at=at, timer=asked.timer))  # nothing hangs on it any more
        engine.apply(ev.Tick(at=at))
        assert len(engine.state.index) <= 41
    newest = {trade.tx_hash for trade in engine.state.index}
    assert {f"0x{n:064x}" for n in range(170, 200)} <= newest
    known = ev.ChainFillSeen(at=engine.at, fill=log(199, 1_199, BEGIN + 199 * 120 * SECOND))
    assert [what.since for what in engine.recall.forgotten(known)] in ([], [None])
    gone = ev.ChainFillSeen(at=engine.at, fill=log(1, 1_001, BEGIN + 120 * SECOND))
    assert [what.since for what in engine.recall.forgotten(gone)] == [BEGIN + 120 * SECOND]


LEADER, BEGIN, KEPT = "0x" + "a1" * 20, 1_800_000_000 * SECOND, 100 * SECOND


def log(number: int, block: int, traded_at: int | None) -> LeaderFill:
    """A fill of a block, whose time may not be known."""
    return LeaderFill(
        source=Source.POLYGON, leader=LEADER, tx_hash=f"0x{number:064x}", token_id="1", side=Side.BUY, shares=10**6,
        usdc=500_000, traded_at=traded_at, block_number=block, log_index=1,
    )  # fmt: skip


def following(holdings: tuple[tuple[str, int], ...] = (), keep: int = KEPT, *, copied: bool = True) -> Engine:
    """An engine after a restart, with a leader of whom these holdings are known, and whom a portfolio copies."""
    engine, policy = Engine(), policy_from({})
    desk = ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy)
    engine.apply(ev.Restored(at=BEGIN, portfolios=(desk,) if copied else (), keep=keep))
    engine.apply(
        ev.LeaderFollowed(
            at=BEGIN, leader=LEADER, follow_from=BEGIN - 10**9, floor_ts=0, cursor_ts=BEGIN // SECOND, is_new=True,
            bootstrapped=True, holdings=holdings,
        )
    )  # fmt: skip
    return engine


@pytest.mark.parametrize(("holdings", "looked_up"), [((), []), ((("2", 5),), []), ((("1", 0),), [("1", True)])])
def test_orders_are_looked_up_once_of_what_a_leader_has_traded_before_and_never_of_anything_else(
    holdings: tuple[tuple[str, int], ...], looked_up: list[tuple[str, bool]]
) -> None:
    engine = following(holdings)
    found = []
    for number in (1, 2):
        seen = ev.ChainFillSeen(at=BEGIN + number * SECOND, fill=log(number, 1_000, BEGIN))
        forgotten = engine.recall.forgotten(seen)
        found += [(what.token_id, what.orders) for what in forgotten]
        past = tuple(ev.Past(leader=LEADER, token_id=what.token_id) for what in forgotten)
        engine.apply(msgspec.structs.replace(seen, past=past))
    assert found == looked_up


@pytest.mark.parametrize(
    ("after_sec", "block", "looked_up"),
    [
        (20, 1_010, False),  # a block after one whose time is within what is kept
        (20, 990, False),  # ten blocks before it: 40 s at the longest
        (20, 970, True),  # so far before it that it may be of longer ago
        (137, 1_010, True),  # a later block than any seen, but none was seen for so long that it says nothing
    ],
)
def test_a_log_without_a_time_is_looked_up_unless_its_block_is_surely_of_lately(
    after_sec: int, block: int, looked_up: bool
) -> None:
    engine = following(holdings=(("1", 0),))
    seen = ev.ChainFillSeen(at=BEGIN + SECOND, fill=log(1, 1_000, BEGIN))
    assert [what.transactions for what in engine.recall.forgotten(seen)] == [()]
    engine.apply(seen)
    engine.apply(ev.Tick(at=BEGIN + after_sec * SECOND))
    late = ev.ChainFillSeen(at=BEGIN + after_sec * SECOND, fill=log(2, block, None))
    asked = {tx for what in engine.recall.forgotten(late) for tx in what.transactions}
    assert asked == ({late.fill.tx_hash} if looked_up else set())


@pytest.mark.parametrize(
    ("waited_sec", "before", "more", "looked_up"),
    [
        (200, False, {}, ["1"]),  # what a trade of so long ago was of, only this snapshot tells
        (200, True, {}, ["1", "2"]),  # of a run before it is not known which tokens were traded
        (20, False, {}, []),  # all since the following is in memory
        (200, False, {"bootstrap": False}, []),  # a comparison tells nothing of the beginning
        (200, False, {"bootstrapped": True}, []),  # nor does a first snapshot that comes once more
    ],
)
def test_the_first_snapshot_of_a_following_comes_with_what_was_traded_since_that_began(
    waited_sec: int, before: bool, more: dict[str, bool], looked_up: list[str]
) -> None:
    engine, began = Engine(), BEGIN - before * SECOND
    engine.apply(ev.Restored(at=BEGIN, portfolios=(), keep=KEPT))
    for leader in (LEADER, "0x" + "b2" * 20):
        engine.apply(
            ev.LeaderFollowed(
                at=BEGIN, leader=leader, follow_from=began, floor_ts=began // SECOND, cursor_ts=began // SECOND,
                is_new=not before, bootstrapped=more.get("bootstrapped", False), holdings=(("1", 7), ("2", 7)),
            )
        )  # fmt: skip
    engine.apply(ev.ChainFillSeen(at=BEGIN + SECOND, fill=log(1, 1_000, BEGIN + SECOND)))
    engine.apply(ev.Tick(at=BEGIN + waited_sec * SECOND))
    bootstrap = more.get("bootstrap", True)
    told = ev.HoldingsSnapshot(at=engine.at, leader=LEADER, as_of=engine.at, holdings=(), bootstrap=bootstrap)
    forgotten = engine.recall.forgotten(told)
    assert [(what.leader, what.token_id, what.since) for what in forgotten] == [(LEADER, n, began) for n in looked_up]
