"""``calibrate``: how far the tape and the price line are from order books that were really there."""

from __future__ import annotations

import time

import msgspec
import typer

from pilotfish.app.book_recording import spool_of
from pilotfish.app.config import history_place, process_value
from pilotfish.backtest.assumptions import BANDS, Band
from pilotfish.backtest.calibration import (
    LEAST_INSTANTS,
    Calibrated,
    Compared,
    Measured,
    calibrate,
    compared,
    keep,
    measured,
)
from pilotfish.backtest.quotes import Tier
from pilotfish.backtest.run import Whole
from pilotfish.cli import printed, session
from pilotfish.cli.history import asked, wallets_of
from pilotfish.cli.progress import bar
from pilotfish.core.numerals import NOTHING, count, exact, money, percent
from pilotfish.core.units import MICRO, micro_from_decimal
from pilotfish.history.books import books_of
from pilotfish.history.folder import History
from pilotfish.history.past import read_past
from pilotfish.history.summary import span_of
from pilotfish.store.database import database_url

_NAMES = {Tier.TAPE: "the tape", Tier.LINE: "the price line"}
_TABLE = printed.Table[Compared](
    printed.Column("against recorded books", lambda c: _NAMES[c.tier], 1),
    printed.Column("instants", lambda c: count(c.instants), 2, right=True),
    printed.Column("both filled", lambda c: count(c.both), 3, right=True),
    printed.Column("worse by (10 %)", lambda c: _off(c.low), 5, right=True),
    printed.Column("(50 %)", lambda c: _off(c.middle), 4, right=True),
    printed.Column("(90 %)", lambda c: _off(c.high), 6, right=True),
    printed.Column(
        "of the book's volume", lambda c: percent(c.filled_ppm, MICRO) if c.filled_ppm is not None else NOTHING, 7,
        right=True,
    ),
)  # fmt: skip


def calibrate_command(
    who: list[str] = typer.Argument(None, help="Whose trades; without any everybody's in the folder of history."),
    size: str = typer.Option("25", "--size", help="What an order is worth, in USDC."),
    worse: int = typer.Option(
        200, "--slippage-bps", min=0, max=10_000, help="How much worse than the leader's its price may be."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    columns: str = _TABLE.option,
    wide: bool = printed.WIDE,
) -> None:
    """How far the tape and the price line are from recorded order books on the same instants; a backtest's band is made
    of that once there is enough."""
    view = _TABLE.view(columns, wide=wide)
    env = session.begin()
    history = History(history_place(env))
    spool = spool_of(database_url(process_value(env, "database_url")))
    found = Calibrated(size=_usdc(size), worse_bps=worse)
    wallets = wallets_of(env, who) if who else list(history.keys("activity"))
    with bar("{task.completed}/{task.total} wallets, {task.fields[trades]:,} trades", trades=0) as (progress, task):
        progress.update(task, description="comparing", total=len(wallets))
        for done, wallet in enumerate(wallets, 1):
            span = asked(history, wallet) if who else span_of(history, wallet)
            if span is not None:
                past = read_past(history, wallet, *span)
                calibrate(Whole(past=past, books=books_of(history, past, spool)), BANDS[Band.EXPECTED], found)
            progress.update(task, completed=done, trades=found.trades)
    made = measured(found, int(time.time()))
    if made is not None:
        keep(history, made)
    if as_json:
        session.print_json(_answer(found, made))
    else:
        _print(found, made, view)


def _answer(found: Calibrated, made: Measured | None) -> dict[str, object]:
    return {
        "trades": found.trades,
        "instants": found.instants,
        "needed": LEAST_INSTANTS,
        "tiers": msgspec.to_builtins(compared(found)),
        "band": msgspec.to_builtins(made),
    }


def _print(found: Calibrated, made: Measured | None, view: printed.View[Compared]) -> None:
    printed.say(
        f"{count(found.instants)} of {count(found.trades)} trades have a recorded book; each is put to it, to the tape"
        f" and to the price line with {money(found.size)} USDC."
    )  # fmt: skip
    if made is None:
        printed.say(
            f"A backtest goes on with the assumed band: it takes {count(LEAST_INSTANTS)} instants to measure one by. "
            "Books are recorded while `pilotfish run` runs (RECORD_BOOKS)."
        )
    else:
        spreads = ", ".join(f"{band.value} {exact(made.inner.half[band])}" for band in Band)
        depths = ", ".join(f"{band.value} {money(made.depth_usdc[band])}" for band in Band)
        printed.say(f"A backtest takes its band from this now. Half-spread: {spreads}. On offer in USDC: {depths}.")
    if found.instants:
        print()
        view.print(compared(found))


def _off(off: int | None) -> str:
    return NOTHING if off is None else f"{'+' if off > 0 else ''}{exact(off)}"


def _usdc(text: str) -> int:
    try:
        amount = micro_from_decimal(text)
    except ValueError:
        amount = 0
    if amount <= 0:
        raise typer.BadParameter(f"--size {text[:20]!r}: expected a number of USDC above 0")
    return amount
