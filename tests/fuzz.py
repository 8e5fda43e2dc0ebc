"""Payloads that were broken by chance, through every parser: ``python -m tests.fuzz --inputs 1000000``.

Each input is a valid payload with a few places changed, or its text with a few bytes changed. A parser gives a record
or its own error, within a second, and memory does not grow; anything else is a failure, printed with what repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from typing import Any, NamedTuple

from pilotfish.polymarket import wire
from tests.unit.test_hostile_payloads import HOSTILE, PARSERS

SLOW_SECONDS = 1.0
MOST_GROWN = 64 * 2**20
"""Bytes that memory may grow by after the first tenth of the inputs."""
OF_DICTIONARIES = ("kind", "market", "market of the CLOB")
"""Parsers that are only ever given an object."""


class Fuzzed(NamedTuple):
    """What came of a run: outcomes by parser, the failures, the slowest input in seconds, and how memory grew."""

    outcomes: Counter[tuple[str, str]]
    failures: list[str]
    slowest: float
    grown: int


def fuzz(inputs: int, seed: int) -> Fuzzed:
    """So many inputs, the same for the same seed."""
    chance = random.Random(seed)
    outcomes: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    slowest, before = 0.0, 0
    kinds = sorted(PARSERS)
    for number in range(inputs):
        if number == inputs // 10:
            before = _memory()
        kind = kinds[number % len(kinds)]
        valid, parse, own = PARSERS[kind]
        payload = _broken_text(valid, chance) if chance.random() < 0.3 else _broken(valid, chance)
        if payload is _NOTHING or (kind in OF_DICTIONARIES and not isinstance(payload, dict)):
            outcomes[kind, "no JSON"] += 1
            continue
        started = time.perf_counter()
        try:
            parse(payload)
            outcomes[kind, "record"] += 1
        except own:
            outcomes[kind, "refused"] += 1
        except Exception as problem:
            failures.append(f"{kind}, seed {seed}, input {number}: {type(problem).__name__}: {str(problem)[:200]}")
        slowest = max(slowest, time.perf_counter() - started)
    return Fuzzed(outcomes, failures, slowest, max(0, _memory() - before))


_NOTHING = object()


def _is_cheap(value: Any) -> bool:
    """A value that costs next to nothing to be made and copied a million times."""
    if isinstance(value, (str, bytes)):
        return len(value) < 1_000
    return not isinstance(value, (list, dict)) and not (isinstance(value, int) and abs(value) > 10**80)


_CHEAP = [value for value in HOSTILE if _is_cheap(value)]


def _broken(valid: Any, chance: random.Random) -> Any:
    """A copy with one to three places changed, wherever they are."""
    payload = json.loads(json.dumps(valid))
    for _ in range(chance.randint(1, 3)):
        payload = _changed(payload, chance)
    return payload


def _changed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(sorted(value))
        how = chance.random()
        if how < 0.1:
            del value[name]
        elif how < 0.15:
            value[chance.choice(["", "a\0b", name.upper(), "__class__"])] = value[name]
        else:
            value[name] = _changed(value[name], chance)
        return value
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        how = chance.random()
        if how < 0.1:
            value.insert(place, chance.choice(_CHEAP))
        elif how < 0.2:
            del value[place]
        else:
            value[place] = _changed(value[place], chance)
        return value
    if isinstance(value, str) and value and chance.random() < 0.5:
        place = chance.randrange(len(value))
        return (
            value[:place] + chance.choice(["", "0", "-", "e", "9" * 30, "\0", "\ud800", " ", "x"]) + value[place + 1 :]
        )
    if isinstance(value, (int, float)) and chance.random() < 0.5:
        return value * chance.choice([-1, 0, 10**6, 10**18, 1e-12])
    return chance.choice(_CHEAP)


def _broken_text(valid: Any, chance: random.Random) -> Any:
    """What its text gives after a few bytes were changed; nothing where that is no JSON."""
    text = bytearray(json.dumps(valid).encode())
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(text))
        how = chance.random()
        if how < 0.5:
            text[place] = chance.randrange(256)
        elif how < 0.75:
            del text[place]
        else:
            text[place:place] = chance.choice([b'"', b"[", b"}", b"1e9999", b"\\u0000", b"null", b","])
    try:
        return wire.decode(bytes(text))
    except wire.NotJsonError:
        return _NOTHING


def _memory() -> int:
    """Bytes at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """The command line; exit code 1 if anything failed."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--inputs", type=int, default=1_000_000)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--coverage-guided", action="store_true", help="With atheris: tests/fuzz_guided.py.")
    words.add_argument("--seconds", type=int, default=60, help="How long, with --coverage-guided.")
    given = words.parse_args()
    if given.coverage_guided:  # anew, since what is to be covered must not be imported yet
        os.execv(sys.executable, [sys.executable, "-m", "tests.fuzz_guided", str(given.seconds)])
    began = time.monotonic()
    found = fuzz(given.inputs, given.seed)
    for line in found.failures[:20]:
        print(line)
    by: Counter[str] = Counter()
    for (_, what), n in found.outcomes.items():
        by[what] += n
    print(
        f"{given.inputs:,} inputs in {time.monotonic() - began:.0f} s: {by['record']:,} records, {by['refused']:,}"
        f" refused, {by['no JSON']:,} no JSON, {len(found.failures)} failures; slowest {1000 * found.slowest:.0f} ms,"
        f" memory grew by {found.grown / 2**20:.1f} MiB"
    )
    sys.exit(1 if found.failures or found.slowest > SLOW_SECONDS or found.grown > MOST_GROWN else 0)


if __name__ == "__main__":
    main()
