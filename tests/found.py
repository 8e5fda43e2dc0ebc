"""What a search found, as ``discover --json`` gives it: a board of three, one of each verdict."""

from __future__ import annotations

from typing import Any


def row(place: int, verdict: str, low: float | None, **more: Any) -> dict[str, Any]:
    """A wallet on the board."""
    return {
        "place": place, "wallet": f"0x{place:040x}", "name": f"Person {place}", "verdict": verdict,
        "why": f"The sentence of person {place}.", "edge_per_usdc": 0.05, "low": low, "high": 0.2, "shrunk": 0.01,
        "p_value": 0.01, "q_value": 0.03, "events": 40, "trades": 90, "filled_share": 0.75, "result_micro": 5_000_000,
        "flags": ["one_event"], "incomplete": "", "category": "sports", **more,
    }  # fmt: skip


FOUND: dict[str, Any] = {
    "from_at": 1_780_012_800, "to_at": 1_787_788_799, "size_micro": 25_000_000, "delay_ms": 2_200,
    "why": "Of 3 wallets tested, 1 would have paid to be copied.", "requests": 321,
    "funnel": [
        {"step": "candidates", "words": "candidates", "wallets": 9, "dropped": {}},
        {"step": "enough_trades", "words": "with at least 30 BUYs", "wallets": 4, "dropped": {"no trades": 5}},
        {"step": "looked_back", "words": "looked back at", "wallets": 3, "dropped": {"the look back failed": 1}},
    ],
    "past_rank": {"wallets": 3, "words": "Past rank says little about the future here.", "correlation": 0.1,
                  "low": -0.2, "high": 0.4, "p_value": 0.5},
    "tested": 3, "copyable": 1, "incomplete": 0,
    "rows": [
        row(1, "copyable", 0.04), row(2, "cannot_tell", -0.02, events=31, category="politics"),
        row(3, "not_copyable", None, flags=[]),
    ],
    "problems": ["0xdead: the look back failed: ValueError: x"],
}  # fmt: skip
