"""What a worker stands, on a large scale: ``python tools/endure.py kill|soak``; prints tables for docs/reliability.md.

Kills, power cuts and a full disk, or half an hour at ten times a busy day with faults on. The small scale of the same
runs in the tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import endurance
from tests.postgres_server import server


def kill(arguments: argparse.Namespace, folder: Path) -> None:
    """Kills on both databases, power cuts and a full disk."""
    print("| database | kills | trades | before it said anything | back after, median | at most | it took |")
    print("|---|---|---|---|---|---|---|")
    (folder / "sqlite").mkdir()
    url = f"sqlite:///{folder / 'sqlite' / 'pilotfish.db'}"
    found = endurance.kills(folder / "sqlite", url, arguments.kills, arguments.seed)
    print(f"| SQLite | {found.told()} |", flush=True)
    (folder / "postgres").mkdir()
    with server() as made:
        found = endurance.kills(folder / "postgres", made.database("killed"), arguments.kills, arguments.seed)
    print(f"| PostgreSQL | {found.told()} |", flush=True)
    (folder / "cuts").mkdir()
    cut = endurance.power_cuts(folder / "cuts", arguments.kills, arguments.seed)
    print(f"power cuts on SQLite: {cut.copies} copies ({cut.with_log} with a log), {cut.trades:,} trades", flush=True)
    (folder / "full").mkdir()
    print(
        f"full disk, {arguments.full} times: {endurance.no_room(folder / 'full', arguments.full):,} trades", flush=True
    )


def soak(arguments: argparse.Namespace, folder: Path) -> None:
    """A long time under load, with faults."""
    samples = endurance.soak(
        folder, f"sqlite:///{folder / 'pilotfish.db'}", arguments.minutes, per_second=arguments.per_second
    )
    print("| after | memory | trades remembered | descriptors | threads | tasks | not durable | not stored |")
    print("|---|---|---|---|---|---|---|---|")
    for sample in samples:
        print(f"| {sample.told()} |")
    found = endurance.memory(samples)
    print(found.told())
    if found.flat is False:
        sys.exit(1)


def main() -> None:
    """Run one of them in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kill", "soak"])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--full", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--per-second", type=float, default=2, help="2: tens of times what a busy leader does")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pilotfish-endure-") as folder:
        (kill if arguments.what == "kill" else soak)(arguments, Path(folder))


if __name__ == "__main__":
    main()
