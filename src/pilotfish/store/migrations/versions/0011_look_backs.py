"""Look backs: what was asked of somebody's past, how far it is, and what came of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    big = sa.BigInteger()
    op.create_table(
        "look_backs",
        sa.Column("id", big.with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True, nullable=False),
        sa.Column("wallet", sa.String(42), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("asked_at", big, nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("of", sa.Integer(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("verdict", sa.String(16), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("started_at", big, nullable=True),
        sa.Column("finished_at", big, nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_look_backs"),
    )
    op.create_index("ix_look_backs_wallet_id", "look_backs", ["wallet", "id"])
    op.create_index("ix_look_backs_state_id", "look_backs", ["state", "id"])


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("look_backs")
