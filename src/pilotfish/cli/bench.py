"""``bench``: what matters is measured side by side in one run and shown as a ratio, since absolute figures are the
machine's."""

from __future__ import annotations

import typer

from pilotfish.cli import printed, session
from pilotfish.cli.benches import BENCHES, figures
from pilotfish.cli.benches.figure import FIGURES, Options

TRADES, SEEDS = 1_000_000, 20
_USUAL = [name for name, bench in BENCHES.items() if bench.usual]
_TOLD = (
    "; ".join(f"{name}: {bench.told}" for name, bench in BENCHES.items()) + f". Without a name: {', '.join(_USUAL)}."
)


def bench(
    names: list[str] = typer.Argument(
        None,
        metavar="[NAME]...",
        help=_TOLD,
    ),
    trades: int = typer.Option(TRADES, "--trades", help="So many trades for pages and backtest.", min=10_000),
    seeds: int = typer.Option(SEEDS, "--seeds", help="So many invented crowds for truth.", min=1),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Measure the hot paths against the alternatives, side by side in one run."""
    session.begin()
    wanted = names or _USUAL
    unknown = [n for n in wanted if n not in BENCHES]
    if unknown:
        raise typer.BadParameter(f"no bench {unknown[0]!r}; there are: {', '.join(BENCHES)}")
    found = [figure for name in wanted for figure in figures(name, Options(trades, seeds))]
    if as_json:
        session.print_json(found)
        return
    FIGURES.view(more=printed.PIPE).print(found)
