"""Following a leader again starts from now: what they did in between is never copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig import WALLET, Pilot, Stand, rig, until


def rows(pilot: Pilot) -> list[tuple[float, str]]:
    """(shares, reason) of every decision, in the order of the trades."""
    shares = {t["id"]: t["shares_micro"] / 1e6 for t in pilot.export("trades")}
    return [
        (shares[d["trade_id"]], d["reason"]) for d in sorted(pilot.export("decisions"), key=lambda d: d["trade_id"])
    ]


def left(pilot: Pilot) -> None:
    """Leave the leader, and wait until a running worker has."""
    pilot.cli("leaders", "remove", WALLET)
    until("left", lambda: pilot.logged("leader removed"))


def followed_again(pilot: Pilot) -> None:
    told = pilot.cli("leaders", "add", WALLET)
    assert "followed again, from now on" in told
    until("followed again", pilot.ready)


def copies_once_more(stand: Stand, pilot: Pilot, token: str) -> None:
    before = len(pilot.export("fills"))
    stand.fill(token, "BUY", 303, price=0.52)  # an order of its own for the API, too, which names none
    pilot.fills(before + 1)
    until("the newest trade is copied", lambda: rows(pilot)[-1] == (303.0, "COPY"))
    assert [r for r in rows(pilot) if r[0] == 202.0 and r[1] != "SKIP_BACKFILL"] == []
    pilot.verify()


@pytest.mark.slow
@pytest.mark.scenario
@pytest.mark.parametrize("how", ["while the worker runs", "while it is stopped", "between two looks"])
def test_who_is_followed_again_is_followed_from_now_on(tmp_path: Path, how: str) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 101)
        pilot.fills(1)
        if how == "while the worker runs":
            left(pilot)
            stand.fill(token, "BUY", 202, age=20)
            followed_again(pilot)
        elif how == "while it is stopped":
            pilot.stop()
            pilot.cli("leaders", "remove", WALLET)
            stand.fill(token, "BUY", 202, age=20)
            pilot.cli("leaders", "add", WALLET)
            pilot.start()
        else:
            pilot.cli("leaders", "remove", WALLET)
            pilot.cli("leaders", "add", WALLET)
            until("a new start", lambda: [x for x in pilot.logged("following") if x["new"]][1:])
            until("polled again", pilot.ready)
        copies_once_more(stand, pilot, token)
