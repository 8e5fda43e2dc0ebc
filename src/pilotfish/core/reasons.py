"""Why a trade was copied or not, and why an intent ended as it did. Pages, docs and commands list them from here."""

from __future__ import annotations

from pilotfish.core.words import Word


class Action(Word):
    """What a decision is."""

    COPY = "copy"
    SKIP = "skip"
    WAIT = "wait"
    EXIT = "exit"


class Reason(Word):
    """The code that a decision carries. What kind of decision it is of is asked of it, never read from the code."""

    COPY = "COPY"
    COPY_GONE = "COPY_GONE"
    SKIP_BACKFILL = "SKIP_BACKFILL"
    SKIP_PAUSED = "SKIP_PAUSED"
    SKIP_SIDE = "SKIP_SIDE"
    SKIP_UNSUPPORTED = "SKIP_UNSUPPORTED"
    SKIP_UNKNOWN_MARKET = "SKIP_UNKNOWN_MARKET"
    SKIP_MARKET_CLOSED = "SKIP_MARKET_CLOSED"
    SKIP_POLYGON_UNHEALTHY = "SKIP_POLYGON_UNHEALTHY"
    SKIP_API_UNHEALTHY = "SKIP_API_UNHEALTHY"
    SKIP_NO_POSITION = "SKIP_NO_POSITION"
    SKIP_UNEXPLAINED_EXIT = "SKIP_UNEXPLAINED_EXIT"
    SKIP_CATCHUP_TOO_OLD = "SKIP_CATCHUP_TOO_OLD"
    SKIP_CATCHUP_WORSE_PRICE = "SKIP_CATCHUP_WORSE_PRICE"
    SKIP_CATCHUP_NEW_POSITION = "SKIP_CATCHUP_NEW_POSITION"
    SKIP_PRICE_RANGE = "SKIP_PRICE_RANGE"
    SKIP_LEADER_SIZE = "SKIP_LEADER_SIZE"
    SKIP_FILTERED = "SKIP_FILTERED"
    SKIP_END_DATE = "SKIP_END_DATE"
    SKIP_BUYS_PER_OUTCOME = "SKIP_BUYS_PER_OUTCOME"
    SKIP_SAME_ORDER = "SKIP_SAME_ORDER"
    SKIP_LEADER_VALUE = "SKIP_LEADER_VALUE"
    SKIP_BELOW_MIN = "SKIP_BELOW_MIN"
    SKIP_ACCUMULATING = "SKIP_ACCUMULATING"
    SKIP_DAILY_LOSS = "SKIP_DAILY_LOSS"
    SKIP_CASH = "SKIP_CASH"
    SKIP_CAP_TRADE = "SKIP_CAP_TRADE"
    SKIP_CAP_MARKET = "SKIP_CAP_MARKET"
    SKIP_CAP_LEADER = "SKIP_CAP_LEADER"
    SKIP_CAP_TOTAL = "SKIP_CAP_TOTAL"
    SKIP_CAP_DAILY = "SKIP_CAP_DAILY"
    SKIP_CAP_POSITIONS = "SKIP_CAP_POSITIONS"
    SKIP_NO_BOOK = "SKIP_NO_BOOK"
    SKIP_SPREAD = "SKIP_SPREAD"
    SKIP_SLIPPAGE = "SKIP_SLIPPAGE"
    SKIP_DEPTH = "SKIP_DEPTH"
    SKIP_RETRACTED = "SKIP_RETRACTED"
    SKIP_RESET = "SKIP_RESET"
    EXIT_TAKE_PROFIT = "EXIT_TAKE_PROFIT"
    EXIT_STOP_LOSS = "EXIT_STOP_LOSS"
    EXIT_BY_HAND = "EXIT_BY_HAND"
    EXIT_DUST = "EXIT_DUST"
    WAIT_MARKET = "WAIT_MARKET"
    WAIT_BOOK = "WAIT_BOOK"
    WAIT_TURN = "WAIT_TURN"
    WAIT_CHAIN = "WAIT_CHAIN"
    WAIT_API = "WAIT_API"
    WAIT_HOLDINGS = "WAIT_HOLDINGS"
    WAIT_POLYGON_UNHEALTHY = "WAIT_POLYGON_UNHEALTHY"
    WAIT_API_UNHEALTHY = "WAIT_API_UNHEALTHY"
    WAIT_REORG = "WAIT_REORG"

    @property
    def action(self) -> Action:
        """What a decision with this reason is."""
        return _ACTIONS.get(self, Action.SKIP)

    @property
    def waits(self) -> bool:
        """True for a decision that is not made yet."""
        return self.action is Action.WAIT

    @property
    def skips(self) -> bool:
        """True for a trade that is not copied."""
        return self.action is Action.SKIP

    @property
    def own_exit(self) -> bool:
        """True for a sale that no leader triggered."""
        return self.action is Action.EXIT

    @property
    def words(self) -> str:
        """The code in words, without what kind of decision it belongs to."""
        kind = "" if self.action is Action.COPY else f"{self.action.name}_"
        return self.value.removeprefix(kind).replace("_", " ").lower()


_ACTIONS: dict[Reason, Action] = {
    Reason.COPY: Action.COPY,
    Reason.COPY_GONE: Action.COPY,
    Reason.EXIT_TAKE_PROFIT: Action.EXIT,
    Reason.EXIT_STOP_LOSS: Action.EXIT,
    Reason.EXIT_BY_HAND: Action.EXIT,
    Reason.EXIT_DUST: Action.EXIT,
    Reason.WAIT_MARKET: Action.WAIT,
    Reason.WAIT_BOOK: Action.WAIT,
    Reason.WAIT_TURN: Action.WAIT,
    Reason.WAIT_CHAIN: Action.WAIT,
    Reason.WAIT_API: Action.WAIT,
    Reason.WAIT_HOLDINGS: Action.WAIT,
    Reason.WAIT_POLYGON_UNHEALTHY: Action.WAIT,
    Reason.WAIT_API_UNHEALTHY: Action.WAIT,
    Reason.WAIT_REORG: Action.WAIT,
}
"""All that is no skip."""


def known(code: str) -> Reason | None:
    """The reason of a code; ``None`` for what is none (an outcome of an order, a cause of a difference)."""
    return Reason(code) if code in Reason.__members__ else None


def words(code: str) -> str:
    """Any code in words: a reason's own, of anything else the code as it stands."""
    reason = known(code)
    return reason.words if reason is not None else code.replace("_", " ").lower()


MEANING: dict[Reason, str] = {
    Reason.COPY: "Copied: an intent was written.",
    Reason.COPY_GONE: "Copied as an exit: the venue shows twice that the leader holds nothing, and nothing says why.",
    Reason.SKIP_BACKFILL: "From before the leader was followed; history is never copied.",
    Reason.SKIP_PAUSED: "The leader or the portfolio is paused.",
    Reason.SKIP_SIDE: "This side is not copied (copy_side).",
    Reason.SKIP_UNSUPPORTED: "A combo of several legs; those cannot be copied.",
    Reason.SKIP_UNKNOWN_MARKET: "The venue does not know the token's market, after several tries.",
    Reason.SKIP_MARKET_CLOSED: "The market is closed, resolved or takes no orders.",
    Reason.SKIP_POLYGON_UNHEALTHY: "Polygon is down and the mode needs it for a BUY.",
    Reason.SKIP_API_UNHEALTHY: "The Data API is down and strict_both needs it for a BUY.",
    Reason.SKIP_NO_POSITION: "The leader sold what we do not hold.",
    Reason.SKIP_UNEXPLAINED_EXIT: "The leader's holding is gone for an unknown reason (copy_unexplained_exits is off).",
    Reason.SKIP_CATCHUP_TOO_OLD: "A missed BUY, older than catch_up_buy_max_age_sec.",
    Reason.SKIP_CATCHUP_WORSE_PRICE: "A missed BUY, and the price is now worse than the catch-up rules allow.",
    Reason.SKIP_CATCHUP_NEW_POSITION: "A missed BUY that would open a new position (catch_up_buy_open_new is off).",
    Reason.SKIP_PRICE_RANGE: "The leader's price is outside min_price … max_price.",
    Reason.SKIP_LEADER_SIZE: "The leader's fill is smaller than min_leader_usdc, or too small to say its price.",
    Reason.SKIP_FILTERED: "The market's category, tags or title are filtered out (…_categories, …_keywords).",
    Reason.SKIP_END_DATE: "The market ends too soon (min_time_to_end_sec).",
    Reason.SKIP_BUYS_PER_OUTCOME: "Already copied max_buys_per_outcome BUYs of this outcome.",
    Reason.SKIP_SAME_ORDER: "The fixed size was already spent on this order of the leader.",
    Reason.SKIP_LEADER_VALUE: "bankroll_ratio needs the value of the leader's positions, and it is not known yet.",
    Reason.SKIP_BELOW_MIN: "The size comes out below the minimum.",
    Reason.SKIP_ACCUMULATING: "Below the minimum; saved up for the next BUYs of this leader and token (below_min).",
    Reason.SKIP_DAILY_LOSS: "Equity is daily_loss_stop_usdc below where the UTC day began.",
    Reason.SKIP_CASH: "Not enough cash.",
    Reason.SKIP_CAP_TRADE: "Above the cap for one BUY.",
    Reason.SKIP_CAP_MARKET: "The cap for this market is used up.",
    Reason.SKIP_CAP_LEADER: "The cap for this leader is used up.",
    Reason.SKIP_CAP_TOTAL: "The cap for all positions is used up.",
    Reason.SKIP_CAP_DAILY: "Today's spending cap is used up.",
    Reason.SKIP_CAP_POSITIONS: "The most open positions are open.",
    Reason.SKIP_NO_BOOK: "No order book could be had.",
    Reason.SKIP_SPREAD: "The spread is wider than max_spread_bps and max_spread_ticks.",
    Reason.SKIP_SLIPPAGE: "The price is further from the leader's than buy_max_slippage_bps and _ticks allow.",
    Reason.SKIP_DEPTH: "Too little on offer within the limit (min_depth_usdc).",
    Reason.SKIP_RETRACTED: "A reorg took the trade back.",
    Reason.SKIP_RESET: "The paper state was reset while this was waiting.",
    Reason.EXIT_TAKE_PROFIT: "Sold by our own rule: its value was take_profit_bps above its cost.",
    Reason.EXIT_STOP_LOSS: "Sold by our own rule: its value was stop_loss_bps below its cost.",
    Reason.EXIT_BY_HAND: "Sold because a person closed the position.",
    Reason.EXIT_DUST: "Less than 0.01 share: too little to sell, so it was written off.",
    Reason.WAIT_MARKET: "Waiting for the market's data.",
    Reason.WAIT_BOOK: "Waiting for the order book.",
    Reason.WAIT_TURN: "Waiting for an earlier trade of the same leader and token.",
    Reason.WAIT_CHAIN: "Waiting for the log of a trade that only the API has seen (mode polygon).",
    Reason.WAIT_API: "Waiting for the API's fields of a trade seen on chain (wait_for_api).",
    Reason.WAIT_HOLDINGS: "An exit that waits for the first look at what its leader holds (sell_retry_sec).",
    Reason.WAIT_POLYGON_UNHEALTHY: "An exit that waits until Polygon is healthy again.",
    Reason.WAIT_API_UNHEALTHY: "An exit that waits until the Data API is healthy again.",
    Reason.WAIT_REORG: "A reorg took the trade back; waiting whether it is mined again.",
}


NEVER_COPIED = (Reason.SKIP_BACKFILL, Reason.SKIP_UNSUPPORTED, Reason.SKIP_RESET)
"""Decisions on what could not be copied, whatever the settings: left out where it is said how much of it was."""


class Outcome(Word):
    """How an intent ended, where it did not simply fill."""

    UNFILLED_PRICE = "UNFILLED_PRICE"
    CANCELLED_LEADER_SOLD = "CANCELLED_LEADER_SOLD"
    CANCELLED_REORG = "CANCELLED_REORG"
    CANCELLED_TOO_OLD = "CANCELLED_TOO_OLD"
    CANCELLED_NO_CASH = "CANCELLED_NO_CASH"
    CANCELLED_RESOLVED = "CANCELLED_RESOLVED"
    CANCELLED_ARCHIVED = "CANCELLED_ARCHIVED"
    CANCELLED_NOTHING_LEFT = "CANCELLED_NOTHING_LEFT"
    FAILED_REJECTED = "FAILED_REJECTED"
    FAILED_NO_BOOK = "FAILED_NO_BOOK"
    FAILED_LIMIT = "FAILED_LIMIT"


OUTCOME_WORDS: dict[Outcome, str] = {
    Outcome.UNFILLED_PRICE: "nothing on offer within the limit",
    Outcome.CANCELLED_LEADER_SOLD: "the leader sold again first",
    Outcome.CANCELLED_REORG: "a reorg took the trade back",
    Outcome.CANCELLED_TOO_OLD: "too old after a restart",
    Outcome.CANCELLED_NO_CASH: "the cash was gone",
    Outcome.CANCELLED_RESOLVED: "the market was resolved first",
    Outcome.CANCELLED_ARCHIVED: "the portfolio was archived",
    Outcome.FAILED_NO_BOOK: "no order book could be had",
    Outcome.FAILED_LIMIT: "nobody bid within the limit",
}
"""An outcome in a few words, for a line of a table."""


def outcome_words(outcome: Outcome) -> str:
    """Why an order got nothing, or not all, in a few words."""
    return OUTCOME_WORDS.get(outcome, OUTCOMES[outcome])


OUTCOMES: dict[Outcome, str] = {
    Outcome.UNFILLED_PRICE: "When the order reached the book, nothing was on offer within the limit.",
    Outcome.CANCELLED_LEADER_SOLD: "The leader sold again before our BUY was filled.",
    Outcome.CANCELLED_REORG: "A reorg took the trade back before our order was filled.",
    Outcome.CANCELLED_TOO_OLD: "Pending over a restart for longer than the catch-up rules allow.",
    Outcome.CANCELLED_NO_CASH: "The cash was gone when the order reached the book.",
    Outcome.CANCELLED_RESOLVED: "The market was resolved first.",
    Outcome.CANCELLED_ARCHIVED: "The portfolio was archived.",
    Outcome.CANCELLED_NOTHING_LEFT: "What was left of the position was too little to sell, and was written off.",
    Outcome.FAILED_REJECTED: "Whoever executes orders refused it.",
    Outcome.FAILED_NO_BOOK: "No order book could be had until the time was over.",
    Outcome.FAILED_LIMIT: "Nobody bid within the limit until the time was over; what is left is still held.",
}
