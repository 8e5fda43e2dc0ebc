"""Why a SQLite database cannot be written to, where its surroundings say so: in words, with what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sqlalchemy import URL

LEAST_FREE = 1 << 20
"""Bytes: with less room on the disk nothing can be written for long."""


def why(url: URL) -> str:
    """What stands against writing, and what to do; empty where nothing can be seen, or it is no file of this
    machine."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return ""
    path = Path(str(url.database)).absolute()
    folder = next(parent for parent in path.parents if parent.exists())
    for what, place in (("folder", folder), ("file", path), ("file", path.with_name(f"{path.name}-wal"))):
        if place.exists() and not os.access(place, os.W_OK):
            return (
                f"the {what} {place} cannot be written to: it is read-only, or belongs to somebody else than user"
                f" {os.geteuid()}. Make it writable for that user, or set DATABASE_URL to a place that is"
            )
    if shutil.disk_usage(folder).free < LEAST_FREE:
        return f"the disk of {folder} is full. Make room, or set DATABASE_URL to a place that has some"
    return ""
