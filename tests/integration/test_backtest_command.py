"""``pilotfish backtest`` against the stand-in venue: from a wallet to a verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import finished

pytestmark = pytest.mark.slow
