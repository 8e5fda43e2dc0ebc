"""``bench peer``: the real books of ``resolvedkit`` (CC BY 4.0), from their files to the result, bought at the same
instants by its own engine and by this one; seconds of one core.
"""

from __future__ import annotations

import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.run import Whole, play
from pilotfish.cli.benches.figure import Figure, Options, figure
from pilotfish.cli.benches.long_past import ROOM, WALLET
from pilotfish.core.settings import policy_from
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND, cost_of
from pilotfish.history.book_layouts import read_in
from pilotfish.history.books import books_of
from pilotfish.history.folder import History
from pilotfish.history.records import Deed, Past, PastMarket

BOUGHT_BEFORE = (720, 480, 240)
"""Seconds before its end at which each market of the sample is bought."""


def figures(_options: Options) -> list[Figure]:
    """Books a second of both; nothing where the package is not installed."""
    try:
        kit = import_module("resolvedkit")
    except ImportError:
        return []
    with tempfile.TemporaryDirectory() as folder:
        history = History(folder)
        told = read_in(history, Path(str(kit.__file__)).parent / "sample_data")
        past = _bought(history)
        begun = time.process_time()
        found = play(Whole(past=past, books=books_of(history, past)), policy_from(ROOM), BANDS[Band.EXPECTED])
        half = time.process_time()
        theirs = _their_run(kit)
        end = time.process_time()
    note = f"{found.fills} fills here, {theirs} there"
    ours, other = told.rows / (half - begun), told.rows / (end - half)
    return [figure("backtest on real books", "books/s", ours, "resolvedkit", other, note)]


def _bought(history: History) -> Past:
    """A wallet that buys the first outcome of each market, some times."""
    found = (history.market(name) for name in history.keys("markets"))
    markets = sorted((m for m in found if m is not None and m.end_at is not None), key=_end)
    deeds = [
        Deed(
            "TRADE", _end(market) - before, f"{market.condition_id}{n}", market.condition_id, market.tokens[0],
            Side.BUY, 200 * MICRO, cost_of(200 * MICRO, MICRO // 2),
        )
        for market in markets for n, before in enumerate(BOUGHT_BEFORE)
    ]  # fmt: skip
    deeds.sort(key=lambda deed: deed.at)
    return Past(
        wallet=WALLET, from_at=deeds[0].at - 60, to_at=_end(markets[-1]) + 3_600, deeds=deeds,
        markets={market.condition_id: market for market in markets},
    )  # fmt: skip


def _end(market: PastMarket) -> int:
    return market.end_at or 0


def _their_run(kit: Any) -> int:
    """The same with the package's own engine; gives the number of fills."""

    class Buys(kit.Strategy):  # type: ignore[misc]
        def on_start(self, ctx: Any) -> None:
            ctx.state["left"] = list(BOUGHT_BEFORE)

        def on_book(self, ctx: Any, book: Any) -> None:
            left = ctx.state["left"]
            if left and ctx.seconds_to_end <= left[0]:
                left.pop(0)
                ctx.buy(kit.UP, 25.0)

    latency = BANDS[Band.EXPECTED].delay_us * 1000 // SECOND
    found = kit.Backtester(kit.load_sample(), Buys(), latency_ms=latency).run()
    return sum(len(market.fills) for market in found.markets)
