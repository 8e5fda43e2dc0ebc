"""``bench backtest``: a long past through one policy, from its files to the result, and the most memory that takes; the
first hundredth and tenth of it, too. Seconds are those of one core, so that what else runs counts as little as it can.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.run import Whole, play
from pilotfish.cli.benches.figure import Figure, Options, figure, peak_mib
from pilotfish.cli.benches.long_past import A_DAY, DAY, FROM_AT, ROOM, WALLET, write_long_past
from pilotfish.core.settings import policy_from
from pilotfish.history.folder import History
from pilotfish.history.past import read_past


class Taken(NamedTuple):
    """What a run through a past took: trades, seconds of one core, and MiB at most, of all that its process had."""

    trades: int
    seconds: float
    mib: float


def figures(options: Options) -> list[Figure]:
    """The same rate and the same memory, however long."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_long_past(History(folder), options.trades)
        for some in (options.trades // 100, options.trades // 10, options.trades):
            taken = _alone(folder, some)
            micros = taken.seconds * 1e6 / taken.trades
            note = f"{micros:.0f} µs a trade, {taken.mib:.0f} MiB at most"
            name = f"backtest of {taken.trades:,} trades"
            found.append(figure(name, "trades/s", taken.trades / taken.seconds, "", None, note))
    return found


def _alone(folder: str, trades: int) -> Taken:
    """In a process of its own, whose memory is that of this run."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(run_through, folder, trades).result()


def run_through(folder: str, trades: int) -> Taken:
    """Read and run the first so many trades of the long past in ``folder``."""
    begun = time.process_time()
    past = read_past(History(folder), WALLET, FROM_AT, FROM_AT + max(1, trades // A_DAY) * DAY)
    play(Whole(past=past), policy_from(ROOM), BANDS[Band.EXPECTED])
    return Taken(len(past.deeds), time.process_time() - begun, peak_mib())
