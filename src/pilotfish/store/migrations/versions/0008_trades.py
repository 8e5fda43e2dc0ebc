"""Indexes for pages of orders: the leaders' by what their fills have alike, ours by number, and entries by fill."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OF_ORDER = sa.text("order_hash IS NOT NULL")
_BECAME = (
    ("filled", sa.text("state NOT IN ('pending', 'working') AND filled_shares_micro > 0")),
    ("not_filled", sa.text("state NOT IN ('pending', 'working') AND filled_shares_micro = 0")),
)
_OURS = (
    ("ix_intents_portfolio_id", ["portfolio", "id"]),
    ("ix_intents_portfolio_leader_id", ["portfolio", "leader", "id"]),
    ("ix_intents_portfolio_token_id_id", ["portfolio", "token_id", "id"]),
)


def upgrade() -> None:
    """Apply the step."""
    op.create_index(
        "ix_trades_order_id", "trades", ["order_hash", "id"], sqlite_where=_OF_ORDER, postgresql_where=_OF_ORDER
    )
    for name, where in _BECAME:
        op.create_index(
            f"ix_intents_{name}_id", "intents", ["portfolio", "id"], sqlite_where=where, postgresql_where=where
        )
    for name, columns in _OURS:
        op.create_index(name, "intents", columns)
    op.create_index("ix_ledger_entries_fill_id", "ledger_entries", ["fill_id"])


def downgrade() -> None:
    """Take the step back."""
    op.drop_index("ix_ledger_entries_fill_id", "ledger_entries")
    for name, _ in reversed(_OURS):
        op.drop_index(name, "intents")
    for name, _ in _BECAME:
        op.drop_index(f"ix_intents_{name}_id", "intents")
    op.drop_index("ix_trades_order_id", "trades")
