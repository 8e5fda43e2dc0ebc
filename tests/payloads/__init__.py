"""Payloads of the project's own: the venue's shapes and field names, with invented values.

``python -m tests.payloads`` writes them to ``tests/contract/fixtures``; the same every time. They are made from whole
numbers in millionths (``logs``, ``wallets``, ``markets``), so that tests know what each must
parse to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.payloads import logs, markets, wallets

FIXTURES = Path(__file__).resolve().parent.parent / "contract" / "fixtures"


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    payloads: dict[str, Any] = {**logs.files(), **wallets.files(), **markets.files()}
    return {name: json.dumps(payload, indent=1, ensure_ascii=False) + "\n" for name, payload in payloads.items()}
