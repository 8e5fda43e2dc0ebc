"""Portfolios side by side, wanted sizes on decisions, marks, and what verifying a fill needs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    op.create_table(
        "follows",
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.PrimaryKeyConstraint("portfolio", "leader", name=op.f("pk_follows")),
    )
    op.create_table(
        "marks",
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("bid_micro", sa.BigInteger(), nullable=True),
        sa.Column("ask_micro", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_marks")),
    )
    op.create_table(
        "savings",
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("usdc_micro", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("portfolio", "leader", "token_id", name=op.f("pk_savings")),
    )
    with op.batch_alter_table("cursors", schema=None) as batch_op:
        batch_op.add_column(sa.Column("positions_value_micro", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rule", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("leader", sa.String(length=42), nullable=True))
        batch_op.add_column(sa.Column("token_id", sa.String(length=78), nullable=True))
        batch_op.add_column(sa.Column("side", sa.String(length=4), nullable=True))
        batch_op.add_column(sa.Column("class", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("wanted_usdc_micro", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("granted_usdc_micro", sa.BigInteger(), nullable=True))
        batch_op.create_index("ix_decisions_leader_token_id", ["leader", "token_id"], unique=False)
        batch_op.create_index(
            "ix_decisions_portfolio_reason_trade_id", ["portfolio", "reason", "trade_id"], unique=False
        )
        batch_op.create_index(
            "ix_decisions_portfolio_action_trade_id", ["portfolio", "action", "trade_id"], unique=False
        )

    with op.batch_alter_table("trades", schema=None) as batch_op:
        batch_op.create_index("ix_trades_leader_id", ["leader", "id"], unique=False)
        batch_op.create_index("ix_trades_token_id_id", ["token_id", "id"], unique=False)
        batch_op.create_index("ix_trades_class_id", ["class", "id"], unique=False)
        batch_op.create_index("ix_trades_first_source_id", ["first_source", "id"], unique=False)

    with op.batch_alter_table("equity_snapshots", schema=None) as batch_op:
        batch_op.add_column(sa.Column("peak_micro", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("drawdown_micro", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("fills", schema=None) as batch_op:
        batch_op.add_column(sa.Column("leader_price_micro", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("mid2_micro", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("fee_rate_ppm", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("fee_half_exponent", sa.Integer(), nullable=True))

    with op.batch_alter_table("intents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("share_cap_micro", sa.BigInteger(), server_default="0", nullable=False))

    with op.batch_alter_table("markets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fee_half_exponent", sa.Integer(), server_default="2", nullable=False))

    with op.batch_alter_table("portfolios", schema=None) as batch_op:
        batch_op.add_column(sa.Column("status", sa.String(length=16), server_default="active", nullable=False))
        batch_op.add_column(sa.Column("follows_all", sa.Boolean(), server_default=sa.true(), nullable=False))
        batch_op.add_column(sa.Column("note", sa.Text(), nullable=True))
    for column in ("leader", "token_id", "side", '"class"'):
        of_trade = f"(SELECT {column} FROM trades WHERE trades.id = decisions.trade_id)"
        op.execute(f"UPDATE decisions SET {column} = {of_trade}")
