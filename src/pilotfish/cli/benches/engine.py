"""The engine in memory on an honest mix (``engine_mix``): the same however many leaders there are and however much it
remembers."""

from __future__ import annotations

from pilotfish.cli.benches import engine_floor, engine_mix
from pilotfish.cli.benches.figure import Figure, Measured, Options, figure, measured, same

TRADES, ROUNDS = 10_000, 5
FLAT = 1 / 1.2
"""A trade costs at most 1.2 times as much."""
CASES: tuple[tuple[str, dict[str, int]], ...] = (
    ("10,000 leaders", {"leaders": 10_000}),
    ("1 leader", {"leaders": 1}),
    ("100,000 remembered trades", {"past": 100_000}),
)
MANY = {"leaders": 1_000, "portfolios": 1_000}
MANY_TRADES = 500


def figures(_options: Options) -> list[Figure]:
    """The mix, its cases against it, and many portfolios on one stream."""
    plain = engine_mix.mix(TRADES)
    same("what two engines make of one stream", engine_mix.digest(plain), engine_mix.digest(plain))
    rate = _rate(plain)
    mean = f"{1e6 / rate.rate:.0f} µs a trade, {plain.copied / plain.trades:.0%} copied"
    floor = measured([plain.trades / engine_floor.spent(plain) for _ in range(ROUNDS)])
    found = [
        figure("engine: a mixed flow", "trades/s", rate, "the venue", None, mean),
        figure("engine: a mixed flow", "trades/s", rate, "making its rows", floor),
    ]
    for name, case in CASES:
        found.append(figure(f"engine: {name}", "trades/s", _rate(engine_mix.mix(TRADES, **case)), "the mix", rate,
                            aim=round(FLAT, 2)))  # fmt: skip
    many = engine_mix.mix(MANY_TRADES, **MANY)
    note = f"{many.copied / many.trades:.0f} copies a trade"
    found.append(
        figure("engine: 1,000 portfolios, 10 leaders each", "trades/s", _rate(many), "100 a second", 100, note)
    )
    return found


def _rate(mixed: engine_mix.Mix) -> Measured:
    """Trades a second of this process's own time."""
    return measured([mixed.trades / engine_mix.spent(mixed) for _ in range(ROUNDS)])
