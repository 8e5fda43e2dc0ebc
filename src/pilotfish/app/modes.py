"""Which trigger mode is in force, where it comes from, and what that means for the feeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotfish.core.settings import BY_NAME, Origin, Value, resolve


@dataclass(frozen=True, slots=True)
class EffectiveMode:
    """``env`` and ``db`` are what each says (``None`` = nothing); ``effective`` is what counts, from ``source``."""

    env: str | None
    db: str | None
    effective: str
    source: Origin

    def log_fields(self) -> dict[str, str | None]:
        """The fields of the start-up log line."""
        return {
            "envTriggerMode": self.env,
            "dbTriggerMode": self.db,
            "effectiveTriggerMode": self.effective,
            "source": self.source.value,
        }


def effective_mode(environment: Mapping[str, Value], dashboard: Mapping[str, Value]) -> EffectiveMode:
    """Resolve ``trigger_mode``."""
    result = resolve(BY_NAME["trigger_mode"], environment, dashboard)
    env, db = environment.get("trigger_mode"), dashboard.get("trigger_mode")
    return EffectiveMode(
        str(env) if env is not None else None, str(db) if db is not None else None, str(result.value), result.source
    )
