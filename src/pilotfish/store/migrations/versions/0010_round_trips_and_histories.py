"""Indexes for what is held, for round trips by each figure, and for what happened to one position."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_HELD = sa.text("shares_micro > 0")
_STATES = {"sold": sa.text("ended <> 'resolved'"), "resolved": sa.text("ended = 'resolved'")}
_FIGURES = ("opened_at", "closed_at", "bought_micro", "paid_micro", "got_micro", "pnl_micro")


def upgrade() -> None:
    """Apply the step."""
    op.create_index("ix_positions_held", "positions", ["portfolio"], sqlite_where=_HELD, postgresql_where=_HELD)
    op.create_index(
        "ix_ledger_entries_portfolio_leader_token_id", "ledger_entries", ["portfolio", "leader", "token_id"]
    )
    op.drop_index("ix_ledger_entries_portfolio", "ledger_entries")
    op.create_index("ix_round_trips_portfolio_leader_closed_at", "round_trips", ["portfolio", "leader", "closed_at"])
    op.create_index("ix_round_trips_token_id_portfolio", "round_trips", ["token_id", "portfolio"])
    op.drop_index("ix_round_trips_portfolio_closed_at", "round_trips")
    for state, where in _STATES.items():
        for figure in _FIGURES:
            op.create_index(
                f"ix_round_trips_{state}_{figure}", "round_trips", ["portfolio", figure, "id"], sqlite_where=where,
                postgresql_where=where,
            )  # fmt: skip


def downgrade() -> None:
    """Take the step back."""
    for state in _STATES:
        for figure in _FIGURES:
            op.drop_index(f"ix_round_trips_{state}_{figure}", "round_trips")
    op.create_index("ix_round_trips_portfolio_closed_at", "round_trips", ["portfolio", "closed_at"])
    op.drop_index("ix_round_trips_token_id_portfolio", "round_trips")
    op.drop_index("ix_round_trips_portfolio_leader_closed_at", "round_trips")
    op.create_index("ix_ledger_entries_portfolio", "ledger_entries", ["portfolio"])
    op.drop_index("ix_ledger_entries_portfolio_leader_token_id", "ledger_entries")
    op.drop_index("ix_positions_held", "positions")
