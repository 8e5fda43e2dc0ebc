"""``bench activity``: a page of 1,000 rows of the Data API's activity to fills, against msgspec's decoding alone."""

from __future__ import annotations

import json
import time

import msgspec

from pilotfish.cli.benches.figure import Figure, Options, figure, rates, same
from pilotfish.cli.benches.stream import LEADER
from pilotfish.core.trade import LeaderFill
from pilotfish.polymarket import wire
from pilotfish.polymarket.rows import parse_trade_row
from pilotfish.polymarket.usual_rows import fills_of, read_page

ROWS = 1000


def _page() -> bytes:
    """A page as ``/v2/activity`` gives it."""
    rows = [
        {
            "proxy_wallet": LEADER, "timestamp": 1_790_000_000 + i // 3, "condition_id": f"0x{i // 5:064x}",
            "type": "TRADE", "size": round(12.5 + i * 0.370123, 6), "usdc_size": round(8.69 + i * 0.2, 6),
            "transaction_hash": f"0x{i * 7919:064x}", "price": round(0.001 + i * 0.00098765, 10),
            "token_id": str(10**76 + i % 50), "side": "SELL" if i % 4 == 0 else "BUY", "outcome_index": i % 2,
            "title": f"Will number {i % 50} come up by the end of November?", "slug": f"will-number-{i % 50}-come-up",
            "icon": "https://polymarket-upload.s3.us-east-2.amazonaws.com/number.png",
            "event_slug": f"numbers-{i % 10}", "outcome": "Yes" if i % 2 else "No", "name": "somebody",
            "pseudonym": "Some-Body", "bio": "", "profile_image": "", "is_combo": False,
        }
        for i in range(ROWS)
    ]  # fmt: skip
    page = {"data": rows, "pagination": {"limit": ROWS, "offset": 0, "has_more": False, "next_cursor": None}}
    return json.dumps(page, separators=(",", ":")).encode()


def figures(_options: Options) -> list[Figure]:
    """The short way gives what the long one does, and is then timed against decoding to plain values and no more."""
    raw = _page()

    def ours() -> list[LeaderFill | None]:
        return fills_of(read_page(raw)["data"], LEADER)

    def long_way() -> list[LeaderFill]:
        return [parse_trade_row(row, LEADER) for row in wire.decode(raw)["data"]]

    same("the fills of a page", ours(), long_way())
    sides = {"ours": ours, "msgspec": lambda: msgspec.json.decode(raw), "row by row": long_way}
    speeds = rates(sides, ROWS, rounds=25, clock=time.thread_time)
    return [
        figure("activity page to fills", "rows/s", speeds["ours"], "msgspec's decoding", speeds["msgspec"], aim=0.5),
        figure("activity page to fills", "rows/s", speeds["ours"], "row by row", speeds["row by row"]),
    ]
