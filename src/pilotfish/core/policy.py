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
from pilotfish.core.trade import BUY, SELL, Source, Trade, TradeClass
from pilotfish.core.units import BPS, MAX_TRADE, MICRO, PPM, SECOND, ceil_div, price_of

MARKET_MAX_AGE = 600 * SECOND
"""A market that was looked up longer ago is looked up again; what cannot be had anew is used as it was."""
UNKNOWN_TICK = 1_000
"""Taken for an exit's limit where neither market nor book is known."""
_BOTH, _CATCH_UP = TriggerMode.BOTH, TradeClass.CATCH_UP
_COPY, _NO_POSITION, _CASH = Reason.COPY, Reason.SKIP_NO_POSITION, Reason.SKIP_CASH
_CAP_TRADE, _CAP_MARKET, _CAP_LEADER = Reason.SKIP_CAP_TRADE, Reason.SKIP_CAP_MARKET, Reason.SKIP_CAP_LEADER
_ACTIONS: dict[Reason, str] = {reason: reason.action.value for reason in Reason}
_CAP_TOTAL, _CAP_DAILY = Reason.SKIP_CAP_TOTAL, Reason.SKIP_CAP_DAILY


class Facts(msgspec.Struct, gc=False):
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


# Each check is a line of the trace [check, value, limit, passed]; the first that fails ends the decision. They are
# written out, since every trade goes through a dozen of them: a function for it, and reasons that are looked up where
# all is well, would cost more than the rules themselves.


def decide(f: Facts) -> Verdict:
    """Decide one trade for one portfolio."""
    trade, lines = f.trade, []  # type: tuple[Trade, list[CheckRow]]
    verdict = Verdict("copy", _COPY, lines)
    buy = trade.side is BUY
    try:
        if buy and not trade.is_backfill and not trade.is_combo and not _once_spent(f):
            verdict.wanted = sizing.wanted_usdc(f.policy, trade, f.leader_value, f.equity) or 0
        kind = verdict.kind = _common(f, lines)
        if buy:
            _buy(f, kind, lines, verdict)
        else:
            _sell(f, lines, verdict)
    except _End as end:
        verdict.action, verdict.reason = _ACTIONS[end.reason], end.reason
    return verdict


def _common(f: Facts, lines: list[CheckRow]) -> TradeClass:
    trade, policy = f.trade, f.policy
    backfill, side = trade.is_backfill, trade.side
    kind = lateness.classify(trade.traded_at, f.at, policy.max_live_lag_sec, backfill=backfill)
    lines.append(["class", kind._value_, None, not backfill])
    if backfill:
        raise _End(Reason.SKIP_BACKFILL)
    age = f.at - trade.traded_at
    lines.append(["age_ms", age // 1000 if age > 0 else 0, policy.max_live_lag_sec * 1000, True])
    paused = f.leader_paused or policy.paused
    lines.append(["paused", paused, False, not paused])
    if paused:
        raise _End(Reason.SKIP_PAUSED)
    active = trade.retracted_at is None
    lines.append(["on_chain", active, True, active])
    if not active:
        raise _End(Reason.WAIT_REORG)
    copied = policy.copy_side == "both" or policy.copy_side == side.lower()
    lines.append(["side", side._value_, policy.copy_side, copied])
    if not copied:
        raise _End(Reason.SKIP_SIDE)
    lines.append(["combo", trade.is_combo, False, not trade.is_combo])
    if trade.is_combo:
        raise _End(Reason.SKIP_UNSUPPORTED)
    return _CATCH_UP if _missed_by_chain(f, lines) else kind


def _missed_by_chain(f: Facts, lines: list[CheckRow]) -> bool:
    """Mode and health (DESIGN.md section 5). True where the chain has missed the trade: then it is catch-up."""
    policy = f.policy
    mode, strict = policy.trigger_mode, policy.strict_both
    if mode is _BOTH and not strict and not policy.wait_for_api:
        return False
    buy = f.trade.side is BUY
    gates: list[tuple[Source, Reason, Reason]] = []
    strict = mode is _BOTH and strict
    if mode is TriggerMode.POLYGON or strict:
        gates.append((Source.POLYGON, Reason.SKIP_POLYGON_UNHEALTHY, Reason.WAIT_POLYGON_UNHEALTHY))
    if strict:
        gates.append((Source.API, Reason.SKIP_API_UNHEALTHY, Reason.WAIT_API_UNHEALTHY))
    for source, skip, wait in gates:
        if not buy and f.held == 0:
            break
        healthy = f.healthy[source]
        lines.append([f"{source.value}_healthy", healthy, True, healthy])
        if not healthy:
            raise _End(skip if buy else wait)
    if mode is TriggerMode.POLYGON and f.trade.first_seen_by_polygon_at is None:
        seen = f.trade.first_seen_by_api_at or f.at
        waited = (f.at - seen) // 1000
        missed = waited >= policy.polygon_gap_grace_ms
        lines.append(["log_missing_ms", waited, policy.polygon_gap_grace_ms, missed])
        if not missed:
            raise _End(Reason.WAIT_CHAIN)
        return True
    if policy.wait_for_api and mode is not TriggerMode.API and f.trade.first_seen_by_api_at is None:
        waited = (f.at - (f.trade.first_seen_by_polygon_at or f.at)) // 1000
        enough = waited >= policy.api_lag_fallback_ms
        lines.append(["api_missing_ms", waited, policy.api_lag_fallback_ms, enough])
        if not enough:
            raise _End(Reason.WAIT_API)
    return False


def _buy(f: Facts, kind: TradeClass, lines: list[CheckRow], v: Verdict) -> None:
    policy = f.policy
    late = kind is _CATCH_UP
    if late:
        _made_up_for(f, lines)
    market = _market(f, lines)
    assert market is not None
    _filters(f, market, lines)
    spent = _once_spent(f)
    lines.append(["order_already_copied", f.same_order, False, not spent])
    if spent:
        raise _End(Reason.SKIP_SAME_ORDER)
    stop = policy.daily_loss_stop_usdc
    if stop:
        lines.append(["lost_today_micro", f.lost_today, stop, f.lost_today < stop])
        if f.lost_today >= stop:
            raise _End(Reason.SKIP_DAILY_LOSS)
    _size(f, market, lines, v)
    _book_guards(f, market, late, lines, v)


def _made_up_for(f: Facts, lines: list[CheckRow]) -> None:
    """Whether a missed BUY is made up for at all."""
    trade, policy = f.trade, f.policy
    age = (f.at - trade.traded_at) // SECOND
    young = not lateness.too_old(trade.traded_at, f.at, policy)
    lines.append(["catch_up_age_sec", age, policy.catch_up_buy_max_age_sec, young])
    if not young:
        raise _End(Reason.SKIP_CATCHUP_TOO_OLD)
    opens = f.has_position or policy.catch_up_buy_open_new
    lines.append(["catch_up_opens_new", not f.has_position, policy.catch_up_buy_open_new, opens])
    if not opens:
        raise _End(Reason.SKIP_CATCHUP_NEW_POSITION)


def _once_spent(f: Facts) -> bool:
    """True where a fixed size was already spent on the order that this fill belongs to."""
    return f.same_order and sizing.by_order(f.policy)


def _filters(f: Facts, market: Market, lines: list[CheckRow]) -> None:
    trade, policy = f.trade, f.policy
    price = price_of(trade.usdc, trade.shares)
    in_range = policy.min_price <= price <= policy.max_price
    lines.append(["leader_price_micro", price, [policy.min_price, policy.max_price], in_range])
    if not in_range:
        raise _End(Reason.SKIP_PRICE_RANGE)
    enough = trade.usdc >= policy.min_leader_usdc
    lines.append(["leader_usdc_micro", trade.usdc, policy.min_leader_usdc, enough])
    if not enough:
        raise _End(Reason.SKIP_LEADER_SIZE)
    if policy.only_categories or policy.skip_categories or policy.only_keywords or policy.skip_keywords:
        _words(f, market, lines)
    least, most = policy.min_time_to_end_sec, policy.max_time_to_end_sec
    if market.end_at is not None and (least or most):
        left = (market.end_at - f.at) // SECOND
        if least:
            lines.append(["time_to_end_sec", left, least, left >= least])
            if left < least:
                raise _End(Reason.SKIP_END_DATE)
        if most:
            lines.append(["time_to_end_max_sec", left, most, left <= most])
            if left > most:
                raise _End(Reason.SKIP_END_DATE)
    most = policy.max_buys_per_outcome
    if most:
        lines.append(["buys_of_outcome", f.buys_of_outcome, most, f.buys_of_outcome < most])
        if f.buys_of_outcome >= most:
            raise _End(Reason.SKIP_BUYS_PER_OUTCOME)


def _words(f: Facts, market: Market, lines: list[CheckRow]) -> None:
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
            lines.append([name, sorted(found) or sorted(labels), list(wanted), passed])
            if not passed:
                raise _End(Reason.SKIP_FILTERED)


def _size(f: Facts, market: Market, lines: list[CheckRow], v: Verdict) -> None:
    """The budget: what the mode wants, with what was saved up, at least the minimum, within caps and cash."""
    trade, policy = f.trade, f.policy
    least = max(policy.min_copy_usdc, MICRO)
    if policy.sizing_mode == "bankroll_ratio":
        lines.append(["leader_value_micro", f.leader_value, 1, bool(f.leader_value)])
        if not f.leader_value:
            raise _End(Reason.SKIP_LEADER_VALUE)
    lines.append(["wanted_usdc_micro", v.wanted, sizing.worded(policy, trade.usdc), True])
    size = v.wanted
    if policy.max_copy_usdc and size > policy.max_copy_usdc:
        lines.append(["most_for_a_copy_micro", size, policy.max_copy_usdc, True])
        size = policy.max_copy_usdc
    fresh = size
    if f.saved:
        size += f.saved
        lines.append(["saved_up_micro", f.saved, None, True])
    if size < least and policy.below_min == "raise":
        size = least
    lines.append(["budget_usdc_micro", size, least, size >= least])
    if size < least:
        if policy.below_min == "accumulate":
            v.saved = fresh
            raise _End(Reason.SKIP_ACCUMULATING)
        raise _End(Reason.SKIP_BELOW_MIN)
    budget = size
    if policy.sizing_mode == "fixed_shares":
        v.share_cap = min(MAX_TRADE, max(1, size * trade.shares // trade.usdc)) if trade.usdc else 1
        budget = ceil_div(size * (BPS + policy.buy_max_slippage_bps), BPS)
    budget = _within_caps(f, budget, least, PPM + market.fee.rate_ppm, lines)
    if f.opens_new:
        _room(f, lines)
    v.budget, v.granted = budget, min(budget, size)


def _within_caps(f: Facts, budget: int, least: int, with_fee: int, lines: list[CheckRow]) -> int:
    """The budget, cut to what caps and cash leave where that is wanted. ``with_fee``: a USDC's cost, in millionths."""
    policy = f.policy
    limits: list[tuple[Reason, str, int]] = []
    if policy.per_trade_cap_usdc:
        limits.append((_CAP_TRADE, "per_trade_left_micro", policy.per_trade_cap_usdc))
    if policy.per_market_cap_usdc:
        limits.append((_CAP_MARKET, "per_market_left_micro", policy.per_market_cap_usdc - f.market_cost))
    if policy.per_leader_cap_usdc:
        limits.append((_CAP_LEADER, "per_leader_left_micro", policy.per_leader_cap_usdc - f.leader_cost))
    if policy.total_cap_usdc:
        limits.append((_CAP_TOTAL, "total_left_micro", policy.total_cap_usdc - f.total_cost))
    if policy.daily_cap_usdc:
        limits.append((_CAP_DAILY, "daily_left_micro", policy.daily_cap_usdc - f.spent_today))
    limits.append((_CASH, "cash_left_micro", f.cash * PPM // with_fee))
    cut = policy.cap_mode == "cut"
    for reason, name, left in limits:
        if left < 0:
            left = 0
        enough = left >= (least if cut else budget)
        lines.append([name, left, budget, enough])
        if not enough:
            raise _End(reason)
        if left < budget:
            budget = left
    return budget


def _room(f: Facts, lines: list[CheckRow]) -> None:
    """Whether one more position may be open."""
    most = f.policy.max_open_positions
    if most:
        lines.append(["open_positions", f.open_positions, most, f.open_positions < most])
        if f.open_positions >= most:
            raise _End(Reason.SKIP_CAP_POSITIONS)
    most = f.policy.max_positions_per_leader
    if most:
        lines.append(["leader_positions", f.leader_positions, most, f.leader_positions < most])
        if f.leader_positions >= most:
            raise _End(Reason.SKIP_CAP_POSITIONS)


def _book_guards(f: Facts, market: Market, late: bool, lines: list[CheckRow], v: Verdict) -> None:
    trade, policy, book = f.trade, f.policy, f.fresh_book
    if f.book is None:
        lines.append(["book", None, policy.book_max_age_ms, False])
    else:
        lines.append(["book_age_ms", f.book_age // 1000, policy.book_max_age_ms, book is not None])
    if book is None:
        raise _End(Reason.SKIP_NO_BOOK if f.book_failed else Reason.WAIT_BOOK)
    usdc, shares = trade.usdc, trade.shares
    tick = market.tick if market.tick < book.tick else book.tick
    if not sizing.is_priced(usdc, shares, tick):
        lines.append(["leader_shares_micro", shares, ceil_div(2 * MICRO, tick), False])
        raise _End(Reason.SKIP_LEADER_SIZE)
    _spread(policy, book, tick, lines)
    ask = book.asks[0].price
    limit = sizing.buy_limit(usdc, shares, policy.buy_max_slippage_bps, tick, policy.buy_max_slippage_ticks)
    price = sizing.their_price(usdc, shares)
    worse = ceil_div((ask - price) * BPS, price) if price else BPS
    if late:
        late_limit = lateness.catch_up_limit(usdc, shares, policy, tick)
        passed = ask <= late_limit
        lines.append(["catch_up_worse_bps", worse, lateness.worse_allowed_bps(policy), passed])
        if not passed:
            raise _End(Reason.SKIP_CATCHUP_WORSE_PRICE)
        limit = min(limit, late_limit)
    if price * policy.buy_max_slippage_bps >= policy.buy_max_slippage_ticks * tick * BPS:
        lines.append(["slippage_bps", worse, policy.buy_max_slippage_bps, ask <= limit])
    else:
        lines.append(["slippage_ticks", ceil_div(ask - price, tick), policy.buy_max_slippage_ticks, ask <= limit])
    if ask > limit:
        raise _End(Reason.SKIP_SLIPPAGE)
    depth, memory = 0, f.memory
    taken = memory.taken(book.token_id)
    for level in book.asks:
        if level.price > limit:
            break
        free = level.size if taken is None else memory.left(taken, f.portfolio, BUY, level)
        depth += free * level.price // MICRO
    deep = depth >= policy.min_depth_usdc and depth > 0
    lines.append(["depth_usdc_micro", depth, policy.min_depth_usdc, deep])
    if not deep:
        raise _End(Reason.SKIP_DEPTH)
    v.limit = limit
    v.shares = min(v.budget * MICRO // ask, v.share_cap or MAX_TRADE)


def _spread(policy: Policy, book: Book, tick: int, lines: list[CheckRow]) -> None:
    """The spread against the larger of its two limits, in the unit of the one that counts."""
    mid2 = book.mid2
    if not mid2:
        lines.append(["spread_bps", None, policy.max_spread_bps, False])
        raise _End(Reason.SKIP_SPREAD)
    if 2 * policy.max_spread_ticks * tick * BPS > policy.max_spread_bps * mid2:
        ticks = ceil_div(book.asks[0].price - book.bids[0].price, tick)
        narrow = ticks <= policy.max_spread_ticks
        lines.append(["spread_ticks", ticks, policy.max_spread_ticks, narrow])
    else:
        bps = book.spread_bps
        assert bps is not None
        narrow = bps <= policy.max_spread_bps
        lines.append(["spread_bps", bps, policy.max_spread_bps, narrow])
    if not narrow:
        raise _End(Reason.SKIP_SPREAD)


def _market(f: Facts, lines: list[CheckRow]) -> Market | None:
    """The market's own checks. A SELL goes on without metadata when none can be had."""
    market = f.market
    if market is None:
        if f.market_failed and f.trade.side is SELL:
            lines.append(["market", "unknown", None, True])
            return None
        lines.append(["market", None, f.policy.market_attempts, False])
        raise _End(Reason.SKIP_UNKNOWN_MARKET if f.market_failed else Reason.WAIT_MARKET)
    age = f.market_age
    usable = age <= MARKET_MAX_AGE or f.market_failed
    lines.append(["market_age_sec", age // SECOND, MARKET_MAX_AGE // SECOND, usable])
    if not usable:
        raise _End(Reason.WAIT_MARKET)
    state = "resolved" if market.payout is not None else "closed" if market.closed else "open"
    if state == "open" and not market.accepting_orders:
        state = "not accepting orders"
    lines.append(["market", state, "open", state == "open"])
    if state != "open":
        raise _End(Reason.SKIP_MARKET_CLOSED)
    return market


def _sell(f: Facts, lines: list[CheckRow], v: Verdict) -> None:
    trade, policy, held = f.trade, f.policy, f.held
    lines.append(["held_shares_micro", held, 1, held > 0])
    if held <= 0:
        raise _End(_NO_POSITION)
    if trade.unexplained:
        wanted = policy.copy_unexplained_exits
        lines.append(["copy_unexplained_exits", wanted, True, wanted])
        if not wanted:
            raise _End(Reason.SKIP_UNEXPLAINED_EXIT)
    market = _market(f, lines)
    before = trade.leader_pre_sell_shares
    shares = sizing.sell_shares(held, trade.shares, before, policy.exit_all_ratio)
    lines.append(["leader_pre_sell_shares_micro", before, None, True])
    lines.append(["leader_sold_shares_micro", trade.shares, None, True])
    lines.append(["sell_shares_micro", shares, 1, shares > 0])
    if shares <= 0:
        raise _End(Reason.SKIP_BELOW_MIN)
    if trade.unexplained:
        v.reason = Reason.COPY_GONE
    v.shares = shares
    tick, book = market.tick if market is not None else UNKNOWN_TICK, f.fresh_book
    tick = min(tick, book.tick if book is not None else MICRO)
    priced = sizing.is_priced(trade.usdc, trade.shares, tick)
    usdc, of = (trade.usdc, trade.shares) if priced else (f.reference, MICRO)
    v.limit = sizing.sell_limit(usdc, of, policy.sell_max_slippage_bps, tick, policy.sell_max_slippage_ticks)
