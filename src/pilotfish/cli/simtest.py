"""``simtest``: every promise, in thousands of simulated worlds."""

from __future__ import annotations

import os
import sys
import time

import typer

DEFAULT_SEEDS = 100


def simtest(
    seeds: int = typer.Option(DEFAULT_SEEDS, "--seeds", min=1, help="How many worlds; each has its own seed."),
    seed: int | None = typer.Option(
        None,
        "--seed",
        help="The first seed; without it a new one from the clock. From 2000000000 on worlds hold more trouble.",
    ),
    minutes: int = typer.Option(30, "--minutes", min=1, max=600, help="Virtual minutes of trading in each world."),
    processes: int = typer.Option(0, "--processes", min=0, help="Processes; 0 = one a core."),
    as_json: bool = typer.Option(False, "--json", help="Print one object."),
) -> None:
    """Run the real engine and store through simulated worlds whose truth is known; a seed that fails prints the
    shortest story that still fails, and is the same again with --seeds 1 --seed N. Exit code 1 if any failed."""
    import msgspec
    from rich.progress import Progress

    from pilotfish.cli import session
    from pilotfish.simtest.worlds import worlds

    session.begin()
    first = seed if seed is not None else time.time_ns() // 1_000_000 % 1_000_000_000
    started = time.monotonic()
    many = processes or min(seeds, os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count() or 1)
    with Progress(transient=True, disable=as_json or not sys.stderr.isatty()) as bar:
        task = bar.add_task("worlds", total=seeds)
        failed = list(worlds(first, seeds, minutes, many, lambda done: bar.advance(task, done)))
    failed.sort(key=lambda f: f.seed)
    took = time.monotonic() - started
    if as_json:
        shown = [msgspec.to_builtins(f) for f in failed]
        told = {"worlds": seeds, "failed": shown, "first_seed": first, "minutes": minutes, "seconds": round(took, 1)}
        print(msgspec.json.encode(told).decode())
    else:
        for f in failed:
            print(f"\nseed {f.seed}: {f.promise}: {f.detail}\n" + "\n".join(f"  {line}" for line in f.story))
            print(f"  again: pilotfish simtest --seeds 1 --seed {f.seed} --minutes {minutes}")
        rate = f"{seeds / took:.1f} a second" if took else ""
        print(f"{seeds} worlds of {minutes} minutes from seed {first}, {rate}: {len(failed)} failed")
    if failed:
        raise typer.Exit(1)
