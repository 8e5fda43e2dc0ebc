"""Against a real EVM node: subscriptions, filters, logs from the exchanges' addresses, and its restart."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotfish.polymarket.contracts import EXCHANGES, ORDER_FILLED, topic_of
from tests.conftest import need
from tests.rig import WALLET, WALLET_2, rig, until

EMITTER = "0x606035604035602035600035608036038060806000376000a400"
"""Emits one log: calldata is four topics, then the data."""


class Node:
    """anvil as a process, posing as Polygon."""

    def __init__(self, program: str, port: int) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [program, "--port", str(port), "--chain-id", "137", "--block-time", "1", "--silent"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until("the node answers", self._up)
        for exchange in EXCHANGES:
            self.call("anvil_setCode", exchange, EMITTER)
        (self.account, *_) = self.call("eth_accounts")

    def _up(self) -> bool:
        try:
            return bool(self.call("eth_chainId"))
        except OSError:
            return False

    def call(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            result = json.load(answer)
        assert "error" not in result, result
        return result["result"]

    def emit(self, exchange: str, maker: str, taker: str, side: int, token: int, making: int, taking: int) -> None:
        """An ``OrderFilled`` log."""
        topics = [ORDER_FILLED, f"0x{token:064x}", topic_of(maker), topic_of(taker)]
        data = "".join(f"{v:064x}" for v in (side, token, making, taking, 0, 0, 0))
        payload = "0x" + "".join(t[2:] for t in topics) + data
        self.call("eth_sendTransaction", {"from": self.account, "to": exchange, "data": payload, "gas": "0xfffff"})

    def close(self) -> None:
        """End it, and what its launcher started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)


@pytest.fixture
def anvil() -> Iterator[str]:
    local = Path(__file__).parents[2] / ".cache" / "npm" / "node_modules" / ".bin" / "anvil"
    program = str(local) if local.exists() else shutil.which("anvil") or ""
    need("anvil", bool(program), "npm install @foundry-rs/anvil (make test does it)")
    yield program


@pytest.mark.slow
def test_logs_of_a_real_node_become_trades_and_its_restart_is_survived(tmp_path: Path, anvil: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = Node(anvil, port)
    try:
        with rig(
            tmp_path, polygon_health_stale_ms=4000, polygon_ws_url=f"ws://127.0.0.1:{port}", trigger_mode="polygon"
        ) as (stand, pilot):
            tokens = [int(stand.market()) for _ in EXCHANGES]
            pilot.start()
            pilot.follow()
            for exchange, token in zip(EXCHANGES, tokens, strict=True):
                node.emit(exchange, WALLET, WALLET_2, 0, token, 50_000_000, 100_000_000)
            node.emit(EXCHANGES[0], WALLET_2, WALLET, 1, tokens[0], 100_000_000, 50_000_000)
            trades = pilot.trades(3)
            assert {t["exchange"] for t in trades} == set(EXCHANGES)
            assert {(t["shares_micro"], t["usdc_micro"], t["role"], t["first_source"]) for t in trades} == {
                (100_000_000, 50_000_000, "maker", "polygon")
            }
            assert all(t["traded_at"].endswith("00Z") and not t["traded_at_estimated"] for t in trades)
            until("the counterparty leg is evidence only", lambda: _counterparty(pilot.status()) == 1)
            pilot.fills(3)

            node.close()
            until("the chain is ill", lambda: not pilot.status()["worker"]["polygon"]["healthy"])
            node = Node(anvil, port)
            until("the chain is well again", lambda: pilot.status()["worker"]["polygon"]["watched"] == 1)
            node.emit(EXCHANGES[2], WALLET, EXCHANGES[2], 1, tokens[2], 100_000_000, 49_000_000)
            sold = pilot.trades(4)[3]
            assert (sold["side"], sold["role"]) == ("SELL", "taker")
            pilot.fills(4)
            assert len(pilot.held()) == 2
            pilot.stop()
            pilot.verify()
    finally:
        node.close()


def _counterparty(state: dict[str, Any]) -> int:
    return int(state["worker"]["polygon"]["counterparty_logs"])
