"""``bench decision``: a leader's BUY to a durable decision, beside ``pmwallets-copytrade`` where that is installed: its
engine in a dry run, which books at the ask, with its own state files."""

from __future__ import annotations

import asyncio
import tempfile
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pilotfish.cli.benches.figure import Figure, Options, figure, measured, same
from pilotfish.cli.benches.ingest import durable_in
from pilotfish.cli.benches.stream import LEADER, TOKEN
from pilotfish.core.units import MICRO
from pilotfish.store.database import open_database

OURS, THEIRS, ROUNDS = 3_000, 300, 3


def figures(_options: Options) -> list[Figure]:
    """Fills of one leader in one token, each an order of its own, all copied."""
    ours = measured([OURS / _durable() for _ in range(ROUNDS)])
    theirs = measured(found) if (found := _peer()) else None
    note = "" if theirs else "not installed: pip install pmwallets-copytrade"
    return [figure("decision on a fill, durable", "fills/s", ours, "pmwallets-copytrade", theirs, note)]


def _durable() -> float:
    with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
        return durable_in(OURS, open_database(f"sqlite:///{Path(folder) / 'bench.db'}"), grouped=True)


def _peer() -> list[float]:
    """Fills a second of each round; nothing where it is not installed."""
    try:
        engine, state, config, market = (
            import_module(f"pmwallets_copytrade.{name}") for name in ("engine", "state", "config", "polymarket")
        )
    except ImportError:
        return []
    settings = config.Config(
        mode="dry-run", pmwallets=config.PmwConfig(apiKey=""), polymarket=config.PolymarketConfig(), targets=[],
        copy=config.CopyConfig(maxBuysPerOutcome=10**9, minSecondsToEndDate=0),
        risk=config.RiskConfig(maxDailySpendUsdc=0),
    )  # fmt: skip
    found = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="pilotfish-bench-") as folder:
            kept = state.BotState(folder, "dry-run")
            log = SimpleNamespace(**dict.fromkeys(("info", "warn", "error", "debug"), _quiet))
            one = engine.CopyEngine(settings, _exchange(market), kept, log, None)
            found.append(THEIRS / asyncio.run(_play(one)))
            told = (Path(folder) / "decisions.dry-run.jsonl").read_text()
            same("fills copied by pmwallets-copytrade", told.count("dry_run_buy"), THEIRS)
    return found


async def _play(engine: Any) -> float:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    fills = [
        {
            "eventId": f"e{n}", "entityId": LEADER, "wallet": LEADER, "side": "BUY", "role": "taker", "tokenId": TOKEN,
            "price": 0.5, "usdc": "50000000", "shares": "100000000", "txHash": f"0x{n:064x}", "ts": stamp,
        }
        for n in range(THEIRS)
    ]  # fmt: skip
    began = time.perf_counter()
    for fill in fills:
        await engine.on_fill(fill, {"source": "ws"})
    return time.perf_counter() - began


def _quiet(*_told: Any) -> None:
    """Nothing is printed meanwhile."""


def _exchange(market: Any) -> SimpleNamespace:
    """A market at 0.49 and 0.50, as deep as anybody likes."""
    level = market.Level
    book = market.Book(TOKEN, [level(490_000, 10**15)], [level(500_000, 10**15)], 10_000, 5 * MICRO)
    condition = "0x" + "c" * 64
    there = market.Market(condition, "Will it?", closed=False, active=True, acceptingOrders=True,
                          tokens=[market.Token(TOKEN, "Yes")], version="v1")  # fmt: skip

    async def condition_id_for(_token: str) -> str:
        return condition

    async def market_of(*_asked: Any) -> Any:
        return there

    async def orderbook(_token: str) -> Any:
        return book

    return SimpleNamespace(can_trade=False, condition_id_for=condition_id_for, market=market_of, orderbook=orderbook)
