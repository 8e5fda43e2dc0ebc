"""``bench``: what matters is measured side by side in one run and shown as a ratio, since absolute figures are the
machine's."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypedDict

import msgspec
import typer
from sqlalchemy import Engine as Database
from sqlalchemy import insert

from pilotfish.app.journal import Journal
from pilotfish.app.journal_segments import Limits
from pilotfish.cli import bench_pages, bench_tabs, bench_truth, session
from pilotfish.cli.printed import Column, Table
from pilotfish.core import events as ev
from pilotfish.core.book import make_book
from pilotfish.core.drive import Drive, played
from pilotfish.core.effects import Effect
from pilotfish.core.engine import Engine
from pilotfish.core.ledger import Position
from pilotfish.core.settings import policy_from
from pilotfish.core.trade import LeaderFill
from pilotfish.core.units import MICRO, SECOND
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled
from pilotfish.polymarket.decode import decode_order_filled
from pilotfish.store import tables as t
from pilotfish.store.database import open_database
from pilotfish.store.writer import Writer


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. ``unit`` is a rate (higher is better), ``ratio`` > 1 = ours is faster."""

    name: str
    unit: str
    ours: float
    against: str
    theirs: float | None
    ratio: float | None
    note: str


class _Log(TypedDict):
    """A log as JSON-RPC gives it."""

    address: str
    topics: list[str]
    data: str
    blockNumber: str
    blockHash: str
    transactionHash: str
    transactionIndex: str
    logIndex: str
    removed: bool


_INDEXED = {"orderHash": "bytes32", "maker": "address", "taker": "address"}
_DATA = {
    "side": "uint8", "tokenId": "uint256", "makerAmountFilled": "uint256", "takerAmountFilled": "uint256",
    "fee": "uint256", "builder": "bytes32", "metadata": "bytes32",
}  # fmt: skip
_ABI_EVENT = {
    "type": "event",
    "name": "OrderFilled",
    "anonymous": False,
    "inputs": [
        {"name": name, "type": kind, "indexed": name in _INDEXED} for name, kind in {**_INDEXED, **_DATA}.items()
    ],
}
"""The event as ``web3`` is told of it."""


FIGURES: Table[Figure] = Table(
    Column("bench", lambda f: f.name, 1),
    Column("ours", lambda f: f"{f.ours:,.0f} {f.unit}", 2, right=True),
    Column("against", lambda f: f.against, 5, least=12),
    Column("theirs", lambda f: f"{f.theirs:,.0f} {f.unit}" if f.theirs is not None else f.note, 4, right=True),
    Column("ratio", lambda f: f"{f.ratio:.1f}×" if f.ratio is not None else "", 3, right=True),
)


def bench(
    names: list[str] = typer.Argument(
        None,
        metavar="[NAME]...",
        help="decode, ingest, marks, journal, pages, tabs, truth; the first four without a name. pages fills a database"
        " first, which takes minutes for a million trades; truth looks back at thousands of wallets, for an hour.",
    ),
    trades: int = typer.Option(bench_pages.MANY, "--trades", help="So many trades for pages.", min=bench_pages.FEW),
    seeds: int = typer.Option(bench_truth.SEEDS, "--seeds", help="So many invented crowds for truth.", min=1),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Measure the hot paths against the alternatives, side by side in one run."""
    session.begin()
    wanted = names or ["decode", "ingest", "marks", "journal"]
    unknown = [n for n in wanted if n not in BENCHES]
    if unknown:
        raise typer.BadParameter(f"no bench {unknown[0]!r}; there are: {', '.join(BENCHES)}")
    benches: dict[str, Callable[[], list[Figure]]] = {
        **BENCHES,
        "pages": partial(pages, trades),
        "truth": partial(truth, seeds),
    }
    figures = [figure for name in wanted for figure in benches[name]()]
    if as_json:
        session.print_json(figures)
        return
    FIGURES.view().print(figures)


def _figure(name: str, unit: str, ours: float, against: str, theirs: float | None, note: str = "") -> Figure:
    return Figure(
        name=name,
        unit=unit,
        ours=round(ours, 1),
        against=against,
        theirs=round(theirs, 1) if theirs else None,
        ratio=round(ours / theirs, 2) if theirs else None,
        note=note,
    )


# -- decode ----------------------------------------------------------------------------------------------------


def _logs(n: int) -> list[_Log]:
    logs: list[_Log] = []
    for i in range(n):
        side = "SELL" if i % 2 else "BUY"
        owner, token = f"0x{i + 1:040x}", str(10**76 + i)
        said = order_filled(f"0x{i:064x}", owner, CTF_EXCHANGE_V2, side, token, 13_698_629 + i, 8_698_629 + i, i % 1000)
        logs.append(
            {
                "topics": said["topics"],
                "data": said["data"],
                "address": CTF_EXCHANGE_V2,
                "blockNumber": hex(93_000_000 + i),
                "blockHash": f"0x{i:064x}",
                "transactionHash": f"0x{i + 7:064x}",
                "transactionIndex": "0x1",
                "logIndex": hex(i % 400),
                "removed": False,
            }
        )
    return logs


def _rates(sides: dict[str, Callable[[], None]], items: int, rounds: int = 7) -> dict[str, float]:
    """Items per second of each side: rounds in turn, so that a busy machine is unfair to all alike; the median."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    return {name: items / statistics.median(spent) for name, spent in times.items()}


def decode() -> list[Figure]:
    """Raw log object → decoded fill, against ``eth_abi`` and ``web3``'s log processing."""
    logs = _logs(500)

    def ours() -> None:
        for log in logs:
            decode_order_filled(log)

    sides: dict[str, Callable[[], None]] = {"ours": ours}
    try:
        from eth_abi.abi import decode as abi_decode
        from hexbytes import HexBytes
        from web3 import Web3
        from web3._utils.events import get_event_data
    except ImportError:
        note = "not installed: pip install 'pilotfish[dev]'"
        return [_figure("decode", "logs/s", _rates(sides, len(logs))["ours"], "eth_abi, web3", None, note)]
    types = list(_DATA.values())
    codec = Web3().codec

    def with_eth_abi() -> None:
        for log in logs:
            abi_decode(types, bytes.fromhex(log["data"][2:]))
            for topic in log["topics"][2:]:
                abi_decode(["address"], bytes.fromhex(topic[2:]))

    def with_web3() -> None:
        for log in logs:
            entry = {
                **log,
                "topics": [HexBytes(x) for x in log["topics"]],
                "data": HexBytes(log["data"]),
                "blockNumber": int(log["blockNumber"], 16),
                "logIndex": int(log["logIndex"], 16),
                "transactionIndex": 1,
            }
            get_event_data(codec, _ABI_EVENT, entry)

    sides |= {"eth_abi": with_eth_abi, "web3": with_web3}
    rates = _rates(sides, len(logs))
    return [
        _figure("decode", "logs/s", rates["ours"], "eth_abi", rates["eth_abi"]),
        _figure("decode", "logs/s", rates["ours"], "web3 log processing", rates["web3"]),
    ]


# -- ingest ----------------------------------------------------------------------------------------------------

_AT = 1_800_000_000 * SECOND
_LAST = _AT + SECOND
"""After the last event of a measurement, and before anything that waits is due."""
_LEADER = "0x" + "a1" * 20
_TOKEN = "123456789"  # noqa: S105 - a token id


def _events(n: int) -> list[ev.Event]:
    policy = policy_from({})
    start: list[ev.Event] = [
        ev.Restored(
            at=_AT,
            portfolios=(ev.PortfolioState(name="main", bankroll=10**10, cash=10**10, policy=policy),),
        ),
        ev.LeaderFollowed(
            at=_AT, leader=_LEADER, follow_from=_AT, floor_ts=_AT // SECOND, cursor_ts=_AT // SECOND, is_new=True
        ),
        ev.MarketSeen(
            at=_AT, market=ev.Market(token_id=_TOKEN, condition_id="0x" + "c" * 64, fetched_at=_AT, tick=10_000)
        ),
        ev.BookSeen(
            at=_AT,
            book=make_book(
                _TOKEN,
                [(490_000, 10**12)],
                [(500_000, 10**12)],
                requested_at=_AT,
                received_at=_AT,
            ),
        ),
    ]
    return [*start, *(ev.ChainFillSeen(at=_AT + i, fill=_bought(i)) for i in range(n))]


def _bought(i: int) -> LeaderFill:
    """The leader's ``i``-th BUY, an order and a transaction of its own."""
    log = {
        **order_filled(f"0x{i:064x}", _LEADER, "0x" + "c" * 40, "BUY", _TOKEN, 100 * MICRO, 50 * MICRO, 0),
        "address": CTF_EXCHANGE_V2,
        "blockNumber": "0x1",
        "blockHash": "0x" + "b" * 64,
        "transactionHash": f"0x{i:064x}",
        "logIndex": hex(i),
    }
    return decode_order_filled(log).observed(_AT, '{"address":"0x…"}' * 40)


def _driven(
    engine: Engine, events: Iterable[ev.Event], sink: Callable[[ev.Event, list[Effect]], None] | None = None
) -> Drive:
    """The engine with these events before it; nobody answers what it asks for."""
    drive = Drive(engine, lambda _ask, _at: (), sink)
    for event in events:
        drive.push(event)
    return drive


def _ingest(n: int, database: Database, *, grouped: bool) -> float:
    """Seconds from the first of ``n`` trades to the last one's decision being durable."""
    with database.begin() as c:
        c.execute(insert(t.portfolios).values(name="main", bankroll_micro=10**10, created_at=_AT))
    writer = Writer(database)
    writer.start()

    def store(_event: ev.Event, effects: list[Effect]) -> None:
        writer.submit(effects)
        if not grouped:
            writer.flush()

    drive = _driven(Engine(), _events(n), store)
    started = time.perf_counter()
    drive.run(_LAST)
    writer.flush(120.0)
    spent = time.perf_counter() - started
    writer.stop()
    database.dispose()
    return spent


def ingest() -> list[Figure]:
    """Observation → trade, decision with trace and holding, durable in SQLite: group commit against single commits."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(3):
        for grouped, n in ((True, 6_000), (False, 600)):
            with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
                database = open_database(f"sqlite:///{Path(folder) / 'bench.db'}")
                rates[grouped].append(n / _ingest(n, database, grouped=grouped))
    ours, single = statistics.median(rates[True]), statistics.median(rates[False])
    drive = _driven(Engine(), _events(20_000))
    started = time.perf_counter()
    drive.run(_LAST)
    alone = 20_000 / (time.perf_counter() - started)
    return [
        _figure("ingest to durable decision", "trades/s", ours, "one commit a trade", single),
        _figure("engine alone", "trades/s", alone, "with the store", ours),
    ]


# -- journal ---------------------------------------------------------------------------------------------------


COMMITTED_TOGETHER = 100
"""Events in one commit, at the pace of a measurement."""


def journal() -> list[Figure]:
    """Trades through an engine whose events are written down, until all are, against the engine alone."""
    n = 10_000
    events = _events(n)

    def alone() -> None:
        engine = Engine()
        for event in events:
            played(engine, event)

    def written() -> None:
        with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
            engine, book = Engine(), Journal(Path(folder), lambda: Limits(on=True, max_mb=1000, max_days=1))
            for number, event in enumerate(events):
                entered = book.enter(event)
                done = book.leave(entered, played(engine, event))
                if done is not None and number % COMMITTED_TOGETHER == 0:
                    done()
            book.close(stored=True, seconds=60.0)

    rates = _rates({"alone": alone, "written": written}, n, rounds=5)
    cost = 1e6 / rates["written"] - 1e6 / rates["alone"]
    note = f"{cost:.0f} µs a trade"
    return [_figure("engine with the journal", "trades/s", rates["written"], "engine alone", rates["alone"], note)]


# -- marks -----------------------------------------------------------------------------------------------------

POSITIONS = 10_000


def _desk_with_positions() -> Drive:
    """A driven engine that holds :data:`POSITIONS` positions, each in a token of its own."""
    engine = Engine()
    positions = tuple(
        Position(leader=_LEADER, token_id=str(10_000 + i), condition_id=f"0x{i:064x}", shares=50 * MICRO,
                 cost=25 * MICRO, mark_price=490_000, opened_at=_AT)
        for i in range(POSITIONS)
    )  # fmt: skip
    state = ev.PortfolioState(name="main", bankroll=10**12, cash=10**10, policy=policy_from({}), positions=positions)
    drive = _driven(engine, [ev.Restored(at=_AT, portfolios=(state,))])
    drive.run(_AT)
    return drive


def marks() -> list[Figure]:
    """Every position valued anew at what its bids pay, equity and exposure with it: the sums kept up with each change,
    against adding everything up after each book."""
    drive = _desk_with_positions()
    rounds = [
        [
            ev.BookSeen(
                at=_AT + n,
                book=make_book(
                    str(10_000 + i), [(480_000 + n * 1000, 10**9)], [(520_000, 10**9)], requested_at=n, received_at=n
                ),
            )
            for i in range(POSITIONS)
        ]
        for n in range(1, 4)
    ]
    spent = []
    for books in rounds:
        for book in books:
            drive.push(book)
        drive.push(ev.Tick(at=books[0].at))
        started = time.perf_counter()
        drive.run(books[0].at)
        spent.append(time.perf_counter() - started)
    desk = drive.engine.state.desks["main"]
    started = time.perf_counter()
    for _ in range(50):
        sum(p.shares * (p.mark_price or 0) // MICRO for p in desk.positions.values() if p.shares)
    adding_up = (time.perf_counter() - started) / 50
    ours = statistics.median(spent) / POSITIONS
    return [
        _figure(
            "marks: books taken in, 10,000 positions",
            "books/s",
            1 / ours,
            "adding up after each",
            1 / (ours + adding_up),
        ),
    ]


# -- pages -----------------------------------------------------------------------------------------------------


def pages(trades: int = bench_pages.MANY) -> list[Figure]:
    """What each page asks, in many trades against few: a ratio near 1 means that it costs the same."""
    many, few = dict(bench_pages.measure(trades)), dict(bench_pages.measure(bench_pages.FEW))
    return [
        _figure(name, "answers/s", 1 / seconds, f"{bench_pages.FEW:,} trades", 1 / few[name],
                f"{1000 * seconds:.1f} ms in {trades:,} trades")
        for name, seconds in many.items()
    ]  # fmt: skip


# -- tabs ------------------------------------------------------------------------------------------------------


def tabs() -> list[Figure]:
    """How late orders are filled after they are due while ten people look at everything, against nobody looking; and
    how soon the stream tells of a decision."""
    told = bench_tabs.measure()
    note = f"{told['pages']:.0f} pages served meanwhile, {bench_tabs.TABS} streams open"
    ours, theirs = 1000 / told["with tabs"], 1000 / told["alone"]
    pushed = f"slowest {told['slowest push']:.2f} s"
    return [
        _figure("orders filled when due, ten tabs open", "per s of lateness", ours, "nobody looks", theirs, note),
        _figure("decisions told of by the stream", "per s of lateness", 1 / told["push"], "a second", 1.0, pushed),
    ]


# -- truth -----------------------------------------------------------------------------------------------------


def truth(seeds: int = bench_truth.SEEDS) -> list[Figure]:
    """What discovery finds in worlds whose truth is known, against what is promised of it."""
    return [
        Figure(name=name, unit=unit, ours=round(ours, 2), against=against, theirs=promised, ratio=None, note="")
        for name, ours, unit, against, promised in bench_truth.measured(seeds)
    ]


BENCHES: dict[str, Callable[[], list[Figure]]] = {
    "decode": decode, "ingest": ingest, "marks": marks, "journal": journal, "pages": pages, "tabs": tabs,
    "truth": truth,
}  # fmt: skip
