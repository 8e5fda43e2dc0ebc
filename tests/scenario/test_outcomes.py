"""Promises of the paper result: settlement, kept books, portfolios side by side, the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rig import WALLET, Pilot, Stand, rig, until

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
Saw = Callable[[str], None]
MICRO = 1_000_000


def usd(amount: float) -> int:
    return round(amount * MICRO)


def cash(pilot: Pilot) -> int:
    return sum(e["amount_micro"] for e in pilot.export("ledger"))


def states(pilot: Pilot) -> dict[str, str]:
    return {p["token_id"]: p["status"] for p in pilot.export("positions")}


def held_in(stand: Stand, pilot: Pilot, n: int) -> list[str]:
    """Follow somebody who buys in ``n`` markets; we hold 50 shares for 25 in each."""
    tokens = [stand.market() for _ in range(n)]
    pilot.start()
    pilot.follow()
    for token in tokens:
        stand.fill(token, "BUY", 100)
    pilot.fills(n)
    return tokens


def test_markets_settle_by_the_best_source_that_knows_the_result(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, market_refresh_sec=1) as (stand, pilot):
        won, lost, half, by_clob, by_gamma, disputed, closed = held_in(stand, pilot, 7)
        stand.post("/resolve", token_id=won, payouts=[1, 0])
        stand.post("/resolve", token_id=lost, payouts=[0, 1])
        stand.post("/resolve", token_id=half, payouts=[0.5, 0.5])
        stand.post("/resolve", token_id=by_clob, payouts=[1, 0], told_by=["clob"], unlisted=True)
        stand.post("/resolve", token_id=by_gamma, payouts=[0.5, 0.5], told_by=["gamma"], unlisted=True)
        stand.post("/resolve", token_id=disputed, payouts=[1, 0], told_by=["clob", "gamma"], disputed=True)
        stand.post("/resolve", token_id=closed)
        until("five are settled", lambda: list(states(pilot).values()).count("resolved") == 5)
        assert {t for t, s in states(pilot).items() if s == "open"} == {disputed, closed}
        stand.post("/resolve", token_id=disputed, payouts=[0, 1], told_by=["resolutions"])
        until("the dispute is over", lambda: states(pilot)[disputed] == "resolved")
        paid = {e["token_id"]: e["amount_micro"] for e in pilot.export("ledger") if e["kind"] == "settle"}
        each = [paid[t] for t in (won, lost, half, by_clob, by_gamma, disputed)]
        saw(f"paid {[amount / MICRO for amount in each]}; closed alone stays open")
        assert each == [usd(50), 0, usd(25), usd(50), usd(25), 0]
        assert pilot.held() == {closed: usd(50)}
        assert cash(pilot) == usd(-7 * 25 + 150)
        pilot.verify()


def test_resolved_while_we_were_down_and_redeemed_by_the_leader_first(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        down, redeemed = held_in(stand, pilot, 2)
        pilot.stop()
        stand.post("/resolve", token_id=down, payouts=[1, 0])
        pilot.start()
        until("settled at the start", lambda: states(pilot)[down] == "resolved")
        condition = next(t["condition_id"] for t in pilot.export("trades") if t["token_id"] == redeemed)
        stand.post("/resolve", token_id=redeemed, payouts=[0, 1])
        row = {
            "type": "REDEEM", "proxy_wallet": WALLET, "transaction_hash": f"0x{7:064x}", "condition_id": condition,
            "token_id": "", "side": "", "usdc_size": 0, "outcome": "Yes", "outcome_index": 0, "title": "", "slug": "",
            "icon": "", "event_slug": "",
        }  # fmt: skip
        stand.post("/rows", row=row, moves={redeemed: -100})
        until("settled by his redemption", lambda: states(pilot)[redeemed] == "resolved")
        sells = [f for f in pilot.export("fills") if f["side"] == "SELL"]
        saw(f"cash moved {cash(pilot) / MICRO} USDC, {len(sells)} sells")
        assert sells == []
        assert cash(pilot) == usd(-50 + 50)
        assert pilot.held() == {}
        pilot.verify()


def test_fills_use_the_kept_book_and_http_while_the_channel_is_down(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, retry_interval_ms=200) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)

        def local() -> dict[str, Any]:
            told: dict[str, Any] = pilot.status()["worker"]["books"]["local"]
            return told

        until("the book is kept", lambda: local()["kept"] == 1 and local()["connected"] == 1)
        before = stand.get("/requests")["requests"].get("clob/book", 0)
        stand.book(token, bids=[(0.48, 100_000)], asks=[(0.49, 20), (0.51, 100_000)])
        stand.fill(token, "BUY", 100)
        kept = pilot.fills(2)[1]
        assert stand.get("/requests")["requests"].get("clob/book", 0) == before
        assert kept["levels"] == [
            {"price": 0.49, "shares_micro": usd(20)},
            {"price": 0.51, "shares_micro": 29_803_900},  # 15.20 / 0.51, in steps of 0.0001
        ]
        stand.post("/market_ws", action="refuse", seconds=60)
        until("it is noticed", lambda: local()["connected"] == 0)
        stand.fill(token, "BUY", 100)
        pilot.fills(3)
        asked = stand.get("/requests")["requests"]["clob/book"]
        saw(f"{before} book requests before, none while the book was kept, {asked - before} while the channel was down")
        assert asked > before
        pilot.verify()


def test_portfolios_side_by_side_and_what_copying_cost(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, fixed_usdc=25) as (stand, pilot):
        token = stand.market(fee_rate=0.04)
        pilot.start()
        pilot.follow()
        pilot.cli("portfolio", "clone", "main", "bigger", "--set", "fixed_usdc=100")
        pilot.cli("leaders", "add", "0x" + "c3" * 20)
        pilot.cli("portfolio", "add", "nobody", "--set", "bankroll=50", "--leader", "0x" + "c3" * 20)
        pilot.cli("portfolio", "follow", "nobody", code=2)
        until("taken up", lambda: len(pilot.logged("portfolio taken up")) == 2)
        stand.fill(token, "BUY", 1000)
        fills = pilot.fills(2)
        by_name = {f["portfolio"]: f for f in fills}
        assert {n: f["usdc_micro"] for n, f in by_name.items()} == {"main": usd(25), "bigger": usd(100)}
        stand.fill(token, "SELL", 500, 0.49)
        pilot.fills(4)
        rows = json.loads(pilot.cli("report", "--json"))
        assert {r["portfolio"] for r in rows} == {"main", "bigger"}
        for row in rows:
            assert row["ideal_micro"] == row["actual_micro"] + sum(row["parts"].values())
            assert row["parts"]["fees_micro"] == sum(
                f["fee_micro"] for f in pilot.export("fills") if f["portfolio"] == row["portfolio"]
            )
        main = next(r for r in rows if r["portfolio"] == "main")
        saw(f"main: at his prices {main['ideal_micro'] / MICRO:+.2f}, ours {main['actual_micro'] / MICRO:+.2f}")
        assert json.loads(pilot.cli("report", "--json", "--leader", "0x" + "c3" * 20)) == []
        assert "at their prices" in pilot.cli("report", "--portfolio", "main", "--since", "1d")
        why = json.loads(pilot.cli("trades", "--why", "1", "--json"))
        assert [d["portfolio"] for d in why["decisions"]] == ["bigger", "main"]
        assert "✓" in pilot.cli("trades", "--why", "1")
        assert "1 exit begun: " in pilot.cli("positions", "close", "bigger", token, "--yes")
        until("closed", lambda: [p["portfolio"] for p in pilot.export("positions") if p["shares_micro"]] == ["main"])
        pilot.cli("portfolio", "follow", "nobody", WALLET)
        until("it copies him", lambda: pilot.logged("portfolio copies others"))
        pilot.cli("portfolio", "archive", "bigger")
        pilot.cli("portfolio", "archive", "main", code=1)
        until("archived", lambda: pilot.logged("portfolio archived"))
        stand.fill(token, "BUY", 1000)
        pilot.fills(7)
        assert [d["portfolio"] for d in pilot.export("decisions")[-2:]] == ["main", "nobody"]
        assert len(pilot.export("decisions")) == 7
        listed = {p["name"]: p for p in json.loads(pilot.cli("portfolio", "list", "--json"))}
        assert [listed[n]["status"] for n in ("main", "bigger", "nobody")] == ["active", "archived", "active"]
        assert listed["nobody"]["bankroll_micro"] == usd(50)
        pilot.stop()
        pilot.start()
        assert len(pilot.export("decisions")) == 7
        pilot.verify()
