"""What a person can do about a reason or an outcome, beside what it means (``core/reasons.py``). Settings stand in
backticks by their names. Where there is nothing to do, it says so."""

from __future__ import annotations

from pilotfish.core.reasons import Outcome, Reason

NOTHING_TO_DO = "Nothing."

ADVICE: dict[Reason, str] = {
    Reason.COPY: "Nothing. What became of the order stands beside it: filled, out, or not filled and why.",
    Reason.COPY_GONE: "Nothing. Switch `copy_unexplained_exits` off if such exits should not be copied.",
    Reason.SKIP_BACKFILL: "Nothing. Look back at the wallet to see what copying that past would have brought.",
    Reason.SKIP_PAUSED: "Resume the leader, or set `paused` to false for the portfolio or the leader.",
    Reason.SKIP_SIDE: "Set `copy_side` to both, or to the side that you want.",
    Reason.SKIP_UNSUPPORTED: "Nothing. Combos are recorded and not copied.",
    Reason.SKIP_UNKNOWN_MARKET: "See whether `pilotfish doctor` reaches Gamma. `market_attempts` and"
    " `retry_interval_ms` say how long it is tried.",
    Reason.SKIP_MARKET_CLOSED: "Nothing. What is held is settled once the result is known.",
    Reason.SKIP_POLYGON_UNHEALTHY: "Check the provider and `polygon_ws_url`. With `trigger_mode` both the API goes on"
    " alone, unless `strict_both` is on.",
    Reason.SKIP_API_UNHEALTHY: "Wait, or switch `strict_both` off: then the chain goes on alone.",
    Reason.SKIP_NO_POSITION: "Nothing. The BUY before it was skipped, or was made before you followed.",
    Reason.SKIP_UNEXPLAINED_EXIT: "Switch `copy_unexplained_exits` on, or close the position by hand.",
    Reason.SKIP_CATCHUP_TOO_OLD: "See why it came late (page Latency). A larger `catch_up_buy_max_age_sec` copies"
    " older ones.",
    Reason.SKIP_CATCHUP_WORSE_PRICE: "Switch `catch_up_buy_require_better_price` off and set"
    " `catch_up_buy_max_worse_bps` if a late BUY may cost more.",
    Reason.SKIP_CATCHUP_NEW_POSITION: "Switch `catch_up_buy_open_new` on.",
    Reason.SKIP_PRICE_RANGE: "Widen `min_price` and `max_price`.",
    Reason.SKIP_LEADER_SIZE: "Lower `min_leader_usdc`. A fill too small to say its price is never copied.",
    Reason.SKIP_FILTERED: "Change `only_categories`, `skip_categories`, `only_keywords` or `skip_keywords`.",
    Reason.SKIP_END_DATE: "Change `min_time_to_end_sec` or `max_time_to_end_sec`.",
    Reason.SKIP_BUYS_PER_OUTCOME: "Raise `max_buys_per_outcome`.",
    Reason.SKIP_SAME_ORDER: "Nothing. The order is copied already. With `sizing_mode` leader_ratio every fill is"
    " copied at its part.",
    Reason.SKIP_LEADER_VALUE: "Wait until the holdings were read, or choose another `sizing_mode`.",
    Reason.SKIP_BELOW_MIN: "Copy more (`fixed_usdc`, `leader_ratio`), or let `below_min` raise or accumulate.",
    Reason.SKIP_ACCUMULATING: "Nothing. It is spent with the next BUYs of this leader and token.",
    Reason.SKIP_DAILY_LOSS: "Wait for the next UTC day, or change `daily_loss_stop_usdc`.",
    Reason.SKIP_CASH: "Copy less, wait for positions to end, or reset the portfolio with a larger `bankroll`.",
    Reason.SKIP_CAP_TRADE: "Raise `per_trade_cap_usdc`, or let `cap_mode` cut to it.",
    Reason.SKIP_CAP_MARKET: "Raise `per_market_cap_usdc`.",
    Reason.SKIP_CAP_LEADER: "Raise `per_leader_cap_usdc`.",
    Reason.SKIP_CAP_TOTAL: "Raise `total_cap_usdc`.",
    Reason.SKIP_CAP_DAILY: "Raise `daily_cap_usdc`, or wait for the next UTC day.",
    Reason.SKIP_CAP_POSITIONS: "Raise `max_open_positions` or `max_positions_per_leader`.",
    Reason.SKIP_NO_BOOK: "See whether `pilotfish doctor` reaches the CLOB. A market nobody quotes has no book to read.",
    Reason.SKIP_SPREAD: "Raise `max_spread_bps` or `max_spread_ticks`. A wide spread is what selling again would cost.",
    Reason.SKIP_SLIPPAGE: "Raise `buy_max_slippage_bps` or `buy_max_slippage_ticks`, or see trades sooner"
    " (`polygon_ws_url`).",
    Reason.SKIP_DEPTH: "Lower `min_depth_usdc`, or copy in deeper markets.",
    Reason.SKIP_RETRACTED: "Nothing. The chain says that the trade never was.",
    Reason.SKIP_RESET: NOTHING_TO_DO,
    Reason.EXIT_TAKE_PROFIT: "Nothing. `take_profit_bps` says when.",
    Reason.EXIT_STOP_LOSS: "Nothing. `stop_loss_bps` says when.",
    Reason.EXIT_BY_HAND: NOTHING_TO_DO,
    Reason.EXIT_DUST: NOTHING_TO_DO,
    Reason.WAIT_MARKET: "Nothing. `market_attempts` bounds it.",
    Reason.WAIT_BOOK: "Nothing. `book_attempts` bounds it.",
    Reason.WAIT_TURN: NOTHING_TO_DO,
    Reason.WAIT_CHAIN: "Nothing. `polygon_gap_grace_ms` bounds it.",
    Reason.WAIT_API: "Nothing. `api_lag_fallback_ms` bounds it.",
    Reason.WAIT_HOLDINGS: "Nothing. `sell_retry_sec` bounds it; then it is decided by what is known.",
    Reason.WAIT_POLYGON_UNHEALTHY: "Check the provider and `polygon_ws_url`. The exit runs as soon as it is back.",
    Reason.WAIT_API_UNHEALTHY: "Wait, or switch `strict_both` off.",
    Reason.WAIT_REORG: "Nothing. It is mined again, or given up.",
}

OUTCOME_ADVICE: dict[Outcome, str] = {
    Outcome.UNFILLED_PRICE: "Nothing: the price had moved on. A larger `buy_max_slippage_bps` follows it further.",
    Outcome.CANCELLED_LEADER_SOLD: NOTHING_TO_DO,
    Outcome.CANCELLED_REORG: NOTHING_TO_DO,
    Outcome.CANCELLED_TOO_OLD: "See why no worker ran. `catch_up_buy_max_age_sec` is the limit.",
    Outcome.CANCELLED_NO_CASH: "Copy less, or reset the portfolio with a larger `bankroll`.",
    Outcome.CANCELLED_RESOLVED: NOTHING_TO_DO,
    Outcome.CANCELLED_ARCHIVED: NOTHING_TO_DO,
    Outcome.CANCELLED_NOTHING_LEFT: NOTHING_TO_DO,
    Outcome.FAILED_REJECTED: "The paper venue refuses nothing; this is for other executors.",
    Outcome.FAILED_NO_BOOK: "See whether `pilotfish doctor` reaches the CLOB. What an exit did not sell is still held:"
    " close it by hand.",
    Outcome.FAILED_LIMIT: "What is left is still held: close it by hand, or raise `sell_max_slippage_bps` or"
    " `sell_retry_sec`.",
}
