"""The decision: copy, skip with a reason, wait, or say what is missing, with a trace of every check.

Pure function of :class:`Facts`. The order of the checks is DESIGN.md section 4.
"""

from __future__ import annotations

import msgspec

from pilotfish.core import lateness, sizing
from pilotfish.core.book import Book, LiquidityMemory
from pilotfish.core.events import Market
from pilotfish.core.reasons import Reason
from pilotfish.core.records import CheckRow
from pilotfish.core.settings import Policy, TriggerMode
from pilotfish.core.trade import Side, Source, Trade, TradeClass
from pilotfish.core.units import BPS, MAX_TRADE, MICRO, PPM, SECOND, ceil_div, price_of

MARKET_MAX_AGE = 600 * SECOND
"""A market that was looked up longer ago is looked up again; what cannot be had anew is used as it was."""
UNKNOWN_TICK = 1_000
"""Taken for an exit's limit where neither market nor book is known."""


class Facts(msgspec.Struct, kw_only=True, gc=False):
    """Everything that a decision depends on. Amounts in millionths, times in µs. ``market`` and ``book`` are the last
    ones known, however old: how old they may be is judged here."""

    at: int
    portfolio: str
    policy: Policy
    trade: Trade
    leader_paused: bool
    healthy: dict[Source, bool]
    market: Market | None
    market_failed: bool
    book: Book | None
    book_failed: bool
    memory: LiquidityMemory
    held: int
    has_position: bool
    same_order: bool
    leader_value: int | None = None
    equity: int = 0
    reference: int = 0
    """What a share of ours is worth (millionths), for a SELL whose own price is not known."""
    # What follows matters to a BUY alone; what belongs to a limit, only where that is set.
    cash: int = 0
    market_cost: int = 0
    leader_cost: int = 0
    total_cost: int = 0
    spent_today: int = 0
    open_positions: int = 0
    leader_positions: int = 0
    opens_new: bool = False
    buys_of_outcome: int = 0
    lost_today: int = 0
    saved: int = 0

    @property
    def market_age(self) -> int:
        """µs since the market was looked up."""
        return self.at - self.market.fetched_at if self.market is not None else 0

    @property
    def book_age(self) -> int:
        """µs since the book was asked for."""
        return self.at - self.book.requested_at if self.book is not None else 0

    @property
    def fresh_book(self) -> Book | None:
        """The book, while it is young enough to decide on."""
        return self.book if self.book_age <= self.policy.book_max_age_ms * 1000 else None


class Verdict(msgspec.Struct, gc=False):
    """``action`` is copy, skip or wait. A copy says how much (``budget`` or ``shares``) and within which ``limit``.

    ``wanted`` is the size that a BUY asks for at the leader's price before minimums, caps and guards; ``granted`` what
    those left of it; ``saved`` what is saved up of it. ``late``: decided as catch-up.
    """

    action: str
    reason: Reason
    trace: list[CheckRow] = []
    budget: int = 0
    shares: int = 0
    limit: int = 0
    share_cap: int = 0
    wanted: int = 0
    granted: int = 0
    saved: int = 0
    kind: TradeClass | None = None


class _End(Exception):  # noqa: N818 - control flow of one function, not an error
    def __init__(self, reason: Reason) -> None:
        self.reason = reason


class _Trace:
    """Collects checks; the first that fails ends the decision."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: list[CheckRow] = []

    def note(self, check: str, value: object, limit: object = None) -> None:
        self.lines.append([check, value, limit, True])

    def require(self, passed: bool, reason: Reason, check: str, value: object, limit: object) -> None:
        self.lines.append([check, value, limit, passed])
        if not passed:
            raise _End(reason)


def decide(f: Facts) -> Verdict:
    """Decide one trade for one portfolio."""
    trace, trade = _Trace(), f.trade
    verdict = Verdict("copy", Reason.COPY, trace.lines)
    buy = trade.side is Side.BUY
    try:
        if buy and not trade.is_backfill and not trade.is_combo and not _once_spent(f):
            verdict.wanted = sizing.wanted_usdc(f.policy, trade, f.leader_value, f.equity) or 0
        kind = verdict.kind = _common(f, trace)
        if buy:
            _buy(f, kind, trace, verdict)
        else:
            _sell(f, trace, verdict)
    except _End as end:
        verdict.action, verdict.reason = end.reason.action.value, end.reason
    return verdict


def _common(f: Facts, t: _Trace) -> TradeClass:
    trade, policy, lines = f.trade, f.policy, t.lines
    backfill, side = trade.is_backfill, str(trade.side)
    kind = lateness.classify(trade.traded_at, f.at, policy.max_live_lag_sec, backfill=backfill)
    lines.append(["class", str(kind), None, not backfill])
    if backfill:
        raise _End(Reason.SKIP_BACKFILL)
    age = f.at - trade.traded_at
    lines.append(["age_ms", age // 1000 if age > 0 else 0, policy.max_live_lag_sec * 1000, True])
    paused = f.leader_paused or policy.paused
    lines.append(["paused", paused, False, not paused])
    if paused:
        raise _End(Reason.SKIP_PAUSED)
    active = trade.active
    lines.append(["on_chain", active, True, active])
    if not active:
        raise _End(Reason.WAIT_REORG)
    copied = policy.copy_side == "both" or policy.copy_side == side.lower()
    lines.append(["side", side, policy.copy_side, copied])
    if not copied:
        raise _End(Reason.SKIP_SIDE)
    lines.append(["combo", trade.is_combo, False, not trade.is_combo])
    if trade.is_combo:
        raise _End(Reason.SKIP_UNSUPPORTED)
    missed = _sources(f, t)
    return TradeClass.CATCH_UP if missed else kind


def _sources(f: Facts, t: _Trace) -> bool:
    """Mode and health (DESIGN.md section 5). True where the chain has missed the trade: then it is catch-up."""
    mode = f.policy.trigger_mode
    if mode is TriggerMode.BOTH and not f.policy.strict_both and not f.policy.wait_for_api:
        return False
    buy = f.trade.side is Side.BUY
    gates: list[tuple[Source, Reason, Reason]] = []
    strict = mode is TriggerMode.BOTH and f.policy.strict_both
    if mode is TriggerMode.POLYGON or strict:
        gates.append((Source.POLYGON, Reason.SKIP_POLYGON_UNHEALTHY, Reason.WAIT_POLYGON_UNHEALTHY))
    if strict:
        gates.append((Source.API, Reason.SKIP_API_UNHEALTHY, Reason.WAIT_API_UNHEALTHY))
    for source, skip, wait in gates:
        if not buy and f.held == 0:
            break
        healthy = f.healthy[source]
        t.require(healthy, skip if buy else wait, f"{source.value}_healthy", healthy, True)
    if mode is TriggerMode.POLYGON and f.trade.first_seen_by_polygon_at is None:
        seen = f.trade.first_seen_by_api_at or f.at
        waited = (f.at - seen) // 1000
        missed = waited >= f.policy.polygon_gap_grace_ms
        t.require(missed, Reason.WAIT_CHAIN, "log_missing_ms", waited, f.policy.polygon_gap_grace_ms)
        return True
    if f.policy.wait_for_api and mode is not TriggerMode.API and f.trade.first_seen_by_api_at is None:
        waited = (f.at - (f.trade.first_seen_by_polygon_at or f.at)) // 1000
        enough = waited >= f.policy.api_lag_fallback_ms
        t.require(enough, Reason.WAIT_API, "api_missing_ms", waited, f.policy.api_lag_fallback_ms)
    return False


def _buy(f: Facts, kind: TradeClass, t: _Trace, v: Verdict) -> None:
    trade, policy = f.trade, f.policy
    late = kind is TradeClass.CATCH_UP
    if late:
        age = (f.at - trade.traded_at) // SECOND
        limit = policy.catch_up_buy_max_age_sec
        young = not lateness.too_old(trade.traded_at, f.at, policy)
        t.require(young, Reason.SKIP_CATCHUP_TOO_OLD, "catch_up_age_sec", age, limit)
        opens = f.has_position or policy.catch_up_buy_open_new
        t.require(
            opens,
            Reason.SKIP_CATCHUP_NEW_POSITION,
            "catch_up_opens_new",
            not f.has_position,
            policy.catch_up_buy_open_new,
        )
    market = _market(f, t)
    assert market is not None
    _filters(f, market, t)
    t.require(not _once_spent(f), Reason.SKIP_SAME_ORDER, "order_already_copied", f.same_order, False)
    if policy.daily_loss_stop_usdc:
        stop = policy.daily_loss_stop_usdc
        t.require(f.lost_today < stop, Reason.SKIP_DAILY_LOSS, "lost_today_micro", f.lost_today, stop)
    _size(f, market, t, v)
    _book_guards(f, market, late, t, v)


def _once_spent(f: Facts) -> bool:
    """True where a fixed size was already spent on the order that this fill belongs to."""
    return f.same_order and sizing.by_order(f.policy)


def _filters(f: Facts, market: Market, t: _Trace) -> None:
    trade, policy = f.trade, f.policy
    price = price_of(trade.usdc, trade.shares)
    in_range = policy.min_price <= price <= policy.max_price
    t.require(in_range, Reason.SKIP_PRICE_RANGE, "leader_price_micro", price, [policy.min_price, policy.max_price])
    t.require(
        trade.usdc >= policy.min_leader_usdc,
        Reason.SKIP_LEADER_SIZE,
        "leader_usdc_micro",
        trade.usdc,
        policy.min_leader_usdc,
    )
    if policy.only_categories or policy.skip_categories or policy.only_keywords or policy.skip_keywords:
        _words(f, market, t)
    if market.end_at is not None:
        left = (market.end_at - f.at) // SECOND
        least, most = policy.min_time_to_end_sec, policy.max_time_to_end_sec
        if least:
            t.require(left >= least, Reason.SKIP_END_DATE, "time_to_end_sec", left, least)
        if most:
            t.require(left <= most, Reason.SKIP_END_DATE, "time_to_end_max_sec", left, most)
    if policy.max_buys_per_outcome:
        n, most = f.buys_of_outcome, policy.max_buys_per_outcome
        t.require(n < most, Reason.SKIP_BUYS_PER_OUTCOME, "buys_of_outcome", n, most)


def _words(f: Facts, market: Market, t: _Trace) -> None:
    """Categories and words of the market's title."""
    policy = f.policy
    labels = {market.category.lower(), *market.tags} - {""}
    title = market.title.lower()
    for name, wanted, found, passes in (
        ("only_categories", policy.only_categories, labels.intersection(policy.only_categories), True),
        ("skip_categories", policy.skip_categories, labels.intersection(policy.skip_categories), False),
        ("only_keywords", policy.only_keywords, {w for w in policy.only_keywords if w in title}, True),
        ("skip_keywords", policy.skip_keywords, {w for w in policy.skip_keywords if w in title}, False),
    ):
        if wanted:
            passed = bool(found) == passes
            t.require(passed, Reason.SKIP_FILTERED, name, sorted(found) or sorted(labels), list(wanted))


def _size(f: Facts, market: Market, t: _Trace, v: Verdict) -> None:
    """The budget: what the mode wants, with what was saved up, at least the minimum, within caps and cash."""
    trade, policy = f.trade, f.policy
    least = max(policy.min_copy_usdc, MICRO)
    if policy.sizing_mode == "bankroll_ratio":
        t.require(bool(f.leader_value), Reason.SKIP_LEADER_VALUE, "leader_value_micro", f.leader_value, 1)
    t.note("wanted_usdc_micro", v.wanted, f"{policy.sizing_mode} x {sizing.tier(policy, trade.usdc) / PPM:g}")
    size = v.wanted
    if policy.max_copy_usdc and size > policy.max_copy_usdc:
        t.note("most_for_a_copy_micro", size, policy.max_copy_usdc)
        size = policy.max_copy_usdc
    fresh = size
    size += f.saved
    if f.saved:
        t.note("saved_up_micro", f.saved)
    if size < least and policy.below_min == "raise":
        size = least
    if size < least and policy.below_min == "accumulate":
        v.saved = fresh
        t.require(False, Reason.SKIP_ACCUMULATING, "budget_usdc_micro", size, least)
    t.require(size >= least, Reason.SKIP_BELOW_MIN, "budget_usdc_micro", size, least)
    budget = size
    if policy.sizing_mode == "fixed_shares":
        v.share_cap = min(MAX_TRADE, max(1, size * trade.shares // trade.usdc)) if trade.usdc else 1
        budget = ceil_div(size * (BPS + policy.buy_max_slippage_bps), BPS)
    with_fee = PPM + market.fee.rate_ppm
    caps = [
        (Reason.SKIP_CAP_TRADE, "per_trade_left_micro", policy.per_trade_cap_usdc, 0),
        (Reason.SKIP_CAP_MARKET, "per_market_left_micro", policy.per_market_cap_usdc, f.market_cost),
        (Reason.SKIP_CAP_LEADER, "per_leader_left_micro", policy.per_leader_cap_usdc, f.leader_cost),
        (Reason.SKIP_CAP_TOTAL, "total_left_micro", policy.total_cap_usdc, f.total_cost),
        (Reason.SKIP_CAP_DAILY, "daily_left_micro", policy.daily_cap_usdc, f.spent_today),
    ]
    limits = [(r, name, max(0, cap - used)) for r, name, cap, used in caps if cap]
    limits.append((Reason.SKIP_CASH, "cash_left_micro", max(0, f.cash) * PPM // with_fee))
    for reason, name, left in limits:
        enough = left >= (least if policy.cap_mode == "cut" else budget)
        t.require(enough, reason, name, left, budget)
        budget = min(budget, left)
    if policy.max_open_positions and f.opens_new:
        n, most = f.open_positions, policy.max_open_positions
        t.require(n < most, Reason.SKIP_CAP_POSITIONS, "open_positions", n, most)
    if policy.max_positions_per_leader and f.opens_new:
        n, most = f.leader_positions, policy.max_positions_per_leader
        t.require(n < most, Reason.SKIP_CAP_POSITIONS, "leader_positions", n, most)
    v.budget, v.granted = budget, min(budget, size)


def _book_guards(f: Facts, market: Market, late: bool, t: _Trace, v: Verdict) -> None:
    trade, policy, book = f.trade, f.policy, f.fresh_book
    without = Reason.SKIP_NO_BOOK if f.book_failed else Reason.WAIT_BOOK
    if f.book is None:
        t.require(False, without, "book", None, policy.book_max_age_ms)
    t.require(book is not None, without, "book_age_ms", f.book_age // 1000, policy.book_max_age_ms)
    assert book is not None
    tick = min(market.tick, book.tick)
    if not sizing.is_priced(trade.usdc, trade.shares, tick):
        t.require(False, Reason.SKIP_LEADER_SIZE, "leader_shares_micro", trade.shares, ceil_div(2 * MICRO, tick))
    _spread(policy, book, tick, t)
    ask = book.best_ask
    assert ask is not None
    limit = sizing.buy_limit(trade.usdc, trade.shares, policy.buy_max_slippage_bps, tick, policy.buy_max_slippage_ticks)
    price = sizing.their_price(trade.usdc, trade.shares)
    worse = ceil_div((ask - price) * BPS, price) if price else BPS
    if late:
        allowed = lateness.worse_allowed_bps(policy)
        late_limit = lateness.catch_up_limit(trade.usdc, trade.shares, policy, tick)
        t.require(ask <= late_limit, Reason.SKIP_CATCHUP_WORSE_PRICE, "catch_up_worse_bps", worse, allowed)
        limit = min(limit, late_limit)
    if price * policy.buy_max_slippage_bps >= policy.buy_max_slippage_ticks * tick * BPS:
        t.require(ask <= limit, Reason.SKIP_SLIPPAGE, "slippage_bps", worse, policy.buy_max_slippage_bps)
    else:
        ticks = ceil_div(ask - price, tick)
        t.require(ask <= limit, Reason.SKIP_SLIPPAGE, "slippage_ticks", ticks, policy.buy_max_slippage_ticks)
    depth = 0
    for level in book.asks:
        if level.price > limit:
            break
        depth += f.memory.available(f.portfolio, book.token_id, Side.BUY, level) * level.price // MICRO
    t.require(
        depth >= policy.min_depth_usdc and depth > 0,
        Reason.SKIP_DEPTH,
        "depth_usdc_micro",
        depth,
        policy.min_depth_usdc,
    )
    v.limit = limit
    v.shares = min(v.budget * MICRO // ask, v.share_cap or MAX_TRADE)


def _spread(policy: Policy, book: Book, tick: int, t: _Trace) -> None:
    """The spread against the larger of its two limits, in the unit of the one that counts."""
    bps, mid2 = book.spread_bps, book.mid2
    if bps is None or mid2 is None:
        t.require(False, Reason.SKIP_SPREAD, "spread_bps", None, policy.max_spread_bps)
        return
    spread = book.asks[0].price - book.bids[0].price
    if 2 * policy.max_spread_ticks * tick * BPS > policy.max_spread_bps * mid2:
        ticks = ceil_div(spread, tick)
        t.require(ticks <= policy.max_spread_ticks, Reason.SKIP_SPREAD, "spread_ticks", ticks, policy.max_spread_ticks)
    else:
        t.require(bps <= policy.max_spread_bps, Reason.SKIP_SPREAD, "spread_bps", bps, policy.max_spread_bps)


def _market(f: Facts, t: _Trace) -> Market | None:
    """The market's own checks. A SELL goes on without metadata when none can be had."""
    market = f.market
    if market is None:
        reason = Reason.SKIP_UNKNOWN_MARKET if f.market_failed else Reason.WAIT_MARKET
        if f.market_failed and f.trade.side is Side.SELL:
            t.note("market", "unknown")
            return None
        t.require(False, reason, "market", None, f.policy.market_attempts)
        return None
    usable = f.market_age <= MARKET_MAX_AGE or f.market_failed
    t.require(usable, Reason.WAIT_MARKET, "market_age_sec", f.market_age // SECOND, MARKET_MAX_AGE // SECOND)
    state = "resolved" if market.payout is not None else "closed" if market.closed else "open"
    if state == "open" and not market.accepting_orders:
        state = "not accepting orders"
    t.require(state == "open", Reason.SKIP_MARKET_CLOSED, "market", state, "open")
    return market


def _sell(f: Facts, t: _Trace, v: Verdict) -> None:
    trade = f.trade
    t.require(f.held > 0, Reason.SKIP_NO_POSITION, "held_shares_micro", f.held, 1)
    if trade.unexplained:
        wanted = f.policy.copy_unexplained_exits
        t.require(wanted, Reason.SKIP_UNEXPLAINED_EXIT, "copy_unexplained_exits", wanted, True)
    market = _market(f, t)
    before = trade.leader_pre_sell_shares
    shares = sizing.sell_shares(f.held, trade.shares, before, f.policy.exit_all_ratio)
    t.note("leader_pre_sell_shares_micro", before)
    t.note("leader_sold_shares_micro", trade.shares)
    t.require(shares > 0, Reason.SKIP_BELOW_MIN, "sell_shares_micro", shares, 1)
    if trade.unexplained:
        v.reason = Reason.COPY_GONE
    v.shares = shares
    tick = min(market.tick if market else UNKNOWN_TICK, f.fresh_book.tick if f.fresh_book else MICRO)
    priced = sizing.is_priced(trade.usdc, trade.shares, tick)
    usdc, of = (trade.usdc, trade.shares) if priced else (f.reference, MICRO)
    v.limit = sizing.sell_limit(usdc, of, f.policy.sell_max_slippage_bps, tick, f.policy.sell_max_slippage_ticks)
