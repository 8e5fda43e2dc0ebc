"""``backtest``: would copying somebody have paid, before they are followed."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import typer
from sqlalchemy import Connection

from pilotfish.app.book_recording import spool_of
from pilotfish.app.config import history_place, process_value
from pilotfish.app.look_backs import kept_of
from pilotfish.app.pulls import pulled_of
from pilotfish.backtest.assumptions import Band
from pilotfish.backtest.breakdown import By
from pilotfish.backtest.in_force import grounds_of
from pilotfish.backtest.judgement import WORDS, Verdict, came_back
from pilotfish.backtest.look_back import judged_each
from pilotfish.backtest.quotes import Tier
from pilotfish.backtest.refusal import refuse_nothing
from pilotfish.backtest.told import LookBack, Part, Point, Step, answer_of, cause_words
from pilotfish.backtest.verdicts import in_bands
from pilotfish.cli import printed, session
from pilotfish.cli.history import progress_bar, wallets_of
from pilotfish.cli.progress import bar
from pilotfish.core import settings as s
from pilotfish.core.numerals import NOTHING, count, duration, gain, money, percent, plural
from pilotfish.core.reasons import words
from pilotfish.core.settings import Policy, Value, policy_from
from pilotfish.core.units import MICRO
from pilotfish.history.folder import History
from pilotfish.history.past import read_past
from pilotfish.history.records import Past
from pilotfish.history.summary import span_of, told_of
from pilotfish.polymarket.http import VenueError
from pilotfish.store import look_backs_store, names, settings_store
from pilotfish.store.database import database_url, snapshot
from pilotfish.store.portfolios_store import MAIN

DAY = 86_400
MOST_POLICIES = 400
"""Combinations of swept values that are run at once."""
_CURVE = printed.Table[Point](
    printed.Column("seen after", lambda p: duration(p.delay_ms), 1, right=True),
    printed.Column("an order", lambda p: money(p.size_micro), 2, right=True),
    printed.Column("filled", lambda p: percent(round(p.filled * MICRO), MICRO), 5, right=True),
    printed.Column("paid", lambda p: money(p.spent_micro), 6, right=True),
    printed.Column("result", lambda p: gain(p.result_micro), 3, right=True),
    printed.Column("a dollar came back as", lambda p: _back(p.edge_per_usdc), 4, right=True),
)
_STEPS = printed.Table[Step](
    printed.Column("on the way", lambda step: cause_words(step.cause), 1, least=20),
    printed.Column("USDC", lambda step: gain(step.amount_micro), 2, right=True),
)
_PARTS = printed.Table[Part](
    printed.Column("what", lambda p: p.name, 1, least=12),
    printed.Column("positions", lambda p: count(p.bets), 4, right=True),
    printed.Column("events", lambda p: count(p.events), 3, right=True),
    printed.Column("result", lambda p: gain(p.result), 2, right=True),
    printed.Column("a dollar came back as", lambda p: _back(p.edge_per_usdc), 5, right=True),
    printed.Column("90 % sure", lambda p: came_back(p.interval.low, p.interval.high) if p.interval else NOTHING, 6),
)


@dataclass(frozen=True, slots=True)
class Swept:
    """One combination of swept values and what it came to."""

    values: str
    found: LookBack


_SWEEP = printed.Table[Swept](
    printed.Column("settings", lambda w: w.values, 1),
    printed.Column("verdict", lambda w: WORDS[Verdict(w.found.verdict)].lower(), 3),
    printed.Column("result", lambda w: gain(w.found.result_micro[Band.EXPECTED]), 2, right=True),
    printed.Column("pessimistic", lambda w: gain(w.found.result_micro[Band.PESSIMISTIC]), 5, right=True),
    printed.Column("a dollar came back as", lambda w: _back(w.found.edge_per_usdc), 4, right=True),
    printed.Column("filled", lambda w: percent(round(w.found.filled_share * MICRO), MICRO), 6, right=True),
)


def backtest(
    who: list[str] = typer.Argument(
        metavar="WHO...", help="A wallet, a leader's label, a user name, or the URL of a profile."
    ),
    days: int = typer.Option(90, "--days", min=1, max=4000, help="How far back."),
    changes: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="Another value of a setting; repeatable."
    ),
    sweeps: list[str] = typer.Option(
        [], "--sweep", metavar="NAME=A,B,C", help="Try several values of a setting side by side; more can follow."
    ),
    delay: float = typer.Option(
        -1.0, "--delay", help="Seconds after which a trade is seen; without it as measured here, else 2.2."
    ),
    portfolio: str = typer.Option("", "--portfolio", help="With this portfolio's settings; without it main's."),
    offline: bool = typer.Option(False, "--offline", help="Ask the venue nothing; use the history that there is."),
    processes: int = typer.Option(0, "--processes", min=0, help="Processes; 0 = one a core."),
    as_json: bool = typer.Option(False, "--json", help="Print one object; of several wallets an array."),
) -> None:
    """Would copying somebody have paid: their past through the engine that runs live, with its uncertainty."""
    env = session.begin()
    changed, swept = dict(_value(given) for given in changes), [_sweep(given) for given in sweeps]
    history = History(history_place(env))
    late = _delay(delay)
    spool = spool_of(database_url(process_value(env, "database_url")))
    answers: list[object] = []
    for wallet in wallets_of(env, who):
        span = span_of(history, wallet) if offline else None
        now = span[1] if span is not None else int(time.time())
        if not offline:
            _pull(env, history, wallet, now, days)
        values = _settings(env, portfolio, wallet) | changed
        policies = list(_policies(values, swept))
        past = read_past(history, wallet, now - days * DAY, now, _name(env, wallet))
        refuse_nothing(past, str(history), days, read=not offline)
        cores = processes or os.cpu_count() or 1
        with snapshot(session.reading(env, as_json=True)) as c:
            by = grounds_of(c, history, past, spool, late)
        with _bar() as told:
            looked = judged_each(
                past, [policy for _, policy in policies], by, curves=not sweeps, processes=cores, told=told
            )
        found = [(label, one) for (label, _), (one, _) in zip(policies, looked, strict=True)]
        if not sweeps:
            _keep(env, past, days, values, found[0][1])
        if as_json:
            answers.append(_json(found, swept=bool(sweeps)))
        elif sweeps:
            _print_sweep(past, [Swept(label, one) for label, one in found])
        else:
            _print(found[0][1])
    if as_json:
        session.print_json(answers[0] if len(answers) == 1 else answers)


# -- what is asked -----------------------------------------------------------------------------------------------------


def _settings(env: dict[str, Value], portfolio: str, wallet: str) -> dict[str, Value]:
    """The settings in effect for a wallet in a portfolio, where there is a database, else the environment's and the
    defaults."""
    with snapshot(session.reading(env, as_json=True)) as c:
        name = names.portfolio(c, portfolio) if portfolio else MAIN
        return {n: e.value for n, e in settings_store.effective(env, settings_store.load(c), name, wallet).items()}


def _value(given: str) -> tuple[str, Value]:
    name, equals, value = given.partition("=")
    if not equals:
        raise typer.BadParameter(f"{given[:60]!r} is not name=value")
    setting = s.find(name.strip())
    if setting.name not in Policy.__struct_fields__:
        raise typer.BadParameter(f"{setting.name} belongs to no policy: a past is the same whatever it is")
    return setting.name, s.parse(setting, value)


def _sweep(given: str) -> list[tuple[str, Value, str]]:
    name, equals, values = given.partition("=")
    parts = [part.strip() for part in values.split(",") if part.strip()]
    if not equals or not parts:
        raise typer.BadParameter(f"{given[:60]!r} is not name=a,b,c")
    return [(*_value(f"{name}={part}"), part) for part in parts]


def _policies(values: dict[str, Value], sweeps: Sequence[list[tuple[str, Value, str]]]) -> Iterator[tuple[str, Policy]]:
    """Every combination of swept values, with what it is called."""
    if (number := _product(len(sweep) for sweep in sweeps)) > MOST_POLICIES:
        raise typer.BadParameter(f"{count(number)} combinations; at most {MOST_POLICIES} are run at once")
    for chosen in itertools.product(*sweeps):
        label = " ".join(f"{name}={text}" for name, _, text in chosen)
        yield label, policy_from(values | {name: value for name, value, _ in chosen})


def _product(numbers: Iterator[int]) -> int:
    product = 1
    for number in numbers:
        product *= number
    return product


def _delay(seconds: float) -> int | None:
    """A delay of one's own in µs."""
    if seconds == -1.0:
        return None
    if not 0 <= seconds <= 3600:
        raise typer.BadParameter(f"--delay {seconds:g}: expected seconds from 0 to 3600")
    return round(seconds * MICRO)


def _pull(env: dict[str, Value], history: History, wallet: str, now: int, days: int) -> None:
    """Read what is not there yet. Where the venue cannot be reached, what there is has to do."""
    try:
        with progress_bar() as told:
            asyncio.run(pulled_of(env, history, wallet, now - days * DAY, now, None, False, told))
    except VenueError as problem:
        print(f"The venue did not answer ({problem}); going by what was read before.", file=sys.stderr)


def _name(env: dict[str, Value], wallet: str) -> str:
    with snapshot(session.reading(env, as_json=True)) as c:
        return names.labels(c).get(wallet, "")


def _keep(env: dict[str, Value], past: Past, days: int, values: dict[str, Value], found: LookBack) -> None:
    """Keep the answer where the dashboard finds it."""
    policy = {name: values[name] for name in Policy.__struct_fields__ if name in values}

    def store(c: Connection) -> None:
        look_backs_store.keep(
            c, past.wallet, name=past.name, days=days, values=policy, at=session.now(), by="terminal",
            verdict=found.verdict, why=found.why, result=kept_of(past, found),
        )  # fmt: skip

    session.keep(env, store)


# -- what is told ------------------------------------------------------------------------------------------------------


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A bar of the runs, at a terminal."""
    with bar() as (progress, task):
        progress.update(task, description="running")
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _json(found: Sequence[tuple[str, LookBack]], *, swept: bool) -> object:
    if not swept:
        return answer_of(found[0][1])
    return [{"settings": label, **answer_of(one)} for label, one in found]


def _print(found: LookBack) -> None:
    if found.missing:
        printed.say(told_of(found.missing))
    printed.say((found.why, "bold"))
    who = f"{found.name} ({found.wallet})" if found.name else found.wallet
    printed.say(
        f"{who}, {_day(found.from_at)} to {_day(found.to_at)}: {count(found.trades)} trades, "
        f"{count(found.orders)} orders to copy."
    )
    result = found.result_micro
    printed.say(
        f"Result {gain(result[Band.EXPECTED])} USDC on {money(found.spent_micro)} paid; "
        f"{in_bands(result[Band.EXPECTED], result[Band.PESSIMISTIC], result[Band.OPTIMISTIC])}. "
        f"Filled {percent(round(found.filled_share * MICRO), MICRO)} of what was wanted, {_tiers(found)}."
    )
    printed.say(f"It rests on {found.basis}.")
    for flag in found.flags:
        printed.say(("! ", "yellow"), flag.text)
    for broken in found.books:
        printed.say(("The books of this run do not add up: ", "red"), broken)
    first = Step(cause="ideal", amount_micro=found.at_leader_prices_micro)
    last = Step(cause="result", amount_micro=result[Band.EXPECTED])
    print()
    _STEPS.view(more=printed.PIPE).print([first, *(step for step in found.steps if step.amount_micro), last])
    if found.uncopyable is not None:
        whole, gone = found.uncopyable.profit_micro, found.uncopyable.parts
        beyond = ", ".join(f"{money(amount)} {name}" for name, amount in gone)
        printed.say(
            f"Nobody could have copied, however fast: {beyond}. Of the {gain(whole)} USDC that their prices made in "
            f"that fastest run, with what is open at its end valued by itself, that leaves "
            f"{gain(whole - sum(amount for _, amount in gone))} before fees and limits."
        )
    print()
    _CURVE.view("seen after,filled,paid,result,a dollar came back as").print(found.by_delay)
    print()
    _CURVE.view("an order,filled,paid,result,a dollar came back as").print(found.by_size)
    for by in By:
        parts = [part for part in found.parts if part.by is by]
        if parts:
            print()
            print(f"By {by.value}")
            _PARTS.view(more=printed.PIPE).print(parts)
    if found.skipped:
        most = sorted(found.skipped.items(), key=lambda item: (-item[1], item[0]))[:3]
        print()
        printed.say("Not copied most often: ", "; ".join(f"{words(reason)} ({count(n)})" for reason, n in most), ".")
    if found.open:
        still = money(sum(found.open.values()))
        were = f"{plural(len(found.open), 'position')} {'was' if len(found.open) == 1 else 'were'}"
        printed.say(f"{were} still open at the end, marked at {still} USDC.")


def _print_sweep(past: Past, swept: Sequence[Swept]) -> None:
    if past.missing:
        printed.say(told_of(past.missing))
    best = max(swept, key=lambda one: (one.found.interval or (-1.0, 0.0))[0])
    printed.say(
        f"{count(len(swept))} policies over one past: the best of so many looks better than it is. By the lower end of "
        f"what is sure, the best is {best.values}: ", (best.found.why, "bold")
    )  # fmt: skip
    _SWEEP.view(more=printed.PIPE).print(swept)


def _tiers(found: LookBack) -> str:
    told = {Tier.BOOK: "recorded books", Tier.TAPE: "the tape", Tier.LINE: "the price line"}
    parts = [f"{percent(round(found.tiers.get(t, 0) * MICRO), MICRO)} of it by {name}" for t, name in told.items()
             if found.tiers.get(t)]  # fmt: skip
    return ", ".join(parts) or "nothing at all"


def _back(edge: float | None) -> str:
    return came_back(edge) if edge is not None else NOTHING


def _day(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).date().isoformat()
