"""The same parsers as ``tests.fuzz``, with inputs that are bred towards code which none has reached yet.

``make fuzz ARGS="--coverage-guided --seconds 60"``. It needs atheris, which is in no lock of ours since it is there for
some versions of Python only: ``.venv/bin/pip install atheris``. Whatever a parser does but give a record or its own
error ends the run with the input that did it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

MISSING = 2
"""Exit code where atheris is not installed."""


def main() -> None:
    """``seconds`` is the one argument."""
    try:
        atheris: Any = import_module("atheris")
    except ImportError:
        print("atheris is not installed here: .venv/bin/pip install atheris", file=sys.stderr)
        sys.exit(MISSING)
    with atheris.instrument_imports(include=["pilotfish.polymarket", "pilotfish.core", "pilotfish.history"]):
        parsers = import_module("tests.unit.test_hostile_payloads").PARSERS
        wire = import_module("pilotfish.polymarket.wire")
        of_dictionaries = import_module("tests.fuzz").OF_DICTIONARIES
    kinds = sorted(parsers)

    def one(data: bytes) -> None:
        """The first byte says which parser, the rest is what it gets."""
        if not data:
            return
        kind = kinds[data[0] % len(kinds)]
        try:
            payload = wire.decode(data[1:])
        except wire.NotJsonError:
            return
        if kind in of_dictionaries and not isinstance(payload, dict):
            return
        _, parse, own = parsers[kind]
        try:
            parse(payload)
        except own:
            return

    with tempfile.TemporaryDirectory(prefix="pilotfish-fuzz-") as folder:
        for number, kind in enumerate(kinds):
            (Path(folder) / str(number)).write_bytes(bytes([number]) + json.dumps(parsers[kind][0]).encode())
        atheris.Setup([sys.argv[0], folder, f"-max_total_time={sys.argv[1]}", "-max_len=8192", "-verbosity=0",
                       "-print_final_stats=1"], one)  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    main()
