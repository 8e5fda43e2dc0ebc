"""How listening to the chain goes, for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ChainStatus:
    """What a person wants to know of the chain source (times in epoch seconds). ``unfiltered``: all fills of the
    exchanges are delivered, and those of the wallets picked here."""

    state: str = "off"
    connected_at: float | None = None
    subscribed: bool = False
    last_log_at: float | None = None
    last_block_at: float | None = None
    last_block: int | None = None
    reconnects: int = 0
    logs: int = 0
    counterparty_logs: int = 0
    receipts: int = 0
    watched: int = 0
    unfiltered: bool = False
    subscriptions: int = 0
    error: str = ""
