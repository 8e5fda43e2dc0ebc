"""Promises 4 to 9: Polygon without scans, reconnecting, one trade, latency, API lag, the targeted look-up."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.rig import WALLET, WALLET_2, Pilot, rig, until

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
Saw = Callable[[str], None]
NEVER = 3600


def chain(pilot: Pilot) -> dict[str, Any]:
    state: dict[str, Any] = pilot.status()["worker"]["polygon"]
    return state


def by_both(pilot: Pilot) -> int:
    """Trades that both sources have seen."""
    return sum(bool(t["first_seen_by_api_at"] and t["first_seen_by_polygon_at"]) for t in pilot.export("trades"))


def test_thirty_minutes_with_three_leaders_need_no_scan_and_only_filtered_subscriptions(
    tmp_path: Path, saw: Saw
) -> None:
    """Thirty minutes of the story: 900 blocks, forty times as fast; so fast that the times of blocks, which logs do not
    tell here, are delivered instead of asked for."""
    fast = {"poll_interval_ms": 250, "polygon_heartbeat_sec": 0}
    with rig(tmp_path, "--seed", "3", "--paused", "--speed", "40", **fast) as (stand, pilot):
        wallets = [x["wallet"] for x in stand.get("")["leaders"]][:3]
        for wallet in wallets:
            pilot.cli("leaders", "add", wallet)
        pilot.start()
        before = stand.get("/requests")["delivered_logs"]
        first = stand.get("/truth")["block"]
        stand.post("/resume")
        until("900 blocks", lambda: stand.get("/truth")["block"] >= first + 900, 90)
        stand.post("/pause")
        query = "&".join(f"wallet={w}" for w in wallets)
        until("settled", lambda: stand.get(f"/truth?{query}")["settled"])
        truth, asked = stand.get(f"/truth?{query}"), stand.get("/requests")
        until("all trades", lambda: len(pilot.export("trades")) == truth["trades"])
        methods = asked["rpc_methods"]
        saw(f"{truth['trades']} trades in 900 blocks; JSON-RPC {methods}; {truth['own_logs']} own logs, "
            f"{truth['counterparty_logs']} counterparty legs")  # fmt: skip
        assert set(methods) <= {"eth_chainId", "eth_subscribe", "eth_unsubscribe", "eth_getBlockByNumber"}
        assert truth["own_logs"] == truth["trades"] > 300
        assert asked["delivered_logs"] - before == truth["own_logs"] + truth["counterparty_logs"]
        assert len(asked["subscriptions"]) == 2
        for subscription in asked["subscriptions"]:
            slots = subscription["topics"]
            assert len(slots[2] or slots[3]) == 3
        worker = pilot.status()["worker"]
        assert worker["api"]["throttled"] == 0
        assert worker["polygon"]["counterparty_logs"] == truth["counterparty_logs"]


def test_the_taker_topic_subscription_can_be_switched_off(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, polygon_taker_topic="false") as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        subscriptions = stand.get("/requests")["subscriptions"]
        saw(f"{len(subscriptions)} subscription")
        assert [s["topics"][3] for s in subscriptions] == [None]
        stand.fill(token, "BUY", 10, role="maker")
        assert pilot.trades(1)[0]["first_source"] == "polygon"


def test_above_a_number_of_wallets_all_fills_come_and_the_leaders_are_picked_here(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, polygon_unfiltered_above=1) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        assert not chain(pilot)["unfiltered"]
        pilot.follow(WALLET_2)
        until("no filter", lambda: chain(pilot)["unfiltered"])
        stand.fill(token, "BUY", 10, wallet="0x" + "ee" * 20, chain_delay=0)
        stand.fill(token, "BUY", 20, wallet=WALLET_2, chain_delay=0, api_delay=NEVER)
        (trade,) = pilot.trades(1)
        assert (trade["leader"], trade["first_source"]) == (WALLET_2, "polygon")
        until("the others are counted", lambda: chain(pilot)["logs"] >= 3)
        page = urllib.request.urlopen(f"{pilot.start_web()}/metrics", timeout=10).read().decode()
        assert "pilotfish_logs_unfiltered 1.0" in page
        assert "pilotfish_leaders_polled 2.0" in page
        checks = {x["name"]: x for x in json.loads(pilot.cli("doctor", "--json", code=None))["checks"]}
        saw(f"{checks['Polygon']['detail']}; {chain(pilot)['logs']} logs, one of them a leader's")
        assert "no wallet filter" in checks["Polygon"]["detail"]
        assert "no wallet filter" in pilot.cli("status")
        pilot.cli("leaders", "remove", WALLET_2)
        pilot.cli("leaders", "remove", WALLET)
        until("filters again", lambda: not chain(pilot)["unfiltered"])


@pytest.mark.parametrize("fault", ["drop", "refuse", "mute", "subscribe_error"])
def test_a_lost_connection_comes_back_and_the_gap_is_filled_through_the_api(
    tmp_path: Path, saw: Saw, fault: str
) -> None:
    with rig(tmp_path, polygon_health_stale_ms=3000) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        if fault == "subscribe_error":
            stand.post("/faults", service="rpc:eth_subscribe", mode="status", seconds=3)
        action = "drop" if fault == "subscribe_error" else fault
        stand.post("/rpc", action=action, seconds=3)
        stand.fill(token, "BUY", 100, chain_delay=0)
        until("it is noticed", lambda: not chain(pilot)["healthy"] or chain(pilot)["reconnects"])
        missed = pilot.trades(1)[0]
        until("connected again", lambda: chain(pilot)["healthy"] and chain(pilot)["watched"] == 1)
        stand.fill(token, "BUY", 50, api_delay=NEVER)
        after = pilot.trades(2)[1]
        saw(f"{fault}: {chain(pilot)['reconnects']} reconnects; missed trade from {missed['first_source']}, "
            f"next one from {after['first_source']}")  # fmt: skip
        assert missed["first_source"] == "api" or fault == "drop"
        assert after["first_source"] == "polygon"
        assert [t["shares_micro"] for t in pilot.export("trades")] == [100_000_000, 50_000_000]


def test_a_subscription_that_was_silently_lost_is_noticed_by_the_log_that_is_missing(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, polygon_gap_grace_ms=2000) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        time.sleep(1.1)  # block times are whole seconds: the fill must be later than the chain's first good health
        stand.post("/rpc", action="forget")
        stand.fill(token, "BUY", 100)
        assert pilot.trades(1)[0]["first_source"] == "api"
        until("a missing log is noticed", lambda: pilot.logged("a log is missing"))
        until("subscribed anew", lambda: len(stand.get("/requests")["subscriptions"]) == 2)
        until("healthy", lambda: chain(pilot)["watched"] == 1)
        stand.fill(token, "BUY", 50, api_delay=NEVER)
        assert pilot.trades(2)[1]["first_source"] == "polygon"
        saw(pilot.logged("a log is missing")[0]["detail"][:60] + "…; then subscribed anew")


def test_a_quiet_leader_is_not_ill(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, polygon_health_stale_ms=3000, api_health_stale_ms=3000) as (_, pilot):
        pilot.start()
        pilot.follow()
        time.sleep(5)  # silence is the subject of this test
        worker = pilot.status()["worker"]
        saw(f"after 5 s without a log: {worker['polygon']['detail']}; {worker['api']['detail']}")
        assert worker["polygon"]["healthy"]
        assert worker["api"]["healthy"]
        assert worker["polygon"]["reconnects"] == 0
        assert worker["polygon"]["last_log_at"] is None


CASES: dict[str, dict[str, Any]] = {
    "API first": {"chain_delay": 3, "api_delay": 0},
    "chain first": {"chain_delay": 0, "api_delay": 2},
    "both at once": {"chain_delay": 0.5, "api_delay": 0.5},
    "two identical fills in one transaction": {"role": "maker", "count": 2},
    "five identical fills in one transaction": {"role": "maker", "count": 5},
    "a taker with a fee": {"role": "taker"},
    "a mint": {"role": "maker", "match": "mint"},
    "a merge": {"role": "maker", "match": "merge", "side": "SELL"},
    "a mint as taker": {"role": "taker", "match": "mint"},
}


def test_a_trade_seen_twice_is_one_trade_in_every_order_and_shape(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        pilot.start()
        pilot.follow()
        expected = 0
        wanted: dict[str, tuple[str, int]] = {}
        for name, case in CASES.items():
            token = stand.market(fee_rate=0.05)
            body = {"side": "BUY", **case}
            tx = stand.fill(token, body.pop("side"), 12.345679, 0.50, **body)
            wanted[tx["tx_hash"]] = (name, int(case.get("count", 1)))
            expected += int(case.get("count", 1))
        until("everything is seen by both", lambda: by_both(pilot) == expected)
        trades = pilot.export("trades")
        assert len(trades) == expected
        for tx_hash, (name, count) in wanted.items():
            mine = [t for t in trades if t["tx_hash"] == tx_hash]
            assert [t["occurrence"] for t in mine] == list(range(1, count + 1)), name
            assert {t["shares_micro"] for t in mine} == {12_345_679}, name
            assert len({t["log_index"] for t in mine}) == count, name
        first = {name: next(t["first_source"] for t in trades if t["tx_hash"] == h) for h, (name, _) in wanted.items()}
        saw(f"{len(wanted)} shapes, {expected} fills, {len(trades)} trades; first: {first['API first']}, "
            f"{first['chain first']}")  # fmt: skip
        assert (first["API first"], first["chain first"]) == ("api", "polygon")
        assert len(pilot.export("decisions")) == expected
        taker = next(t for t in trades if wanted[t["tx_hash"]][0] == "a taker with a fee")
        assert taker["fee_micro"] > 0
        assert taker["usdc_micro"] == 6_172_840  # 12.345679 × 0.50, without the fee


def test_one_of_two_identical_fills_that_comes_late_is_a_second_trade(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, trigger_mode="api") as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        tx = stand.fill(token, "BUY", 5, role="maker", chain_delay=None, api_delay=0)
        pilot.trades(1)
        stand.post("/rows", row=tx["rows"][0])
        pilot.trades(2)
        time.sleep(1)  # some more polls must not make a third
        occurrences = [t["occurrence"] for t in pilot.export("trades")]
        saw(f"occurrences {occurrences}")
        assert occurrences == [1, 2]


def test_fills_on_all_three_exchanges_are_seen_on_chain(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, "--seed", "3", "--paused", max_spread_bps=10000) as (stand, pilot):
        markets = stand.get("")["markets"]
        pilot.start()
        pilot.follow()
        for market in markets:
            stand.fill(market["tokens"][0], "BUY", 10, 0.4, api_delay=NEVER)
        trades = pilot.trades(len(markets))
        exchanges = {t["exchange"] for t in trades}
        saw(f"{len(trades)} trades through {len(exchanges)} exchanges")
        assert len(exchanges) == 3


def test_two_leaders_trading_with_each_other_are_two_trades(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        pilot.follow(WALLET_2)
        stand.fill(token, "BUY", 10, role="maker", counterparty=WALLET_2)
        until("both seen by both", lambda: by_both(pilot) == 2)
        trades = pilot.export("trades")
        got = sorted((t["leader"], t["side"], t["role"]) for t in trades)
        saw(str([(side, role) for _, side, role in got]))
        assert got == [(WALLET, "BUY", "maker"), (WALLET_2, "SELL", "taker")]
        assert len({t["tx_hash"] for t in trades}) == 1


def test_latency_is_on_each_trade_and_its_distribution_in_status_command_and_export(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        for n in range(4):
            stand.fill(token, "BUY", 10 + n, chain_delay=0, api_delay=1.5)
        stand.fill(token, "BUY", 20, chain_delay=2.5, api_delay=0)
        until("all five seen by both", lambda: pilot.status()["latency"]["seen_by_both"] == 5)
        figures = json.loads(pilot.cli("latency", "--json"))
        rows = pilot.export("latency")
        saw(f"p50 {figures['api_behind_chain_ms']['p50']} ms, chain first {figures['chain_first']}, API first "
            f"{figures['api_first']}")  # fmt: skip
        assert (figures["chain_first"], figures["api_first"]) == (4, 1)
        assert 1000 <= figures["api_behind_chain_ms"]["p50"] <= 3500
        assert sum(b["trades"] for b in figures["histogram"]) == 5
        assert sorted(r["api_behind_polygon_ms"] > 0 for r in rows) == [False, True, True, True, True]
        assert pilot.status()["latency"] == figures


def test_with_a_lagging_api_the_chain_copies_and_the_api_only_marks_its_sighting(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, simulate_api_lag="true", api_lag_fallback_ms=2000) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100, api_delay=0)
        pilot.fills(1)
        until("the API marks it", lambda: pilot.export("trades")[0]["first_seen_by_api_at"])
        (trade,) = pilot.export("trades")
        (row,) = pilot.export("latency")
        saw(f"copied before the API; the API {row['api_behind_polygon_ms']} ms later; api_lagged {row['api_lagged']}")
        assert row["api_lagged"] is True
        assert row["api_behind_polygon_ms"] > 3000
        assert pilot.export("fills")[0]["filled_at"] < trade["first_seen_by_api_at"]
        assert len(pilot.export("fills")) == len(pilot.export("decisions")) == 1
        assert trade["first_source"] == "polygon"


def test_who_wants_the_apis_fields_first_waits_for_them_within_a_bound(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, wait_for_api="true", api_lag_fallback_ms=4000) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100, api_delay=1.5)
        pilot.decided("COPY")
        (row,) = pilot.export("latency")
        (trade,) = pilot.export("trades")
        decided = pilot.export("decisions")[0]["decided_at"]
        assert decided >= trade["first_seen_by_api_at"]
        stand.fill(token, "BUY", 50, api_delay=NEVER)
        pilot.decided("COPY", "COPY")
        seen, done = pilot.export("trades")[1]["first_seen_by_polygon_at"], pilot.export("decisions")[1]["decided_at"]
        waited = (datetime.fromisoformat(done) - datetime.fromisoformat(seen)).total_seconds()
        saw(f"with the API after {row['api_behind_polygon_ms']} ms; without it after {waited:.1f} s")
        assert waited >= 4, "as long as it may be late, and then without it"


def test_a_log_without_data_leads_to_exactly_one_receipt(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.post("/rpc", action="strip_data", count=1)
        stand.fill(token, "BUY", 13.5, api_delay=NEVER, role="maker")
        (trade,) = pilot.trades(1)
        assert (trade["first_source"], trade["shares_micro"]) == ("polygon", 13_500_000)
        receipts = stand.get("/requests")["rpc_methods"]["eth_getTransactionReceipt"]
        stand.post("/rpc", action="strip_data", count=1)
        stand.post("/faults", service="rpc:eth_getTransactionReceipt", mode="status", seconds=30)
        stand.fill(token, "BUY", 7, api_delay=2, role="maker")
        failed = pilot.trades(2)[1]
        methods = stand.get("/requests")["rpc_methods"]
        said = pilot.logged("input cannot be used; it is kept under bad inputs")
        saw(f"{receipts} receipt for the first; after a failed look-up the trade came from {failed['first_source']}")
        assert receipts == 1
        assert failed["first_source"] == "api"
        assert "left to the API" in said[0]["error"]
        assert "eth_getLogs" not in methods
