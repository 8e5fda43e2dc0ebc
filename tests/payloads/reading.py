"""Where tests find payloads: the project's own always, recorded ones beside the project where there are any."""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from tests.payloads import FIXTURES

PROJECT = Path(__file__).resolve().parent.parent.parent
LEFT_OUT = (
    "recorded payloads: none beside the project (PILOTFISH_REAL_DATA or ../shared/data/real), "
    "so their tests were left out; the project's own payloads were read"
)


@dataclass(frozen=True)
class Payloads:
    """A folder of payloads by the names of ``tests.payloads.files``."""

    name: str
    folder: Path

    def read(self, file: str) -> Any:
        """A payload as the program reads it: numbers with a fraction stay exact."""
        return msgspec.json.Decoder(type=Any, float_hook=Decimal).decode((self.folder / file).read_bytes())

    def rows(self, file: str) -> list[Any]:
        """The rows of a list or of a whole v2 answer."""
        payload = self.read(file)
        return list(payload["data"] if isinstance(payload, dict) else payload)

    def one(self, file: str) -> Any:
        """One object, also where the file is a list of one."""
        payload = self.read(file)
        return payload[0] if isinstance(payload, list) else payload


OWN = Payloads("own", FIXTURES)


def recorded_folder() -> Path | None:
    """The folder of recorded payloads, or ``None`` where there is none."""
    told = os.environ.get("PILOTFISH_REAL_DATA")
    folder = Path(told) if told else PROJECT.parent / "shared" / "data" / "real"
    return folder if folder.is_dir() else None


def everything() -> list[Payloads]:
    """All folders that are there."""
    folder = recorded_folder()
    return [OWN] if folder is None else [OWN, Payloads("recorded", folder)]
