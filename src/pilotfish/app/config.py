"""The environment (and a ``.env`` file beside the program) as parsed settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from pilotfish.core import settings as s
from pilotfish.core.names import nearest
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Kind, SettingError, Value


class ConfigError(Problem):
    """The environment holds a value that cannot be used; the message names the variable and what would do."""


def environment(env: Mapping[str, str] | None = None) -> dict[str, Value]:
    """Settings named in the environment, by setting name; empty variables count as absent.

    A ``.env`` file in the working directory fills in what the real environment does not set.
    Raises :class:`ConfigError`.
    """
    if env is None:
        env = {**{k: v for k, v in _file().items() if v is not None}, **os.environ}
    values: dict[str, Value] = {}
    for setting in s.ALL:
        given = env.get(setting.env_name, "").strip()
        if not given:
            continue
        try:
            values[setting.name] = s.parse(setting, given, setting.env_name)
        except SettingError as problem:
            raise ConfigError(f"environment variable {problem}") from None
    return values


def _file() -> dict[str, str | None]:
    """What the ``.env`` file in the working directory says. Raises :class:`ConfigError` if it cannot be read."""
    path = Path.cwd() / ".env"
    try:
        return dict(dotenv_values(path, interpolate=True))
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} cannot be read ({problem}); make it a text file that you may read") from None


@dataclass(frozen=True, slots=True)
class Misnamed:
    """A name that is no setting's, and the setting that it was probably meant to be."""

    name: str
    where: str
    near: str | None

    def __str__(self) -> str:
        hint = f"did you mean {self.near}?" if self.near else ".env.example names every setting"
        return f"{self.name} in {self.where} is not a setting and has no effect; {hint}"


NEAR = 0.87
"""How like a setting's name a variable of the environment must be to be told of: others belong to other programs."""
PREFIX = "PILOTFISH_"


def misnamed(env: Mapping[str, str] | None = None, file: Mapping[str, str | None] | None = None) -> list[Misnamed]:
    """Every name of the ``.env`` file that is no setting, and what in the environment looks like one and is none."""
    ours = [setting.env_name for setting in s.ALL]
    known = set(ours)
    by_name = {setting.name.upper(): setting.env_name for setting in s.ALL} | {name: name for name in ours}
    found = []
    for name in _file() if file is None else file:
        if name not in known:
            near = nearest(name.removeprefix(PREFIX), by_name)
            found.append(Misnamed(name, ".env", by_name[near] if near else None))
    for name in sorted(os.environ if env is None else env):
        if name not in known:
            near = nearest(name.upper().removeprefix(PREFIX), by_name, cutoff=NEAR, parts=False)
            if near is not None:
                found.append(Misnamed(name, "the environment", by_name[near]))
    return found


def process_value(values: Mapping[str, Value], name: str) -> str:
    """A process setting as text: from the environment, else its default."""
    return str(values.get(name, s.BY_NAME[name].default))


def history_place(values: Mapping[str, Value]) -> str:
    """Where pulled history is kept: ``history_url``, else beside a SQLite database; empty = the platform's data folder
    (a server's database). Raises :class:`~pilotfish.store.database.DatabaseError`."""
    from pilotfish.store.database import (  # slow to import, and not needed by who names a place
        database_url,
        place_beside,
    )

    configured = process_value(values, "history_url")
    return configured or place_beside(database_url(process_value(values, "database_url")))


def env_example() -> str:
    """The text of ``.env.example``: every setting, commented out, with its help and default."""
    lines = ["# Settings of pilotfish. What the dashboard sets wins over what is set here.", ""]
    group = ""
    for setting in s.ALL:
        if setting.group != group:
            group = setting.group
            lines += [f"# --- {group} " + "-" * max(3, 60 - len(group)), ""]
        facts = [
            f"one of {', '.join(setting.choices)}" if setting.kind is Kind.CHOICE else "",
            f"unit {setting.unit}" if setting.unit else "",
            "true or false" if setting.kind is Kind.BOOL else "",
        ]
        note = "; ".join(f for f in facts if f)
        lines.append(f"# {setting.help}{f' ({note})' if note else ''}")
        lines += [f"# {setting.env_name}={s.text_of(setting, setting.default)}", ""]
    return "\n".join(lines)
