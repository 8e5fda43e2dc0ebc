"""Somebody's own record is printed before they are followed, and no venue keeps anybody from following."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import WALLET, Pilot, Stand, rig


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stand, Pilot]]:
    """A venue on which the wallet won 20, lost 5 and holds 100 shares; no worker runs."""
    with rig(tmp_path_factory.mktemp("record")) as (stand, pilot):
        won, lost, held = (stand.market(question=f"Will it be {n}?") for n in ("won", "lost", "\x1b[31mheld"))
        for token, side, price in ((won, "BUY", 0.5), (won, "SELL", 0.7), (lost, "BUY", 0.5), (lost, "SELL", 0.45),
                                   (held, "BUY", 0.5)):  # fmt: skip
            stand.fill(token, side, 100, price, api_delay=0, age=20 if side == "BUY" else 10)
        yield stand, pilot


def added(pilot: Pilot, *words: str) -> list[str]:
    return pilot.cli("leaders", "add", WALLET, *words).splitlines()


def test_the_record_is_printed_and_then_they_are_followed(traded: tuple[Stand, Pilot]) -> None:
    told = added(traded[1])
    assert told[0] == "Their own record: +15.00 USDC made on 265 USDC traded in 3 markets; rank 1 by profit."
    assert told[1] == "1 of 2 decided positions made money (50 %)."
    assert told[2].startswith("They hold 1 position worth ")
    assert told[3].startswith("  Yes of Will it be [31mheld?: 100.00 at 0.50, worth ")
    assert told[4] == f"{WALLET} is followed from now on"
    assert len(told) == 5


def test_a_route_that_is_not_there_is_named_and_the_rest_is_told(traded: tuple[Stand, Pilot]) -> None:
    stand, pilot = traded
    stand.post("/faults", service="data/v2/user-stats", mode="status", status=404)
    told = added(pilot)
    stand.post("/faults", service="data/v2/user-stats", mode="off")
    assert told[0] == "Their own record: +15.00 USDC made; rank 1 by profit."
    assert told[-2] == "Not told by the venue: statistics (the venue has no such route)."
    assert told[-1] == f"{WALLET} is followed already"


def test_a_venue_that_does_not_answer_keeps_nobody_from_following(traded: tuple[Stand, Pilot], tmp_path: Path) -> None:
    stand, pilot = traded
    alone = Pilot(tmp_path, {**stand.urls, "DATA_API_URL": "http://127.0.0.1:9"})
    told = added(alone)
    assert told[0].startswith("Their own record is not known: data /v2/")
    assert told[1] == f"{WALLET} is followed from now on"
    asked = stand.get("/requests")["requests"]
    pilot.cli("leaders", "remove", WALLET)
    assert added(pilot, "--no-record") == [
        f"{WALLET} is followed again, from now on; what happened in between is never copied"
    ]
    assert stand.get("/requests")["requests"] == asked
    assert [x["wallet"] for x in json.loads(pilot.cli("leaders", "list", "--json"))] == [WALLET]
