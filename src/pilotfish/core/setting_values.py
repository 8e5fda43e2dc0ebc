"""What a setting is: its kind, bounds and unit; reading a value that somebody gave, and showing it again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from pilotfish.core.problem import Problem
from pilotfish.core.units import MAX_AMOUNT, MICRO, format_micro, micro_from_decimal

Value: TypeAlias = bool | int | str
"""A setting's value inside the program."""


class Kind(StrEnum):
    """What a setting's value is, and how it is written."""

    BOOL = "bool"
    INT = "int"
    USDC = "usdc"
    RATIO = "ratio"
    CHOICE = "choice"
    TEXT = "text"
    LIST = "list"
    TIERS = "tiers"
    SECRET = "secret"  # noqa: S105


class Scope(StrEnum):
    """Who can set it. ``process`` settings are read from the environment at start and cannot be changed later."""

    PROCESS = "process"
    GLOBAL = "global"
    PORTFOLIO = "portfolio"
    LEADER = "leader"


class SettingError(Problem, ValueError):
    """A name or value that is not acceptable; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``low`` and ``high`` are inclusive bounds in the stored unit. ``formerly``: what choices were called
    once, with the choice that each is now; what people wrote down then still counts."""

    name: str
    kind: Kind
    default: Value
    help: str
    group: str
    scope: Scope = Scope.GLOBAL
    unit: str = ""
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    env: str = ""
    formerly: tuple[tuple[str, str], ...] = ()

    @property
    def env_name(self) -> str:
        """The environment variable."""
        return self.env or self.name.upper()


_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def parse(setting: Setting, given: object, called: str = "") -> Value:
    """The typed value of what a person, a file or a request gave; raises :class:`SettingError` saying what is wrong, of
    the setting by its name, or as it was ``called``."""
    text, name = str(given).strip(), called or setting.name
    what = f"{name} = {text[:60]!r}" if setting.kind is not Kind.SECRET else name
    if setting.kind is Kind.BOOL:
        if isinstance(given, bool):
            return given
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise SettingError(f"{what}: expected true or false")
    if setting.kind is Kind.CHOICE:
        wanted = dict(setting.formerly).get(text.lower(), text.lower())
        for choice in setting.choices:
            if wanted == choice.lower():
                return choice
        raise SettingError(f"{what}: expected one of {', '.join(setting.choices)}")
    if setting.kind in (Kind.TEXT, Kind.SECRET, Kind.LIST, Kind.TIERS):
        if not isinstance(given, str) or any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in given):
            raise SettingError(f"{what}: expected one line of text")
        if setting.kind is Kind.LIST:
            words = words_of(text)
            unknown = [w for w in words if setting.choices and w not in setting.choices]
            if unknown:
                raise SettingError(f"{what}: {unknown[0]!r} is none of {', '.join(setting.choices)}")
            return ", ".join(words)
        if setting.kind is Kind.TIERS:
            return _tiers_text(text, what)
        return text
    if isinstance(given, bool):
        raise SettingError(f"{what}: expected a number")
    try:
        scaled = micro_from_decimal(given)
    except ValueError:
        if not _NUMBER.fullmatch(text):
            raise SettingError(f"{what}: expected a number") from None
        scaled = MICRO * (-MAX_AMOUNT if text.startswith("-") else MAX_AMOUNT)  # beyond every bound
    if setting.kind is Kind.INT:
        value, rest = divmod(scaled, MICRO)
        if rest:
            raise SettingError(f"{what}: expected a whole number")
    else:
        value = scaled
    if (setting.low is not None and value < setting.low) or (setting.high is not None and value > setting.high):
        low, high = (show(setting, b) if b is not None else "…" for b in (setting.low, setting.high))
        raise SettingError(f"{what}: must be between {low} and {high}{' ' + setting.unit if setting.unit else ''}")
    if abs(scaled) >= MAX_AMOUNT:
        raise SettingError(f"{what}: the number is too large")
    return value


def without_user(text: str) -> str:
    """A URL without its user and password; any other text as it is."""
    scheme, colon, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{colon}{host.rpartition('@')[2]}{slash}{path}" if colon else text


def show(setting: Setting, value: Value) -> bool | int | float | str:
    """A value as JSON shows it: USDC and ratios as decimals, of URLs no password, the rest as it is. What is a secret
    as a whole is not hidden here."""
    if setting.kind is Kind.TEXT and isinstance(value, str):
        return without_user(value)
    if setting.kind in (Kind.USDC, Kind.RATIO) and isinstance(value, int):
        return int(value // MICRO) if value % MICRO == 0 else float(Decimal(value) / MICRO)
    return value


def text_of(setting: Setting, value: Value) -> str:
    """A value as it is stored and put into the environment."""
    if setting.kind is Kind.BOOL:
        return "true" if value else "false"
    if setting.kind in (Kind.USDC, Kind.RATIO) and isinstance(value, int):
        return format_micro(value)
    return str(value)


def words_of(text: str) -> tuple[str, ...]:
    """The entries of a LIST value: separated by commas, lower case, without empty ones and repeats."""
    return tuple(dict.fromkeys(w for part in text.split(",") if (w := " ".join(part.lower().split()))))


def tiers_of(text: str) -> tuple[tuple[int, int], ...]:
    """A TIERS value as (from, multiplier) pairs in millionths, ascending. ``text`` has been through :func:`parse`."""
    pairs = [part.split(":") for part in text.split(",") if part.strip()]
    return tuple((micro_from_decimal(start), micro_from_decimal(factor)) for start, factor in pairs)


def _tiers_text(text: str, what: str) -> str:
    """The normal form of a TIERS value; raises :class:`SettingError`."""
    tiers: dict[int, int] = {}
    for part in [p for p in text.split(",") if p.strip()]:
        start, colon, factor = part.partition(":")
        try:
            low, times = micro_from_decimal(start), micro_from_decimal(factor)
        except ValueError:
            colon = ""
        if not colon or low < 0 or not 0 <= times <= 100 * MICRO or low in tiers:
            raise SettingError(
                f"{what}: expected tiers like 0:1, 1000:0.5 (from this notional in USDC on: times this, 0 to 100)"
            )
        tiers[low] = times
    return ", ".join(f"{format_micro(low)}:{format_micro(tiers[low])}" for low in sorted(tiers))
