"""What portfolios were worth from time to time, as it is kept."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import asdict
from sqlalchemy import Connection, Executable

from pilotfish.core.units import Micros, Usdc
from pilotfish.store.mapping import read_rows
from pilotfish.store.views.base import Iso, View, iso


class _Worth(View, frozen=True, kw_only=True):
    portfolio: str
    equity_micro: Usdc
    cash_micro: Usdc
    positions_value_micro: Usdc
    cost_micro: Usdc
    realized_pnl_micro: Usdc
    unrealized_pnl_micro: Usdc
    fees_micro: Usdc
    open_positions: int
    peak_micro: Usdc | None
    drawdown_micro: Usdc | None
    unmarked_value_micro: Usdc | None


class Valuation(_Worth, frozen=True, kw_only=True):
    """What a portfolio was worth at an instant; what earlier versions did not write is ``None``."""

    at: Iso


class _Row(_Worth, frozen=True, kw_only=True):
    at: Micros


def read_valuations(c: Connection, statement: Executable) -> Iterator[Valuation]:
    """Valuations of a statement that reads their rows."""
    return (Valuation(**(asdict(r) | {"at": iso(r.at)})) for r in read_rows(c, _Row, statement))
