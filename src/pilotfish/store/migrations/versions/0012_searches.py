"""Searches through many wallets with their boards; and about how long a look back still takes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    big = sa.BigInteger()
    op.add_column("look_backs", sa.Column("left_sec", sa.Integer(), nullable=True))
    op.create_table(
        "searches",
        sa.Column("id", big.with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True, nullable=False),
        sa.Column("asked_at", big, nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("wallets", sa.JSON(), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("budget", big, nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("of", sa.Integer(), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("left_sec", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("tested", sa.Integer(), nullable=True),
        sa.Column("copyable", sa.Integer(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("started_at", big, nullable=True),
        sa.Column("finished_at", big, nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_searches"),
    )
    op.create_index("ix_searches_state_id", "searches", ["state", "id"])
    op.create_table(
        "searched_wallets",
        sa.Column("search_id", big, primary_key=True, nullable=False),
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("wallet", sa.String(42), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("edge_per_usdc", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("shrunk", sa.Double(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("q_value", sa.Double(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("trades", sa.Integer(), nullable=False),
        sa.Column("filled_share", sa.Double(), nullable=False),
        sa.Column("result_micro", big, nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("incomplete", sa.Text(), nullable=False),
        sa.Column("category", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("search_id", "place", name="pk_searched_wallets"),
    )


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("searched_wallets")
    op.drop_table("searches")
    op.drop_column("look_backs", "left_sec")
