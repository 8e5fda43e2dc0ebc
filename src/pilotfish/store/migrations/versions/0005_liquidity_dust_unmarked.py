"""Liquidity that was used up survives a restart; dust is written off by an entry of its own; values that nobody bids
for are known as such."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = {
    "positions": ("unmarked_since",),
    "marks": ("unmarked_since",),
    "ledger_entries": ("shares_micro",),
    "equity_snapshots": ("unmarked_value_micro",),
    "holding_adjustments": ("said_micro", "as_of"),
}


def upgrade() -> None:
    """Apply the step."""
    op.create_table(
        "liquidity_taken",
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("price_micro", sa.BigInteger(), nullable=False),
        sa.Column("taken_micro", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("portfolio", "token_id", "side", "price_micro", name=op.f("pk_liquidity_taken")),
    )
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True))
    op.add_column("intents", sa.Column("dust_micro", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Take the step back."""
    for table, columns in (*_COLUMNS.items(), ("intents", ("dust_micro",))):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column)
    op.drop_table("liquidity_taken")
