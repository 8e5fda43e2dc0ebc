"""The journal and its replay: whatever entered runs again to the same effects; damage is named, bounds hold, and
copying never waits for these files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from pilotfish.app import journal_format as form
from pilotfish.app.journal import MOST_WAITING_BYTES, Journal, Journalling
from pilotfish.app.journal_segments import Limits
from pilotfish.app.replay import replay
from pilotfish.app.what_if import Change, Compared, compare
from pilotfish.core import events as ev
from pilotfish.core.effects import Effect
from pilotfish.core.engine import Engine
from pilotfish.core.settings import SettingError, Value, policy_from
from pilotfish.core.trade import Source
from pilotfish.core.units import MICRO, SECOND
from pilotfish.simtest import run as simulated
from pilotfish.simtest.store import open_store
from pilotfish.simtest.world import make
from pilotfish.store import tables as t
from pilotfish.store.writer import Writer
from tests.desk import LEADER, START, TOKEN, Desk, api_fill, chain_fill
from tests.fresh import fresh_database

LIMITS = Limits(on=True, max_mb=64, max_days=30)


class Recorded(Engine):
    """An engine whose every event is written down, as the worker does it; everything counts as stored at once."""

    folder = Path()
    limits = LIMITS
    open: list[Recorded] = []

    def __init__(self) -> None:
        super().__init__()
        Recorded.finish()
        self.journal = Journal(Recorded.folder, lambda: Recorded.limits)
        Recorded.open.append(self)

    def apply(self, event: ev.Event) -> list[Effect]:
        entered = self.journal.enter(event)
        effects = super().apply(event)
        done = self.journal.leave(entered, effects)
        if done is not None:
            done()
        return effects

    @classmethod
    def finish(cls, *, stored: bool = True) -> None:
        """End what is still being written."""
        while cls.open:
            cls.open.pop().journal.close(stored=stored)


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "journal" / "x.db"
    Recorded.folder, Recorded.limits = folder, LIMITS
    monkeypatch.setattr("tests.desk.Engine", Recorded)
    monkeypatch.setattr(simulated, "Engine", Recorded)
    return folder


def world(seed: int, minutes: int = 6) -> None:
    """A simulated world with every kind of trouble, written down; each life of its process is a run."""
    simulated.Run(open_store(), make(seed, minutes), seed).play()
    Recorded.finish()


def trading(buys: int = 20, **settings: Value) -> Desk:
    """A leader who buys and sells in a quiet market, written down."""
    desk = Desk(settings=settings)
    for n in range(buys):
        (desk.sell if n % 5 == 4 else desk.buy)(n, 100)
        desk.send(ev.Tick(at=desk.at))
    Recorded.finish()
    return desk


def only_file(folder: Path) -> Path:
    (segment,) = form.segments(folder)
    return segment.path


# -- the same again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happened_runs_again_to_the_same_effects(recorded: Path, seed: int) -> None:
    world(seed)
    told = replay(recorded)
    assert told.difference is None
    assert told.runs == len(form.runs(recorded)) >= 1
    assert told.events > 100


def test_the_first_difference_is_named_with_its_event_and_what_differs(recorded: Path) -> None:
    trading()
    path = only_file(recorded)
    entries = list(form.Reader(form.runs(recorded)[0]))
    place = next(e.sequence for e in entries if isinstance(form.decode_event(e.event), ev.ChainFillSeen))
    event = form.decode_event(entries[place].event)
    assert isinstance(event, ev.ChainFillSeen)
    other = msgspec.structs.replace(event, fill=msgspec.structs.replace(event.fill, usdc=event.fill.usdc + 1))
    entries[place] = msgspec.structs.replace(entries[place], event=msgspec.Raw(form.encode_event(other)))
    rewrite(path, entries)
    found = replay(recorded).difference
    assert found is not None
    assert (found.sequence, found.event, found.at) == (place, "ChainFillSeen", event.at)
    assert "Insert trades differs" in found.differs
    assert "usdc_micro" in found.effect


def rewrite(path: Path, entries: list[form.Entry]) -> None:
    """The same segment with other entries."""
    import zlib

    run = form.Run(path.name.rsplit("-", 1)[0], [form.segments(path.parent)[0]])
    reader = form.Reader(run)
    list(reader)
    assert reader.head is not None
    pack = zlib.compressobj()
    packed = pack.compress(form.encode_entries(entries)) + pack.flush(zlib.Z_SYNC_FLUSH)
    head = form.block(form.HEAD, form.encode_entries(reader.head))
    path.write_bytes(form.MAGIC + head + form.block(form.ENTRIES, packed))


def test_what_comes_again_is_written_once_and_read_back_as_it_was(recorded: Path) -> None:
    desk, sent = Desk(), []
    rows = tuple(api_fill(n, "BUY", 100, 0.5, raw=os.urandom(400).hex()) for n in range(40))
    for n in range(30):
        desk.at += SECOND
        desk.bids = [(0.49 - level / 1000, 1000 + level * (n if level == 3 else 1)) for level in range(40)]
        desk.asks = desk.asks if n % 7 else []
        fills, cursor = rows[n % 5 : 20 + n % 20], START // SECOND + n
        window = ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=fills, cursor_ts=cursor)
        for event in (window, desk.book_event(TOKEN)):
            desk.send(event)
            sent.append(event)
        desk.asks = [(0.50, 100_000)]
    Recorded.finish()
    read = [form.decode_event(entry.event) for entry in form.Reader(form.runs(recorded)[0])]
    assert list(dict.fromkeys(e for e in read if e in sent)) == sent
    assert size(recorded) < 40 * 900 + 60 * 250
    assert replay(recorded).difference is None


# -- damage ---------------------------------------------------------------------------------------------------


def test_a_flipped_byte_is_named_wherever_it_is(recorded: Path) -> None:
    trading(5)
    path = only_file(recorded)
    good = path.read_bytes()
    for place in range(0, len(good), max(1, len(good) // 150)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        found = replay(recorded).difference
        assert found is not None, place
        assert str(path) in found.differs
        assert "damaged" in found.differs
    path.write_bytes(good)
    assert replay(recorded).difference is None


def test_a_torn_last_block_is_left_out_and_said(recorded: Path) -> None:
    trading(5)
    path = only_file(recorded)
    good = path.read_bytes()
    whole = replay(recorded)
    assert whole.notes == []
    begun = len(form.MAGIC)
    for length in range(begun, len(good), max(1, len(good) // 100)):
        for tail in (b"", b"\0" * 64):
            path.write_bytes(good[:length] + tail)
            told = replay(recorded)
            if told.difference is not None:  # a frame, or a content, with zeros for its end, is no torn end but damage
                assert tail, length
                assert "damaged" in told.difference.differs
                continue
            assert told.events <= whole.events
            assert any("has no end" in note for note in told.notes)
    path.write_bytes(good[:-1])
    assert any("incomplete" in note for note in replay(recorded).notes)


def small_segments(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotfish.app.journal_segments.SEGMENT_BYTES", 400)
    world(1)
    assert all(run.segments[0].number == 1 for run in form.runs(recorded))


def test_segments_fit_together_and_one_that_is_missing_is_named(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_segments(recorded, monkeypatch)
    assert replay(recorded).difference is None
    run = max(form.runs(recorded), key=lambda r: len(r.segments))
    assert len(run.segments) > 3
    run.segments[1].path.unlink()
    found = replay(recorded, run.name).difference
    assert found is not None
    assert "missing" in found.differs
    assert str(run.segments[2].path) in found.differs


def test_a_run_whose_beginning_was_pruned_is_said_by_name(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_segments(recorded, monkeypatch)
    found = form.runs(recorded)
    run = max(found, key=lambda r: len(r.segments))
    run.segments[0].path.unlink()
    told = replay(recorded, run.name)
    assert told.difference is not None
    assert run.name in told.difference.differs
    assert "pruned" in told.difference.differs
    if len(found) > 1:
        others = replay(recorded)
        assert others.difference is None
        assert any(run.name in note for note in others.notes)


# -- bounds ---------------------------------------------------------------------------------------------------


def lines(journal: Journal, n: int, at: int = START, width: int = 2000) -> None:
    """A run of events that do not compress."""
    engine = Engine()
    policy = policy_from({})
    first = ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy)
    events: list[ev.Event] = [ev.Restored(at=at, portfolios=(first,))]
    events += [
        ev.HealthChanged(at=at + i, source=Source.API, healthy=i % 2 == 0, detail=os.urandom(width).hex())
        for i in range(1, n)
    ]
    for event in events:
        entered = journal.enter(event)
        done = journal.leave(entered, engine.apply(event))
        if done is not None:
            done()
        until(lambda: journal.status.state is not Journalling.ON or waiting(journal) < 8)
    journal.close(stored=True)


def waiting(journal: Journal) -> int:
    return len(journal._waiting)


def until(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)  # between two looks at a condition


def size(folder: Path) -> int:
    return sum(s.path.stat().st_size for s in form.segments(folder))


def test_size_is_bounded_and_the_oldest_runs_go_first_and_whole(tmp_path: Path) -> None:
    limits = Limits(on=True, max_mb=1, max_days=30)
    names = []
    for n in range(4):
        journal = Journal(tmp_path, lambda: limits)
        lines(journal, 200, START + n * SECOND)
        names.append(journal.status.run)
        assert size(tmp_path) <= 1_000_000
    left = form.runs(tmp_path)
    assert [run.name for run in left] == names[-len(left) :]
    assert 2 <= len(left) < 4
    assert all(run.whole for run in left)
    assert replay(tmp_path).difference is None


def test_a_run_that_is_larger_than_the_bound_loses_its_own_beginning(tmp_path: Path) -> None:
    limits = Limits(on=True, max_mb=1, max_days=30)
    journal = Journal(tmp_path, lambda: limits)
    lines(journal, 900)
    assert 500_000 < size(tmp_path) <= 1_000_000
    (run,) = form.runs(tmp_path)
    assert not run.whole
    found = replay(tmp_path).difference
    assert found is not None
    assert "pruned" in found.differs


def test_age_is_bounded(tmp_path: Path) -> None:
    old, young = Journal(tmp_path, lambda: LIMITS), Journal(tmp_path, lambda: LIMITS)
    lines(old, 5)
    past = time.time() - 31 * 86_400
    for segment in form.segments(tmp_path):
        os.utime(segment.path, (past, past))
    lines(young, 5, START + SECOND)
    assert [run.name for run in form.runs(tmp_path)] == [young.status.run]


# -- never in the way of copying ------------------------------------------------------------------------------


def test_nothing_is_claimed_before_it_is_durable(tmp_path: Path) -> None:
    database = fresh_database(tmp_path / "x.db")
    journal = Journal(tmp_path / "journal", lambda: LIMITS)
    engine, writer = Engine(), Writer(database)
    writer.start()
    with database.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        first = ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy_from({}))
        events: list[ev.Event] = [
            ev.Restored(at=START, portfolios=(first,)),
            ev.HealthChanged(at=START + 1, source=Source.API, healthy=False),
            ev.HealthChanged(at=START + 2, source=Source.API, healthy=True),
        ]
        for event in events:
            entered = journal.enter(event)
            effects = engine.apply(event)
            writer.submit(effects, journal.leave(entered, effects))
        until(lambda: writer.backlog > 0)
        assert form.segments(tmp_path / "journal") == []
        other.rollback()
    assert writer.stop()
    journal.close(stored=True)
    told = replay(tmp_path / "journal")
    assert (told.difference, told.events) == (None, 3)
    with database.connect() as c:
        assert len(list(c.execute(select(t.health_events)))) == 2


def test_what_was_not_stored_is_not_written(tmp_path: Path) -> None:
    journal, engine = Journal(tmp_path, lambda: LIMITS), Engine()
    first = ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy_from({}))
    events: list[ev.Event] = [
        ev.Restored(at=START, portfolios=(first,)),
        ev.HealthChanged(at=START + 1, source=Source.API, healthy=False),
        ev.HealthChanged(at=START + 2, source=Source.API, healthy=True),
    ]
    done = [journal.leave(journal.enter(event), engine.apply(event)) for event in events]
    assert done[1] is not None
    done[1]()
    journal.close(stored=False)
    told = replay(tmp_path)
    assert (told.difference, told.events) == (None, 2)
    assert any("has no end" in note for note in told.notes)


FULL = """
import resource, signal, sys, time
from pathlib import Path
from sqlalchemy import func, select
from pilotfish.app.journal import Journal, Journalling
from pilotfish.app.journal_segments import Limits
from pilotfish.core import events as ev
from pilotfish.core.engine import Engine
from pilotfish.core.settings import policy_from
from pilotfish.core.trade import Source
from pilotfish.simtest.store import open_store
from pilotfish.store import tables as t
from pilotfish.store.writer import Writer
import os

folder = Path(sys.argv[1])
database = open_store()
journal, engine, writer = Journal(folder, lambda: Limits(True, 64, 30)), Engine(), Writer(database)
writer.start()
at = 1_800_000_000_000_000
def send(event):
    entered = journal.enter(event)
    effects = engine.apply(event)
    writer.submit(effects, journal.leave(entered, effects))
def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
def stored():
    with database.connect() as c:
        return c.execute(select(func.count()).select_from(t.health_events)).scalar_one()
def health(n):
    send(ev.HealthChanged(at=at + n, source=Source.API, healthy=n % 2 == 0, detail=os.urandom(500).hex()))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
first = ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy_from({}))
send(ev.Restored(at=at, portfolios=(first,)))
for n in range(1, 100):
    health(n)
until(lambda: journal.status.state is Journalling.PAUSED)
print("paused:", journal.status.detail)
assert not journal.status.healthy
for n in range(100, 200):
    health(n)
assert writer.flush() and stored() == 199
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
until(lambda: journal.status.state is Journalling.ON)
assert writer.stop()
journal.close(stored=True)
"""


def test_a_full_disk_pauses_the_journal_and_copying_goes_on(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "paused: File too large" in ran.stdout
    told = replay(tmp_path)
    assert (told.difference, told.events, told.notes) == (None, 200, [])


def test_a_folder_that_never_takes_anything_ends_the_journal_and_nothing_else(tmp_path: Path) -> None:
    blocked = tmp_path / "journal"
    blocked.write_text("a file where the folder should be")
    journal, engine = Journal(blocked, lambda: LIMITS), Engine()
    first = ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy_from({}))
    large = "x" * 4_000_000
    for n in range(MOST_WAITING_BYTES // len(large) + 3):
        event = ev.HealthChanged(at=START + n, source=Source.API, healthy=n % 2 == 0, detail=large)
        done = journal.leave(
            journal.enter(ev.Restored(at=START, portfolios=(first,)) if n == 0 else event),
            engine.apply(ev.Restored(at=START, portfolios=(first,)) if n == 0 else event),
        )
        if n == 1:
            assert done is not None
            done()
            until(lambda: journal.status.state is Journalling.PAUSED)
            assert str(blocked) in journal.status.detail
    assert journal.status.state is Journalling.ENDED
    journal.close(stored=True)
    assert journal.status.state is Journalling.ENDED
    assert "MB wait to be written" in journal.status.detail, "the first reason stays"
    assert blocked.read_text().startswith("a file")


def test_an_event_that_cannot_be_written_down_ends_the_journal_and_nothing_else(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: LIMITS)
    assert journal.enter(ev.Restored(at=START, portfolios=())) is not None
    too_large = msgspec.structs.replace(chain_fill(1, "BUY", 1, 0.5), shares=1 << 70)
    assert journal.enter(ev.ChainFillSeen(at=START, fill=too_large)) is None
    assert journal.status.state is Journalling.ENDED
    assert journal.enter(ev.Tick(at=START)) is None
    journal.close(stored=True)


def test_switched_off_it_ends_there_and_begins_again_with_the_next_start(tmp_path: Path) -> None:
    on = [True]
    journal, engine = Journal(tmp_path, lambda: Limits(on[0], 64, 30)), Engine()
    first = ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy_from({}))

    def send(event: ev.Event) -> None:
        done = journal.leave(journal.enter(event), engine.apply(event))
        if done is not None:
            done()

    send(ev.Restored(at=START, portfolios=(first,)))
    send(ev.HealthChanged(at=START + 1, source=Source.API, healthy=False))
    on[0] = False
    send(ev.Tick(at=START + 2))
    until(lambda: journal.status.state is Journalling.OFF)
    on[0] = True
    send(ev.Tick(at=START + 3))
    assert journal.status.state is Journalling.WAITING
    journal.close(stored=True)
    told = replay(tmp_path)
    assert (told.difference, told.events) == (None, 2)
    assert any("switched off" in note for note in told.notes)


def test_each_database_has_a_folder_of_its_own_and_one_in_memory_has_none(tmp_path: Path) -> None:
    assert form.folder_of(make_url(f"sqlite:///{tmp_path / 'a.db'}")) == tmp_path / "journal" / "a.db"
    assert form.folder_of(make_url("sqlite://")) is None
    server = form.folder_of(make_url("postgresql://me:secret@host:5433/books"))
    assert server is not None
    assert server.parent.name == "journal"
    assert server.name.startswith("host-books-")
    others = (
        "postgresql://me:secret@host:5434/books",
        "postgresql:///books?host=/run/a",
        "postgresql:///books?host=/run/b",
    )
    assert len({server, *(form.folder_of(make_url(other)) for other in others)}) == 4
    assert form.folder_of(make_url("postgresql://me:changed@host:5433/books")) == server


def test_the_folder_or_the_data_folder_that_holds_it_may_be_named(recorded: Path) -> None:
    trading(3)
    assert form.find_folder(recorded) == form.find_folder(recorded.parent) == recorded
    assert form.find_folder(recorded.parent.parent) == recorded
    Recorded.folder = recorded.parent / "y.db"
    trading(3)
    with pytest.raises(form.JournalError, match=r"2 databases.*x\.db or .*y\.db"):
        form.find_folder(recorded.parent.parent)
    with pytest.raises(form.JournalError, match="holds no journal"):
        form.find_folder(Path(__file__).parent)


# -- other settings -------------------------------------------------------------------------------------------


def compared(folder: Path, **values: Value) -> Compared:
    return compare(folder, "all", Change(values, None))


def test_the_same_settings_make_the_same_of_the_same_stream(recorded: Path) -> None:
    trading()
    told = compare(recorded, "all", Change({}, "main"))
    assert told.replayed.difference is None
    assert told.changed == told.original
    assert told.answered["books"].missing == 0


def test_another_size_is_shown_beside_the_original_and_its_books_hold(recorded: Path) -> None:
    desk = trading()
    told = compared(recorded, fixed_usdc=50 * MICRO)
    before, after = told.original["main"], told.changed["main"]
    engine = desk.engine.state.desks["main"]
    assert (before.equity_micro, before.cash_micro) == (engine.equity, engine.cash)
    spent_before, spent_after = 10**10 - before.cash_micro, 10**10 - after.cash_micro
    assert spent_after == 2 * spent_before > 0
    assert (after.fills, after.copied, after.skipped) == (before.fills, before.copied, before.skipped)
    assert told.books == []


def test_a_guard_that_skips_is_counted_by_its_reason(recorded: Path) -> None:
    trading()
    told = compared(recorded, max_price=400_000)
    assert told.original["main"].copied > 0
    assert told.changed["main"].fills == 0
    assert told.changed["main"].skipped["SKIP_PRICE_RANGE"] == 16
    assert told.changed["main"].equity_micro == 10**10


def test_another_bankroll_counts_where_nothing_was_done_yet(recorded: Path) -> None:
    trading()
    told = compared(recorded, bankroll=500 * MICRO)
    difference = told.original["main"].equity_micro - told.changed["main"].equity_micro
    assert difference == 9_500 * MICRO


def test_a_portfolio_is_changed_alone(recorded: Path) -> None:
    desk = Desk(others={"bold": {}})
    for n in range(3):
        desk.buy(n)
    Recorded.finish()
    told = compare(recorded, "all", Change({"fixed_usdc": 50 * MICRO}, "bold"))
    assert list(told.original) == list(told.changed) == ["bold"]
    assert told.changed["bold"].cash_micro < told.original["bold"].cash_micro
    with pytest.raises(SettingError, match=r"no portfolio 'brave'.*main, bold"):
        compare(recorded, "all", Change({}, "brave"))


def test_a_setting_that_no_recorded_event_depends_on_is_refused() -> None:
    with pytest.raises(SettingError, match="poll_interval_ms changes what is read"):
        Change({"poll_interval_ms": 1000}, None)
    with pytest.raises(SettingError, match="leave --portfolio out"):
        Change({"trigger_mode": "api"}, "main")


CHANGES: list[dict[str, Value]] = [
    {"fixed_usdc": 100 * MICRO, "order_latency_ms": 3000},
    {"sizing_mode": "leader_ratio", "leader_ratio": 500_000, "max_spread_bps": 20_000},
    {"take_profit_bps": 50, "stop_loss_bps": 50, "max_live_lag_sec": 3600},
    {"trigger_mode": "api", "below_min": "accumulate", "catch_up_buy_require_better_price": False},
]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_changed_the_books_of_the_changed_side_hold(recorded: Path, seed: int) -> None:
    world(seed)
    for values in CHANGES:
        told = compared(recorded, **values)
        assert told.replayed.difference is None
        assert told.books == []
        asked = told.answered["books"]
        assert asked.next + asked.older + asked.missing > 0
        assert told.changed.keys() == told.original.keys()
