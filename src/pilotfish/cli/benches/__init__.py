"""The benches by name, one a module, each with ``figures(options)``. A module is imported when its bench is called."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from pilotfish.cli.benches.figure import Figure, Options


class Bench(NamedTuple):
    """Where a bench is, what it measures, and whether it is one of those that run without a name."""

    module: str
    told: str
    usual: bool = True


BENCHES: dict[str, Bench] = {
    "decode": Bench("decode", "a log of the chain to a fill"),
    "activity": Bench("activity", "a page of activity to fills"),
    "walk": Bench("walk", "real order books walked, beside other packages"),
    "polls": Bench("polls", "1,000 and 10,000 leaders on one schedule"),
    "decision": Bench("decision", "a fill to a durable decision, beside another package", usual=False),
    "engine": Bench("engine", "an honest mix through the engine alone"),
    "latency": Bench("latency", "from a log's frame to the disk, with a real worker", usual=False),
    "crowd": Bench("crowd", "the same with a thousand portfolios", usual=False),
    "ingest": Bench("ingest", "an observation to a durable decision"),
    "marks": Bench("marks", "every position valued anew"),
    "journal": Bench("journal", "what writing down every event costs"),
    "store": Bench("store", "trades of many leaders to durable rows"),
    "disk": Bench("disk", "what a trade takes in the database"),
    "start": Bench("start", "a start and a report of a period; fills a database first, as pages does", usual=False),
    "load": Bench("load", "engine, store and start against load; the data of a chart; minutes", usual=False),
    "channel": Bench("channel", "5,000 books kept at 20,000 changes a second", usual=False),
    "pages": Bench("pages", "what each page asks; fills a database first, minutes for a million trades", usual=False),
    "tabs": Bench("tabs", "ten open dashboards beside the worker", usual=False),
    "backtest": Bench("backtest", "a long past through one policy, and its memory; minutes", usual=False),
    "sweep": Bench("sweep", "50 policies over one past, beside 50 runs", usual=False),
    "peer": Bench("peer", "real books through a whole backtest, beside another package's", usual=False),
    "discover": Bench("discover", "look backs at many wallets on all cores", usual=False),
    "truth": Bench("truth", "discovery in worlds whose truth is known; an hour", usual=False),
}


def figures(name: str, options: Options) -> list[Figure]:
    """Run one bench."""
    found: list[Figure] = import_module(f"pilotfish.cli.benches.{BENCHES[name].module}").figures(options)
    return found
