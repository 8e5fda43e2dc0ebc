"""A set-up in the database: what it is, how another differs from it, and taking that in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, select

from pilotfish.core import settings as s
from pilotfish.core.settings import Value
from pilotfish.store import leaders_store, portfolios_store, settings_store
from pilotfish.store import tables as t
from pilotfish.store.setup_file import ALL, LeaderSetup, PortfolioSetup, Settings, Setup, portable, written_value

T = TypeVar("T")


class Sign(StrEnum):
    """How the file differs from the database."""

    ADDED = "+"
    CHANGED = "~"
    MISSING = "-"


class Difference(NamedTuple):
    """One difference, for people: ``here`` in the database, ``there`` in the file; empty = it is not there."""

    sign: Sign
    what: str
    here: str
    there: str


def stored_setup(c: Connection, environment: Mapping[str, Value]) -> Setup:
    """What people have set up. Who was left and what was archived is not in it."""
    stored = settings_store.load(c)
    rows = c.execute(select(t.leaders).where(t.leaders.c.status != "removed")).all()
    leaders = {
        r.wallet: LeaderSetup(
            label=r.label, paused=r.status == "paused", settings=_portable(stored.leaders.get(r.wallet, {}))
        )
        for r in rows
    }
    portfolios = {portfolios_store.MAIN: PortfolioSetup()}  # there from the first start on
    follows = portfolios_store.everyones_follows(c)
    policies = settings_store.Policies(environment).of(stored, follows)
    for r in c.execute(select(t.portfolios).where(t.portfolios.c.status == "active")):
        own = dict(stored.portfolios.get(r.name, {}))
        if r.bankroll_micro != policies[r.name].bankroll:
            own["bankroll"] = r.bankroll_micro
        chosen = follows[r.name]
        whom = ALL if chosen is None else tuple(w for w in chosen if w in leaders)
        portfolios[r.name] = PortfolioSetup(leaders=whom, note=r.note or "", settings=_portable(own))
    return Setup(settings=_portable(stored.dashboard), leaders=leaders, portfolios=portfolios)


def _portable(found: Mapping[str, Value]) -> Settings:
    return {name: value for name, value in found.items() if portable(s.BY_NAME[name])}


# -- comparing -----------------------------------------------------------------------------------------------------


def differences(here: Setup, there: Setup) -> list[Difference]:
    """How ``there`` differs from ``here``, by name."""
    found = [*_settings("", here.settings, there.settings)]
    for wallet, one, other in _pairs(here.leaders, there.leaders):
        found += _whole(f"leader {wallet}", one, other, lambda x: x.label or "no label")
        if one is not None and other is not None:
            if one.label != other.label:
                found.append(Difference(Sign.CHANGED, f"label of {wallet}", one.label, other.label))
            if one.paused != other.paused:
                found.append(Difference(Sign.CHANGED, f"leader {wallet}", _paused(one), _paused(other)))
        found += _settings(f"leader {wallet}", one.settings if one else {}, other.settings if other else {})
    for name, mine, theirs in _pairs(here.portfolios, there.portfolios):
        if name != portfolios_store.MAIN or theirs is not None:
            found += _whole(f"portfolio {name}", mine, theirs, _whom)
        if mine is not None and theirs is not None and mine.leaders != theirs.leaders:
            found.append(Difference(Sign.CHANGED, f"portfolio {name} copies", _whom(mine), _whom(theirs)))
        found += _settings(f"portfolio {name}", mine.settings if mine else {}, theirs.settings if theirs else {})
    return found


def _pairs(here: Mapping[str, T], there: Mapping[str, T]) -> Iterator[tuple[str, T | None, T | None]]:
    for name in sorted({*here, *there}):
        yield name, here.get(name), there.get(name)


def _whole(what: str, here: T | None, there: T | None, told: Callable[[T], str]) -> list[Difference]:
    if here is None and there is not None:
        return [Difference(Sign.ADDED, what, "", told(there))]
    if there is None and here is not None:
        return [Difference(Sign.MISSING, what, told(here), "")]
    return []


def _settings(of: str, here: Settings, there: Settings) -> Iterator[Difference]:
    for name, mine, theirs in _pairs(here, there):
        if mine == theirs:
            continue
        setting = s.BY_NAME[name]
        told = ["" if value is None else written_value(setting, value) for value in (mine, theirs)]
        sign = Sign.ADDED if mine is None else Sign.MISSING if theirs is None else Sign.CHANGED
        yield Difference(sign, f"{name} of {of}" if of else name, told[0], told[1])


def _paused(leader: LeaderSetup) -> str:
    return "paused" if leader.paused else "active"


def _whom(portfolio: PortfolioSetup) -> str:
    return "all leaders" if isinstance(portfolio.leaders, str) else ", ".join(portfolio.leaders) or "nobody"


# -- taking in -----------------------------------------------------------------------------------------------------


def take_in(c: Connection, there: Setup, environment: Mapping[str, Value], *, at: int, by: str, exact: bool) -> None:
    """Make the database what ``there`` says, all or nothing. ``exact``: what it does not name is taken back, too:
    settings unset, leaders left, portfolios archived (``main`` stays). Raises what the stores raise."""
    main = portfolios_store.MAIN
    here = stored_setup(c, environment)
    _set(c, here.settings, there.settings, at=at, by=by, exact=exact)
    for wallet, leader in there.leaders.items():
        leaders_store.add(c, wallet, leader.label, at, by=by)
        known = here.leaders.get(wallet)
        if known is not None and known.label != leader.label:
            leaders_store.rename(c, wallet, leader.label, at, by=by)
        if leader.paused != (known is not None and known.paused):
            leaders_store.set_status(c, wallet, "paused" if leader.paused else "active", at, by=by)
        own = known.settings if known is not None else {}
        _set(c, own, leader.settings, at=at, by=by, exact=exact, leader=wallet)
    portfolios_store.ensure_main(c, settings_store.policy_of(environment, settings_store.load(c), main), at)
    for name, one in there.portfolios.items():
        chosen = None if isinstance(one.leaders, str) else list(one.leaders)
        mine = here.portfolios.get(name)
        if mine is None and name != main:
            own = {key: s.text_of(s.BY_NAME[key], value) for key, value in one.settings.items()}
            portfolios_store.add(c, name, environment, at=at, by=by, changes=own, leaders=chosen, note=one.note)
            continue
        _set(c, mine.settings if mine else {}, one.settings, at=at, by=by, exact=exact, portfolio=name)
        if mine is None or mine.leaders != one.leaders:
            portfolios_store.set_follows(c, name, chosen, at=at, by=by)
    if exact:
        for wallet in here.leaders.keys() - there.leaders.keys():
            leaders_store.set_status(c, wallet, "removed", at, by=by)
        for name in here.portfolios.keys() - there.portfolios.keys() - {main}:
            portfolios_store.archive(c, name, at=at, by=by)


def _set(
    c: Connection, here: Settings, there: Settings, *, at: int, by: str, exact: bool, portfolio: str = "",
    leader: str = "",
) -> None:  # fmt: skip
    changes: dict[str, object] = {name: s.text_of(s.BY_NAME[name], value) for name, value in there.items()}
    if exact:
        changes |= dict.fromkeys(here.keys() - there.keys())
    settings_store.change(c, changes, at=at, by=by, portfolio=portfolio, leader=leader)
