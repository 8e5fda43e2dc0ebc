"""What the Data API says of wallets, v1 and v2 (PROTOCOL.md sections 4 and 9)."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

from pilotfish.core.units import MICRO, ceil_div
from tests.payloads.values import DAY_ONE, condition, fee, number, price, token, tx_hash, wallet

WHALE, HOLDER, WALKER = wallet("whale"), wallet("holder"), wallet("walker")

ORDER_AT = 612_000
ORDER = tuple((2 + i // 2, 1_000_001 + (i * i * 7_919_311 + 2_739 * i) % 600_000_000) for i in range(36))
"""A resting order of the whale as it was eaten: (second, shares), all at :data:`ORDER_AT`."""
TAKEN = ((40, 88_000_400, 437_000), (52, 7_910_000, 448_000), (52, 300_000_000, 447_500), (75, 61_200_500, 655_000))
"""Fills of incoming orders of the whale: (second, shares, price); their rows' USDC contains the fee at 0.05."""
TWINS = (90, 25_000_000, 8_250_000)
"""Two identical fills in one transaction: (second, shares, USDC)."""

ACTIVITY = (("BUY", 23_450_000, 470_000, 50_000), ("BUY", 8_120_000, 830_000, 50_000), ("SELL", 12_000_000, 510_000, 0))
"""Rows of the newest answer: (side, shares, price, rate of the fee in ppm)."""
TINY = 9
"""Shares of a fill so small that its size comes in exponent form."""
HELD = {"both yes": 350_000_000, "both no": 350_000_000, "archived": 12_345_678, "dust": 5}
"""What the holder holds (v2): token -> shares."""
HELD_V1 = {"lost": 1_730_250_000, "both yes": 350_000_000, "both no": 350_000_000}
"""What the holder held (v1)."""


def _v1(kind: str, second: int, size: int, usdc: int, **more: Any) -> dict[str, Any]:
    """A row of v1's activity; without more, one that is no trade."""
    return {
        "proxyWallet": WHALE,
        "timestamp": DAY_ONE + second,
        "conditionId": "",
        "type": kind,
        "size": number(size),
        "usdcSize": number(usdc),
        "transactionHash": tx_hash(f"{kind} {second} {size}"),
        "price": 0,
        "asset": "",
        "side": "",
        "outcomeIndex": 999,
        "title": "",
        "slug": "",
        "icon": "",
        "eventSlug": "",
        "outcome": "",
        "name": "an invented whale",
        "pseudonym": "Round-Pebble",
        "bio": "",
        "profileImage": "",
        "profileImageOptimized": "",
        **more,
    }


def _v1_trade(second: int, shares: int, usdc: int, paid: int, market: str, tx: str, index: int = 1) -> dict[str, Any]:
    return _v1(
        "TRADE", second, shares, paid, conditionId=condition(market), transactionHash=tx_hash(tx), side="BUY",
        price=price(usdc, shares), asset=token(market), outcomeIndex=index, title=f"Will the {market} be finished?",
        slug=market, eventSlug=market, outcome="No",
    )  # fmt: skip


def _redeem(second: int, amount: int, market: str) -> dict[str, Any]:
    named = {"conditionId": condition(market), "title": f"Will the {market} be finished?", "slug": market}
    return _v1("REDEEM", second, amount, amount, **named, eventSlug=market)


def _whale() -> list[dict[str, Any]]:
    rows = [
        _v1_trade(s, n, ceil_div(n * ORDER_AT, MICRO), ceil_div(n * ORDER_AT, MICRO), "bridge", f"order {i}")
        for i, (s, n) in enumerate(ORDER)
    ]
    for i, (second, shares, at) in enumerate(TAKEN):
        usdc = ceil_div(shares * at, MICRO)
        index = 999 if i == 1 else 0
        rows.append(_v1_trade(second, shares, usdc, usdc + fee(shares, at, 50_000), "tunnel", f"taken {i}", index))
    second, shares, usdc = TWINS
    rows += [_v1_trade(second, shares, usdc, usdc, "tower", "twins") for _ in range(2)]
    rows += [
        _redeem(200, 1_500_000_000, "dam"),
        _v1("REWARD", 210, 31_400_000, 31_400_000),
        _v1("REWARD", 230, 77_123_400, 77_123_400),
        _v1("MAKER_REBATE", 240, 905_500_100, 905_500_100),
        _v1("TAKER_REBATE", 250, 1_200_700_300, 1_200_700_300),
    ]
    return sorted(rows, key=lambda r: -int(r["timestamp"]))


def _redeems() -> list[dict[str, Any]]:
    return [_redeem(9_000 - 700 * i, 4_410_000_500 // (i + 1), f"dam {i}") for i in range(9)]


def _positions_v1() -> list[dict[str, Any]]:
    def row(name: str, opposite: str, avg: int, now: int, ends: str) -> dict[str, Any]:
        shares = HELD_V1[name]
        cost, worth = shares * avg // MICRO, shares * now // MICRO
        return {
            "proxyWallet": HOLDER, "asset": token(name), "conditionId": condition(name.split()[0]),
            "size": number(shares), "avgPrice": number(avg), "initialValue": number(cost),
            "currentValue": number(worth), "cashPnl": number(worth - cost),
            "percentPnl": round(100 * (worth - cost) / cost, 4),
            "totalBought": number(shares), "realizedPnl": 0, "percentRealizedPnl": 0, "curPrice": number(now),
            "redeemable": now == 0, "mergeable": name.startswith("both"), "title": f"Position {name}", "slug": name,
            "icon": "", "eventId": "910001", "eventSlug": "positions",
            "outcome": "No" if name.endswith("no") else "Yes",
            "outcomeIndex": int(name.endswith("no")), "oppositeOutcome": "Yes" if name.endswith("no") else "No",
            "oppositeAsset": token(opposite), "endDate": ends, "negativeRisk": name == "lost",
        }  # fmt: skip

    return [
        row("lost", "lost no", 441_700, 0, "2026-08-19"),
        row("both yes", "both no", 520_000, 262_000, "2027-06-30"),
        row("both no", "both yes", 480_000, 738_000, "2027-06-30"),
    ]


def _closed_positions_v1() -> list[dict[str, Any]]:
    return [
        {
            "proxyWallet": HOLDER, "asset": token(f"closed {i}"), "conditionId": condition(f"closed {i}"),
            "avgPrice": number(avg), "totalBought": number(bought), "realizedPnl": number(made), "curPrice": end,
            "title": f"Closed position {i}", "slug": f"closed-{i}", "icon": "", "eventSlug": f"closed-{i}",
            "outcome": "Home", "outcomeIndex": 0, "oppositeOutcome": "Away",
            "oppositeAsset": token(f"closed {i} other"), "endDate": "2026-09-01T00:00:00Z",
            "timestamp": DAY_ONE - 86_400 * (i + 1),
        }
        for i, (avg, bought, made, end) in enumerate(
            ((310_000, 640_000_000, 441_600_000, 1), (523_417, 71_250_500, 33_956_777, 1), (640_000, 5_000_000,
             -3_200_000, 0))
        )
    ]  # fmt: skip


def _leaderboard() -> list[dict[str, Any]]:
    return [
        {
            "rank": str(i + 1), "proxyWallet": wallet(f"rank {i}"), "userName": f"invented-{i}" if i % 3 else "",
            "xUsername": "", "verifiedBadge": i == 2, "vol": 0 if i == 4 else 6_400_000.25 / (i + 1),
            "pnl": 730_100.5 / (i + 1), "profileImage": "",
        }
        for i in range(8)
    ]  # fmt: skip


def _v2(kind: str, second: int, usdc: int, **more: Any) -> dict[str, Any]:
    """A row of v2's activity of any type."""
    return {
        "proxy_wallet": HOLDER, "timestamp": DAY_ONE + second, "condition_id": "", "type": kind, "size": number(usdc),
        "usdc_size": number(usdc), "transaction_hash": tx_hash(f"v2 {kind} {second}"), "price": 0, "token_id": "",
        "side": "", "outcome_index": 999, "title": "", "slug": "", "icon": "", "event_slug": "", "outcome": "",
        "name": "an invented holder", "pseudonym": "Calm-Heron", "bio": "", "profile_image": "",
        "profile_image_optimized": "", **more,
    }  # fmt: skip


def _v2_trade(second: int, side: str, shares: int, usdc: int, paid: int, market: str, **more: Any) -> dict[str, Any]:
    fields = {
        "condition_id": condition(market), "size": number(shares), "price": price(usdc, shares), "side": side,
        "token_id": token(market), "title": f"Will the {market} open?", "slug": market, "outcome": "Yes",
    }  # fmt: skip
    return _v2("TRADE", second, paid, **{**fields, **more})


def _page(rows: list[dict[str, Any]], cursor: str | None = None) -> dict[str, Any]:
    """A complete answer of a v2 route."""
    return {
        "data": rows,
        "pagination": {"limit": 500, "offset": 0, "has_more": cursor is not None, "next_cursor": cursor},
    }


def _activity_v2() -> dict[str, Any]:
    rows = []
    for i, (side, shares, at, rate) in enumerate(ACTIVITY):
        usdc = shares * at // MICRO
        index = {"outcome_index": (999, 1, 0)[i]}
        rows.append(_v2_trade(600 - i, side, shares, usdc, usdc + fee(shares, at, rate), f"museum {i}", **index))
    rows.append(_v2_trade(590, "BUY", TINY, 5, 5, "museum 0"))
    text = _v2_trade(580, "BUY", 4_000_000, 2_600_000, 2_600_000, "museum 1")
    rows.append({**text, **{k: str(text[k]) for k in ("size", "usdc_size", "price", "timestamp")}})
    moves = (("SPLIT", 50_000_000), ("MERGE", 30_000_000), ("CONVERSION", 15_500_000), ("REDEEM", 20_000_001))
    rows += [_v2(kind, 500 - i, usdc, condition_id=condition("museum 0")) for i, (kind, usdc) in enumerate(moves)]
    credits = ("REWARD", "MAKER_REBATE", "TAKER_REBATE", "YIELD", "REFERRAL_REWARD", "A_TYPE_NOBODY_HAS_SEEN")
    return _page(rows + [_v2(kind, 400 - i, 1_250_000 * (i + 1)) for i, kind in enumerate(credits)], "invented-cursor")


def _trades_v2() -> dict[str, Any]:
    rows = [_v2_trade(700, "BUY", 31_250_000, 19_062_500, 0, "pier"),
            _v2_trade(690, "SELL", 40_000, 30_800, 0, "lighthouse")]  # fmt: skip
    return _page([{k: v for k, v in r.items() if k not in ("type", "usdc_size", "icon", "bio")} for r in rows])


def _positions_v2() -> dict[str, Any]:
    def row(name: str, opposite: str, avg: int, now: int, **more: Any) -> dict[str, Any]:
        shares = HELD[name]
        cost, worth = shares * avg // MICRO, shares * now // MICRO
        return {
            "proxy_wallet": HOLDER, "condition_id": condition(name.split()[0]), "current_size": number(shares),
            "avg_price": number(avg), "entry_cost_usdc": number(cost), "entry_fees_usdc": 0.0,
            "total_cost_usdc": number(cost), "total_size": number(2 * shares), "realized_pnl": 0.0, "status": "OPEN",
            "redeemable": False, "mergeable": name.startswith("both"), "negative_risk": False, "archived": False,
            "title": f"Position {name}", "slug": name.replace(" ", "-"), "event_id": "910001",
            "event_slug": "positions", "end_date": "2027-06-30", "last_event_at": DAY_ONE, "verified": True,
            "token_id": token(name),
            "current_price": number(now), "current_value": number(worth), "unrealized_pnl": number(worth - cost),
            "total_pnl": number(worth - cost), "percent_pnl": 1.5, "percent_realized_pnl": 0.0,
            "outcome": "No" if name.endswith("no") else "Yes", "outcome_index": int(name.endswith("no")),
            "opposite_outcome": "Yes" if name.endswith("no") else "No", "opposite_token_id": token(opposite), **more,
        }  # fmt: skip

    return _page([
        row("both no", "both yes", 480_000, 738_000), row("both yes", "both no", 520_000, 262_000),
        row("archived", "archived no", 300_000, 310_000, archived=True, negative_risk=True),
        row("dust", "dust no", 500_000, 0, status="REDEEMABLE", redeemable=True),
    ])  # fmt: skip


def _resolutions_v2() -> dict[str, Any]:
    one, half, unset = "1000000000000000000", "500000000000000000", "69"

    def row(name: str, status: str, answer: str, proposed: str, again: str = unset, **more: Any) -> dict[str, Any]:
        return {
            "question_id": condition(f"question {name}"), "condition_id": condition(name), "status": status,
            "extended_review": False, "was_disputed": again != unset, "new_version_q": True, "proposed_price": proposed,
            "reproposed_price": again, "price": answer, "transaction_hash": tx_hash(f"resolution {name}"),
            "log_index": "171", "last_update_timestamp": str(DAY_ONE + 77), **more,
        }  # fmt: skip

    return _page([
        row("answered no", "resolved", "0", "0"), row("asked", "posed", unset, unset),
        row("in dispute", "disputed", unset, one, half, expected_settlement_time="2026-10-09T00:00:00Z"),
        row("answered yes", "resolved", one, one), row("a tie", "resolved", half, half),
        row("paid out", "resolved", one, one, payouts=["1000000", "0"]),
    ])  # fmt: skip


def _status_v2() -> dict[str, Any]:
    slow = [{"name": "activity_feed", "age_seconds": 6}, {"name": "pnl", "age_seconds": 1, "blocks_behind": 1}]
    return {"data": {
        "computed_at": "2026-09-21T14:13:20Z", "age_seconds": 11,
        "serving": {"lag_seconds": 6, "worst": "activity_feed", "mechanisms": slow},
        "ingestion": {"cursors": 150, "network": "polygon", "chain_id": 137, "max_synced_block": 91_200_500,
                      "min_synced_block": 91_200_497, "lagging": [],
                      "most_lagged": {"source": "invented_source", "block": 91_200_497, "behind_max": 3}},
    }}  # fmt: skip


def _history() -> dict[str, Any]:
    """Fills of short markets with ``taker`` (what ``taker_only`` would have shown), sizes with the noise of floats."""
    rows: list[dict[str, Any]] = []
    for i in range(30):
        shares = 1_500_001 + (i * i * 911_003) % 40_000_000
        at = 90_000 + (i * 73_000) % 850_000
        with localcontext() as context:
            context.prec = 16
            exact = Decimal(ceil_div(shares * at, MICRO)) / shares
        noise = "0000000002" if i % 5 == 3 else ""
        rows.append({
            "proxyWallet": WALKER, "side": "SELL" if i % 4 == 3 else "BUY", "asset": token(f"short {i // 2}"),
            "size": f"{shares / MICRO:.6f}{noise}", "price": str(exact), "timestamp": DAY_ONE + 3_600 + 190 * i,
            "slug": f"coin-updown-5m-{DAY_ONE + 3_600 + 300 * (i // 2)}", "outcome": "Up", "outcomeIndex": 0,
            "transactionHash": tx_hash(f"history {i - i % 7 // 6}"), "taker": i % 6 != 4,
        })  # fmt: skip

    def notional(side: str) -> Decimal:
        return sum((Decimal(r["size"]) * Decimal(r["price"]) for r in rows if r["side"] == side), Decimal(0))

    buys, sells = notional("BUY"), notional("SELL")
    expect = {
        "rows": len(rows), "buys": sum(r["side"] == "BUY" for r in rows),
        "sells": sum(r["side"] == "SELL" for r in rows), "taker_rows": sum(r["taker"] for r in rows),
        "tokens": len({r["asset"] for r in rows}),
        "buy_notional_usdc": str(buys), "sell_notional_usdc": str(sells), "cash_flow_usdc": str(sells - buys),
        "first_ts": rows[0]["timestamp"], "last_ts": rows[-1]["timestamp"],
    }  # fmt: skip
    return {"expect": expect, "rows": rows}


def files() -> dict[str, Any]:
    """File name -> payload."""
    return {
        "activity_v1_whale.json": _whale(),
        "activity_v1_redeems.json": _redeems(),
        "activity_v2.json": _activity_v2(),
        "positions_v1.json": _positions_v1(),
        "closed_positions_v1.json": _closed_positions_v1(),
        "leaderboard_v1.json": _leaderboard(),
        "trades_v2_rows.json": _trades_v2(),
        "positions_v2_rows.json": _positions_v2(),
        "resolutions_v2_rows.json": _resolutions_v2(),
        "status_v2.json": _status_v2(),
        "wallet_history_short_horizon.json": _history(),
    }
