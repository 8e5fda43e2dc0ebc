"""A folder or a database that cannot be written to: said by name with what to do, waited out while a worker runs, and
nothing lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pilotfish.cli.session import clean_environment
from pilotfish.core.exit_codes import ExitCode
from tests import processes
from tests.endurance import CANNOT_WRITE
from tests.rig import WALLET_2, rig, until

pytestmark = pytest.mark.slow


@contextmanager
def unwritable(*places: Path) -> Iterator[None]:
    """Nobody may write to these, whoever runs the tests: permissions do not bind root, the file system's flag does."""
    before = [place.stat().st_mode for place in places]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    flagged = [place for place in places if os.access(place, os.W_OK)]
    try:
        for place in flagged:
            done = subprocess.run(["chattr", "+i", str(place)], capture_output=True, check=False)
            if done.returncode or os.access(place, os.W_OK):
                pytest.skip("this user may write everywhere, and the file system has no flag against it")
        yield
    finally:
        for place in flagged:
            subprocess.run(["chattr", "-i", str(place)], capture_output=True, check=False)
        for place, mode in zip(places, before, strict=True):
            place.chmod(mode)


@pytest.mark.parametrize(
    "words",
    [("run", "--no-web"), ("leaders", "add", WALLET_2), ("settings", "set", "paused", "true"), ("doctor",)],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("there", [True, False], ids=["a database", "no database yet"])
def test_a_folder_that_cannot_be_written_to_is_named_with_what_to_do(
    tmp_path: Path, words: tuple[str, ...], there: bool
) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    with rig(tmp_path, database_url=f"sqlite:///{folder / 'pilotfish.db'}") as (_, pilot):
        if there:
            pilot.cli("leaders", "add", "0x" + "c3" * 20)
        before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
        env = {**clean_environment(), **pilot.environment}
        with unwritable(folder):
            done = processes.run(*words, cwd=tmp_path, env=env)
        assert done.returncode == ExitCode.PROBLEM
        told = " ".join((done.stdout + done.stderr).split())
        if words == ("doctor",) and not there:  # it leaves no database behind, so it tries the folder alone
            assert f"{folder} takes no files" in told
        else:
            assert f"the folder {folder} cannot be written to" in told
            assert "Make it writable" in told
        assert "Traceback" not in told
        assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before


def test_a_database_that_becomes_read_only_is_said_so_and_waited_for_and_loses_nothing(tmp_path: Path) -> None:
    with rig(tmp_path) as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        files = [tmp_path / "pilotfish.db", tmp_path / "pilotfish.db-wal"]
        if os.geteuid():
            pytest.skip("what is open to be written stays so, but for the file system's flag")
        with unwritable(*files):
            stand.fill(token, "BUY", 50)
            told = until("it is noticed", lambda: pilot.logged(CANNOT_WRITE))[-1]["error"]
            assert "cannot be written to: it is read-only" in told
            assert str(tmp_path) in told
        pilot.trades(2)
        until("it writes again", lambda: pilot.status()["worker"]["database"]["healthy"])
        with unwritable(*files):
            stand.fill(token, "BUY", 25)
            before = len(pilot.logged(CANNOT_WRITE))
            until("it is noticed again", lambda: len(pilot.logged(CANNOT_WRITE)) > before)
            assert pilot.process is not None
            pilot.process.terminate()
            assert pilot.process.wait(60) == ExitCode.STORE
        pilot.start()
        pilot.trades(3)
        until("all is decided", lambda: len(pilot.reasons()) == 3)
        pilot.stop()
        pilot.verify()
