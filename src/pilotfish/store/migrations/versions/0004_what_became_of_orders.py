"""Indexes that find filled and unfilled orders of a portfolio, and of a leader in it, and pass over the others; and
when each source was listened to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_WHERE = {
    "filled": sa.text("state NOT IN ('pending', 'working') AND filled_shares_micro > 0"),
    "not_filled": sa.text("state NOT IN ('pending', 'working') AND filled_shares_micro = 0"),
}
_COLUMNS = {"trade_id": ["portfolio", "trade_id"], "leader": ["portfolio", "leader", "trade_id"]}


def upgrade() -> None:
    """Apply the step."""
    for name, where in _WHERE.items():
        for by, columns in _COLUMNS.items():
            op.create_index(f"ix_intents_{name}_{by}", "intents", columns, sqlite_where=where, postgresql_where=where)

    op.create_table(
        "listening",
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "since", name=op.f("pk_listening")),
    )


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("listening")
    for name in _WHERE:
        for by in _COLUMNS:
            op.drop_index(f"ix_intents_{name}_{by}", "intents")
