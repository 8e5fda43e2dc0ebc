"""``bench sweep``: many policies over one past side by side, against as many single runs; seconds of one core."""

from __future__ import annotations

import tempfile
import time

from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.run import Job, Whole, play, play_all
from pilotfish.cli.benches.figure import Figure, Options, figure, same
from pilotfish.cli.benches.long_past import ROOM, write_long_past
from pilotfish.core.settings import policy_from
from pilotfish.core.units import MICRO
from pilotfish.history.folder import History
from pilotfish.history.past import read_past

POLICIES, TRADES = 50, 2_000


def figures(_options: Options) -> list[Figure]:
    """Both come to the same."""
    with tempfile.TemporaryDirectory() as folder:
        wallet, from_at, to_at = write_long_past(History(folder), TRADES)
        policies = [policy_from(ROOM | {"fixed_usdc": (10 + n) * MICRO}) for n in range(POLICIES)]

        def fresh() -> Whole:
            return Whole(past=read_past(History(folder), wallet, from_at, to_at))

        begun = time.process_time()
        together = play_all(fresh(), [Job(policy=policy, assumed=BANDS[Band.EXPECTED]) for policy in policies])
        half = time.process_time()
        apart = [play(fresh(), policy, BANDS[Band.EXPECTED]) for policy in policies]
        end = time.process_time()
    same("results of a sweep", [one.result for one in together], [one.result for one in apart])
    done = POLICIES * TRADES
    against = f"{POLICIES} single runs"
    return [figure(f"sweep of {POLICIES} policies", "trades/s", done / (half - begun), against, done / (end - half))]
