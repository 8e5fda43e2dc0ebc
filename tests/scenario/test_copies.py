"""Promises 10 to 15: holdings, proportional sells, catch-up, modes, reorgs, reset."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rig import WALLET, WALLET_2, Pilot, rig, until

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
Saw = Callable[[str], None]
NEVER = 3600
MICRO = 1_000_000


def usd(amount: float) -> int:
    return round(amount * MICRO)


def move(kind: str, condition: str, amount: float, n: int) -> dict[str, Any]:
    """An activity row that changes holdings without a trade."""
    return {
        "type": kind, "proxy_wallet": WALLET, "transaction_hash": f"0x{n:064x}", "condition_id": condition,
        "token_id": "", "side": "", "usdc_size": amount, "outcome": "", "outcome_index": 999, "title": "", "slug": "",
        "icon": "", "event_slug": "",
    }  # fmt: skip


# -- 10, 11: holdings and proportional sells -------------------------------------------------------------------


def test_holdings_begin_with_what_he_held_and_follow_every_trade(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, fixed_usdc=25) as (stand, pilot):
        token, other = stand.market(), stand.market()
        stand.post("/holdings", wallet=WALLET, holdings={token: 1000, other: 0.05})
        pilot.start()
        pilot.follow()
        until("the bootstrap", lambda: pilot.leader_holds(token) == usd(1000))
        assert pilot.leader_holds(other) == 50_000
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        pilot.cli("leaders", "pause", WALLET)
        until("paused", lambda: pilot.logged("leader changed"))
        stand.fill(token, "BUY", 400)
        until("skipped", lambda: pilot.reasons() == ["COPY", "SKIP_PAUSED"])
        pilot.cli("leaders", "resume", WALLET)
        until("resumed", lambda: len(pilot.logged("leader changed")) == 2)
        stand.fill(token, "SELL", 750, 0.49)
        pilot.fills(2)
        sell = pilot.export("trades")[-1]
        causes = {a["cause"] for a in pilot.export("adjustments")}
        saw(f"1000 held before + 100 + 400 skipped = {sell['leader_pre_sell_shares_micro'] // MICRO} before his sell of"
            f" 750; we sold {pilot.export('fills')[1]['shares_micro'] / MICRO} of 50; causes {causes}")  # fmt: skip
        assert sell["leader_pre_sell_shares_micro"] == usd(1500)
        assert pilot.held()[token] == usd(25)
        assert causes == {"bootstrap"}
        pilot.verify()


def test_sell_ratios_l_100_p_30_s_50_gives_15_and_so_on(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, fixed_usdc=15) as (stand, pilot):
        a, b = stand.market(), stand.market()
        stand.post("/holdings", wallet=WALLET, holdings={a: 40})
        pilot.start()
        pilot.follow()
        pilot.follow(WALLET_2)
        until("the bootstrap", lambda: pilot.leader_holds(a) == usd(40))
        stand.fill(a, "BUY", 60)
        pilot.fills(1)
        stand.fill(a, "BUY", 5, wallet=WALLET_2)
        pilot.fills(2)

        def mine(leader: str) -> int:
            rows = pilot.export("positions")
            return sum(p["shares_micro"] for p in rows if p["leader"] == leader and p["token_id"] == a)

        assert (mine(WALLET), mine(WALLET_2)) == (usd(30), usd(30))
        stand.fill(a, "SELL", 50, 0.49)
        pilot.fills(3)
        assert (mine(WALLET), mine(WALLET_2)) == (usd(15), usd(30))
        stand.fill(a, "SELL", 25, 0.49)
        stand.fill(a, "SELL", 12.5, 0.49)
        pilot.fills(5)
        assert mine(WALLET) == usd(3.75)
        stand.fill(a, "SELL", 99, 0.49)
        pilot.fills(6)
        assert (mine(WALLET), mine(WALLET_2)) == (0, usd(30))
        stand.fill(b, "BUY", 33.333333, 0.5)
        pilot.fills(7)
        stand.fill(b, "SELL", 11.111111, 0.49)
        left = until("the third is sold", lambda: pilot.held().get(b) if len(pilot.export("fills")) == 8 else None)
        sold = [f["shares_micro"] for f in pilot.export("fills") if f["side"] == "SELL"]
        saw(f"sold {[s / MICRO for s in sold]}; of 30 a third leaves {left / MICRO if left else None}")
        assert sold[0] == usd(15)
        assert left == 30_000_000 - 30_000_000 * 11_111_111 // 33_333_333
        pilot.verify()


def test_an_exit_by_merge_is_copied_and_a_split_is_only_a_correction(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path) as (stand, pilot):
        listed = stand.post("/markets")
        (token, opposite), condition = listed["tokens"], listed["condition_id"]
        stand.book(token, bids=[(0.49, 100_000)], asks=[(0.50, 100_000)])
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        time.sleep(11)  # a snapshot this close to a trade would be doubted; that is another scenario
        stand.post("/rows", row=move("SPLIT", condition, 40, 901), moves={token: 40, opposite: 40})
        until("the split", lambda: pilot.leader_holds(token) == usd(140))
        assert pilot.leader_holds(opposite) == usd(40)
        assert pilot.held() == {token: usd(50)}
        stand.post("/rows", row=move("MERGE", condition, 40, 902), moves={token: -40, opposite: -40})
        until("the merge", lambda: pilot.leader_holds(token) == usd(100))
        fill = pilot.fills(2)[1]
        adjustments = pilot.export("adjustments")
        decision = pilot.export("decisions")[-1]
        saw(f"{[(a['cause'], a['delta_micro'] // MICRO) for a in adjustments]}; we sold {fill['shares_micro'] / MICRO}"
            f" of 50, decision on adjustment {decision['adjustment_id']}")  # fmt: skip
        assert fill["shares_micro"] == 50_000_000 * 40 // 140
        assert (decision["trade_id"], decision["action"]) == (None, "copy")
        assert decision["adjustment_id"] in {a["id"] for a in adjustments if a["cause"] == "MERGE"}
        assert {a["cause"] for a in adjustments} == {"SPLIT", "MERGE"}
        assert len(pilot.export("trades")) == 1
        pilot.stop()
        pilot.verify()


def test_an_unseen_change_is_corrected_only_after_two_snapshots_agree(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, reconcile_interval_sec=5) as (stand, pilot):
        token = stand.market()
        stand.post("/holdings", wallet=WALLET, holdings={token: 1000})
        pilot.start()
        pilot.follow()
        until("the bootstrap", lambda: pilot.leader_holds(token) == usd(1000))
        began = time.monotonic()
        stand.post("/holdings", wallet=WALLET, holdings={token: 600})
        until("the correction", lambda: pilot.leader_holds(token) == usd(600))
        took = time.monotonic() - began
        last = pilot.export("adjustments")[-1]
        saw(f"a transfer of 400 was corrected after {took:.0f} s with cause {last['cause']}")
        assert took > 4
        assert (last["cause"], last["delta_micro"]) == ("reconciled", usd(-400))


# -- 12: catch-up ----------------------------------------------------------------------------------------------


def test_after_downtime_missed_trades_come_through_the_cursor_and_obey_the_catch_up_rules(
    tmp_path: Path, saw: Saw
) -> None:
    """The limits are scaled down from minutes to seconds: live up to 1 s, BUYs up to 9 s."""
    with rig(tmp_path, max_live_lag_sec=1, catch_up_buy_max_age_sec=9) as (stand, pilot):
        held, better, worse, old = (stand.market() for _ in range(4))
        pilot.start()
        pilot.follow()
        stand.fill(held, "BUY", 100)
        stand.fill(old, "BUY", 77)
        pilot.fills(2)
        pilot.kill()
        stand.fill(old, "BUY", 100, 0.60, api_delay=0)
        stand.fill(held, "SELL", 50, 0.49, api_delay=0)
        time.sleep(9.5)  # the downtime
        stand.fill(better, "BUY", 100, 0.51, api_delay=0)
        stand.fill(worse, "BUY", 100, 0.495, api_delay=0)
        time.sleep(1.1)
        pilot.start()
        pilot.trades(6)
        pilot.decided("COPY", "COPY", "SKIP_CATCHUP_TOO_OLD", "COPY", "COPY", "SKIP_CATCHUP_WORSE_PRICE")
        pilot.fills(4)
        trades = pilot.export("trades")[2:]
        saw(f"{[t['class'] for t in trades]} from {[t['first_source'] for t in trades]}; "
            f"{dict(zip([t['side'] for t in trades], pilot.reasons()[2:], strict=True))}")  # fmt: skip
        assert {t["class"] for t in trades} == {"catch-up"}
        assert {t["first_source"] for t in trades} == {"api"}
        assert pilot.held() == {held: usd(25), old: usd(50), better: usd(50)}
        pilot.stop()
        pilot.verify()


def test_a_pending_intent_is_decided_anew_after_a_restart(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, order_latency_ms=4000, max_live_lag_sec=2, catch_up_buy_max_age_sec=5) as (stand, pilot):
        soon, late = stand.market(), stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(late, "BUY", 100, 0.50)
        until("an intent is pending", lambda: [i["state"] for i in pilot.export("intents")] == ["pending"])
        pilot.kill()
        time.sleep(5.5)  # the downtime
        pilot.start()
        until("cancelled", lambda: pilot.export("intents")[0]["reason"] == "CANCELLED_TOO_OLD")
        pilot.cli("settings", "set", "catch_up_buy_max_age_sec", "300")
        stand.fill(soon, "BUY", 100, 0.50)
        until("the next is pending", lambda: len(pilot.export("intents")) == 2)
        pilot.kill()
        pilot.start()
        (fill,) = pilot.fills(1)
        saw(f"intents {[(i['state'], i['reason']) for i in pilot.export('intents')]}")
        assert fill["token_id"] == soon
        assert len(pilot.export("decisions")) == 2
        pilot.verify()


# -- 13: modes -------------------------------------------------------------------------------------------------


def down(pilot: Pilot, source: str) -> None:
    until(f"{source} is down", lambda: not pilot.status()["worker"][source]["healthy"])


def up(pilot: Pilot, source: str) -> None:
    until(f"{source} is up", lambda: pilot.status()["worker"][source]["healthy"])


@pytest.mark.parametrize(
    ("mode", "strict", "ill", "buy", "sell"),
    [
        ("both", "false", "polygon", "COPY", "COPY"),
        ("both", "false", "api", "COPY", "COPY"),
        ("both", "true", "polygon", "SKIP_POLYGON_UNHEALTHY", "WAIT_POLYGON_UNHEALTHY"),
        ("both", "true", "api", "SKIP_API_UNHEALTHY", "WAIT_API_UNHEALTHY"),
        ("polygon", "false", "polygon", "SKIP_POLYGON_UNHEALTHY", "WAIT_POLYGON_UNHEALTHY"),
        ("polygon", "false", "api", "COPY", "COPY"),
    ],
)
def test_each_mode_while_a_source_is_down(
    tmp_path: Path, saw: Saw, mode: str, strict: str, ill: str, buy: str, sell: str
) -> None:
    with rig(
        tmp_path, trigger_mode=mode, strict_both=strict, polygon_health_stale_ms=3000, api_health_stale_ms=1500,
        max_live_lag_sec=60,
    ) as (stand, pilot):  # fmt: skip
        held, fresh = stand.market(), stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(held, "BUY", 100)
        pilot.fills(1)
        if ill == "polygon":
            stand.post("/rpc", action="refuse", seconds=NEVER)
        else:
            stand.post("/faults", service="data", mode="status", status=503)
        down(pilot, ill)
        stand.fill(fresh, "BUY", 100)
        stand.fill(held, "SELL", 50, 0.49)
        pilot.trades(3)
        until("decided", lambda: pilot.reasons()[1] == buy and pilot.reasons()[2] in (sell, "COPY"))
        while_down = pilot.reasons()[1:]
        assert while_down == [buy, sell]
        if ill == "polygon":
            stand.post("/rpc", action="refuse", seconds=0)
        else:
            stand.post("/faults", service="data", mode="off")
        up(pilot, ill)
        pilot.decided("COPY", buy, "COPY")
        until("half is sold", lambda: pilot.held()[held] == usd(25))
        saw(f"{mode}{' strict' if strict == 'true' else ''}, {ill} down: BUY {while_down[0]}, SELL {while_down[1]}; "
            "when back the SELL ran")  # fmt: skip
        assert (fresh in pilot.held()) == (buy == "COPY")
        pilot.verify()


# -- 14: reorgs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("again", [True, False])
def test_a_reorg_retracts_the_trade_and_the_books_end_as_they_should(
    tmp_path: Path, saw: Saw, when: str, again: bool
) -> None:
    with rig(tmp_path, order_latency_ms=2500 if when == "before" else 0) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        tx = stand.fill(token, "BUY", 100, api_delay=NEVER)
        pilot.trades(1)
        if when == "after":
            pilot.fills(1)
        stand.post("/reorgs", tx_hash=tx["tx_hash"], remine_after=1.0 if again else None)
        until("retracted", lambda: pilot.export("trades")[0]["status"] == "retracted")
        if again:
            until("mined again", lambda: pilot.export("trades")[0]["status"] == "active")
            if when == "before":
                pilot.fills(1)
        elif when == "after":
            pilot.fills(2)
        until("nothing is pending", lambda: again or when == "before"
              or not [i for i in pilot.export("intents") if i["state"] in ("pending", "working")])  # fmt: skip
        fills = [(f["side"], f["status"]) for f in pilot.export("fills")]
        block = pilot.export("trades")[0]["block_number"]
        ours, his = pilot.held().get(token, 0), pilot.leader_holds(token)
        saw(f"removed {when} our fill, {'mined again' if again else 'for good'}: leader holds {his // MICRO},"
            f" we hold {ours // MICRO}, fills {fills}")  # fmt: skip
        assert len(pilot.export("trades")) == 1
        assert pilot.leader_holds(token) == (usd(100) if again else 0)
        if again:
            assert block > tx["block"]
            assert fills == [("BUY", "ok")]
            assert ours == usd(50)
        else:
            assert pilot.held() == {}
            assert fills == ([("BUY", "orphaned"), ("SELL", "ok")] if when == "after" else [])
        pilot.verify()


# -- 15: reset -------------------------------------------------------------------------------------------------


def post(url: str, token: str | None, body: Any = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body or {}).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def test_a_reset_needs_the_admin_token_wipes_paper_and_keeps_the_rest(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, admin_token="only-the-admin") as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        pilot.cli("settings", "set", "fixed_usdc", "30")
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        address = pilot.start_web()
        for wrong in (None, "guess"):
            code, problem = post(f"{address}/api/v1/admin/reset", wrong)
            assert (code, problem["status"]) == (401, 401)
        assert len(pilot.export("fills")) == 1
        code, done = post(f"{address}/api/v1/admin/reset", "only-the-admin")
        assert (code, done["status"]) == (200, "done")
        for kind in ("positions", "intents", "fills", "ledger"):
            assert pilot.export(kind) == [], kind
        state = pilot.status()
        assert [p["equity_micro"] for p in state["portfolios"]] == [usd(10_000)]
        assert len(pilot.export("trades")) == len(state["leaders"]) == 1
        assert pilot.cli("settings", "get", "fixed_usdc").strip() == "30"
        assert pilot.leader_holds(token) == usd(100)
        stand.fill(token, "BUY", 100)
        (fill,) = pilot.fills(1)
        assert fill["usdc_micro"] == usd(30)
        pilot.cli("reset", "--yes")
        assert pilot.export("fills") == []
        saw(f"refused without the token; REST and terminal wiped; next fill has id {fill['id']} and spends 30")
        pilot.stop()
        pilot.cli("reset", "--yes")
        pilot.verify()
