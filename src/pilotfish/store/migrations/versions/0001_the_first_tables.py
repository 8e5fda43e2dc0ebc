"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    op.create_table(
        "bad_inputs",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_bad_inputs")),
    )
    op.create_table(
        "commands",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=50), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
    )
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.create_index("ix_commands_done_at", ["done_at"], unique=False)

    op.create_table(
        "cursors",
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("api_cursor_ts", sa.BigInteger(), nullable=False),
        sa.Column("api_cursor_initialized", sa.Boolean(), nullable=False),
        sa.Column("api_cursor_updated_at", sa.BigInteger(), nullable=False),
        sa.Column("follow_from", sa.BigInteger(), nullable=False),
        sa.Column("floor_ts", sa.BigInteger(), nullable=False),
        sa.Column("bootstrapped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("leader", name=op.f("pk_cursors")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("trade_id", sa.BigInteger(), nullable=True),
        sa.Column("adjustment_id", sa.BigInteger(), nullable=True),
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("trace", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("adjustment_id", "portfolio", name="uq_decisions_adjustment_portfolio"),
        sa.UniqueConstraint("trade_id", "portfolio", name="uq_decisions_trade_portfolio"),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index("ix_decisions_action", ["action"], unique=False)
        batch_op.create_index("ix_decisions_decided_at", ["decided_at"], unique=False)

    op.create_table(
        "equity_snapshots",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("equity_micro", sa.BigInteger(), nullable=False),
        sa.Column("cash_micro", sa.BigInteger(), nullable=False),
        sa.Column("positions_value_micro", sa.BigInteger(), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=False),
        sa.Column("realized_pnl_micro", sa.BigInteger(), nullable=False),
        sa.Column("unrealized_pnl_micro", sa.BigInteger(), nullable=False),
        sa.Column("fees_micro", sa.BigInteger(), nullable=False),
        sa.Column("open_positions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_equity_snapshots")),
    )
    with op.batch_alter_table("equity_snapshots", schema=None) as batch_op:
        batch_op.create_index("ix_equity_snapshots_portfolio_at", ["portfolio", "at"], unique=False)

    op.create_table(
        "fills",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("intent_id", sa.BigInteger(), nullable=False),
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("shares_micro", sa.BigInteger(), nullable=False),
        sa.Column("usdc_micro", sa.BigInteger(), nullable=False),
        sa.Column("price_micro", sa.BigInteger(), nullable=False),
        sa.Column("fee_micro", sa.BigInteger(), nullable=False),
        sa.Column("filled_at", sa.BigInteger(), nullable=False),
        sa.Column("levels", sa.JSON(), nullable=False),
        sa.Column("delay_cost_micro", sa.BigInteger(), nullable=False),
        sa.Column("spread_cost_micro", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
    )
    with op.batch_alter_table("fills", schema=None) as batch_op:
        batch_op.create_index("ix_fills_filled_at", ["filled_at"], unique=False)
        batch_op.create_index("ix_fills_intent_id", ["intent_id"], unique=False)

    op.create_table(
        "health_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("healthy", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_events")),
    )
    op.create_table(
        "holding_adjustments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("before_micro", sa.BigInteger(), nullable=False),
        sa.Column("delta_micro", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holding_adjustments")),
    )
    with op.batch_alter_table("holding_adjustments", schema=None) as batch_op:
        batch_op.create_index("ix_holding_adjustments_leader_token_id", ["leader", "token_id"], unique=False)

    op.create_table(
        "intents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.Column("trade_id", sa.BigInteger(), nullable=False),
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("condition_id", sa.String(length=66), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("shares_micro", sa.BigInteger(), nullable=False),
        sa.Column("budget_micro", sa.BigInteger(), nullable=False),
        sa.Column("limit_price_micro", sa.BigInteger(), nullable=False),
        sa.Column("leader_price_micro", sa.BigInteger(), nullable=False),
        sa.Column("traded_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("filled_shares_micro", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intents")),
    )
    with op.batch_alter_table("intents", schema=None) as batch_op:
        batch_op.create_index("ix_intents_decision_id", ["decision_id"], unique=False)
        batch_op.create_index("ix_intents_state", ["state"], unique=False)

    op.create_table(
        "leader_holdings",
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("shares_micro", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("leader", "token_id", name=op.f("pk_leader_holdings")),
    )
    op.create_table(
        "leaders",
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("wallet", name=op.f("pk_leaders")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("fill_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
    )
    with op.batch_alter_table("ledger_entries", schema=None) as batch_op:
        batch_op.create_index("ix_ledger_entries_portfolio", ["portfolio"], unique=False)

    op.create_table(
        "markets",
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("condition_id", sa.String(length=66), nullable=False),
        sa.Column("outcome", sa.String(length=500), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("slug", sa.Text(), nullable=True),
        sa.Column("category", sa.String(length=100), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("accepting_orders", sa.Boolean(), nullable=False),
        sa.Column("tick_micro", sa.BigInteger(), nullable=False),
        sa.Column("fee_rate_ppm", sa.BigInteger(), nullable=False),
        sa.Column("delay_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.Column("payout_micro", sa.BigInteger(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_markets")),
    )
    op.create_table(
        "portfolios",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("bankroll_micro", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=True),
        sa.Column("reset_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_portfolios")),
    )
    op.create_table(
        "positions",
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("condition_id", sa.String(length=66), nullable=False),
        sa.Column("outcome", sa.String(length=500), nullable=False),
        sa.Column("shares_micro", sa.BigInteger(), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=False),
        sa.Column("realized_pnl_micro", sa.BigInteger(), nullable=False),
        sa.Column("fees_micro", sa.BigInteger(), nullable=False),
        sa.Column("mark_price_micro", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("portfolio", "leader", "token_id", name=op.f("pk_positions")),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("name", "portfolio", "leader", name=op.f("pk_settings")),
    )
    op.create_table(
        "settings_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings_audit")),
    )
    op.create_table(
        "trade_raw",
        sa.Column("trade_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("trade_id", name=op.f("pk_trade_raw")),
    )
    op.create_table(
        "trades",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("shares_micro", sa.BigInteger(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("first_source", sa.String(length=8), nullable=False),
        sa.Column("class", sa.String(length=16), nullable=False),
        sa.Column("moves_holding", sa.Boolean(), nullable=False),
        sa.Column("usdc_micro", sa.BigInteger(), nullable=False),
        sa.Column("traded_at", sa.BigInteger(), nullable=False),
        sa.Column("traded_at_estimated", sa.Boolean(), nullable=False),
        sa.Column("first_seen_by_api_at", sa.BigInteger(), nullable=True),
        sa.Column("first_seen_by_polygon_at", sa.BigInteger(), nullable=True),
        sa.Column("is_combo", sa.Boolean(), nullable=False),
        sa.Column("condition_id", sa.String(length=66), nullable=True),
        sa.Column("outcome", sa.String(length=500), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("slug", sa.Text(), nullable=True),
        sa.Column("fee_micro", sa.BigInteger(), nullable=True),
        sa.Column("role", sa.String(length=5), nullable=True),
        sa.Column("order_hash", sa.String(length=66), nullable=True),
        sa.Column("exchange", sa.String(length=42), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.String(length=66), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.Column("leader_pre_sell_shares_micro", sa.BigInteger(), nullable=True),
        sa.Column("api_lagged", sa.Boolean(), nullable=False),
        sa.Column("retracted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trades")),
        sa.UniqueConstraint(
            "tx_hash", "leader", "token_id", "side", "shares_micro", "occurrence", name="uq_trades_identity"
        ),
    )
    with op.batch_alter_table("trades", schema=None) as batch_op:
        batch_op.create_index("ix_trades_leader_traded_at", ["leader", "traded_at"], unique=False)
        batch_op.create_index("ix_trades_traded_at", ["traded_at"], unique=False)

    op.create_table(
        "worker_status",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker_status")),
    )


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("worker_status")
    with op.batch_alter_table("trades", schema=None) as batch_op:
        batch_op.drop_index("ix_trades_traded_at")
        batch_op.drop_index("ix_trades_leader_traded_at")

    op.drop_table("trades")
    op.drop_table("trade_raw")
    op.drop_table("settings_audit")
    op.drop_table("settings")
    op.drop_table("positions")
    op.drop_table("portfolios")
    op.drop_table("markets")
    with op.batch_alter_table("ledger_entries", schema=None) as batch_op:
        batch_op.drop_index("ix_ledger_entries_portfolio")

    op.drop_table("ledger_entries")
    op.drop_table("leaders")
    op.drop_table("leader_holdings")
    with op.batch_alter_table("intents", schema=None) as batch_op:
        batch_op.drop_index("ix_intents_state")
        batch_op.drop_index("ix_intents_decision_id")

    op.drop_table("intents")
    with op.batch_alter_table("holding_adjustments", schema=None) as batch_op:
        batch_op.drop_index("ix_holding_adjustments_leader_token_id")

    op.drop_table("holding_adjustments")
    op.drop_table("health_events")
    with op.batch_alter_table("fills", schema=None) as batch_op:
        batch_op.drop_index("ix_fills_intent_id")
        batch_op.drop_index("ix_fills_filled_at")

    op.drop_table("fills")
    with op.batch_alter_table("equity_snapshots", schema=None) as batch_op:
        batch_op.drop_index("ix_equity_snapshots_portfolio_at")

    op.drop_table("equity_snapshots")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index("ix_decisions_decided_at")
        batch_op.drop_index("ix_decisions_action")

    op.drop_table("decisions")
    op.drop_table("cursors")
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.drop_index("ix_commands_done_at")

    op.drop_table("commands")
    op.drop_table("bad_inputs")
