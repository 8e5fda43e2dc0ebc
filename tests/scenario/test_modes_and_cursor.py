"""Promises 1 to 3: the effective mode, no phantom positions, the cursor."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.rig import WALLET, Pilot, Stand, rig, until

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
Saw = Callable[[str], None]


def sockets(stand: Stand) -> int:
    return int(stand.get("/requests")["sockets"])


def raw_rows(pilot: Pilot) -> int:
    with sqlite3.connect(pilot.folder / "pilotfish.db") as c:
        return int(c.execute("SELECT count(*) FROM trade_raw").fetchone()[0])


def activity_row(token: str, n: int, timestamp: int) -> dict[str, Any]:
    return {
        "type": "TRADE", "proxy_wallet": WALLET, "timestamp": timestamp, "transaction_hash": f"0x{n:064x}",
        "is_combo": False, "condition_id": "0x" + "12" * 32, "token_id": token, "side": "BUY", "size": 1.0 + n / 1000,
        "usdc_size": 0.5, "price": 0.5, "outcome": "Yes", "outcome_index": 0, "title": "", "slug": "", "icon": "",
        "event_slug": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("env", "dashboard", "effective", "source"),
    [(None, None, "both", "default"), ("api", None, "api", "environment"), ("api", "polygon", "polygon", "dashboard"),
     (None, "api", "api", "dashboard")],
)  # fmt: skip
def test_the_log_at_start_shows_environment_dashboard_and_effective_mode(
    tmp_path: Path, saw: Saw, env: str | None, dashboard: str | None, effective: str, source: str
) -> None:
    with rig(tmp_path, **({"trigger_mode": env} if env else {})) as (_, pilot):
        if dashboard:
            pilot.cli("settings", "set", "trigger_mode", dashboard)
        pilot.start()
        (line,) = pilot.logged("trigger mode")
        got = {k: line[k] for k in ("envTriggerMode", "dbTriggerMode", "effectiveTriggerMode", "source")}
        saw(str(got))
        assert got == {
            "envTriggerMode": env, "dbTriggerMode": dashboard, "effectiveTriggerMode": effective, "source": source,
        }  # fmt: skip
        conflict = env is not None and dashboard is not None
        assert bool(pilot.logged("TRIGGER_MODE in the environment is overridden by the dashboard")) == conflict
        assert pilot.status()["mode"]["effectiveTriggerMode"] == effective


def test_changing_the_mode_starts_and_stops_the_right_feeds_without_a_restart(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, trigger_mode="api") as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        assert sockets(stand) == 0
        pilot.cli("settings", "set", "trigger_mode", "both")
        until("the chain is connected", lambda: sockets(stand) == 1)
        until("it is healthy", lambda: pilot.status()["worker"]["polygon"]["watched"] == 1)
        stand.fill(token, "BUY", 100, api_delay=30)
        assert pilot.trades(1)[0]["first_source"] == "polygon"
        pilot.cli("settings", "set", "trigger_mode", "api")
        until("the chain is left", lambda: sockets(stand) == 0)
        stand.fill(token, "BUY", 50)
        assert pilot.trades(2)[1]["first_source"] == "api"
        changes = [line["effectiveTriggerMode"] for line in pilot.logged("trigger mode changed")]
        saw(f"mode api → {' → '.join(changes)}; sockets 0 → 1 → 0; each mode's trades came through its source")
        assert changes == ["both", "api"]


def test_history_is_stored_as_backfill_and_never_becomes_a_position(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, startup_mode="warm", warm_start_seconds=900) as (stand, pilot):
        token = stand.market()
        now = int(time.time())
        old = [activity_row(token, n, now - 850 + 2 * n) for n in range(300)]
        ancient = [activity_row(token, 1000 + n, now - 1000 - n) for n in range(50)]
        stand.post("/rows", rows=old + ancient)
        pilot.start()
        pilot.follow()
        pilot.trades(300)
        until("all decided", lambda: len(pilot.export("decisions")) == 300)
        stand.fill(token, "BUY", 10)
        pilot.trades(301)
        pilot.fills(1)
        pilot.stop()
        pilot.start()
        trades = pilot.export("trades")
        backfill = [t for t in trades if t["is_backfill"]]
        saw(f"{len(backfill)} backfill trades, {len(pilot.export('intents'))} intent, after a restart still so")
        assert len(backfill) == 300
        assert {t["class"] for t in backfill} == {"backfill"}
        assert pilot.reasons() == ["SKIP_BACKFILL"] * 300 + ["COPY"]
        assert len(pilot.export("intents")) == len(pilot.export("fills")) == 1
        assert pilot.held() == {token: 50_000_000}
        truth = stand.get("/truth?wallet=" + WALLET)["holdings"][WALLET][token]
        assert pilot.leader_holds(token) == truth
        pilot.stop()
        pilot.verify()


def starts(stand: Stand) -> list[int]:
    recent = stand.get("/recent?service=data&limit=2000")
    return [int(r["query"]["start"]) for r in recent if r["path"] == "/v2/activity"]


def cursor(pilot: Pilot) -> int:
    state = pilot.status()["leaders"][0]["api_cursor_ts"]
    assert isinstance(state, int)
    return state


def test_a_flat_cursor_starts_now_and_ends_one_second_after_the_newest_row(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, poll_overlap_sec=5) as (stand, pilot):
        token = stand.market()
        before = int(time.time())
        pilot.start()
        pilot.follow()
        first = starts(stand)
        assert min(first) >= before
        assert before <= cursor(pilot) <= int(time.time())
        until("the second after the start", lambda: int(time.time()) > min(first))
        stand.fill(token, "BUY", 100)
        (trade,) = pilot.trades(1)
        traded = int(datetime.fromisoformat(trade["traded_at"]).timestamp())
        until("the cursor is there", lambda: cursor(pilot) == traded + 1)
        rows = raw_rows(pilot)
        seen = len(starts(stand))
        until("some more polls", lambda: len(starts(stand)) >= seen + 6)
        steady = starts(stand)[seen + 1 :]
        saw(f"first start {min(first) - before} s after now, cursor trade + 1 s, steady start cursor − "
            f"{traded + 1 - steady[-1]} s, {rows} raw row after {len(steady)} repeats")  # fmt: skip
        assert set(steady) == {max(traded + 1 - 5, min(first))}
        assert raw_rows(pilot) == rows == 1
        stand.post("/rows", row=activity_row(token, 77, traded - 1))
        pilot.trades(2)
        assert cursor(pilot) == traded + 1


def test_pages_are_read_to_the_end_and_same_second_rows_at_a_page_boundary_are_not_lost(
    tmp_path: Path, saw: Saw
) -> None:
    with rig(tmp_path, startup_mode="warm", warm_start_seconds=600) as (stand, pilot):
        token = stand.market()
        now = int(time.time())
        stand.post("/rows", rows=[activity_row(token, n, now - 300 + n // 400) for n in range(1300)])
        pilot.start()
        pilot.follow()
        pilot.trades(1300)
        asked = [r["query"] for r in stand.get("/recent?service=data&limit=2000") if r["path"] == "/v2/activity"]
        pages = {int(q["start"]) for q in asked} & set(range(now - 300, now - 296))
        saw(f"1300 rows, 400 a second, pages of 500: {len(pilot.export('trades'))} trades")
        assert len(pages) == 2
        assert len(pilot.export("trades")) == 1300
        assert [t["traded_at"] for t in pilot.export("trades")] == sorted(
            t["traded_at"] for t in pilot.export("trades")
        )


def test_v1_is_used_while_v2_answers_404_and_the_health_report_says_so(tmp_path: Path, saw: Saw) -> None:
    with rig(tmp_path, startup_mode="warm", warm_start_seconds=600, trigger_mode="api") as (stand, pilot):
        token = stand.market()
        stand.post("/api", v1_only=True)
        now = int(time.time())
        stand.post("/rows", rows=[activity_row(token, n, now - 300 + n // 400) for n in range(900)])
        pilot.start()
        pilot.follow()
        pilot.trades(900)
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        api = pilot.status()["worker"]["api"]
        saw(f"901 trades through {api['version']}: {api['detail']}")
        assert api["version"] == "v1"
        assert api["healthy"]
        assert len(pilot.export("trades")) == 901
