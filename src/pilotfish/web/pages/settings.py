"""Settings: the few that matter first, then all, each with its value, where that comes from and what it overrides; who
did what; and the danger zone."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.responses import Response

from pilotfish.core import settings as s
from pilotfish.core.numerals import count
from pilotfish.core.setting_titles import FIRST, TITLES, ZERO
from pilotfish.core.settings import Effective, Kind, Scope
from pilotfish.core.units import MICRO, format_micro
from pilotfish.store import settings_store
from pilotfish.store.views import audit
from pilotfish.store.views.audit import Deed
from pilotfish.web.render import Page
from pilotfish.web.telling import short
from pilotfish.web.view import Looking, Name, View

AUDIT_SECONDS = 2.0
AUDIT_SHOWN = 50
FIRST_GROUP = "First of all"
ALL = "All portfolios"
HELD_SHOWN = 20
"""Portfolios whose open positions a reset tells one by one; of more, how many there are."""
pages = APIRouter(include_in_schema=False)


class Override(msgspec.Struct, frozen=True):
    """A value that does not count, since another one beats it."""

    source: str
    value: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. ``value`` as text; ``told`` the same for people (a zero that means *no limit* says so); ``facts``:
    its bounds and default; ``mine``: it is changed at the level that is looked at, and that can be taken back;
    ``fixed``: it cannot be changed here."""

    name: str
    title: str
    help: str
    env: str
    kind: Kind
    unit: str
    value: str
    told: str
    on: bool
    zero: str
    facts: str
    choices: tuple[str, ...]
    source: str
    overrides: tuple[Override, ...]
    mine: bool
    fixed: bool


class Group(msgspec.Struct, frozen=True):
    """Settings that belong together; ``advanced``: folded until somebody wants them."""

    name: str
    anchor: str
    settings: tuple[Shown, ...]
    advanced: bool


class Whom(msgspec.Struct, frozen=True):
    """For whom settings can be looked at: what the address says, and its text."""

    query: dict[str, str]
    text: str
    chosen: bool


class Settings(Page, frozen=True, kw_only=True):
    """The settings of all portfolios, of one, or of one leader. ``query`` names which, as REST takes it; ``level`` is
    where a change goes; ``of_portfolio`` and ``of_leader`` are empty unless they are looked at; ``labels``: leaders'
    names by wallet; ``choices``: ``whom`` without the leader, as a list of many has them; ``held``: portfolios with how
    many positions they hold, the most first where not all are shown, and ``more_held``: how many more of both."""

    template: ClassVar[str] = "settings.html"
    title: ClassVar[str] = "settings"
    path: ClassVar[str] = "/settings"
    seconds: ClassVar[float] = 2.0

    groups: tuple[Group, ...]
    whom: tuple[Whom, ...]
    choices: tuple[tuple[str, str], ...]
    query: dict[str, str]
    level: str
    of_portfolio: str
    of_leader: str
    deeds: list[Deed]
    labels: dict[str, str]
    held: tuple[tuple[str, int], ...]
    more_held: tuple[int, int]


@pages.get("/settings")
async def settings(view: Looking, portfolio: Name = "", leader: Name = "") -> Response:
    """The page; without a portfolio or a leader in the address it is that of all portfolios."""
    leader = "" if portfolio else leader.lower()
    shared = view.site.shared
    effective = await shared.get(("settings", portfolio, leader), 0.0, lambda c: _effective(view, c, portfolio, leader))
    deeds = await shared.get("audit", AUDIT_SECONDS, lambda c: audit.newest(c, AUDIT_SHOWN))
    level = "portfolio" if portfolio else "leader" if leader else "dashboard"
    s_ = view.snapshot
    labels = {row.wallet: row.label for row in s_.everybody}
    held = tuple((p.name, p.open_positions) for p in s_.portfolios if portfolio in ("", p.name))
    held = held if len(held) <= HELD_SHOWN else tuple(sorted(held, key=lambda one: -one[1]))
    return view.show(
        Settings(
            groups=_groups(effective, level), whom=_whom(view, portfolio, leader, labels), level=level,
            choices=(("", ALL), *((p.name, p.name) for p in s_.portfolios)),
            query={"portfolio_": portfolio} if portfolio else {"leader": leader} if leader else {},
            of_portfolio=portfolio, of_leader=leader, deeds=deeds, labels=labels,
            held=held[:HELD_SHOWN], more_held=(len(held[HELD_SHOWN:]), sum(n for _, n in held[HELD_SHOWN:])),
        )
    )  # fmt: skip


def _effective(view: View, c: Connection, portfolio: str, leader: str) -> dict[str, Effective]:
    return settings_store.effective(view.site.environment, settings_store.load(c), portfolio or None, leader or None)


def _whom(view: View, portfolio: str, leader: str, labels: dict[str, str]) -> tuple[Whom, ...]:
    found = [Whom({}, ALL, not portfolio and not leader)]
    found += [Whom({"portfolio_": p.name}, p.name, p.name == portfolio) for p in view.snapshot.portfolios]
    if leader:
        found.append(Whom({"leader": leader}, labels.get(leader, "") or short(leader), chosen=True))
    return tuple(found)


def _groups(effective: dict[str, Effective], level: str) -> tuple[Group, ...]:
    wanted = {name: _shown(e, level) for name, e in effective.items() if _belongs(e, level)}
    groups: dict[str, list[Shown]] = {}
    for name, shown in wanted.items():
        if name not in FIRST:
            groups.setdefault(effective[name].setting.group, []).append(shown)
    first = tuple(wanted[name] for name in FIRST if name in wanted)
    return (
        Group(FIRST_GROUP, "first", first, advanced=False),
        *(Group(name, name.lower(), tuple(rows), advanced=True) for name, rows in groups.items()),
    )


def _belongs(e: Effective, level: str) -> bool:
    if level == "dashboard":
        return True
    return e.setting.scope is Scope.PORTFOLIO and not (level == "leader" and e.setting.name == "bankroll")


def _shown(e: Effective, level: str) -> Shown:
    setting = e.setting
    text, zero = _text(setting, e.value), ZERO.get(setting.name, "")
    told = ("on" if e.value else "off") if isinstance(e.value, bool) else text or "–"
    return Shown(
        name=setting.name,
        title=TITLES[setting.name],
        help=setting.help,
        env=setting.env_name,
        kind=setting.kind,
        unit=setting.unit,
        value=text,
        told=zero if zero and e.value == 0 else told,
        on=e.value is True,
        zero=zero,
        facts=_facts(setting),
        choices=setting.choices,
        source=e.source.value,
        overrides=tuple(Override(origin.value, _text(setting, value)) for origin, value in e.overrides),
        mine=e.source == level,
        fixed=setting.scope is Scope.PROCESS,
    )


def _text(setting: s.Setting, value: s.Value) -> str:
    """A value as text; of a secret only whether it is set."""
    if setting.kind is Kind.SECRET:
        return "[set]" if value else ""
    shown = s.show(setting, value)
    return ("true" if shown else "false") if isinstance(shown, bool) else str(shown)


def _facts(setting: s.Setting) -> str:
    if setting.low is None and setting.high is None:
        if setting.kind is Kind.CHOICE:
            return "one of " + ", ".join(setting.choices)
        return {Kind.LIST: "words, separated by commas", Kind.TIERS: "like 0:1, 1000:0.5"}.get(setting.kind, "")
    bounds = (setting.low, setting.high)
    low, high = (plain(s.show(setting, bound)) if bound is not None else "…" for bound in bounds)
    zero = ZERO.get(setting.name, "") if setting.low == 0 else ""
    default = zero if zero and setting.default == 0 else plain(s.show(setting, setting.default))
    return f"{low} to {high}, default {default}" + (f"; 0 = {zero}" if zero else "")


def plain(value: object) -> str:
    """A setting's value as :func:`~pilotfish.core.settings.show` gives it, for people."""
    if isinstance(value, float):
        return format_micro(round(value * MICRO))
    return count(value) if isinstance(value, int) else str(value)
