"""The tables. Trades, decisions, fills and ledger entries only grow; positions and cash are derived from them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    func,
    text,
    true,
)

import pilotfish.store.folded  # connections know how to fold letters
import pilotfish.store.numbers  # noqa: F401 - rows of these tables get the numbers of their names
from pilotfish.store import interned
from pilotfish.store.interned import ending
from pilotfish.store.packed import Trace
from pilotfish.store.payloads import Payload

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Big = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[int]:
    return Column("id", _Big, primary_key=True, autoincrement=False)


def _auto() -> Column[int]:
    return Column("id", _Big, primary_key=True, autoincrement=True)


def _big(name: str, *, null: bool = False, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null, primary_key=key)


def _str(name: str, size: int, *, null: bool = False, key: bool = False) -> Column[str]:
    return Column(name, String(size), nullable=null, primary_key=key)


def _name(name: str, size: int | None, *, null: bool = False, key: bool = False) -> Column[str]:
    """A text that many rows share."""
    return Column(name, interned.name(size), nullable=null, primary_key=key)


def _hex(name: str, size: int, *, null: bool = False) -> Column[str]:
    return Column(name, interned.Hex(size), nullable=null)


def _code(name: str, kind: str, size: int, *, null: bool = False) -> Column[str]:
    """A word of this program's own."""
    return Column(name, interned.Code(kind, size), nullable=null)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, default=False)


def _partial(
    name: str, *columns: str | TextClause | ColumnElement[Any], where: TextClause, unique: bool = False
) -> Index:  # fmt: skip
    """An index of some rows only. It is so on PostgreSQL, too, where migrations make it: to say it here would load all
    of that dialect at the start of every command."""
    return Index(name, *columns, unique=unique, sqlite_where=where)


names = Table(
    "names", metadata,
    Column("id", _Big, primary_key=True, autoincrement=True), Column("name", Text, nullable=False),
    UniqueConstraint("name", name="uq_names_name"),
)  # fmt: skip
"""Texts that rows hold by their number (``store/interned.py``); empty on PostgreSQL."""
leaders = Table(
    "leaders", metadata,
    _name("wallet", 42, key=True), _str("label", 200), _str("status", 16),
    _big("added_at"), _big("updated_at"),
)  # fmt: skip
cursors = Table(
    "cursors", metadata,
    _name("leader", 42, key=True), _big("api_cursor_ts"), _flag("api_cursor_initialized"),
    _big("api_cursor_updated_at"), _big("follow_from"), _big("floor_ts"), _flag("bootstrapped"),
    _big("positions_value_micro", null=True),
)  # fmt: skip
history_gaps = Table(
    "history_gaps", metadata,
    _name("leader", 42, key=True), _big("from_ts", key=True), _big("to_ts", key=True), _big("changed_at"),
    _flag("is_open"),
    Index("ix_history_gaps_is_open", "is_open"),
)  # fmt: skip
"""Seconds of a leader's history of which not all rows could be had; closed once they could."""
portfolios = Table(
    "portfolios", metadata,
    _name("name", 100, key=True), _big("bankroll_micro"), _big("created_at", null=True), _big("reset_at", null=True),
    Column("status", String(16), nullable=False, server_default="active"),
    Column("follows_all", Boolean, nullable=False, server_default=true()),
    Column("note", Text),
)  # fmt: skip
follows = Table(
    "follows", metadata,
    _str("portfolio", 100, key=True), _str("leader", 42, key=True),
)  # fmt: skip
settings = Table(
    "settings", metadata,
    _str("name", 100, key=True), _str("portfolio", 100, key=True), _str("leader", 42, key=True),
    Column("value", Text, nullable=False), _big("updated_at"), _str("updated_by", 100),
)  # fmt: skip
settings_audit = Table(
    "settings_audit", metadata,
    _auto(), _big("at"), _str("name", 100), _str("portfolio", 100), _str("leader", 42),
    Column("old", Text), Column("new", Text), _str("by", 100),
)  # fmt: skip
audit = Table(
    "audit", metadata,
    _auto(), _big("at"), _str("by", 100), _str("deed", 40), _str("portfolio", 100), _str("leader", 42),
    Column("detail", Text, nullable=False),
)  # fmt: skip
commands = Table(
    "commands", metadata,
    _auto(), _str("kind", 50), Column("payload", JSON, nullable=False), _big("created_at"), _str("by", 100),
    _big("done_at", null=True), Column("result", Text),
    Index("ix_commands_done_at", "done_at"),
)  # fmt: skip
_RETRACTED = text("retracted_at IS NOT NULL")
_OF_ORDER = text("order_hash IS NOT NULL")
SEEN_ONCE = text("first_seen_by_api_at IS NULL OR first_seen_by_polygon_at IS NULL")
"""Trades that one source only has seen so far; as text, so that a query says it as its index does."""
trades = Table(
    "trades", metadata,
    _id(), _name("leader", 42), _hex("tx_hash", 66), _name("token_id", 78), _code("side", "side", 4),
    _big("shares_micro"), Column("occurrence", Integer, nullable=False),
    _code("first_source", "source", 8), _code("class", "class", 16),
    _flag("moves_holding"), _big("usdc_micro"), _big("traded_at"), _flag("traded_at_estimated"),
    _big("first_seen_by_api_at", null=True), _big("first_seen_by_polygon_at", null=True), _flag("is_combo"),
    _name("condition_id", 66, null=True), _name("outcome", 500, null=True), _name("title", None, null=True),
    _name("slug", None, null=True),
    _big("fee_micro", null=True), _code("role", "role", 5, null=True), _hex("order_hash", 66, null=True),
    _name("exchange", 42, null=True), _big("block_number", null=True), _hex("block_hash", 66, null=True),
    _big("log_index", null=True), _big("leader_pre_sell_shares_micro", null=True), _flag("api_lagged"),
    _big("retracted_at", null=True),
    UniqueConstraint("tx_hash", "leader", "token_id", "side", "shares_micro", "occurrence", name="uq_trades_identity"),
    Index("ix_trades_leader_traded_at", "leader", "traded_at"),
    Index("ix_trades_traded_at", "traded_at"),
    Index("ix_trades_leader_id", "leader", "id"),
    Index("ix_trades_token_id_leader", "token_id", "leader", "id"),
    Index("ix_trades_class_id", "class", "id"),
    Index("ix_trades_first_source_id", "first_source", "id"),
    _partial("ix_trades_retracted", "id", where=_RETRACTED),
    _partial("ix_trades_seen_once", "id", where=SEEN_ONCE),
)  # fmt: skip
_partial("ix_trades_order_id", ending(trades.c.order_hash), trades.c.id, where=_OF_ORDER)
ORDER_OF_TRADE = "order_hash"
"""The column that fills of one order of a leader have alike; nothing where no source has said it."""
trade_raw = Table(
    "trade_raw", metadata,
    Column("trade_id", _Big, primary_key=True, autoincrement=False), _code("source", "source", 8),
    Column("payload", Payload, nullable=False),
)  # fmt: skip
leader_holdings = Table(
    "leader_holdings", metadata,
    _name("leader", 42, key=True), _name("token_id", 78, key=True), _big("shares_micro"), _big("updated_at"),
)  # fmt: skip
holding_adjustments = Table(
    "holding_adjustments", metadata,
    _id(), _name("leader", 42), _name("token_id", 78), _big("before_micro"), _big("delta_micro"), _str("cause", 40),
    _str("tx_hash", 66, null=True), _big("at"), _big("said_micro", null=True), _big("as_of", null=True),
    Index("ix_holding_adjustments_leader_token_id", "leader", "token_id"),
)  # fmt: skip
markets = Table(
    "markets", metadata,
    _name("token_id", 78, key=True), _str("condition_id", 66), _str("outcome", 500), Column("title", Text),
    Column("slug", Text), _str("category", 100), _flag("closed"), _flag("accepting_orders"), _big("tick_micro"),
    _big("fee_rate_ppm"), Column("fee_half_exponent", Integer, nullable=False, server_default="2"),
    _big("delay_ms"), _big("end_at", null=True), _big("payout_micro", null=True),
    _big("fetched_at"),
    Index("ix_markets_condition_id", "condition_id"),
)  # fmt: skip
_LATER = text("order_decision_id IS NOT NULL")
_OF_MOVE = text("adjustment_id IS NOT NULL")
decisions = Table(
    "decisions", metadata,
    _id(), _big("trade_id", null=True), _big("adjustment_id", null=True), _name("portfolio", 100),
    _code("action", "action", 8), _code("reason", "reason", 40), _big("decided_at"),
    Column("trace", Trace, nullable=False), _str("rule", 16, null=True), _name("leader", 42, null=True),
    _name("token_id", 78, null=True), _code("side", "side", 4, null=True), _code("class", "class", 16, null=True),
    _big("wanted_usdc_micro", null=True), _big("granted_usdc_micro", null=True), _big("asked_usdc_micro", null=True),
    _big("order_decision_id", null=True), Column("sized_by_order", Boolean), _big("exit_price_micro", null=True),
    UniqueConstraint("trade_id", "portfolio", name="uq_decisions_trade_portfolio"),
    _partial("uq_decisions_adjustment_portfolio", "adjustment_id", "portfolio", where=_OF_MOVE, unique=True),
    Index("ix_decisions_action", "action"),
    _partial("ix_decisions_order_decision_id", "order_decision_id", where=_LATER),
    Index("ix_decisions_decided_at", "decided_at"),
    Index("ix_decisions_portfolio_reason_trade_id", "portfolio", "reason", "trade_id"),
    Index("ix_decisions_portfolio_action_trade_id", "portfolio", "action", "trade_id"),
    Index("ix_decisions_portfolio_leader_reason_trade_id", "portfolio", "leader", "reason", "trade_id"),
    Index("ix_decisions_portfolio_leader_action_trade_id", "portfolio", "leader", "action", "trade_id"),
)  # fmt: skip
INTENT_OUT = text("state IN ('pending', 'working')")
INTENT_FILLED = text("state NOT IN ('pending', 'working') AND filled_shares_micro > 0")
INTENT_NOT_FILLED = text("state NOT IN ('pending', 'working') AND filled_shares_micro = 0")
"""What became of orders; as text, so that a query says it as its indexes do."""
intents = Table(
    "intents", metadata,
    _id(), _big("decision_id"), _big("trade_id"), _name("portfolio", 100), _name("leader", 42), _name("token_id", 78),
    _name("condition_id", 66), _str("side", 4), _big("shares_micro"), _big("budget_micro"), _big("limit_price_micro"),
    _big("leader_price_micro"), _big("traded_at"), _big("created_at"), _big("due_at"), _big("give_up_at"),
    _str("state", 12), _str("reason", 40, null=True), _big("filled_shares_micro"),
    Column("attempts", Integer, nullable=False),
    Column("share_cap_micro", BigInteger, nullable=False, server_default="0"),
    Column("dust_micro", BigInteger, nullable=False, server_default="0"),
    Index("ix_intents_decision_id", "decision_id"),
    *(
        _partial(f"ix_intents_{name}_{by}", *columns, where=where)
        for name, where in (("filled", INTENT_FILLED), ("not_filled", INTENT_NOT_FILLED), ("out", INTENT_OUT))
        for by, columns in (
            ("trade_id", ("portfolio", "trade_id")), ("leader", ("portfolio", "leader", "trade_id")),
            ("id", ("portfolio", "id")),
        )
    ),
    Index("ix_intents_portfolio_leader_id", "portfolio", "leader", "id"),
    Index("ix_intents_portfolio_token_id_id_side", "portfolio", "token_id", "id", "side"),
)  # fmt: skip
fills = Table(
    "fills", metadata,
    _id(), _big("intent_id"), _name("portfolio", 100), _name("leader", 42), _name("token_id", 78), _str("side", 4),
    _big("shares_micro"), _big("usdc_micro"), _big("price_micro"), _big("fee_micro"), _big("filled_at"),
    Column("levels", JSON, nullable=False), _big("delay_cost_micro"), _big("spread_cost_micro"), _str("status", 12),
    _big("leader_price_micro", null=True), _big("mid2_micro", null=True), _big("fee_rate_ppm", null=True),
    Column("fee_half_exponent", Integer),
    Index("ix_fills_intent_id", "intent_id"),
    Index("ix_fills_filled_at", "filled_at"),
)  # fmt: skip
HELD = text("shares_micro > 0")
"""Positions that are open; as text, so that a query says it as its index does."""
positions = Table(
    "positions", metadata,
    _name("portfolio", 100, key=True), _name("leader", 42, key=True), _name("token_id", 78, key=True),
    _str("condition_id", 66), _str("outcome", 500), _big("shares_micro"), _big("cost_micro"),
    _big("realized_pnl_micro"), _big("fees_micro"), _big("mark_price_micro", null=True), _str("status", 12),
    _big("opened_at"), _big("closed_at", null=True), _big("unmarked_since", null=True),
    *(Column(f"trip_{what}_micro", BigInteger, nullable=False, server_default="0")
      for what in ("bought", "paid", "got", "fees")),
    _partial("ix_positions_held", "portfolio", where=HELD),
)  # fmt: skip
TRIP_SOLD = text("ended <> 'resolved'")
TRIP_RESOLVED = text("ended = 'resolved'")
"""How round trips end, as text, so that a query says it as its indexes do."""
TRIP_FIGURES = ("opened_at", "closed_at", "bought_micro", "paid_micro", "got_micro", "pnl_micro")
"""What round trips are sorted by, each with an index for those sold and one for those resolved."""
TRIP_RATIOS = {
    "return": "(pnl_micro * 1.0 / coalesce(nullif(paid_micro, 0), 1))",
    "exit": "(got_micro * 1.0 / coalesce(nullif(bought_micro, 0), 1))",
}
"""What a round trip brought for what was paid, and for a share, each with such indexes, too; one that nothing was paid
for counts as one that a millionth was paid for."""
round_trips = Table(
    "round_trips", metadata,
    _auto(), _name("portfolio", 100), _name("leader", 42), _name("token_id", 78), _big("opened_at"), _big("closed_at"),
    _big("bought_micro"), _big("paid_micro"), _big("got_micro"), _big("fees_micro"), _big("pnl_micro"),
    _str("ended", 12),
    Index("ix_round_trips_portfolio_leader_closed_at", "portfolio", "leader", "closed_at"),
    Index("ix_round_trips_token_id_portfolio", "token_id", "portfolio"),
    *(
        _partial(f"ix_round_trips_{state}_{figure}", "portfolio", figure, "id", where=where)
        for state, where in (("sold", TRIP_SOLD), ("resolved", TRIP_RESOLVED))
        for figure in TRIP_FIGURES
    ),
    *(
        _partial(f"ix_round_trips_{state}_{name}", "portfolio", text(ratio), "id", where=where)
        for state, where in (("sold", TRIP_SOLD), ("resolved", TRIP_RESOLVED))
        for name, ratio in TRIP_RATIOS.items()
    ),
)  # fmt: skip
settled_accounts = Table(
    "settled_accounts", metadata,
    _id(), _name("portfolio", 100), _name("leader", 42), _name("token_id", 78),
)  # fmt: skip
"""Accounts of the shortfall report."""
settled_states = Table(
    "settled_states", metadata,
    _big("account_id", key=True), _big("upto", key=True), _big("reset_at"),
    Column("state", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
"""An account as it stood after the decisions up to one, in those stretches that changed it (``store/settled.py``)."""
settled_stretches = Table(
    "settled_stretches", metadata,
    _big("upto", key=True), _big("first_came_at"), _big("last_came_at"),
    Column("version", Integer, nullable=False),
)  # fmt: skip
savings = Table(
    "savings", metadata,
    _name("portfolio", 100, key=True), _name("leader", 42, key=True), _name("token_id", 78, key=True),
    _big("usdc_micro"), _big("updated_at"),
)  # fmt: skip
liquidity_taken = Table(
    "liquidity_taken", metadata,
    _name("portfolio", 100, key=True), _name("token_id", 78, key=True), _str("side", 4, key=True),
    _big("price_micro", key=True), _big("taken_micro"), _big("at"),
)  # fmt: skip
marks = Table(
    "marks", metadata,
    _name("token_id", 78, key=True), _big("bid_micro", null=True), _big("ask_micro", null=True), _big("at"),
    _big("unmarked_since", null=True),
)  # fmt: skip
ledger_entries = Table(
    "ledger_entries", metadata,
    _id(), _name("portfolio", 100), _big("at"), _str("kind", 12), _big("amount_micro"), _name("leader", 42),
    _name("token_id", 78), _big("fill_id", null=True), _big("shares_micro", null=True),
    Index("ix_ledger_entries_portfolio_leader_token_id", "portfolio", "leader", "token_id"),
    Index("ix_ledger_entries_fill_id", "fill_id"),
)  # fmt: skip
equity_snapshots = Table(
    "equity_snapshots", metadata,
    _auto(), _name("portfolio", 100), _big("at"), _big("equity_micro"), _big("cash_micro"),
    _big("positions_value_micro"), _big("cost_micro"), _big("realized_pnl_micro"), _big("unrealized_pnl_micro"),
    _big("fees_micro"), Column("open_positions", Integer, nullable=False), _big("peak_micro", null=True),
    _big("drawdown_micro", null=True), _big("unmarked_value_micro", null=True),
    Index("ix_equity_snapshots_portfolio_at", "portfolio", "at"),
)  # fmt: skip
health_events = Table(
    "health_events", metadata,
    _auto(), _big("at"), _str("source", 20), _flag("healthy"), Column("detail", Text),
)  # fmt: skip
listening = Table(
    "listening", metadata,
    _str("source", 20, key=True), _big("since", key=True), _big("until"),
)  # fmt: skip
"""When each source was listened to; the newest period's end moves on while the worker runs."""
bad_inputs = Table(
    "bad_inputs", metadata,
    _str("fingerprint", 64, key=True), _big("at"), _str("source", 20), Column("error", Text),
    Column("payload", Text), Column("count", Integer, nullable=False),
)  # fmt: skip
worker_status = Table(
    "worker_status", metadata,
    _str("name", 40, key=True), _big("at"), Column("data", JSON, nullable=False),
)  # fmt: skip
terms = Table(
    "terms", metadata,
    _str("name", 40, key=True), _big("number"), _big("commits"),
)  # fmt: skip
"""Which worker may write, by the number of its term, and how many of its commits are there (``store/fence.py``)."""
look_backs = Table(
    "look_backs", metadata,
    _auto(), _str("wallet", 42), _str("name", 200), _big("asked_at"), _str("by", 100),
    Column("days", Integer, nullable=False), Column("values", JSON, nullable=False), _str("state", 12),
    Column("attempts", Integer, nullable=False), _str("stage", 16), Column("done", Integer, nullable=False),
    Column("of", Integer, nullable=False), Column("requests", Integer, nullable=False),
    Column("error", Text), _str("verdict", 16, null=True), Column("why", Text), _big("started_at", null=True),
    _big("finished_at", null=True), Column("result", JSON(none_as_null=True)), Column("left_sec", Integer),
    Index("ix_look_backs_wallet_id", "wallet", "id"),
    Index("ix_look_backs_state_id", "state", "id"),
)  # fmt: skip
"""Pasts of wallets that were asked for, and what came of them."""

searches = Table(
    "searches", metadata,
    _auto(), _big("asked_at"), _str("by", 100), _str("source", 16), Column("wallets", JSON, nullable=False),
    Column("categories", JSON, nullable=False), Column("most", Integer, nullable=False), _big("budget"),
    Column("days", Integer, nullable=False), Column("values", JSON, nullable=False), _str("state", 12),
    Column("attempts", Integer, nullable=False), _str("stage", 16), Column("done", Integer, nullable=False),
    Column("of", Integer, nullable=False), Column("requests", Integer, nullable=False), Column("left_sec", Integer),
    Column("error", Text), Column("tested", Integer), Column("copyable", Integer), Column("why", Text),
    _big("started_at", null=True), _big("finished_at", null=True), Column("result", JSON(none_as_null=True)),
    Index("ix_searches_state_id", "state", "id"),
)  # fmt: skip
"""Searches through many wallets that were asked for, and what came of them beside the board."""
searched_wallets = Table(
    "searched_wallets", metadata,
    _big("search_id", key=True), Column("place", Integer, primary_key=True, autoincrement=False), _str("wallet", 42),
    _str("name", 200), _str("verdict", 16), Column("why", Text, nullable=False), Column("edge_per_usdc", Double),
    Column("low", Double), Column("high", Double), Column("shrunk", Double), Column("p_value", Double),
    Column("q_value", Double, nullable=False), Column("events", Integer, nullable=False),
    Column("trades", Integer, nullable=False), Column("filled_share", Double, nullable=False), _big("result_micro"),
    Column("flags", JSON, nullable=False), Column("incomplete", Text, nullable=False), _str("category", 100),
)  # fmt: skip
"""The boards of searches: a row for each wallet that was looked back at, the best first."""

PAPER_TABLES = (
    intents, fills, positions, round_trips, savings, liquidity_taken, ledger_entries, equity_snapshots,
)  # fmt: skip
"""What a reset wipes; each has a ``portfolio`` column."""


def unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """A column, but not for its index: rows are found by another one."""
    return func.coalesce(column, "")
