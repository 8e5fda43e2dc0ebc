"""Recorded rows and logs, played again with their times shifted to now.

A wallet's recording starts when somebody begins to follow it: polls its activity from about now on, or subscribes to
its logs. Gaps longer than a second are cut to one.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.core.problem import Problem
from pilotfish.core.units import MICRO
from pilotfish.polymarket.decode import DecodeError, decode_order_filled
from pilotfish.sim.chain import Chain, Tx
from pilotfish.sim.market import SimMarket, digest

START_AFTER = 2.0
MAX_GAP = 1.0
ROW_LAG = 1.0
"""Seconds from a row's time to its appearance."""
LOG_ROW_LAG = 3.0
"""The same for rows that have a log, so that the chain is first."""

_V1_NAMES = {
    "proxyWallet": "proxy_wallet",
    "conditionId": "condition_id",
    "usdcSize": "usdc_size",
    "transactionHash": "transaction_hash",
    "asset": "token_id",
    "outcomeIndex": "outcome_index",
    "eventSlug": "event_slug",
    "profileImage": "profile_image",
    "profileImageOptimized": "profile_image_optimized",
}


class ReplayError(Problem):
    """The folder holds nothing that could be replayed; the message says what was looked for."""


@dataclass(slots=True)
class _Item:
    at: float
    row: dict[str, Any] | None
    log: dict[str, Any] | None


@dataclass(slots=True)
class _Recording:
    items: list[_Item] = field(default_factory=list)
    begins_at: float | None = None
    next: int = 0


class Replay:
    """All recordings of one folder, by wallet."""

    def __init__(self, chain: Chain, folder: Path) -> None:
        self.chain = chain
        self.recordings: dict[str, _Recording] = {}
        self._load(folder)
        if not self.recordings:
            raise ReplayError(f"{folder}: no activity*.json rows and no order_filled_logs.json to replay")
        for recording in self.recordings.values():
            _tighten(recording.items)

    # -- reading -----------------------------------------------------------------------------------------------

    def _load(self, folder: Path) -> None:
        for file in sorted(folder.glob("activity*.json")):
            payload = _read(file)
            rows = payload.get("data", []) if isinstance(payload, dict) else payload
            for raw in rows:
                row = {_V1_NAMES.get(k, k): v for k, v in raw.items()}
                wallet = str(row["proxy_wallet"]).lower()
                self._list_market(row)
                self._recording(wallet).items.append(_Item(float(row["timestamp"]), row, None))
        logs = folder / "order_filled_logs.json"
        for case in _read(logs) if logs.exists() else []:
            self._load_log(case)
        for recording in self.recordings.values():
            recording.items.reverse()
            recording.items.sort(key=lambda item: item.at)

    def _load_log(self, case: dict[str, Any]) -> None:
        log = case["log"]
        try:
            fill = decode_order_filled(log)
        except DecodeError:
            return
        row = {
            "type": "TRADE",
            "proxy_wallet": fill.wallet,
            "timestamp": 0,
            "transaction_hash": fill.tx_hash or "0x" + digest("replay", json.dumps(log)),
            "is_combo": False,
            "condition_id": "0x" + digest("condition of", fill.token_id),
            "token_id": fill.token_id,
            "side": fill.side,
            "size": fill.shares / MICRO,
            "usdc_size": (fill.usdc + (fill.fee if fill.role == "taker" else 0)) / MICRO,
            "price": round(fill.usdc / fill.shares, 10),
            "outcome": "Yes",
            "outcome_index": 999,
            "title": f"Recorded log: {case.get('name', '')}",
            "slug": "",
            "icon": "",
            "event_slug": "",
        }
        told = case.get("expect", {}).get("data_api") or {}
        row |= {k: v for k, v in told.items() if k in row}
        self._list_market(row)
        self._recording(fill.wallet).items.append(_Item(float(fill.block_timestamp or 0), row, log))

    def _recording(self, wallet: str) -> _Recording:
        return self.recordings.setdefault(wallet, _Recording())

    def _list_market(self, row: dict[str, Any]) -> None:
        """A market around a recorded token, with a book at the recorded price."""
        token = str(row.get("token_id") or "")
        if not token or row["type"] != "TRADE" or token in self.chain.markets:
            return
        price = min(960_000, max(40_000, round(float(row["price"]) * MICRO) // 10_000 * 10_000))
        market = SimMarket(
            condition_id=str(row["condition_id"]),
            question=str(row.get("title") or "Recorded market"),
            slug=str(row.get("slug") or "recorded"),
            category="recorded",
            tokens=(token, str(int(digest("opposite of", token), 16))),
            outcomes=(str(row.get("outcome") or "Yes"), "Other"),
            mid=price,
            frozen=True,
        )
        market.bids = {price - (i + 1) * 10_000: 50_000 * MICRO for i in range(3)}
        market.asks = {price + i * 10_000: 50_000 * MICRO for i in range(3)}
        self.chain.add_market(market)

    # -- playing -----------------------------------------------------------------------------------------------

    def followed(self, wallet: str) -> None:
        """Somebody follows a wallet: its recording begins."""
        recording = self.recordings.get(wallet)
        if recording is not None and recording.begins_at is None:
            recording.begins_at = time.time() + START_AFTER

    def tick(self, now: float) -> None:
        """Release what is due."""
        for recording in self.recordings.values():
            if recording.begins_at is None:
                continue
            while recording.next < len(recording.items):
                item = recording.items[recording.next]
                if recording.begins_at + item.at > now:
                    break
                recording.next += 1
                self._release(item, now)

    def done(self) -> bool:
        """True when every recording that began has been played."""
        return all(r.begins_at is None or r.next == len(r.items) for r in self.recordings.values())

    def _release(self, item: _Item, now: float) -> None:
        assert item.row is not None
        block = self.chain.head
        if item.log is None:
            row = {**item.row, "timestamp": int(now)}
            self.chain.add_row(str(row["proxy_wallet"]).lower(), row, now + ROW_LAG)
            return
        row = {**item.row, "timestamp": self.chain.times[block]}
        entry = self.chain.add_row(str(row["proxy_wallet"]), row, now + LOG_ROW_LAG)
        log = {
            **item.log,
            "transactionHash": row["transaction_hash"],
            "blockNumber": hex(block),
            "blockHash": self.chain.block_hash(block),
            "logIndex": item.log.get("logIndex", "0x0"),
        }
        log.pop("blockTimestamp", None)
        log.pop("removed", None)
        self.chain.add_tx(Tx(row["transaction_hash"], block, [log], [entry], now), now)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as problem:
        raise ReplayError(f"{file}: {problem}") from None


def _tighten(items: list[_Item]) -> None:
    """Times from 0 on, no gap longer than :data:`MAX_GAP`."""
    previous, clock = items[0].at, 0.0
    for item in items:
        clock += min(MAX_GAP, max(0.0, item.at - previous))
        previous, item.at = item.at, clock
