"""What is written: one frozen struct a table, its fields the table's columns, with typed amounts and times.

Effects carry these, and ``store/mapping.py`` is the one way between them and rows. A ``…Change`` names the columns that
may change of a row that is there already.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from pilotfish.core.orders import OrderState
from pilotfish.core.reasons import Outcome, Reason
from pilotfish.core.trade import Side, Source, TradeClass
from pilotfish.core.units import Micros, Price, Shares, Usdc

CheckRow: TypeAlias = list[object]
"""[check, value, limit, passed], as JSON has it."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """A row, or a part of one. ``table`` names where it belongs. Those that each trade makes are made by place."""

    table: ClassVar[str]


# -- what leaders did --------------------------------------------------------------------------------------------------


class TradeChange(Record, frozen=True):
    """What a later sighting can change of a trade."""

    table: ClassVar[str] = "trades"
    id: int
    usdc_micro: Usdc
    traded_at: Micros
    traded_at_estimated: bool
    first_seen_by_api_at: Micros | None
    first_seen_by_polygon_at: Micros | None
    is_combo: bool
    condition_id: str | None
    outcome: str | None
    title: str | None
    slug: str | None
    fee_micro: Usdc | None
    role: str | None
    order_hash: str | None
    exchange: str | None
    block_number: int | None
    block_hash: str | None
    log_index: int | None
    leader_pre_sell_shares_micro: Shares | None
    api_lagged: bool
    retracted_at: Micros | None


class TradeRecord(TradeChange, frozen=True, rename={"trade_class": "class"}):
    """One fill of a leader, whoever saw it."""

    leader: str
    tx_hash: str
    token_id: str
    side: Side
    shares_micro: Shares
    occurrence: int
    first_source: Source
    trade_class: TradeClass
    moves_holding: bool


class TradeRaw(Record, frozen=True):
    """A trade's payload as it came."""

    table: ClassVar[str] = "trade_raw"
    trade_id: int
    source: Source
    payload: str


class HoldingRecord(Record, frozen=True):
    """What a leader holds of a token."""

    table: ClassVar[str] = "leader_holdings"
    leader: str
    token_id: str
    shares_micro: Shares
    updated_at: Micros


class AdjustmentRecord(Record, frozen=True):
    """What moved a holding and was no trade; what a snapshot said, as of when, where one did."""

    table: ClassVar[str] = "holding_adjustments"
    id: int
    leader: str
    token_id: str
    before_micro: Shares
    delta_micro: Shares
    cause: str
    tx_hash: str | None
    at: Micros
    said_micro: Shares | None
    as_of: Micros | None


class CursorRecord(Record, frozen=True):
    """Where the reading of a leader stands (``…_ts`` in epoch seconds)."""

    table: ClassVar[str] = "cursors"
    leader: str
    api_cursor_ts: int
    api_cursor_initialized: bool
    api_cursor_updated_at: Micros
    follow_from: Micros
    floor_ts: int
    bootstrapped: bool
    positions_value_micro: Usdc | None


class GapRecord(Record, frozen=True):
    """Seconds of a leader's history of which not all rows could be had."""

    table: ClassVar[str] = "history_gaps"
    leader: str
    from_ts: int
    to_ts: int
    changed_at: Micros
    is_open: bool


# -- markets and sources -----------------------------------------------------------------------------------------------


class MarketRecord(Record, frozen=True):
    """The market behind a token."""

    table: ClassVar[str] = "markets"
    token_id: str
    condition_id: str
    outcome: str
    title: str
    slug: str
    category: str
    closed: bool
    accepting_orders: bool
    tick_micro: Price
    fee_rate_ppm: int
    fee_half_exponent: int
    delay_ms: int
    end_at: Micros | None
    payout_micro: Price | None
    fetched_at: Micros


class MarkRecord(Record, frozen=True):
    """A token's best prices."""

    table: ClassVar[str] = "marks"
    token_id: str
    bid_micro: Price | None
    ask_micro: Price | None
    at: Micros
    unmarked_since: None = None


class NoBidRecord(Record, frozen=True):
    """Nobody bids for a token: its last known bid stays."""

    table: ClassVar[str] = "marks"
    token_id: str
    ask_micro: Price | None
    at: Micros
    unmarked_since: Micros


class HealthRecord(Record, frozen=True):
    """A source became healthy or ill."""

    table: ClassVar[str] = "health_events"
    at: Micros
    source: Source
    healthy: bool
    detail: str


class IdsRecord(Record, frozen=True):
    """The last ids given, for tables that a reset has emptied."""

    table: ClassVar[str] = "worker_status"
    name: str
    at: Micros
    data: dict[str, int]


# -- what portfolios did -----------------------------------------------------------------------------------------------


class DecisionChange(Record, frozen=True, rename={"trade_class": "class"}):
    """What a decision says; it may say *wait* first."""

    table: ClassVar[str] = "decisions"
    id: int
    action: str
    reason: Reason
    decided_at: Micros
    trade_class: TradeClass | None
    asked_usdc_micro: Usdc
    granted_usdc_micro: Usdc
    trace: list[CheckRow]


class DecisionRecord(DecisionChange, frozen=True, rename={"trade_class": "class"}):
    """A decision with whose it is, and what the ideal takes of it."""

    trade_id: int | None
    adjustment_id: int | None
    rule: str | None
    portfolio: str
    leader: str
    token_id: str
    side: Side
    wanted_usdc_micro: Usdc
    order_decision_id: int | None = None
    sized_by_order: bool | None = None
    exit_price_micro: Price | None = None


class IntentChange(Record, frozen=True):
    """What changes of an order while it is worked on."""

    table: ClassVar[str] = "intents"
    id: int
    shares_micro: Shares
    budget_micro: Usdc
    limit_price_micro: Price
    due_at: Micros
    give_up_at: Micros
    state: OrderState
    reason: Outcome | None
    filled_shares_micro: Shares
    attempts: int
    share_cap_micro: Shares
    dust_micro: Shares


class IntentRecord(IntentChange, frozen=True):
    """An order: what to buy or sell, within which limit, and how far it got."""

    decision_id: int
    trade_id: int
    portfolio: str
    leader: str
    token_id: str
    condition_id: str
    side: Side
    leader_price_micro: Price
    traded_at: Micros
    created_at: Micros


class FillStatus(Record, frozen=True):
    """Whether the trade behind a fill stands."""

    table: ClassVar[str] = "fills"
    id: int
    status: str


class FillRecord(FillStatus, frozen=True):
    """A fill, and what verifying it needs."""

    intent_id: int
    portfolio: str
    leader: str
    token_id: str
    side: Side
    shares_micro: Shares
    usdc_micro: Usdc
    price_micro: Price
    fee_micro: Usdc
    filled_at: Micros
    levels: list[list[int]]
    delay_cost_micro: Usdc
    spread_cost_micro: Usdc
    leader_price_micro: Price
    mid2_micro: Price
    fee_rate_ppm: int
    fee_half_exponent: int


class PositionRecord(Record, frozen=True):
    """Shares of one token copied from one leader."""

    table: ClassVar[str] = "positions"
    portfolio: str
    leader: str
    token_id: str
    condition_id: str
    outcome: str
    shares_micro: Shares
    cost_micro: Usdc
    realized_pnl_micro: Usdc
    fees_micro: Usdc
    mark_price_micro: Price | None
    unmarked_since: Micros | None
    status: str
    opened_at: Micros
    closed_at: Micros | None
    trip_bought_micro: Shares
    trip_paid_micro: Usdc
    trip_got_micro: Usdc
    trip_fees_micro: Usdc


class RoundTripRecord(Record, frozen=True):
    """From flat to flat."""

    table: ClassVar[str] = "round_trips"
    portfolio: str
    leader: str
    token_id: str
    opened_at: Micros
    closed_at: Micros | None
    bought_micro: Shares
    paid_micro: Usdc
    got_micro: Usdc
    fees_micro: Usdc
    pnl_micro: Usdc
    ended: str


class SavingRecord(Record, frozen=True):
    """BUYs below the minimum, saved up."""

    table: ClassVar[str] = "savings"
    portfolio: str
    leader: str
    token_id: str
    usdc_micro: Usdc
    updated_at: Micros


class LevelRecordKey(Record, frozen=True):
    """A level of a book, as a portfolio knows it."""

    table: ClassVar[str] = "liquidity_taken"
    portfolio: str
    token_id: str
    side: Side
    price_micro: Price


class LevelTaken(LevelRecordKey, frozen=True):
    """What a portfolio took of a level."""

    taken_micro: Shares
    at: Micros


class EntryRecord(Record, frozen=True):
    """One movement of cash; ``shares_micro`` that went with it where no fill says so."""

    table: ClassVar[str] = "ledger_entries"
    id: int
    portfolio: str
    at: Micros
    kind: str
    amount_micro: Usdc
    leader: str
    token_id: str
    fill_id: int | None
    shares_micro: Shares | None = None


class EquityRecord(Record, frozen=True):
    """What a portfolio is worth at an instant."""

    table: ClassVar[str] = "equity_snapshots"
    portfolio: str
    at: Micros
    equity_micro: Usdc
    cash_micro: Usdc
    positions_value_micro: Usdc
    unmarked_value_micro: Usdc
    cost_micro: Usdc
    realized_pnl_micro: Usdc
    unrealized_pnl_micro: Usdc
    fees_micro: Usdc
    open_positions: int
    peak_micro: Usdc
    drawdown_micro: Usdc


class CommandDone(Record, frozen=True):
    """What became of a person's request."""

    table: ClassVar[str] = "commands"
    id: int
    done_at: Micros
    result: str


class PortfolioReset(Record, frozen=True):
    """A portfolio begins anew with its bankroll."""

    table: ClassVar[str] = "portfolios"
    name: str
    bankroll_micro: Usdc
    reset_at: Micros
