"""``pilotfish history`` as a person uses it, against the stand-in venue and against what is wrong with a venue."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.rig import WALLET, Pilot, Stand, until

FOLDER = "history"
HANGS = 60
"""Seconds for which a venue that hangs gives no answer."""


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stand, Path]]:
    """A venue on which a wallet bought, sold half and holds the rest."""
    folder = tmp_path_factory.mktemp("past")
    stand = Stand(folder, "--scenario", "quiet")
    try:
        for question in ("Will it?", "Will it not?"):
            token = stand.market(question=question)
            stand.fill(token, "BUY", 100, 0.5, api_delay=0, age=60)
            stand.fill(token, "SELL", 50, 0.49, api_delay=0, age=30)
        until("the rows are there", lambda: len(activity(stand)) == 4)
        yield stand, folder
    finally:
        stand.close()


def activity(stand: Stand) -> list[object]:
    import urllib.request

    with urllib.request.urlopen(f"{stand.base}/data/v2/activity?user={WALLET}&start=1&limit=10", timeout=10) as answer:
        rows: list[object] = json.load(answer)["data"]
        return rows


@pytest.fixture
def pilot(traded: tuple[Stand, Path], tmp_path: Path) -> Pilot:
    return Pilot(tmp_path, traded[0].urls)


def test_a_wallet_is_pulled_listed_shown_checked_and_removed(pilot: Pilot, tmp_path: Path) -> None:
    pilot.cli("leaders", "add", WALLET, "--label", "Somebody", "--no-record")
    told = json.loads(pilot.cli("history", "pull", "somebody", "--days", "2", "--json"))[0]
    assert (told["wallet"], told["trades"], told["markets"], told["tokens"]) == (WALLET, 4, 2, 2)
    assert told["deeds"] == {"TRADE": 4}
    assert told["complete"] is True or {m["kind"] for m in told["complete"]} == {"prices"}
    assert (tmp_path / FOLDER / "activity" / WALLET).is_dir(), "beside the database"
    assert [s["wallet"] for s in json.loads(pilot.cli("history", "list", "--json"))] == [WALLET]
    lines = pilot.cli("history", "show", WALLET.upper().replace("0X", "0x")).splitlines()
    assert lines[0].startswith(("Complete: ", "Incomplete: "))
    pilot.cli("history", "pull", WALLET, "--all")
    checked = json.loads(pilot.cli("history", "check", WALLET, "--json", code=None))[0]
    assert [d for d in checked["differences"] if d["what"] == "balance"] == []
    assert checked["tokens"] == 2
    assert "files of" in pilot.cli("history", "remove", WALLET, "--yes")
    assert json.loads(pilot.cli("history", "list", "--json")) == []


def test_damaged_files_are_named_by_check_removed_and_read_anew(pilot: Pilot, tmp_path: Path) -> None:
    pilot.cli("history", "pull", WALLET, "--days", "2")
    broken = next((tmp_path / FOLDER / "activity" / WALLET).glob("*.fresh.parquet"))
    broken.write_bytes(b"PAR1 half")
    checked = json.loads(pilot.cli("history", "check", WALLET, "--offline", "--json", code=1))[0]
    assert checked["check"] == "differs"
    assert broken.name in checked["damaged"][0]
    assert "1 damaged files are removed" in pilot.cli("history", "remove", "--damaged")
    pilot.cli("history", "pull", WALLET, "--days", "2")
    assert json.loads(pilot.cli("history", "list", "--json"))[0]["trades"] == 4


def test_a_wallet_without_trades_is_told_in_a_sentence(pilot: Pilot) -> None:
    told = pilot.cli("history", "pull", "0x" + "9" * 40).splitlines()
    assert told[0] == "Complete: all that was asked for is known."
    assert told[-1].startswith("No trades from ")


def test_a_venue_that_is_away_is_told_of_and_a_later_pull_goes_on(pilot: Pilot, tmp_path: Path) -> None:
    away = Pilot(tmp_path, {**pilot.environment, "DATA_API_URL": "http://127.0.0.1:9"})
    told = away.cli("history", "pull", WALLET, code=1)
    assert told.splitlines()[0] == "Incomplete: 1 window of activity failed."
    assert "no answer" in told
    assert (
        pilot.cli("history", "pull", WALLET).splitlines()[0].startswith(("Complete: ", "Incomplete: 2 windows of pri"))
    )


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("show", WALLET), 1, f"pilotfish history pull {WALLET}"),
        (("check", WALLET), 1, f"pilotfish history pull {WALLET}"),
        (("remove",), 2, "say whose history, or --damaged"),
        (("pull", "0x12"), 1, "expected 0x and 40 hex digits"),
        (("pull", "no body"), 1, "expected a wallet"),
        (("pull", WALLET, "--days", "0"), 2, "--days"),
    ],
)  # fmt: skip
def test_mistakes_of_history_are_told_in_a_line(
    pilot: Pilot, tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    done = processes.run("history", *words, cwd=tmp_path, env=pilot.environment)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_a_pull_at_once_and_says_that_what_was_read_is_kept(
    traded: tuple[Stand, Path], pilot: Pilot, tmp_path: Path
) -> None:
    stand, _ = traded
    stand.post("/faults", service="data/v2/positions", mode="hang", seconds=HANGS)
    try:
        with (tmp_path / "err").open("w") as errors:
            running = processes.start("history", "pull", WALLET, cwd=tmp_path, env=pilot.environment, stderr=errors)
        until("activity is kept", lambda: list((tmp_path / FOLDER).glob("markets/*/*.parquet")))
        running.send_signal(signal.SIGINT)
        assert running.wait(HANGS / 2) == 130, "not when the venue answers"
    finally:
        stand.post("/faults", service="data/v2/positions", mode="off")
    assert "Stopped: what was read is kept" in (tmp_path / "err").read_text()
    assert json.loads(pilot.cli("history", "list", "--json"))[0]["trades"] == 4
