"""What people set up, as one TOML file: leaders, portfolios and settings, to keep, compare and take in elsewhere.

Secrets and what only the environment can say (URLs, tokens, ports) are not in it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from pilotfish.core import settings as s
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Kind, Scope, Setting, SettingError, Value
from pilotfish.store.leaders_store import wallet_of

Settings = dict[str, Value]
ALL = "all"
"""A portfolio copies all leaders, also those to come."""


class SetupError(Problem, ValueError):
    """A file that cannot be taken in; the message says where it is wrong."""


class LeaderSetup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who is followed."""

    label: str = ""
    paused: bool = False
    settings: Settings = {}


class PortfolioSetup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy. ``leaders``: the wallets that it copies, or ``all``."""

    leaders: tuple[str, ...] | str = ALL
    note: str = ""
    settings: Settings = {}


class Setup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that people set up; settings are parsed."""

    settings: Settings = {}
    leaders: dict[str, LeaderSetup] = {}
    portfolios: dict[str, PortfolioSetup] = {}


# -- reading -------------------------------------------------------------------------------------------------------


def read_setup(text: str, called: str) -> Setup:
    """What a file says, checked whole. Raises :class:`SetupError` or ``SettingError``."""
    try:
        found = msgspec.convert(tomllib.loads(text, parse_float=_number), Setup)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as problem:
        raise SetupError(f"{called}: {problem}") from None
    leaders = {
        wallet_of(w): msgspec.structs.replace(one, settings=_parsed(one.settings, Scope.LEADER))
        for w, one in found.leaders.items()
    }
    return Setup(
        settings=_parsed(found.settings, Scope.GLOBAL),
        leaders=leaders,
        portfolios={name: _portfolio(name, one, set(leaders)) for name, one in found.portfolios.items()},
    )


def _number(text: str) -> str:
    """Decimals as they stand: a setting reads them itself, to the millionth."""
    return format(Decimal(text), "f")


def _portfolio(name: str, one: PortfolioSetup, known: set[str]) -> PortfolioSetup:
    found = msgspec.structs.replace(one, settings=_parsed(one.settings, Scope.PORTFOLIO))
    if isinstance(found.leaders, str):
        if found.leaders != ALL:
            raise SetupError(f'portfolio {name[:60]}: leaders is "all" or a list of wallets')
        return found
    wallets = tuple(sorted({wallet_of(w) for w in found.leaders}))
    strangers = [w for w in wallets if w not in known]
    if strangers:
        raise SetupError(f"portfolio {name[:60]} copies {strangers[0]}, who is not among the file's leaders")
    return msgspec.structs.replace(found, leaders=wallets)


def _parsed(given: Mapping[str, Value], scope: Scope) -> Settings:
    found: Settings = {}
    for name, value in given.items():
        setting = s.find(name)
        if not portable(setting):
            raise SettingError(f"{setting.name} does not belong into a file: set it in the environment or by command")
        if scope is not Scope.GLOBAL and setting.scope is Scope.GLOBAL:
            raise SettingError(f"{setting.name} is global; it stands under [settings]")
        found[setting.name] = s.parse(setting, value)
    return found


def portable(setting: Setting) -> bool:
    """True for what a file holds."""
    return setting.kind is not Kind.SECRET and setting.scope is not Scope.PROCESS


# -- writing -------------------------------------------------------------------------------------------------------


def setup_lines(setup: Setup, about: str) -> Iterator[str]:
    """A file's lines, always in the same order; ``about`` is a comment at its top."""
    yield f"# {about}"
    yield from _table("settings", {}, setup.settings, heading=bool(setup.settings))
    for wallet, leader in sorted(setup.leaders.items()):
        told = {"label": _quoted(leader.label), **({"paused": "true"} if leader.paused else {})}
        yield from _table(f"leaders.{wallet}", told, leader.settings)
    for name, one in sorted(setup.portfolios.items()):
        whom = _quoted(ALL) if isinstance(one.leaders, str) else f"[{', '.join(map(_quoted, one.leaders))}]"
        told = {"leaders": whom, **({"note": _quoted(one.note)} if one.note else {})}
        yield from _table(f"portfolios.{_quoted(name)}", told, one.settings)


def _table(name: str, told: Mapping[str, str], settings: Settings, *, heading: bool = True) -> Iterator[str]:
    if heading:
        yield ""
        yield f"[{name}]"
    yield from (f"{key} = {value}" for key, value in told.items())
    written = (f"{key} = {written_value(s.BY_NAME[key], value)}" for key, value in sorted(settings.items()))
    if told and settings:
        yield f"[{name}.settings]"
    yield from written


def written_value(setting: Setting, value: Value) -> str:
    """A value as the file has it."""
    text = s.text_of(setting, value)
    return text if setting.kind in (Kind.BOOL, Kind.INT, Kind.USDC, Kind.RATIO) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
