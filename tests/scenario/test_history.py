"""What is missing of a leader's history, and what comes hours late, as a person meets it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.rig import WALLET, rig, until
from tests.scenario.test_bad_input import row

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
Saw = Callable[[str], None]


def test_a_gap_in_the_history_is_said_everywhere_survives_a_restart_and_closes(tmp_path: Path, saw: Saw) -> None:
    settings = {"trigger_mode": "api", "startup_mode": "warm", "warm_start_seconds": 900, "late_rows_interval_sec": 1}
    with rig(tmp_path, **settings) as (stand, pilot):
        token = stand.market()
        then = int(time.time()) - 600
        stand.post("/api", v1_only=True, wall=1000)
        stand.post("/rows", rows=[row(token, n, timestamp=then) for n in range(1205)])
        stand.post("/rows", rows=[row(token, 5000 + n, timestamp=then + 60 + n) for n in range(40)])
        pilot.start()
        pilot.follow()
        pilot.trades(1020)  # of the crowded second the pages before the wall, 500 and 480 new rows; and 40 later ones
        (gap,) = until("said", lambda: pilot.status()["incomplete"])
        saw(gap["told"])
        assert (gap["leader"], gap["from"][:19], gap["to"]) == (
            WALLET, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(then)), gap["from"],
        )  # fmt: skip
        assert gap["told"].startswith(f"history of {WALLET} incomplete between ")
        pilot.stop()
        assert gap["told"] in " ".join(pilot.cli("status", code=None).split())
        said = json.loads(pilot.cli("verify", "--json"))
        assert (said["verify"], said["incomplete"]) == ("ok", [gap])
        address = pilot.start_web()
        with urlopen(f"{address}/api/v1/status", timeout=10) as answer:
            assert json.load(answer)["incomplete"] == [gap]

        def shown(path: str) -> bool:
            with urlopen(f"{address}{path}", timeout=10) as answer:
                page = answer.read().decode()
                return "incomplete between" in page and f'<time datetime="{gap["from"]}" data-clock="second">' in page

        for path in ("/", "/trades", f"/leaders/{WALLET}"):
            until(f"said on {path}", partial(shown, path))
        pilot.start()
        assert pilot.status()["incomplete"] == [gap]
        assert len(pilot.export("trades")) < 1245
        stand.post("/api", wall=None)
        pilot.trades(1245)
        until("closed", lambda: pilot.status()["incomplete"] == [])
        assert len(pilot.export("trades")) == 1245
        pilot.verify()


def test_a_row_that_is_hours_late_is_recorded_and_its_sell_copied(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, trigger_mode="api", late_rows_interval_sec=2, poll_overlap_sec=0) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        sold = row(token, 77, side="SELL", size=100.0, price=0.49)
        stand.fill(token, "BUY", 1, 0.50)
        pilot.trades(2)
        stand.post("/rows", row=sold, visible_in=3)
        late = until("it is found", lambda: [t for t in pilot.export("trades") if t["side"] == "SELL"])[0]
        until("sold", lambda: [f for f in pilot.export("fills") if f["side"] == "SELL"])
        saw(f"traded {late['traded_at'][11:19]}, seen {late['first_seen_by_api_at'][11:19]}: {late['class']}")
        assert late["first_source"] == "api"
        pilot.verify()


def test_a_leader_who_cannot_be_polled_makes_the_api_ill_although_its_status_is_well(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, trigger_mode="api", api_health_stale_ms=1500) as (stand, pilot):
        pilot.start()
        pilot.follow()
        stand.post("/faults", service="data/v2/activity", mode="status", status=503)
        until("ill", lambda: not pilot.status()["worker"]["api"]["healthy"])
        said = pilot.status()["worker"]["api"]["detail"]
        saw(said[:120])
        assert WALLET in said
        stand.post("/faults", service="data/v2/activity", mode="off")
        until("well again", lambda: pilot.status()["worker"]["api"]["healthy"])


def test_a_price_that_no_number_holds_costs_its_row_only(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, trigger_mode="api") as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.post("/rows", rows=[row(token, 1, price="1e999999"), row(token, 2, size="9" * 5000), row(token, 3)])
        pilot.trades(1)
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        state = until("shown", lambda: s if (s := pilot.status())["bad_inputs"] == 2 else None)
        assert state is not None
        saw(state["newest_bad_inputs"][0]["error"])
        assert state["worker"]["api"]["healthy"]
        assert state["worker"]["faults"] == {}
