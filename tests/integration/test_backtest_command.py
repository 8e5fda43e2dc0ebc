"""``pilotfish backtest`` against the stand-in venue's past: from a wallet to a verdict, as a person and as a script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from pilotfish.cli.session import clean_environment
from pilotfish.sim.story import cast
from tests import processes
from tests.rig import Pilot, Stand

pytestmark = pytest.mark.slow
WHALE, SCALPER, HOLDER, STEPPER = (person.wallet for person in cast(7))
NOBODY = "0x" + "12" * 20


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pilot]:
    """Somebody at a venue whose four leaders have ninety days behind them and trade no more."""
    folder = tmp_path_factory.mktemp("look-back")
    stand = Stand(folder, "--past", "90", "--paused", "--seed", "7")
    try:
        yield Pilot(folder, stand.urls)
    finally:
        stand.close()


def answer(pilot: Pilot, wallet: str, *more: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(pilot.cli("backtest", wallet, *more, "--json"))
    return found


@pytest.mark.parametrize(
    ("wallet", "verdict"),
    [(WHALE, "cannot_tell"), (SCALPER, "not_copyable"), (HOLDER, "copyable"), (STEPPER, "cannot_tell")],
)
def test_from_a_wallet_to_a_verdict(pilot: Pilot, wallet: str, verdict: str) -> None:
    found = answer(pilot, wallet, "--days", "100")
    assert (found["verdict"], found["complete"]) == (verdict, True), found["why"]
    again = answer(pilot, wallet, "--days", "100", "--offline")
    assert (again["why"], again["result_micro"]) == (found["why"], found["result_micro"])


def test_the_first_line_is_the_answer_and_in_a_pipe_nothing_is_cut(pilot: Pilot) -> None:
    lines = pilot.cli("backtest", WHALE, "--days", "100").splitlines()
    assert lines[0] == "Cannot tell: 12 independent events, at least 30 are needed."
    assert WHALE in lines[1]
    text = "\n".join(lines)
    for told in ("at their prices, every order whole and free", "copied, fees paid", "seen after", "an order", "! "):
        assert told in text
    assert "…" not in text


def test_what_nobody_could_have_copied_is_said_so_that_it_adds_up(pilot: Pilot) -> None:
    said = " ".join(pilot.cli("backtest", SCALPER, "--days", "100").split())
    found = re.search(
        r"Nobody could have copied, however fast: (\S+) gone within a second, (\S+) too thin, (\S+) below the minimum\."
        r" Of the (\S+) USDC that their prices made in that fastest run, .* that leaves (\S+) before fees and limits\.",
        said,
    )
    assert found is not None, said
    *parts, whole, left = (round(100 * float(amount.replace("−", "-").replace(",", ""))) for amount in found.groups())
    assert abs(whole - sum(parts) - left) <= 2, "hundredths, each rounded"


def test_other_settings_and_sweeps_are_other_runs(pilot: Pilot) -> None:
    small = answer(pilot, WHALE, "--days", "100", "--set", "fixed_usdc=5")
    usual = answer(pilot, WHALE, "--days", "100")
    assert (small["size_micro"], usual["size_micro"]) == (5_000_000, 25_000_000)
    told = pilot.cli(
        "backtest", WHALE, "--days", "100", "--sweep", "fixed_usdc=5,25", "--sweep", "copy_side=both,buy", "--json",
    )  # fmt: skip
    swept = {one["settings"]: one for one in json.loads(told)}
    assert list(swept) == [f"fixed_usdc={n} copy_side={side}" for n in (5, 25) for side in ("both", "buy")]
    assert swept["fixed_usdc=5 copy_side=both"]["result_micro"] == small["result_micro"]


def test_settings_of_the_portfolio_count_and_a_pause_does_not(pilot: Pilot) -> None:
    pilot.cli("settings", "set", "fixed_usdc", "7")
    pilot.cli("settings", "set", "paused", "true")
    try:
        found = answer(pilot, WHALE, "--days", "100")
        assert found["size_micro"] == 7_000_000
        assert found["orders"]
        assert "SKIP_PAUSED" not in found["skipped"]  # type: ignore[operator]
    finally:
        pilot.cli("settings", "unset", "fixed_usdc")
        pilot.cli("settings", "unset", "paused")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((NOBODY, "--days", "3"), 1, f"there are no trades of {NOBODY} over the last 3 days"),
        ((NOBODY, "--offline"), 1, f"`pilotfish history pull {NOBODY}` reads them"),
        ((WHALE, "--set", "nothing=1"), 1, "there is no setting 'nothing'"),
        ((WHALE, "--set", "poll_interval_ms=1000"), 2, "poll_interval_ms belongs to no policy"),
        ((WHALE, "--delay", "-3"), 2, "expected seconds from 0 to 3600"),
        ((WHALE, "--sweep", "fixed_usdc="), 2, "is not name=a,b,c"),
        ((WHALE, "--sweep", "fixed_usdc=10,much"), 1, "fixed_usdc = 'much'"),
        (("nobody-is-called-so",), 1, "nobody is called exactly 'nobody-is-called-so'"),
    ],
)
def test_mistakes_are_told_in_a_line(pilot: Pilot, words: tuple[str, ...], code: int, told: str) -> None:
    done = processes.run("backtest", *words, cwd=pilot.folder, env=clean_environment() | pilot.environment)
    assert done.returncode == code, done.stderr
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
