"""The checks of a BUY: whether it is made up for, filters, its size within caps and cash, and the book's guards."""

from __future__ import annotations

from pilotfish.core import lateness, sizing
from pilotfish.core.book import Book
from pilotfish.core.events import Market
from pilotfish.core.facts import End, Facts, Verdict
from pilotfish.core.reasons import Reason
from pilotfish.core.records import CheckRow
from pilotfish.core.settings import Policy
from pilotfish.core.trade import BUY
from pilotfish.core.units import BPS, MAX_TRADE, MICRO, PPM, SECOND, ceil_div, price_of


def made_up_for(f: Facts, lines: list[CheckRow]) -> None:
    """Whether a missed BUY is made up for at all."""
    trade, policy = f.trade, f.policy
    age = (f.at - trade.traded_at) // SECOND
    young = not lateness.too_old(trade.traded_at, f.at, policy)
    lines.append(["catch_up_age_sec", age, policy.catch_up_buy_max_age_sec, young])
    if not young:
        raise End(Reason.SKIP_CATCHUP_TOO_OLD)
    opens = f.has_position or policy.catch_up_buy_open_new
    lines.append(["catch_up_opens_new", not f.has_position, policy.catch_up_buy_open_new, opens])
    if not opens:
        raise End(Reason.SKIP_CATCHUP_NEW_POSITION)


def once_spent(f: Facts) -> bool:
    """True where a fixed size was already spent on the order that this fill belongs to."""
    return f.same_order and sizing.by_order(f.policy)


def filters(f: Facts, market: Market, lines: list[CheckRow]) -> None:
    """What is copied at all: prices, sizes, kinds of markets, when they end, how often."""
    trade, policy = f.trade, f.policy
    price = price_of(trade.usdc, trade.shares)
    in_range = policy.min_price <= price <= policy.max_price
    lines.append(["leader_price_micro", price, [policy.min_price, policy.max_price], in_range])
    if not in_range:
        raise End(Reason.SKIP_PRICE_RANGE)
    enough = trade.usdc >= policy.min_leader_usdc
    lines.append(["leader_usdc_micro", trade.usdc, policy.min_leader_usdc, enough])
    if not enough:
        raise End(Reason.SKIP_LEADER_SIZE)
    if policy.only_categories or policy.skip_categories or policy.only_keywords or policy.skip_keywords:
        _words(f, market, lines)
    least, most = policy.min_time_to_end_sec, policy.max_time_to_end_sec
    if market.end_at is not None and (least or most):
        left = (market.end_at - f.at) // SECOND
        if least:
            lines.append(["time_to_end_sec", left, least, left >= least])
            if left < least:
                raise End(Reason.SKIP_END_DATE)
        if most:
            lines.append(["time_to_end_max_sec", left, most, left <= most])
            if left > most:
                raise End(Reason.SKIP_END_DATE)
    most = policy.max_buys_per_outcome
    if most:
        lines.append(["buys_of_outcome", f.buys_of_outcome, most, f.buys_of_outcome < most])
        if f.buys_of_outcome >= most:
            raise End(Reason.SKIP_BUYS_PER_OUTCOME)


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
                raise End(Reason.SKIP_FILTERED)


def size(f: Facts, market: Market, lines: list[CheckRow], v: Verdict) -> None:
    """The budget: what the mode wants, with what was saved up, at least the minimum, within caps and cash."""
    trade, policy = f.trade, f.policy
    least = max(policy.min_copy_usdc, MICRO)
    if policy.sizing_mode == "bankroll_ratio":
        lines.append(["leader_value_micro", f.leader_value, 1, bool(f.leader_value)])
        if not f.leader_value:
            raise End(Reason.SKIP_LEADER_VALUE)
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
            raise End(Reason.SKIP_ACCUMULATING)
        raise End(Reason.SKIP_BELOW_MIN)
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
        limits.append((Reason.SKIP_CAP_TRADE, "per_trade_left_micro", policy.per_trade_cap_usdc))
    if policy.per_market_cap_usdc:
        limits.append((Reason.SKIP_CAP_MARKET, "per_market_left_micro", policy.per_market_cap_usdc - f.market_cost))
    if policy.per_leader_cap_usdc:
        limits.append((Reason.SKIP_CAP_LEADER, "per_leader_left_micro", policy.per_leader_cap_usdc - f.leader_cost))
    if policy.total_cap_usdc:
        limits.append((Reason.SKIP_CAP_TOTAL, "total_left_micro", policy.total_cap_usdc - f.total_cost))
    if policy.daily_cap_usdc:
        limits.append((Reason.SKIP_CAP_DAILY, "daily_left_micro", policy.daily_cap_usdc - f.spent_today))
    limits.append((Reason.SKIP_CASH, "cash_left_micro", f.cash * PPM // with_fee))
    cut = policy.cap_mode == "cut"
    for reason, name, left in limits:
        if left < 0:
            left = 0
        enough = left >= (least if cut else budget)
        lines.append([name, left, budget, enough])
        if not enough:
            raise End(reason)
        if left < budget:
            budget = left
    return budget


def _room(f: Facts, lines: list[CheckRow]) -> None:
    """Whether one more position may be open."""
    most = f.policy.max_open_positions
    if most:
        lines.append(["open_positions", f.open_positions, most, f.open_positions < most])
        if f.open_positions >= most:
            raise End(Reason.SKIP_CAP_POSITIONS)
    most = f.policy.max_positions_per_leader
    if most:
        lines.append(["leader_positions", f.leader_positions, most, f.leader_positions < most])
        if f.leader_positions >= most:
            raise End(Reason.SKIP_CAP_POSITIONS)


def book_guards(f: Facts, market: Market, late: bool, lines: list[CheckRow], v: Verdict) -> None:
    """A fresh book, its spread, its price against theirs, and how much is on offer within the limit."""
    trade, policy, book = f.trade, f.policy, f.fresh_book
    if f.book is None:
        lines.append(["book", None, policy.book_max_age_ms, False])
    else:
        lines.append(["book_age_ms", f.book_age // 1000, policy.book_max_age_ms, book is not None])
    if book is None:
        raise End(Reason.SKIP_NO_BOOK if f.book_failed else Reason.WAIT_BOOK)
    usdc, shares = trade.usdc, trade.shares
    tick = market.tick if market.tick < book.tick else book.tick
    if not sizing.is_priced(usdc, shares, tick):
        lines.append(["leader_shares_micro", shares, ceil_div(2 * MICRO, tick), False])
        raise End(Reason.SKIP_LEADER_SIZE)
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
            raise End(Reason.SKIP_CATCHUP_WORSE_PRICE)
        limit = min(limit, late_limit)
    if price * policy.buy_max_slippage_bps >= policy.buy_max_slippage_ticks * tick * BPS:
        lines.append(["slippage_bps", worse, policy.buy_max_slippage_bps, ask <= limit])
    else:
        lines.append(["slippage_ticks", ceil_div(ask - price, tick), policy.buy_max_slippage_ticks, ask <= limit])
    if ask > limit:
        raise End(Reason.SKIP_SLIPPAGE)
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
        raise End(Reason.SKIP_DEPTH)
    v.limit = limit
    v.shares = min(v.budget * MICRO // ask, v.share_cap or MAX_TRADE)


def _spread(policy: Policy, book: Book, tick: int, lines: list[CheckRow]) -> None:
    """The spread against the larger of its two limits, in the unit of the one that counts."""
    mid2 = book.mid2
    if not mid2:
        lines.append(["spread_bps", None, policy.max_spread_bps, False])
        raise End(Reason.SKIP_SPREAD)
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
        raise End(Reason.SKIP_SPREAD)
