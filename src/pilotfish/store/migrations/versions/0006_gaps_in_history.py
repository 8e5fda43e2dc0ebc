"""What is missing of a leader's history: seconds of which not all rows could be had."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    op.create_table(
        "history_gaps",
        sa.Column("leader", sa.String(42), nullable=False),
        sa.Column("from_ts", sa.BigInteger, nullable=False),
        sa.Column("to_ts", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("leader", "from_ts", "to_ts", name="pk_history_gaps"),
    )
    op.create_index("ix_history_gaps_is_open", "history_gaps", ["is_open"])


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("history_gaps")
