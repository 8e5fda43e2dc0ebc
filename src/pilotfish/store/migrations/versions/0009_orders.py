"""Indexes for pages of orders: the leaders' by what their fills have alike, ours by number;
entries by fill, tokens by market."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_OF_ORDER = sa.text("order_hash IS NOT NULL")
_FILLED = sa.text("state NOT IN ('pending', 'working') AND filled_shares_micro > 0")
_NOT_FILLED = sa.text("state NOT IN ('pending', 'working') AND filled_shares_micro = 0")
_OUT = sa.text("state IN ('pending', 'working')")
_BECAME = (
    ("ix_intents_filled_id", ["portfolio", "id"], _FILLED),
    ("ix_intents_not_filled_id", ["portfolio", "id"], _NOT_FILLED),
    ("ix_intents_out_id", ["portfolio", "id"], _OUT),
    ("ix_intents_out_trade_id", ["portfolio", "trade_id"], _OUT),
    ("ix_intents_out_leader", ["portfolio", "leader", "trade_id"], _OUT),
)
_OURS = (
    ("ix_intents_portfolio_leader_id", ["portfolio", "leader", "id"]),
    ("ix_intents_portfolio_token_id_id", ["portfolio", "token_id", "id"]),
)


def upgrade() -> None:
    """Apply the step."""
    op.create_index(
        "ix_trades_order_id", "trades", ["order_hash", "id"], sqlite_where=_OF_ORDER, postgresql_where=_OF_ORDER
    )
    for name, columns, where in _BECAME:
        op.create_index(name, "intents", columns, sqlite_where=where, postgresql_where=where)
    for name, columns in _OURS:
        op.create_index(name, "intents", columns)
    op.create_index("ix_ledger_entries_fill_id", "ledger_entries", ["fill_id"])
    op.create_index("ix_markets_condition_id", "markets", ["condition_id"])


def downgrade() -> None:
    """Take the step back."""
    op.drop_index("ix_markets_condition_id", "markets")
    op.drop_index("ix_ledger_entries_fill_id", "ledger_entries")
    for name, _ in reversed(_OURS):
        op.drop_index(name, "intents")
    for name, _, _ in reversed(_BECAME):
        op.drop_index(name, "intents")
    op.drop_index("ix_trades_order_id", "trades")
