"""Indexes that keep pages fast in a million trades: a leader's decisions by reason and action, trades taken back, and
trades that one source only has seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_RETRACTED = sa.text("retracted_at IS NOT NULL")
_SEEN_ONCE = sa.text("first_seen_by_api_at IS NULL OR first_seen_by_polygon_at IS NULL")


def upgrade() -> None:
    """Apply the step."""
    for last in ("reason", "action"):
        op.create_index(
            f"ix_decisions_portfolio_leader_{last}_trade_id", "decisions", ["portfolio", "leader", last, "trade_id"]
        )
    for name, where in (("ix_trades_retracted", _RETRACTED), ("ix_trades_seen_once", _SEEN_ONCE)):
        op.create_index(name, "trades", ["id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Take the step back."""
    for name in ("ix_trades_seen_once", "ix_trades_retracted"):
        op.drop_index(name, "trades")
    for last in ("action", "reason"):
        op.drop_index(f"ix_decisions_portfolio_leader_{last}_trade_id", "decisions")
