"""What the Data API of the stand-in venue sends, and how its pages go on (PROTOCOL.md sections 4 and 9)."""

from __future__ import annotations

import base64
import time
from typing import Any

from pilotfish.core.units import MICRO
from pilotfish.sim.asked import Refusal, integer
from pilotfish.sim.market import SimMarket, digest


def public(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it is sent: without what only the venue knows."""
    return {k: v for k, v in row.items() if not k.startswith("_")}


def is_wanted(row: dict[str, Any], query: Any) -> bool:
    """Whether a trade passes ``taker_only`` (true by default) and the floor ``filter_amount`` (0.01 by default)."""
    if query.get("taker_only", "true").lower() != "false" and not row.get("_taker", True):
        return False
    size = float(row["size"])
    amount = size if query.get("filter_type") == "TOKENS" else size * float(row["price"])
    return amount >= float(query.get("filter_amount", "0.01"))


def limit_of(query: Any) -> int:
    """How many rows a page may have."""
    limit = integer(query, "limit", 100)
    if not 1 <= limit <= 1000:
        raise Refusal("limit", "limit must be between 1 and 1000")
    return limit


def cursor_of(timestamp: int, seq: int) -> str:
    """A cursor that holds the seek anchor alone."""
    return base64.urlsafe_b64encode(f"{timestamp}.{seq}".encode()).decode()


def anchor_of(text: str) -> tuple[int, int]:
    """The anchor of a cursor."""
    try:
        timestamp, seq = base64.urlsafe_b64decode(text.encode()).decode().split(".")
        return int(timestamp), int(seq)
    except (ValueError, UnicodeDecodeError):
        raise Refusal("cursor", "cursor is invalid") from None


def page_of(rows: list[dict[str, Any]], limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of rows; ``cursor`` is the next one's, ``None`` = there is no more."""
    page = {"limit": limit, "offset": 0, "has_more": cursor is not None, "next_cursor": cursor}
    return {"data": rows, "pagination": page}


def token_row(market: SimMarket, token: str) -> dict[str, Any]:
    """A row of ``/v2/tokens``."""
    index, paid = market.index(token), market.paid("resolutions")
    return {
        "token_id": token,
        "condition_id": market.condition_id,
        "structural_condition_id": None,
        "module": "neg_risk" if market.neg_risk else "binary" if market.version == "v2" else "v1_ctf",
        "outcome_index": index,
        "clob_index": index,
        "outcome": market.outcomes[index],
        "opposite_token_id": market.tokens[1 - index],
        "resolved": paid is not None,
        "final_price": paid[index] / MICRO if paid else None,
        "title": market.question,
        "market_slug": market.slug,
        "closed": market.closed,
        "neg_risk": market.neg_risk,
        "neg_risk_market_id": None,
        "question_index": None,
        "event_id": int(digest(market.event)[:7], 16) if market.event else 1,
        "event_slug": market.event or market.slug,
    }


def resolution_row(market: SimMarket) -> dict[str, Any]:
    """A row of ``/v2/resolutions``."""
    payouts = market.paid("resolutions")
    known = {"resolved_at": market.resolved_at} if market.resolved_at is not None else {}
    return {
        "condition_id": market.condition_id,
        "question_id": market.condition_id,
        "status": "resolved" if payouts else "disputed" if market.disputed else "initialized",
        "payouts": list(payouts) if payouts else None,
        "price": "69",
        "was_disputed": market.disputed,
        "extended_review": False,
        "new_version_q": False,
        "last_update_timestamp": market.resolved_at or int(time.time()),
        **known,
    }
