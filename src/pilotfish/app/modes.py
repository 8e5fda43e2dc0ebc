"""Which trigger mode is in force, where it comes from, and what that means for the feeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pilotfish.core.settings import BY_NAME, Origin, Value, resolve
from pilotfish.store.worker_state import ModeState


@dataclass(frozen=True, slots=True)
class EffectiveMode:
    """``env`` and ``db`` are what each says (``None`` = nothing); ``effective`` is what counts, from ``source``."""

    env: str | None
    db: str | None
    effective: str
    source: Origin

    @property
    def api_only(self) -> bool:
        """True where the chain is not listened to, whatever is configured."""
        return self.effective == "api"

    def state(self) -> ModeState:
        """The mode as the worker says it."""
        return ModeState(env=self.env, db=self.db, effective=self.effective, source=self.source.value)

    def log_fields(self) -> dict[str, str | None]:
        """The fields of the start-up log line."""
        found: dict[str, str | None] = msgspec.to_builtins(self.state())
        return found


@dataclass(slots=True)
class InForce:
    """The mode that counts now; ``None`` until settings were read."""

    mode: EffectiveMode | None = None

    @property
    def api_only(self) -> bool:
        """True where the chain is not listened to, whatever is configured."""
        return self.mode is not None and self.mode.api_only


def effective_mode(environment: Mapping[str, Value], dashboard: Mapping[str, Value]) -> EffectiveMode:
    """Resolve ``trigger_mode``."""
    result = resolve(BY_NAME["trigger_mode"], environment, dashboard)
    env, db = environment.get("trigger_mode"), dashboard.get("trigger_mode")
    return EffectiveMode(
        str(env) if env is not None else None, str(db) if db is not None else None, str(result.value), result.source
    )
