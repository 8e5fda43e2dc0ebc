"""Settings as people read them: what counts, where it comes from, what it beats; and who changed what."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, select

from pilotfish.core import settings as s
from pilotfish.core.settings import Effective, Kind, Origin, Value
from pilotfish.core.units import Micros
from pilotfish.store import tables as t
from pilotfish.store.mapping import read_rows
from pilotfish.store.views.base import View, iso

Shown: TypeAlias = bool | int | float | str
"""A value as it is shown: USDC and ratios as decimals, of a secret only that it is set."""


class Override(View, frozen=True, kw_only=True):
    """A weaker source, and what it would have set."""

    source: Origin
    value: Shown


class SettingRow(View, frozen=True, kw_only=True):
    """A setting: its value, where that comes from, what it overrides, and what the declaration says of it."""

    name: str
    value: Shown
    source: Origin
    overrides: list[Override]
    default: Shown
    unit: str
    help: str
    group: str
    env: str
    choices: tuple[str, ...]


class Change(View, frozen=True, kw_only=True):
    """Who changed which setting, for which portfolio or leader (empty = all); ``None`` is none of its own."""

    at: str
    name: str
    portfolio: str
    leader: str
    old: str | None
    new: str | None
    by: str


def setting_row(e: Effective) -> SettingRow:
    """A setting as pages, REST and commands show it."""
    setting = e.setting

    def shown(value: Value) -> Shown:
        if setting.kind is Kind.SECRET:
            return "[set]" if value else ""
        return s.show(setting, value)

    return SettingRow(
        name=setting.name,
        value=shown(e.value),
        source=e.source,
        overrides=[Override(source=source, value=shown(value)) for source, value in e.overrides],
        default=shown(setting.default),
        unit=setting.unit,
        help=setting.help,
        group=setting.group,
        env=setting.env_name,
        choices=setting.choices,
    )


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit trail."""

    at: Micros
    name: str
    portfolio: str
    leader: str
    old: str | None
    new: str | None
    by: str


def read_audit(c: Connection, limit: int = 100) -> list[Change]:
    """The audit trail, newest first."""
    a = t.settings_audit
    rows = read_rows(c, _Written, select(a).order_by(a.c.id.desc()).limit(limit))
    return [
        Change(at=iso(r.at), name=r.name, portfolio=r.portfolio, leader=r.leader, old=r.old, new=r.new, by=r.by)
        for r in rows
    ]
