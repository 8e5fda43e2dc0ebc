"""The environment (and a ``.env`` file beside the program) as parsed settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from pilotfish.core import settings as s
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
        file = {k: v for k, v in dotenv_values(Path.cwd() / ".env").items() if v is not None}
        env = {**file, **os.environ}
    values: dict[str, Value] = {}
    for setting in s.ALL:
        given = env.get(setting.env_name, "").strip()
        if not given:
            continue
        try:
            values[setting.name] = s.parse(setting, given)
        except SettingError as problem:
            shown = str(problem).replace(setting.name, setting.env_name, 1)
            raise ConfigError(f"environment variable {shown}") from None
    return values


def process_value(values: Mapping[str, Value], name: str) -> str:
    """A process setting as text: from the environment, else its default."""
    return str(values.get(name, s.BY_NAME[name].default))


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
