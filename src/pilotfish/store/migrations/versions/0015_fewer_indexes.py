"""Fewer indexes: a leader's trades in a token are found by one on trades, with their decisions; orders that are out by
those that hold nothing else."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the step."""
    op.drop_index("ix_decisions_leader_token_id", "decisions")
    op.drop_index("ix_intents_state", "intents")
    op.drop_index("ix_trades_token_id_id", "trades")
    op.create_index("ix_trades_token_id_leader", "trades", ["token_id", "leader", "id"])


def downgrade() -> None:
    """Take the step back."""
    op.drop_index("ix_trades_token_id_leader", "trades")
    op.create_index("ix_trades_token_id_id", "trades", ["token_id", "id"])
    op.create_index("ix_intents_state", "intents", ["state"])
    op.create_index("ix_decisions_leader_token_id", "decisions", ["leader", "token_id"])
