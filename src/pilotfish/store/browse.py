"""Who changed which setting."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from pilotfish.store import tables as t
from pilotfish.store.views.base import iso

Row = dict[str, Any]


def audit(c: Connection, limit: int = 100) -> list[Row]:
    """Who changed which setting, newest first."""
    a = t.settings_audit
    return [
        {
            "at": iso(r.at), "name": r.name, "portfolio": r.portfolio, "leader": r.leader, "old": r.old, "new": r.new,
            "by": r.by,
        }
        for r in c.execute(select(a).order_by(a.c.id.desc()).limit(limit))
    ]  # fmt: skip
