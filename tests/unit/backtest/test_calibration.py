"""What was measured on recorded books and by the worker, and the band that is made of it once there is enough."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.calibration import (
    LEAST_INSTANTS,
    Calibrated,
    by_calibration,
    calibrate,
    compared,
    keep,
    kept,
    measured,
)
from pilotfish.backtest.delays import LEAST_TRADES, by_measured
from pilotfish.backtest.quotes import Tier
from pilotfish.backtest.run import Whole
from pilotfish.backtest.source import Windows, stretches
from pilotfish.cli import app
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND
from pilotfish.history.book_track import track_of
from pilotfish.history.folder import History
from tests.book_rows import whole
from tests.unit.backtest.pasts import BEGIN, YES, bought_from, deed, past, sold_to

EXPECTED = BANDS[Band.EXPECTED]


def looked_at(trades: int, spread: float = 0.02) -> Calibrated:
    """So many BUYs at 0.50, each with a recorded book around 0.50, and a line of prices at 0.50."""
    deeds = [deed(600 * n, "BUY", 100, 0.50, number=n) for n in range(1, trades + 1)]
    half = spread / 2
    rows = [
        whole((BEGIN + 600 * n) * SECOND, [(0.50 - half, 500)], [(0.50 + half, 40), (0.53, 900)], token=YES)
        for n in range(1, trades + 1)
    ]
    of = past(deeds, [], known=False, prices=[(600 * n - 60, 0.50) for n in range(1, trades + 1)])
    found = Calibrated(size=25 * MICRO, worse_bps=300)
    calibrate(Whole(past=of, books={YES: track_of(YES, rows)}), EXPECTED, found)
    return found


def test_the_line_is_measured_against_the_book_of_the_same_instant() -> None:
    found = looked_at(5)
    assert (found.trades, found.instants) == (5, 5)
    tape, line = compared(found)
    assert (tape.tier, tape.instants, tape.filled_ppm) == (Tier.TAPE, 0, None)
    assert (line.instants, line.both) == (5, 5)
    assert line.low == line.middle == line.high == 0, (
        "the line takes 0.505 up to a tick of 0.01: 0.51, the book's price"
    )
    assert line.filled_ppm is not None
    assert line.filled_ppm > MICRO, "the book had 40 shares within the limit, the line has all of 25 USDC"


def test_the_tape_is_measured_too_where_it_is_whole() -> None:
    at = BEGIN + 100
    of = past([deed(100, "BUY", 1_000, 0.50)], sold_to(110, 0.50, 4_000, number=2), prices=[(0, 0.50)])
    track = track_of(YES, [whole(at * SECOND, [(0.49, 500)], [(0.51, 900)], token=YES)])
    found = Calibrated(size=25 * MICRO, worse_bps=300)
    calibrate(Whole(past=of, books={YES: track}), EXPECTED, found)
    tape, _ = compared(found)
    assert (tape.instants, tape.both) == (1, 1)
    assert [i.off for i in found.found if i.tier is Tier.TAPE] == [-10_000], "a cent cheaper than the book was"


def test_a_sell_is_measured_at_the_bids_and_worse_is_cheaper() -> None:
    at = BEGIN + 100
    prints = bought_from(110, 0.49, 4_000, number=2)
    of = past([deed(100, "SELL", 1_000, 0.50)], prints, prices=[(0, 0.50)])
    track = track_of(YES, [whole(at * SECOND, [(0.495, 40), (0.47, 900)], [(0.51, 900)], token=YES)])
    found = Calibrated(size=25 * MICRO, worse_bps=300)
    calibrate(Whole(past=of, books={YES: track}), EXPECTED, found)
    assert [i.off for i in found.found if i.tier is Tier.TAPE] == [5_000], "half a cent less than the book would bring"
    (width,) = found.widths
    assert width.depth_usdc == 19_800_000, "40 shares at 0.495; 0.47 is beyond the limit"


def test_a_trade_without_a_recorded_book_is_no_instant() -> None:
    found = Calibrated(size=25 * MICRO, worse_bps=300)
    calibrate(Whole(past=past([deed(100, "BUY", 1_000, 0.50)], [])), EXPECTED, found)
    assert (found.trades, found.instants) == (1, 0)
    assert measured(found, 1) is None


def test_a_band_is_made_of_two_hundred_instants_and_of_no_fewer(tmp_path: Path) -> None:
    history = History(str(tmp_path / "h"))
    assert kept(history) is None
    assert by_calibration(BANDS, kept(history)) == (BANDS, "spreads and depth as assumed")
    assert measured(looked_at(LEAST_INSTANTS - 1), 1) is None
    made = measured(looked_at(LEAST_INSTANTS), 7)
    assert made is not None
    keep(history, made)
    assert kept(history) == made
    bands, words = by_calibration(BANDS, kept(history))
    assert words == "spreads and depth as 200 recorded books had them"
    for band, assumed in bands.items():
        assert assumed.half_spread == 10_000
        assert assumed.edge_half_spread == BANDS[band].edge_half_spread, "none was near 0 or 1"
        assert assumed.depth_usdc == 20_400_000, "40 shares at 0.51 within the limit"
        assert assumed.delay_us == BANDS[band].delay_us


def test_a_calibration_of_another_version_is_none(tmp_path: Path) -> None:
    history = History(str(tmp_path / "h"))
    with history.placed("calibration", "band.json") as out:
        out.write(b'{"what": 1}')
    assert kept(history) is None


def test_delays_are_as_measured_from_two_hundred_trades_on_and_the_answer_says_which() -> None:
    delays = [1_000 * n for n in range(LEAST_TRADES)]
    few, told = by_measured(BANDS, delays[1:])
    assert few == BANDS
    assert told == "delays as assumed; the 199 trades seen here are too few to measure by"
    assert by_measured(BANDS, [])[1] == "delays as assumed"
    many, told = by_measured(BANDS, delays)
    assert told == "delays as measured here on 200 trades"
    assert [many[b].delay_us for b in (Band.OPTIMISTIC, Band.EXPECTED, Band.PESSIMISTIC)] == [20_000, 100_000, 180_000]


def test_a_trade_is_seen_when_it_was_seen_and_others_after_the_delay() -> None:
    deeds = [
        deed(100, "BUY", 10, 0.5),
        deed(100, "BUY", 10, 0.5),
        deed(100, "SELL", 5, 0.5),
        deed(101, "BUY", 7, 0.5, number=2),
    ]
    of = past(deeds, [])
    tx, base = deeds[0].tx_hash, (BEGIN + 100) * SECOND
    known = {(tx, YES, Side.BUY, 10 * MICRO, 1): base + 5, (tx, YES, Side.BUY, 10 * MICRO, 2): base + 9 * SECOND}
    windows = Windows(of.wallet, 2 * SECOND, known)
    seen = [w for stretch in stretches(of) for w in windows.of(stretch.seconds)] + list(windows.rest())
    found = [(w.at - base, [(f.side.value, f.shares) for f in w.fills]) for w in seen]
    assert found == [
        (5, [("BUY", 10 * MICRO)]), (2 * SECOND, [("SELL", 5 * MICRO)]), (3 * SECOND, [("BUY", 7 * MICRO)]),
        (9 * SECOND, [("BUY", 10 * MICRO)]),
    ]  # fmt: skip


@pytest.mark.parametrize("asked", [["--json"], []])
def test_calibrate_says_what_there_is_and_what_is_lacking(tmp_path: Path, asked: list[str]) -> None:
    env = {"HISTORY_URL": str(tmp_path / "h"), "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
    result = CliRunner().invoke(app, ["calibrate", *asked], env=env)
    assert result.exit_code == 0, result.output
    if asked:
        told = json.loads(result.stdout)
        assert (told["trades"], told["instants"], told["needed"], told["band"]) == (0, 0, 200, None)
    else:
        assert "it takes 200 instants" in " ".join(result.stdout.split())
    refused = CliRunner().invoke(app, ["calibrate", "--size", "none"], env=env)
    assert refused.exit_code == 2


def test_what_was_measured_is_small_and_plain_json(tmp_path: Path) -> None:
    made = measured(looked_at(LEAST_INSTANTS), 7)
    told = msgspec.to_builtins(made)
    assert told["inner"]["half"] == {"pessimistic": 10_000, "expected": 10_000, "optimistic": 10_000}
