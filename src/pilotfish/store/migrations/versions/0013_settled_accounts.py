"""Accounts of the report as they stood after each stretch of decisions; round trips in the order of their return."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_STATES = {"sold": sa.text("ended <> 'resolved'"), "resolved": sa.text("ended = 'resolved'")}
_RATIOS = {
    "return": "(pnl_micro * 1.0 / coalesce(nullif(paid_micro, 0), 1))",
    "exit": "(got_micro * 1.0 / coalesce(nullif(bought_micro, 0), 1))",
}


def upgrade() -> None:
    """Apply the step."""
    if op.get_bind().dialect.name == "postgresql":  # SQLite's columns hold bytes as they are declared
        op.execute("ALTER TABLE trade_raw ALTER payload TYPE BYTEA USING convert_to(payload, 'UTF8')")
        op.execute("ALTER TABLE decisions ALTER trace TYPE BYTEA USING convert_to(trace::text, 'UTF8')")
    big = sa.BigInteger()
    op.create_table(
        "settled_accounts",
        sa.Column("id", big.with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("portfolio", sa.String(100), nullable=False),
        sa.Column("leader", sa.String(42), nullable=False),
        sa.Column("token_id", sa.String(78), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_settled_accounts"),
    )
    op.create_table(
        "settled_states",
        sa.Column("account_id", big, nullable=False),
        sa.Column("upto", big, nullable=False),
        sa.Column("reset_at", big, nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "upto", name="pk_settled_states"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "settled_stretches",
        sa.Column("upto", big, nullable=False),
        sa.Column("first_came_at", big, nullable=False),
        sa.Column("last_came_at", big, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("upto", name="pk_settled_stretches"),
    )
    op.create_index("ix_intents_portfolio_token_id_id_side", "intents", ["portfolio", "token_id", "id", "side"])
    op.drop_index("ix_intents_portfolio_token_id_id", "intents")
    for state, where in _STATES.items():
        for name, ratio in _RATIOS.items():
            op.create_index(
                f"ix_round_trips_{state}_{name}", "round_trips", ["portfolio", sa.text(ratio), "id"],
                sqlite_where=where, postgresql_where=where,
            )  # fmt: skip


def downgrade() -> None:
    """Take the step back."""
    for state in _STATES:
        for name in _RATIOS:
            op.drop_index(f"ix_round_trips_{state}_{name}", "round_trips")
    op.create_index("ix_intents_portfolio_token_id_id", "intents", ["portfolio", "token_id", "id"])
    op.drop_index("ix_intents_portfolio_token_id_id_side", "intents")
    op.drop_table("settled_stretches")
    op.drop_table("settled_states")
    op.drop_table("settled_accounts")
