"""``python -m tests.payloads`` writes the fixtures anew."""

from __future__ import annotations

from tests.payloads import FIXTURES, files

FIXTURES.mkdir(exist_ok=True)
wanted = files()
for stale in FIXTURES.glob("*.json"):
    if stale.name not in wanted:
        stale.unlink()
for name, text in wanted.items():
    (FIXTURES / name).write_text(text, encoding="utf-8")
print(f"{len(wanted)} files in {FIXTURES}")
