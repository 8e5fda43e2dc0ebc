"""Which order of the leader a decision belongs to, what it asked for, and round trips from flat to flat."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LATER = sa.text("order_decision_id IS NOT NULL")
_TRIP = ("bought", "paid", "got", "fees")
_CHUNK = 5_000


def upgrade() -> None:
    """Apply the step."""
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("asked_usdc_micro", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("order_decision_id", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("sized_by_order", sa.Boolean(), nullable=True))
        batch_op.add_column(sa.Column("exit_price_micro", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_decisions_order_decision_id", "decisions", ["order_decision_id"], sqlite_where=_LATER,
        postgresql_where=_LATER,
    )  # fmt: skip
    with op.batch_alter_table("positions", schema=None) as batch_op:
        for what in _TRIP:
            column = sa.Column(f"trip_{what}_micro", sa.BigInteger(), nullable=False, server_default="0")
            batch_op.add_column(column)
    op.create_table(
        "round_trips",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True,
            nullable=False,
        ),
        sa.Column("portfolio", sa.String(length=100), nullable=False),
        sa.Column("leader", sa.String(length=42), nullable=False),
        sa.Column("token_id", sa.String(length=78), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("opened_at", "closed_at")),
        *(sa.Column(f"{what}_micro", sa.BigInteger(), nullable=False) for what in (*_TRIP, "pnl")),
        sa.Column("ended", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round_trips")),
    )  # fmt: skip
    op.create_index("ix_round_trips_portfolio_closed_at", "round_trips", ["portfolio", "closed_at"])
    _group_orders()
    _fill_round_trips()


def _group_orders() -> None:
    """Which earlier decisions are on fills of one order, as far as hashes tell. Where each fill of an order asked for
    the same amount, or was left out because the amount was spent, sizing was by order."""
    c = op.get_bind()
    rows = c.execute(
        sa.text(
            "SELECT d.id, d.portfolio, d.leader, d.token_id, d.wanted_usdc_micro, d.reason, t.order_hash"
            " FROM decisions d JOIN trades t ON t.id = d.trade_id"
            " WHERE d.side = 'BUY' AND t.class <> 'backfill' AND NOT t.is_combo ORDER BY d.id"
        )
    )
    orders: dict[tuple[str, ...], list[tuple[int, int | None, str]]] = {}
    for r in rows:
        key = (r.portfolio, r.leader, r.token_id, r.order_hash or f"#{r.id}")
        orders.setdefault(key, []).append((r.id, r.wanted_usdc_micro, r.reason))
    set_ = sa.text(
        "UPDATE decisions SET order_decision_id = :first, sized_by_order = :by_order, wanted_usdc_micro = :wanted"
        " WHERE id = :id"
    )
    changes = []
    for fills in orders.values():
        first, size, _ = fills[0]
        by_order = len(fills) > 1 and all(r == "SKIP_SAME_ORDER" or w == size for _, w, r in fills[1:])
        for number, wanted, _ in fills:
            later = number != first
            changes.append(
                {
                    "id": number,
                    "first": first if later else None,
                    "by_order": by_order,
                    "wanted": size if by_order and later else wanted,
                }
            )
    for begin in range(0, len(changes), _CHUNK):
        c.execute(set_, changes[begin : begin + _CHUNK])


def _fill_round_trips() -> None:
    """Go through the ledger: a round trip is over when a position is flat; what is under way goes to its position."""
    c = op.get_bind()
    entries = c.execute(
        sa.text(
            "SELECT e.portfolio, e.leader, e.token_id, e.kind, e.amount_micro, e.at, f.shares_micro, f.side, d.rule,"
            " i.trade_id, d.trade_id AS decided"
            " FROM ledger_entries e LEFT JOIN fills f ON f.id = e.fill_id LEFT JOIN intents i ON i.id = f.intent_id"
            " LEFT JOIN decisions d ON d.id = i.decision_id ORDER BY e.id"
        )
    )
    trips: dict[tuple[str, str, str], dict[str, int]] = {}
    ended: list[dict[str, str | int]] = []
    flat: dict[tuple[str, str, str], tuple[dict[str, int], str, int]] = {}

    def close(key: tuple[str, str, str]) -> None:
        trip, why, at = flat.pop(key)
        trip.pop("held")
        of = dict(zip(("portfolio", "leader", "token_id"), key, strict=True))
        ended.append({**of, **trip, "closed_at": at, "pnl": trip["got"] - trip["paid"], "ended": why})

    for e in entries:
        key = (e.portfolio, e.leader, e.token_id)
        if e.kind == "fee":  # belongs to the entry before it
            trip = flat[key][0] if key in flat else trips[key]
            trip["fees"] -= e.amount_micro
            trip["paid" if e.side == "BUY" else "got"] += e.amount_micro * (-1 if e.side == "BUY" else 1)
            continue
        for done in list(flat):
            close(done)
        trip = trips.setdefault(key, {"opened_at": e.at, "held": 0, "bought": 0, "paid": 0, "got": 0, "fees": 0})
        if e.kind == "buy":
            trip["held"] += e.shares_micro
            trip["bought"] += e.shares_micro
            trip["paid"] -= e.amount_micro
        else:
            trip["held"] = 0 if e.kind == "settle" else trip["held"] - e.shares_micro
            trip["got"] += e.amount_micro
        if trip["held"] == 0:
            why = "resolved" if e.kind == "settle" else e.rule or "leader"
            why = "reorg" if why == "leader" and not e.trade_id and e.decided is not None else why
            flat[key] = (trips.pop(key), why, e.at)
    for done in list(flat):
        close(done)
    insert = sa.text(
        "INSERT INTO round_trips (portfolio, leader, token_id, opened_at, closed_at, bought_micro, paid_micro,"
        " got_micro, fees_micro, pnl_micro, ended) VALUES (:portfolio, :leader, :token_id, :opened_at, :closed_at,"
        " :bought, :paid, :got, :fees, :pnl, :ended)"
    )
    for begin in range(0, len(ended), _CHUNK):
        c.execute(insert, ended[begin : begin + _CHUNK])
    under_way = sa.text(
        "UPDATE positions SET trip_bought_micro = :bought, trip_paid_micro = :paid, trip_got_micro = :got,"
        " trip_fees_micro = :fees WHERE portfolio = :portfolio AND leader = :leader AND token_id = :token_id"
    )
    for (portfolio, leader, token_id), trip in trips.items():
        of = {"portfolio": portfolio, "leader": leader, "token_id": token_id}
        c.execute(under_way, {**of, **{what: trip[what] for what in _TRIP}})


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("round_trips")
    op.drop_index("ix_decisions_order_decision_id", "decisions")
    for table, columns in (
        ("positions", [f"trip_{what}_micro" for what in _TRIP]),
        ("decisions", ["asked_usdc_micro", "order_decision_id", "sized_by_order", "exit_price_micro"]),
    ):
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                batch_op.drop_column(column)
