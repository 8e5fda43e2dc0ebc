"""``status`` and the end of a demonstration count trades as trades and decisions as decisions, so that they add up."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pilotfish.cli import app, demo
from pilotfish.cli.decided import decided
from pilotfish.core.effects import RowEffect
from pilotfish.store import tables as t
from pilotfish.store import worker_state
from pilotfish.store.batch import write
from pilotfish.store.database import open_database
from pilotfish.store.views.portfolios import Decisions, read_counts
from tests.desk import START, Desk, usd
from tests.fresh import fresh_database

SOME = Decisions(
    copied=506, filled=405, out=0, not_filled=1, skipped={"SKIP_SPREAD": 900, "SKIP_SLIPPAGE": 92}, waiting=2,
    own_exits=0,
)  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Two trades of a leader, which two portfolios decided; a worker ran."""
    desk = Desk(others={"half": {"fixed_usdc": usd(10), "copy_side": "buy"}})
    desk.buy(1, 1000, 0.50)
    desk.sell(2, 400)
    desk.advance(2)
    database = fresh_database(tmp_path / "x.db")
    with database.begin() as c:
        for name in ("main", "half"):
            c.execute(t.portfolios.insert().values(name=name, bankroll_micro=usd(10_000), created_at=START))
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
        c.execute(t.worker_status.insert().values(name=worker_state.NAME, at=time.time_ns() // 1000, data={}))
    database.dispose()
    return f"sqlite:///{tmp_path / 'x.db'}"


def figures(text: str) -> list[int]:
    return [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", text)]


def test_decisions_are_told_as_such_and_every_part_adds_up() -> None:
    told = "1,500 decisions of 2 portfolios: 506 copied (405 filled, 0 order out, 1 not filled, 100 reset), 992 skipped"
    assert decided(SOME, 2) == f"{told}, 2 waiting"
    assert decided(SOME, 1, reasons=True).startswith("1,500 decisions: 506 copied (")
    assert "992 skipped (900 spread, 92 slippage), 2 waiting" in decided(SOME, 1, reasons=True)


def test_status_counts_trades_once_and_decisions_of_each_portfolio(url: str) -> None:
    shown = CliRunner().invoke(app, ["status"], env={"DATABASE_URL": url, "COLUMNS": "300"}).stdout
    line = next(line for line in shown.splitlines() if "decisions" in line)
    assert line.startswith("0 leaders, 2 trades (0 seen by both sources); 4 decisions of 2 portfolios: 3 copied (")
    assert "), 1 skipped; " in line


def test_the_end_of_a_demonstration_adds_up_too(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    database = open_database(url)
    with database.connect() as c:
        counts = read_counts(c)
    database.dispose()
    result = demo.Result(
        seed=1, seconds=1.0, venue_trades=2, counts=counts, portfolios=2, equity_micro=usd(20_000), verdicts={},
        verify="ok",
    )  # fmt: skip
    demo.print_result(result)
    trades, decisions, rest, *_ = capsys.readouterr().out.splitlines()
    assert trades.startswith("2 trades of 2 that the venue made")
    assert decisions.startswith("4 decisions of 2 portfolios: 3 copied (")
    assert figures(decisions)[0] == 4
    assert "equity 20,000.00 USDC in 2 portfolios" in rest
    assert "portfolios" not in result.as_json()
