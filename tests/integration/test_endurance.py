"""Kills, power cuts, a full disk and a while under load with faults, on the small scale: ``make kill`` and ``make
soak`` do the same on the large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import endurance
from tests.postgres_server import server

pytestmark = pytest.mark.slow


def test_kills_at_random_moments_lose_and_double_nothing_on_sqlite(tmp_path: Path) -> None:
    found = endurance.kills(tmp_path, f"sqlite:///{tmp_path / 'pilotfish.db'}", 5, seed=3, longest=2.0)
    assert found.kills == 5
    assert found.trades >= endurance.LEAST


def test_kills_at_random_moments_lose_and_double_nothing_on_postgresql(tmp_path: Path) -> None:
    with server() as made:
        found = endurance.kills(tmp_path, made.database("killed"), 5, seed=4, longest=2.0)
    assert found.kills == 5
    assert found.trades >= endurance.LEAST


def test_a_power_cut_at_any_instant_leaves_a_database_that_is_whole_and_goes_on(tmp_path: Path) -> None:
    found = endurance.power_cuts(tmp_path, 10, seed=5)
    assert found.copies == 10
    assert found.with_log > 0


def test_a_disk_that_is_full_again_and_again_loses_nothing(tmp_path: Path) -> None:
    assert endurance.no_room(tmp_path, 2) >= endurance.LEAST


def test_a_while_under_load_with_faults_leaves_nothing_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'pilotfish.db'}"
    samples = endurance.soak(tmp_path, url, 0.5, per_second=10, every=5)
    assert samples[-1].made >= endurance.LEAST
    assert samples[-1].threads < 60
    assert samples[-1].descriptors < 200
    assert samples[-1].tasks < 200
    assert 0 < samples[-1].remembered <= samples[-1].made


def sampled(*of: tuple[float, int]) -> list[endurance.Sample]:
    """Samples a minute apart: memory (MiB) and trades that are remembered."""
    return [
        endurance.Sample(60.0 * n, memory, remembered, 25, 14, 20, 0, remembered, remembered)
        for n, (memory, remembered) in enumerate(of)
    ]


FILLING = [(100.0 + 2 * n, 1_000 * n) for n in range(10)]


def test_memory_that_grows_with_what_is_remembered_is_told_with_its_bytes_and_not_called_flat() -> None:
    found = endurance.memory(sampled(*FILLING))
    assert found.flat is None
    assert found.each == 2 * 2**20 / 1_000


def test_memory_is_judged_from_when_as_many_trades_go_as_come() -> None:
    full = [(120.0 + n % 2, 8_000 + n) for n in range(12)]
    found = endurance.memory(sampled(*FILLING, *full))
    assert found.flat
    assert found.since == 600
    assert "flat from 10 min on: 120 to 120 MiB" in found.told()
    growing = endurance.memory(sampled(*FILLING, *[(120.0 + 2 * n, 8_000) for n in range(12)]))
    assert growing.flat is False
    assert "GROWING" in growing.told()
