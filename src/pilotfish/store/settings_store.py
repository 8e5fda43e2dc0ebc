"""Settings as rows: reading the dashboard's values, changing them all-or-none with an audit trail, resolving them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, delete, insert, select

from pilotfish.core import settings as s
from pilotfish.core.settings import Effective, Globals, Kind, Policy, Scope, Setting, SettingError, Value
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows


@dataclass(frozen=True, slots=True)
class Stored:
    """What people set: globally, per portfolio, per leader. Values are parsed."""

    dashboard: Mapping[str, Value] = field(default_factory=dict)
    portfolios: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    leaders: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)


class _Set(msgspec.Struct, frozen=True, kw_only=True):
    """A stored value, for everything or for one portfolio or leader."""

    name: str
    portfolio: str
    leader: str
    value: str


def load(c: Connection) -> Stored:
    """All stored settings. A stored value that is no longer acceptable is left out (its default or env counts)."""
    dashboard: dict[str, Value] = {}
    portfolios: dict[str, dict[str, Value]] = {}
    leaders: dict[str, dict[str, Value]] = {}
    for row in read_rows(c, _Set, select(t.settings)):
        setting = s.BY_NAME.get(row.name)
        if setting is None:
            continue
        try:
            value = s.parse(setting, row.value)
        except SettingError:
            continue
        if row.portfolio:
            portfolios.setdefault(row.portfolio, {})[row.name] = value
        elif row.leader:
            leaders.setdefault(row.leader, {})[row.name] = value
        else:
            dashboard[row.name] = value
    return Stored(dashboard, portfolios, leaders)


def change(
    c: Connection, changes: Mapping[str, object], *, at: int, by: str, portfolio: str = "", leader: str = ""
) -> dict[str, Value]:
    """Set several settings, all or none; ``None`` takes an override away. Raises :class:`SettingError`."""
    parsed: dict[str, Value | None] = {}
    for name, given in changes.items():
        setting = s.find(name)
        if setting.scope is Scope.PROCESS:
            raise SettingError(
                f"{setting.name} is read from the environment when the program starts; set {setting.env_name} there"
            )
        if portfolio and setting.scope is Scope.GLOBAL:
            raise SettingError(f"{setting.name} is global; it cannot differ between portfolios")
        if leader and (setting.scope is Scope.GLOBAL or setting.name == "bankroll"):
            raise SettingError(f"{setting.name} cannot differ between leaders")
        parsed[setting.name] = None if given is None else s.parse(setting, given)
    for name, value in parsed.items():
        _store(c, s.BY_NAME[name], value, at=at, by=by, portfolio=portfolio, leader=leader)
    return {name: value for name, value in parsed.items() if value is not None}


def _store(
    c: Connection, setting: Setting, value: Value | None, *, at: int, by: str, portfolio: str, leader: str
) -> None:
    mine = (
        (t.settings.c.name == setting.name)
        & (t.settings.c.portfolio == portfolio)
        & (t.settings.c.leader == leader)
    )  # fmt: skip
    old = c.execute(select(t.settings.c.value).where(mine)).scalar()
    new = None if value is None else s.text_of(setting, value)
    if old == new:
        return
    c.execute(delete(t.settings).where(mine))
    if new is not None:
        c.execute(
            insert(t.settings).values(
                name=setting.name, portfolio=portfolio, leader=leader, value=new, updated_at=at, updated_by=by
            )
        )
    told = [("[set]" if value and setting.kind is Kind.SECRET else value) for value in (old, new)]
    c.execute(
        insert(t.settings_audit).values(
            at=at, name=setting.name, portfolio=portfolio, leader=leader, old=told[0], new=told[1], by=by
        )
    )


def effective(
    environment: Mapping[str, Value], stored: Stored, portfolio: str | None = None, leader: str | None = None
) -> dict[str, Effective]:
    """Every setting resolved: globally, for one portfolio, or for one leader's trades in it."""
    overrides = stored.portfolios.get(portfolio, {}) if portfolio else {}
    own = stored.leaders.get(leader, {}) if leader else {}
    return {x.name: s.resolve(x, environment, stored.dashboard, overrides, own) for x in s.ALL}


def policy_of(environment: Mapping[str, Value], stored: Stored, portfolio: str) -> Policy:
    """A portfolio's effective policy, with those for leaders who have settings of their own."""

    def resolved(leader: str | None) -> Policy:
        return s.policy_from({n: e.value for n, e in effective(environment, stored, portfolio, leader).items()})

    own = {leader: resolved(leader) for leader in stored.leaders}
    return msgspec.structs.replace(resolved(None), by_leader=own)


class Policies:
    """Portfolios' effective policies, resolved anew only where what they come from has changed; portfolios whose own
    settings are alike share one."""

    def __init__(self, environment: Mapping[str, Value]) -> None:
        self._environment = environment
        self._common: tuple[Mapping[str, Value], Mapping[str, Mapping[str, Value]]] | None = None
        self._known: dict[tuple[tuple[str, Value], ...], Policy] = {}

    def of(self, stored: Stored, portfolios: Iterable[str]) -> dict[str, Policy]:
        """The policy of each."""
        common = stored.dashboard, stored.leaders
        known = self._known if common == self._common else {}
        found: dict[str, Policy] = {}
        kept: dict[tuple[tuple[str, Value], ...], Policy] = {}
        for name in portfolios:
            own = tuple(sorted(stored.portfolios.get(name, {}).items()))
            policy = kept.get(own) or known.get(own)
            found[name] = kept[own] = policy or policy_of(self._environment, stored, name)
        self._known, self._common = kept, common
        return found


def policy_values(
    environment: Mapping[str, Value],
    stored: Stored,
    portfolio: str,
    leader: str | None,
    changes: Mapping[str, object],
) -> dict[str, Value]:
    """The settings in a portfolio, or for a leader in it, that a past depends on, with ``changes`` as a person gave
    them. Raises :class:`~pilotfish.core.settings.SettingError`."""
    found = effective(environment, stored, portfolio, leader)
    values = {name: found[name].value for name in Policy.__struct_fields__ if name in found}
    for name, given in changes.items():
        setting = s.find(name)
        if setting.name not in values:
            raise SettingError(f"{setting.name} belongs to no policy: a past is the same whatever it is")
        values[setting.name] = s.parse(setting, given)
    return values


def globals_of(environment: Mapping[str, Value], stored: Stored) -> Globals:
    """The settings that belong to no portfolio."""
    return s.globals_from({n: e.value for n, e in effective(environment, stored).items()})
