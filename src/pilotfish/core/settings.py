"""Every setting, declared once: the environment, the store, commands, REST, pages and docs are made from this.

Effective value = portfolio or leader override > dashboard (database) > environment > default. Values are typed:
``bool``, ``int`` or ``str``; amounts of USDC and ratios are kept as millionths and shown as decimals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from pilotfish.core.names import unknown
from pilotfish.core.setting_values import Kind as Kind
from pilotfish.core.setting_values import Scope as Scope
from pilotfish.core.setting_values import Setting as Setting
from pilotfish.core.setting_values import SettingError as SettingError
from pilotfish.core.setting_values import Value as Value
from pilotfish.core.setting_values import parse as parse
from pilotfish.core.setting_values import show as show
from pilotfish.core.setting_values import text_of as text_of
from pilotfish.core.setting_values import tiers_of, words_of
from pilotfish.core.units import MICRO, micro_from_decimal
from pilotfish.core.words import Word


class Origin(Word):
    """Where an effective value comes from, weakest first."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    DASHBOARD = "dashboard"
    PORTFOLIO = "portfolio"
    LEADER = "leader"


class TriggerMode(Word):
    """Which source may trigger copying (DESIGN.md section 5)."""

    API = "api"
    POLYGON = "polygon"
    BOTH = "both"


def _usdc(text: str) -> int:
    return micro_from_decimal(text)


_S, _K = Setting, Kind
_DAY = 86_400

ALL: tuple[Setting, ...] = (
    # Sources
    _S("trigger_mode", _K.CHOICE, "both", "Which source may trigger a copy: the Data API, Polygon logs, or whichever"
       " is first.", "Sources", choices=("api", "polygon", "both")),
    _S("strict_both", _K.BOOL, False, "In mode both: copy BUYs only while both sources are healthy.", "Sources"),
    _S("startup_mode", _K.CHOICE, "flat", "What a newly followed leader's history is read for: flat = nothing before"
       " now; warm = the last warm_start_seconds, stored as backfill and never copied.", "Sources",
       choices=("flat", "warm")),
    _S("warm_start_seconds", _K.INT, 900, "How far a warm start reads back.", "Sources", unit="s", low=0,
       high=7 * _DAY),
    _S("poll_interval_ms", _K.INT, 5000, "How often each leader's activity is polled.", "Sources", unit="ms",
       low=250, high=600_000),
    _S("poll_overlap_sec", _K.INT, 60, "How far before its cursor a poll reads, since rows can appear late.",
       "Sources", unit="s", low=0, high=3600),
    _S("late_rows_interval_sec", _K.INT, 600, "How often each leader's last hours are read again, for rows that the API"
       " showed late; 0 = never.", "Sources", unit="s", low=0, high=_DAY),
    _S("late_rows_reach_sec", _K.INT, 7200, "How far back that second reading goes.", "Sources", unit="s", low=60,
       high=7 * _DAY),
    _S("leader_stagger_ms", _K.INT, 500, "Delay between the first polls of two leaders; less where all of them"
       " would not be polled within one interval, or within what the service's limit allows.", "Sources", unit="ms",
       low=0, high=60_000),
    _S("api_lag_fallback_ms", _K.INT, 3000, "How long the API may take to confirm a trade seen on chain before it is"
       " recorded as lagging.", "Sources", unit="ms", low=0, high=600_000),
    _S("wait_for_api", _K.BOOL, False, "Wait for the API's fields of a trade seen on chain before deciding, for at most"
       " api_lag_fallback_ms.", "Sources", Scope.PORTFOLIO),
    _S("api_health_stale_ms", _K.INT, 30_000, "The API counts as down when one leader could not be polled for this"
       " long, or for two rounds of polls where those take longer.", "Sources", unit="ms", low=1000, high=3_600_000),
    _S("api_max_serving_lag_sec", _K.INT, 120, "The API counts as down when it says itself that it is further behind"
       " than this.", "Sources", unit="s", low=5, high=_DAY),
    _S("polygon_health_stale_ms", _K.INT, 15_000, "Polygon counts as down when no block was seen for this long.",
       "Sources", unit="ms", low=1000, high=3_600_000),
    _S("polygon_heartbeat_sec", _K.INT, 6, "How often the newest block's number is asked for, as a sign that the"
       " connection lives; sooner where Polygon would count as down before. 0 = every block's header is delivered and"
       " billed instead: 43,200 a day.", "Sources", unit="s", low=0, high=600),
    _S("polygon_taker_topic", _K.BOOL, True, "Also subscribe to logs that name a leader as counterparty. They are"
       " evidence only, never trades; off saves provider units.", "Sources"),
    _S("polygon_chunk_size", _K.INT, 100, "Wallets per log subscription.", "Sources", low=1, high=1000),
    _S("polygon_unfiltered_above", _K.INT, 1000, "Above so many wallets one subscription without a wallet filter takes"
       " the place of the filtered ones, and leaders are picked here: the provider then delivers, and bills, every fill"
       " of the venue. 0 = never.", "Sources", low=0, high=1_000_000),
    _S("polygon_gap_grace_ms", _K.INT, 10_000, "How long the log of a trade that the API has shown may be missing"
       " before it counts as missed by the chain: mode polygon then decides without it, and the subscriptions are made"
       " anew.", "Sources", unit="ms", low=0, high=600_000),
    _S("provider_units_daily", _K.INT, 0, "Units that the Polygon provider's plan gives a day, for comparison with what"
       " was used; 0 = not known.", "Sources", unit="units", low=0, high=10**12),
    _S("provider_event_units", _K.INT, 40, "Units that the provider charges for a notification (a log, a block).",
       "Sources", unit="units", low=0, high=1_000_000),
    _S("provider_call_units", _K.INT, 20, "Units that the provider charges for a call.", "Sources", unit="units", low=0,
       high=1_000_000),
    _S("simulate_api_lag", _K.BOOL, False, "For development: the poller ignores trades younger than 5 s.", "Sources"),
    # Copying
    _S("copy_side", _K.CHOICE, "both", "Which of the leader's sides are copied.", "Copying", Scope.PORTFOLIO,
       choices=("both", "buy", "sell")),
    _S("paused", _K.BOOL, False, "Copy nothing for now; positions are kept.", "Copying", Scope.PORTFOLIO),
    _S("max_live_lag_sec", _K.INT, 15, "A trade older than this at its decision is catch-up.", "Copying",
       Scope.PORTFOLIO, unit="s", low=1, high=3600),
    _S("catch_up_buy_max_age_sec", _K.INT, 300, "A missed BUY older than this is not copied.", "Copying",
       Scope.PORTFOLIO, unit="s", low=0, high=_DAY, env="CATCHUP_BUY_MAX_AGE_SEC"),
    _S("catch_up_buy_require_better_price", _K.BOOL, True, "A missed BUY is copied only at the leader's price or"
       " better.", "Copying", Scope.PORTFOLIO, env="CATCHUP_BUY_REQUIRE_BETTER"),
    _S("catch_up_buy_max_worse_bps", _K.INT, 20, "How much worse than the leader's price a missed BUY may be, where a"
       " better one is not required.", "Copying", Scope.PORTFOLIO, unit="bps", low=0, high=10_000,
       env="CATCHUP_BUY_MAX_WORSE_BPS"),
    _S("catch_up_buy_open_new", _K.BOOL, True, "A missed BUY may open a new position.", "Copying", Scope.PORTFOLIO,
       env="CATCHUP_BUY_OPEN_NEW"),
    _S("copy_unexplained_exits", _K.BOOL, True, "Sell what the venue shows, twice in a row, that the leader no longer"
       " holds, though no trade and no move was seen that says why.", "Copying", Scope.PORTFOLIO),
    _S("sell_retry_sec", _K.INT, 60, "How long an exit that could not be filled whole is retried, and how long one"
       " waits for the first look at what a newly followed leader holds.", "Copying", Scope.PORTFOLIO, unit="s", low=0,
       high=_DAY),
    _S("exit_all_ratio", _K.RATIO, _usdc("0.999"), "A leader's sale of at least this part of what they hold is a sale"
       " of all.", "Copying", Scope.PORTFOLIO, low=MICRO // 2, high=MICRO),
    _S("orphan_policy", _K.CHOICE, "exit", "What becomes of a paper fill whose leader trade a reorg took back.",
       "Copying", Scope.PORTFOLIO, choices=("exit", "keep")),
    # Sizing
    _S("sizing_mode", _K.CHOICE, "fixed_usdc", "How a BUY is sized: a fixed amount or number of shares once per leader"
       " order; a part of the leader's notional for each fill (leader_ratio); or the same part of our equity as the"
       " fill is of the value of the leader's positions (bankroll_ratio).", "Sizing", Scope.PORTFOLIO,
       choices=("fixed_usdc", "fixed_shares", "leader_ratio", "bankroll_ratio")),
    _S("fixed_usdc", _K.USDC, _usdc("25"), "Spent once per leader order in mode fixed_usdc.", "Sizing",
       Scope.PORTFOLIO, unit="USDC", low=MICRO, high=_usdc("1000000")),
    _S("fixed_shares", _K.USDC, _usdc("50"), "Bought once per leader order in mode fixed_shares, as long as they cost"
       " no more than at the leader's price plus buy_max_slippage_bps.", "Sizing", Scope.PORTFOLIO, unit="shares",
       low=MICRO, high=_usdc("1000000")),
    _S("leader_ratio", _K.RATIO, _usdc("0.01"), "Part of the leader's notional in mode leader_ratio.", "Sizing",
       Scope.PORTFOLIO, low=1, high=_usdc("100")),
    _S("bankroll_ratio", _K.RATIO, MICRO, "In mode bankroll_ratio: times the part of the leader's positions that his"
       " fill is.", "Sizing", Scope.PORTFOLIO, low=1, high=_usdc("100")),
    _S("size_tiers", _K.TIERS, "", "Multiplies a size by the notional of the leader's fill: 0:1, 1000:0.5 halves it"
       " from 1,000 USDC on. Below the first tier nothing is multiplied; empty = never.", "Sizing", Scope.PORTFOLIO),
    _S("max_copy_usdc", _K.USDC, 0, "A BUY's size is cut to this; 0 = no limit.", "Sizing", Scope.PORTFOLIO,
       unit="USDC", low=0, high=_usdc("1000000000")),
    _S("below_min", _K.CHOICE, "skip", "A BUY whose size comes out below min_copy_usdc: skipped; saved up until the"
       " next BUYs of the same leader and token make up the minimum (accumulate); or raised to the minimum.", "Sizing",
       Scope.PORTFOLIO, choices=("skip", "accumulate", "raise")),
    _S("min_copy_usdc", _K.USDC, _usdc("1"), "The least that a BUY spends; the venue's own minimum is 1.",
       "Sizing", Scope.PORTFOLIO, unit="USDC", low=MICRO, high=_usdc("1000000")),
    _S("burst_window_sec", _K.INT, 60, "Fills of one leader, token, side and price within this time count as one order"
       " where the order hash is not known.", "Sizing", Scope.PORTFOLIO, unit="s", low=0, high=3600),
    _S("bankroll", _K.USDC, _usdc("10000"), "Starting cash of a portfolio; used when it is created or reset.", "Sizing",
       Scope.PORTFOLIO, unit="USDC", low=MICRO, high=_usdc("1000000000")),
    # Guardrails
    _S("buy_max_slippage_bps", _K.INT, 300, "How far above the leader's price a BUY may pay.", "Guardrails",
       Scope.PORTFOLIO, unit="bps", low=0, high=10_000),
    _S("sell_max_slippage_bps", _K.INT, 500, "How far below the leader's price a SELL may go.", "Guardrails",
       Scope.PORTFOLIO, unit="bps", low=0, high=10_000),
    _S("max_spread_bps", _K.INT, 1000, "Widest spread, in parts of the mid, that a BUY accepts.", "Guardrails",
       Scope.PORTFOLIO, unit="bps", low=0, high=20_000),
    _S("buy_max_slippage_ticks", _K.INT, 1, "The same in ticks of the price; the larger of the two counts (a tick is a"
       " third of a 3-cent price).", "Guardrails", Scope.PORTFOLIO, unit="ticks", low=0, high=1_000),
    _S("sell_max_slippage_ticks", _K.INT, 1, "The same in ticks for a SELL; the larger of the two counts.",
       "Guardrails", Scope.PORTFOLIO, unit="ticks", low=0, high=1_000),
    _S("max_spread_ticks", _K.INT, 2, "Widest spread in ticks; the larger of this and max_spread_bps counts.",
       "Guardrails", Scope.PORTFOLIO, unit="ticks", low=0, high=1_000),
    _S("min_depth_usdc", _K.USDC, _usdc("1"), "Least USDC on offer within the slippage limit for a BUY.", "Guardrails",
       Scope.PORTFOLIO, unit="USDC", low=0, high=_usdc("1000000")),
    _S("min_price", _K.RATIO, 0, "BUY only where the leader paid at least this.", "Guardrails", Scope.PORTFOLIO,
       unit="USDC", low=0, high=MICRO),
    _S("max_price", _K.RATIO, MICRO, "BUY only where the leader paid at most this.", "Guardrails", Scope.PORTFOLIO,
       unit="USDC", low=0, high=MICRO),
    _S("min_leader_usdc", _K.USDC, 0, "Leader fills smaller than this are not copied (BUY).", "Guardrails",
       Scope.PORTFOLIO, unit="USDC", low=0, high=_usdc("1000000000")),
    _S("min_time_to_end_sec", _K.INT, 0, "BUY only in markets that end no sooner than this.", "Guardrails",
       Scope.PORTFOLIO, unit="s", low=0, high=365 * _DAY),
    _S("max_time_to_end_sec", _K.INT, 0, "BUY only in markets that end within this time; 0 = no limit.", "Guardrails",
       Scope.PORTFOLIO, unit="s", low=0, high=3650 * _DAY),
    _S("only_categories", _K.LIST, "", "BUY only in markets with one of these categories or tags; empty = all.",
       "Guardrails", Scope.PORTFOLIO),
    _S("skip_categories", _K.LIST, "", "Never BUY in markets with one of these categories or tags.", "Guardrails",
       Scope.PORTFOLIO),
    _S("only_keywords", _K.LIST, "", "BUY only where the market's title contains one of these; empty = all.",
       "Guardrails", Scope.PORTFOLIO),
    _S("skip_keywords", _K.LIST, "", "Never BUY where the market's title contains one of these.", "Guardrails",
       Scope.PORTFOLIO),
    _S("max_buys_per_outcome", _K.INT, 0, "Copy only the first so many BUYs per outcome; 0 = no limit.", "Guardrails",
       Scope.PORTFOLIO, low=0, high=100_000),
    _S("cap_mode", _K.CHOICE, "cut", "What happens to a BUY above a cap or the cash: cut to what is left, or skipped.",
       "Guardrails", Scope.PORTFOLIO, choices=("cut", "skip")),
    _S("per_trade_cap_usdc", _K.USDC, _usdc("250"), "Most for one BUY, without its fee; 0 = no cap.", "Guardrails",
       Scope.PORTFOLIO, unit="USDC", low=0, high=_usdc("1000000000")),
    _S("per_market_cap_usdc", _K.USDC, _usdc("1000"), "Most at cost in one market, but for the fee of the BUY"
       " that reaches it; 0 = no cap.", "Guardrails", Scope.PORTFOLIO, unit="USDC", low=0, high=_usdc("1000000000")),
    _S("per_leader_cap_usdc", _K.USDC, 0, "Most at cost copied from one leader, but for the fee of the BUY"
       " that reaches it; 0 = no cap.", "Guardrails", Scope.PORTFOLIO, unit="USDC", low=0, high=_usdc("1000000000")),
    _S("total_cap_usdc", _K.USDC, 0, "Most at cost over all positions, but for the fee of the BUY that reaches it;"
       " 0 = no cap.", "Guardrails", Scope.PORTFOLIO, unit="USDC", low=0, high=_usdc("1000000000")),
    _S("daily_cap_usdc", _K.USDC, 0, "Most spent on BUYs in one UTC day, without their fees; 0 = no cap.", "Guardrails",
       Scope.PORTFOLIO, unit="USDC", low=0, high=_usdc("1000000000")),
    _S("max_open_positions", _K.INT, 0, "Most open positions; 0 = no limit.", "Guardrails", Scope.PORTFOLIO, low=0,
       high=100_000),
    _S("max_positions_per_leader", _K.INT, 0, "Most open positions copied from one leader; 0 = no limit.", "Guardrails",
       Scope.PORTFOLIO, low=0, high=100_000),
    _S("daily_loss_stop_usdc", _K.USDC, 0, "No more BUYs until the next UTC day once equity is this much below where"
       " the day began; 0 = off.", "Guardrails", Scope.PORTFOLIO, unit="USDC", low=0, high=_usdc("1000000000")),
    _S("take_profit_bps", _K.INT, 0, "Sell a position whose value is this far above its cost; 0 = off.", "Guardrails",
       Scope.PORTFOLIO, unit="bps", low=0, high=1_000_000),
    _S("stop_loss_bps", _K.INT, 0, "Sell a position whose value is this far below its cost; 0 = off.", "Guardrails",
       Scope.PORTFOLIO, unit="bps", low=0, high=10_000),
    _S("rule_confirm_sec", _K.INT, 5, "Take-profit and stop-loss look twice, this far apart, before they sell; a value"
       " that nobody bids for fires neither.", "Guardrails", Scope.PORTFOLIO, unit="s", low=0, high=3600),
    # Execution
    _S("order_latency_ms", _K.INT, 300, "Time between a decision and its order reaching the book, before the market's"
       " own delay.", "Execution", Scope.PORTFOLIO, unit="ms", low=0, high=60_000),
    _S("order_latency_p99_ms", _K.INT, 0, "Latency that one order in a hundred exceeds: each order then draws its own"
       " around order_latency_ms, the median. 0 = always order_latency_ms.", "Execution", Scope.PORTFOLIO, unit="ms",
       low=0, high=600_000),
    _S("book_max_age_ms", _K.INT, 1500, "Oldest book that a decision may use.", "Execution", unit="ms", low=0,
       high=60_000),
    _S("book_attempts", _K.INT, 3, "How often a book is asked for before a BUY is skipped.", "Execution", low=1,
       high=20),
    _S("market_attempts", _K.INT, 4, "How often an unknown token is looked up before its trade is skipped.",
       "Execution", low=1, high=20),
    _S("retry_interval_ms", _K.INT, 1000, "Wait between two such attempts, and between retries of an exit.",
       "Execution", unit="ms", low=50, high=60_000),
    _S("local_books", _K.BOOL, True, "Keep order books from the venue's market channel; off = every book is read over"
       " HTTP.", "Execution"),
    _S("max_local_books", _K.INT, 300, "Most books kept; the least recently needed go first.", "Execution", low=1,
       high=5_000),
    _S("local_book_stale_ms", _K.INT, 15_000, "Kept books are not used when nothing, not even a heartbeat, came for"
       " this long.", "Execution", unit="ms", low=1_000, high=600_000),
    _S("local_book_fill_age_ms", _K.INT, 3_000, "A decision and a fill use a kept book only if a frame of its token, or"
       " a read over HTTP, confirmed it within this time; else it is read over HTTP.", "Execution", unit="ms", low=0,
       high=60_000),
    _S("local_book_check_sec", _K.INT, 60, "A kept book that nothing has confirmed for this long is compared with the"
       " HTTP book before it is used.", "Execution", unit="s", low=1, high=3_600),
    _S("mark_interval_ms", _K.INT, 5000, "How often held tokens' books are read to value positions.", "Execution",
       unit="ms", low=500, high=3_600_000),
    _S("market_refresh_sec", _K.INT, 60, "How often the markets of what is held are looked up for closings and"
       " results.", "Execution", unit="s", low=1, high=_DAY),
    _S("reconcile_interval_sec", _K.INT, 300, "How often a leader's holdings are compared with the venue's.",
       "Execution", unit="s", low=5, high=_DAY),
    # Alerts
    _S("alert_urls", _K.SECRET, "", "Where alerts go: Apprise addresses (Telegram, Discord, ntfy, mail, …), separated"
       " by commas. Empty = nowhere.", "Alerts"),
    _S("alert_on", _K.LIST, "health, exits", "What is told: health (a source or the worker is down or back), copies,"
       " exits, results (a market paid out), bad_input, drawdown, daily (a summary), provider (80 and 100 % of its"
       " units are used).", "Alerts", choices=("health", "copies", "exits", "results", "bad_input", "drawdown", "daily",
       "provider")),
    _S("alert_after_sec", _K.INT, 60, "A source that is down is told of after this time; shorter gaps are not.",
       "Alerts", unit="s", low=0, high=_DAY),
    _S("alert_drawdown_bps", _K.INT, 1000, "A portfolio's fall below its highest value that is told; again after it has"
       " made up for half of it.", "Alerts", unit="bps", low=1, high=10_000),
    _S("alert_quiet_from_hour", _K.INT, 0, "From this hour on nothing is sent but that the worker ended or fell silent;"
       " what gathers is sent when the quiet hours are over.", "Alerts", unit="h", low=0, high=23),
    _S("alert_quiet_to_hour", _K.INT, 0, "The hour at which they are over; the same hour as their beginning = there are"
       " none.", "Alerts", unit="h", low=0, high=23),
    _S("alert_daily_hour", _K.INT, 8, "The hour of the daily summary.", "Alerts", unit="h", low=0, high=23),
    _S("alert_zone", _K.TEXT, "UTC", "The time zone of these hours, by its IANA name (Europe/Berlin).", "Alerts"),
    # Journal
    _S("journal", _K.BOOL, True, "Write down what enters the engine, so that `pilotfish replay` can run it again."
       " Switched on, it begins with the worker's next start.", "Journal"),
    _S("journal_max_mb", _K.INT, 256, "Most that a database's journal takes on disk; the oldest goes first.", "Journal",
       unit="MB", low=1, high=1_000_000),
    _S("journal_max_days", _K.INT, 30, "How long it is kept; the oldest goes first.", "Journal", unit="days", low=1,
       high=3_650),
    # Recorded books
    _S("record_books", _K.BOOL, True, "Write down the order books that are kept and read, for looking back and for"
       " `pilotfish calibrate`.", "Recorded books"),
    _S("books_max_gib", _K.INT, 4, "Most that recorded books take; the oldest go first.", "Recorded books",
       unit="GiB", low=1, high=100_000),
    _S("books_max_days", _K.INT, 90, "How long recorded books are kept; the oldest go first.", "Recorded books",
       unit="days", low=1, high=3_650),
    # Process (environment only)
    _S("database_url", _K.SECRET, "", "Where the books are kept; empty = SQLite in the platform's data folder.",
       "Process", Scope.PROCESS),
    _S("history_url", _K.SECRET, "", "Where pulled history is kept: a folder, or a URL such as s3://bucket/folder;"
       " empty = history in the platform's data folder, or beside a SQLite database.", "Process", Scope.PROCESS),
    _S("data_api_url", _K.TEXT, "https://data-api.polymarket.com", "Data API.", "Process", Scope.PROCESS),
    _S("gamma_api_url", _K.TEXT, "https://gamma-api.polymarket.com", "Gamma API.", "Process", Scope.PROCESS),
    _S("clob_http_url", _K.TEXT, "https://clob.polymarket.com", "CLOB API.", "Process", Scope.PROCESS),
    _S("clob_market_ws_url", _K.TEXT, "wss://ws-subscriptions-clob.polymarket.com/ws/market", "CLOB market WebSocket.",
       "Process", Scope.PROCESS),
    _S("polygon_ws_url", _K.SECRET, "", "Polygon JSON-RPC over WebSocket (often holds a key). Empty = no chain source.",
       "Process", Scope.PROCESS),
    _S("polygon_http_url", _K.SECRET, "", "Polygon JSON-RPC over HTTP for single look-ups; empty = the WebSocket is"
       " used.", "Process", Scope.PROCESS),
    _S("exchange_addresses", _K.TEXT, "", "Comma-separated exchange contracts to watch; empty = the known three.",
       "Process", Scope.PROCESS),
    _S("admin_token", _K.SECRET, "", "Needed for every write through the web; empty = writes through the web are off.",
       "Process", Scope.PROCESS),
    _S("view_token", _K.SECRET, "", "Needed to read the dashboard when set.", "Process", Scope.PROCESS),
    _S("web_host", _K.TEXT, "127.0.0.1", "Address that the dashboard listens on.", "Process", Scope.PROCESS),
    _S("web_port", _K.INT, 8080, "Port that the dashboard listens on.", "Process", Scope.PROCESS, low=0, high=65_535),
    _S("web_allowed_hosts", _K.LIST, "", "Names that the dashboard may be reached by besides this machine's own, for a"
       " proxy in front of it; needed only while no VIEW_TOKEN is set.", "Process", Scope.PROCESS),
    _S("web_trusted_proxies", _K.LIST, "", "Addresses or networks of proxies in front of the dashboard whose"
       " X-Forwarded-For says where a caller is; from others it is not believed, and all who come through one of those"
       " wait together after wrong tokens.", "Process", Scope.PROCESS),
    _S("log_level", _K.CHOICE, "INFO", "Least severe level that is logged.", "Process", Scope.PROCESS,
       choices=("DEBUG", "INFO", "WARNING", "ERROR")),
    _S("log_format", _K.CHOICE, "people", "How log lines are written: a time of day (UTC), a sentence and what matters"
       " (people), key=value (keyvalue), or JSON.", "Process", Scope.PROCESS, choices=("people", "keyvalue", "json"),
       formerly=(("console", "people"),)),
)  # fmt: skip

BY_NAME: dict[str, Setting] = {s.name: s for s in ALL}


def find(name: str) -> Setting:
    """The setting called ``name`` (its environment name works too); raises :class:`SettingError`."""
    setting = BY_NAME.get(name.lower()) or next((s for s in ALL if s.env_name == name.upper()), None)
    if setting is None:
        raise SettingError(str(unknown("setting", name, [s.name for s in ALL], "see `pilotfish settings list`")))
    return setting


@dataclass(frozen=True, slots=True)
class Effective:
    """A resolved setting: its value, where it comes from, and the weaker sources that it beats."""

    setting: Setting
    value: Value
    source: Origin
    overrides: tuple[tuple[Origin, Value], ...]


def resolve(
    setting: Setting,
    environment: Mapping[str, Value],
    dashboard: Mapping[str, Value],
    portfolio: Mapping[str, Value] | None = None,
    leader: Mapping[str, Value] | None = None,
) -> Effective:
    """Apply the order of precedence to one setting. The mappings hold parsed values by setting name."""
    layers: list[tuple[Origin, Value]] = [(Origin.DEFAULT, setting.default)]
    for origin, source in (
        (Origin.ENVIRONMENT, environment),
        (Origin.DASHBOARD, dashboard),
        (Origin.PORTFOLIO, portfolio or {}),
        (Origin.LEADER, leader or {}),
    ):
        if setting.name in source:
            layers.append((origin, source[setting.name]))
    source_of, value = layers[-1]
    beaten = tuple(layer for layer in layers[:-1] if layer[0] is not Origin.DEFAULT)
    return Effective(setting, value, source_of, beaten)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that one portfolio's decisions use, resolved; ``by_leader`` where a leader has some of his own."""

    trigger_mode: TriggerMode
    strict_both: bool
    copy_side: str
    paused: bool
    max_live_lag_sec: int
    catch_up_buy_max_age_sec: int
    catch_up_buy_require_better_price: bool
    catch_up_buy_max_worse_bps: int
    catch_up_buy_open_new: bool
    copy_unexplained_exits: bool
    sell_retry_sec: int
    exit_all_ratio: int
    orphan_policy: str
    sizing_mode: str
    fixed_usdc: int
    fixed_shares: int
    leader_ratio: int
    bankroll_ratio: int
    size_tiers: tuple[tuple[int, int], ...]
    max_copy_usdc: int
    below_min: str
    min_copy_usdc: int
    burst_window_sec: int
    bankroll: int
    buy_max_slippage_bps: int
    sell_max_slippage_bps: int
    buy_max_slippage_ticks: int
    sell_max_slippage_ticks: int
    max_spread_bps: int
    max_spread_ticks: int
    min_depth_usdc: int
    min_price: int
    max_price: int
    min_leader_usdc: int
    min_time_to_end_sec: int
    max_time_to_end_sec: int
    only_categories: tuple[str, ...]
    skip_categories: tuple[str, ...]
    only_keywords: tuple[str, ...]
    skip_keywords: tuple[str, ...]
    max_buys_per_outcome: int
    cap_mode: str
    per_trade_cap_usdc: int
    per_market_cap_usdc: int
    per_leader_cap_usdc: int
    total_cap_usdc: int
    daily_cap_usdc: int
    max_open_positions: int
    max_positions_per_leader: int
    daily_loss_stop_usdc: int
    take_profit_bps: int
    stop_loss_bps: int
    rule_confirm_sec: int
    order_latency_ms: int
    order_latency_p99_ms: int
    book_max_age_ms: int
    book_attempts: int
    market_attempts: int
    retry_interval_ms: int
    polygon_gap_grace_ms: int
    wait_for_api: bool
    api_lag_fallback_ms: int
    by_leader: dict[str, Policy] = {}

    def of(self, leader: str) -> Policy:
        """The policy for one leader's trades."""
        return self.by_leader.get(leader, self)


class Globals(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that belong to no portfolio: what classes trades as they come in, and how long sources are waited
    for. ``max_live_lag_sec`` is the value that holds where no portfolio or leader has its own."""

    trigger_mode: TriggerMode = TriggerMode.BOTH
    max_live_lag_sec: int = 15
    api_lag_fallback_ms: int = 3000
    polygon_gap_grace_ms: int = 10_000


def globals_from(values: Mapping[str, Value]) -> Globals:
    """The global settings from effective values; names that are missing take their default."""
    fields = {f: values.get(f, BY_NAME[f].default) for f in Globals.__struct_fields__}
    return msgspec.convert(fields, Globals, strict=True)


def policy_from(values: Mapping[str, Value]) -> Policy:
    """A policy from effective values; names that are missing take their default."""
    fields = {f: _used(f, values) for f in Policy.__struct_fields__ if f != "by_leader"}
    return msgspec.convert(fields, Policy, strict=True)


def _used(name: str, values: Mapping[str, Value]) -> object:
    setting = BY_NAME[name]
    value = values.get(name, setting.default)
    if setting.kind is Kind.LIST:
        return words_of(str(value))
    return tiers_of(str(value)) if setting.kind is Kind.TIERS else value


def defaults(names: Iterable[str] | None = None) -> dict[str, Value]:
    """Default values by name."""
    return {s.name: s.default for s in ALL if names is None or s.name in names}
