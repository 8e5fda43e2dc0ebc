"""The decision: copy, skip with a reason, wait, or say what is missing, with a trace of every check.

Pure function of :class:`~pilotfish.core.facts.Facts`. The order of the checks is DESIGN.md section 4; those of a BUY
alone are in ``buying``. Each check is a line of the trace, [check, value, limit, passed], and the first that fails ends
the decision. They are written out, since every trade goes through a dozen of them: a function for it, and a reason that
is looked up where all is well, would cost more than the rules themselves.
"""

from __future__ import annotations

from pilotfish.core import buying, lateness, sizing
from pilotfish.core.events import Market
from pilotfish.core.facts import End, Facts, Verdict
from pilotfish.core.reasons import Reason
from pilotfish.core.records import CheckRow
from pilotfish.core.settings import TriggerMode
from pilotfish.core.trade import BUY, SELL, Source, TradeClass
from pilotfish.core.units import MICRO, SECOND

MARKET_MAX_AGE = 600 * SECOND
"""A market that was looked up longer ago is looked up again; what cannot be had anew is used as it was."""
UNKNOWN_TICK = 1_000
"""Taken for an exit's limit where neither market nor book is known."""
_BOTH, _CATCH_UP = TriggerMode.BOTH, TradeClass.CATCH_UP
_COPY, _NO_POSITION = Reason.COPY, Reason.SKIP_NO_POSITION
_ACTIONS: dict[Reason, str] = {reason: reason.action.value for reason in Reason}


def decide(f: Facts) -> Verdict:
    """Decide one trade for one portfolio."""
    trade = f.trade
    lines: list[CheckRow] = []
    verdict = Verdict("copy", _COPY, lines)
    buy = trade.side is BUY
    try:
        if buy and not trade.is_backfill and not trade.is_combo and not buying.once_spent(f):
            verdict.wanted = sizing.wanted_usdc(f.policy, trade, f.leader_value, f.equity) or 0
        kind = verdict.kind = _common(f, lines)
        if buy:
            _buy(f, kind, lines, verdict)
        else:
            _sell(f, lines, verdict)
    except End as end:
        verdict.action, verdict.reason = _ACTIONS[end.reason], end.reason
    return verdict


def _common(f: Facts, lines: list[CheckRow]) -> TradeClass:
    trade, policy = f.trade, f.policy
    backfill, side = trade.is_backfill, trade.side
    kind = lateness.classify(trade.traded_at, f.at, policy.max_live_lag_sec, backfill=backfill)
    lines.append(["class", kind._value_, None, not backfill])
    if backfill:
        raise End(Reason.SKIP_BACKFILL)
    age = f.at - trade.traded_at
    lines.append(["age_ms", age // 1000 if age > 0 else 0, policy.max_live_lag_sec * 1000, True])
    paused = f.leader_paused or policy.paused
    lines.append(["paused", paused, False, not paused])
    if paused:
        raise End(Reason.SKIP_PAUSED)
    active = trade.retracted_at is None
    lines.append(["on_chain", active, True, active])
    if not active:
        raise End(Reason.WAIT_REORG)
    copied = policy.copy_side == "both" or policy.copy_side == side.lower()
    lines.append(["side", side._value_, policy.copy_side, copied])
    if not copied:
        raise End(Reason.SKIP_SIDE)
    lines.append(["combo", trade.is_combo, False, not trade.is_combo])
    if trade.is_combo:
        raise End(Reason.SKIP_UNSUPPORTED)
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
            raise End(skip if buy else wait)
    if mode is TriggerMode.POLYGON and f.trade.first_seen_by_polygon_at is None:
        seen = f.trade.first_seen_by_api_at or f.at
        waited = (f.at - seen) // 1000
        missed = waited >= policy.polygon_gap_grace_ms
        lines.append(["log_missing_ms", waited, policy.polygon_gap_grace_ms, missed])
        if not missed:
            raise End(Reason.WAIT_CHAIN)
        return True
    if policy.wait_for_api and mode is not TriggerMode.API and f.trade.first_seen_by_api_at is None:
        waited = (f.at - (f.trade.first_seen_by_polygon_at or f.at)) // 1000
        enough = waited >= policy.api_lag_fallback_ms
        lines.append(["api_missing_ms", waited, policy.api_lag_fallback_ms, enough])
        if not enough:
            raise End(Reason.WAIT_API)
    return False


def _buy(f: Facts, kind: TradeClass, lines: list[CheckRow], v: Verdict) -> None:
    policy = f.policy
    late = kind is _CATCH_UP
    if late:
        buying.made_up_for(f, lines)
    market = _market(f, lines)
    assert market is not None
    buying.filters(f, market, lines)
    spent = buying.once_spent(f)
    lines.append(["order_already_copied", f.same_order, False, not spent])
    if spent:
        raise End(Reason.SKIP_SAME_ORDER)
    stop = policy.daily_loss_stop_usdc
    if stop:
        lines.append(["lost_today_micro", f.lost_today, stop, f.lost_today < stop])
        if f.lost_today >= stop:
            raise End(Reason.SKIP_DAILY_LOSS)
    buying.size(f, market, lines, v)
    buying.book_guards(f, market, late, lines, v)


def _market(f: Facts, lines: list[CheckRow]) -> Market | None:
    """The market's own checks. A SELL goes on without metadata when none can be had."""
    market = f.market
    if market is None:
        if f.market_failed and f.trade.side is SELL:
            lines.append(["market", "unknown", None, True])
            return None
        lines.append(["market", None, f.policy.market_attempts, False])
        raise End(Reason.SKIP_UNKNOWN_MARKET if f.market_failed else Reason.WAIT_MARKET)
    age = f.market_age
    usable = age <= MARKET_MAX_AGE or f.market_failed
    lines.append(["market_age_sec", age // SECOND, MARKET_MAX_AGE // SECOND, usable])
    if not usable:
        raise End(Reason.WAIT_MARKET)
    state = "resolved" if market.payout is not None else "closed" if market.closed else "open"
    if state == "open" and not market.accepting_orders:
        state = "not accepting orders"
    lines.append(["market", state, "open", state == "open"])
    if state != "open":
        raise End(Reason.SKIP_MARKET_CLOSED)
    return market


def _first_look(f: Facts, since: int, lines: list[CheckRow]) -> None:
    """What part of their holding a leader sells is known once a snapshot has told of it; where none comes in time, it
    goes by the trades that were seen."""
    waited, most = (f.at - since) // 1000, f.policy.sell_retry_sec * 1000
    lines.append(["holdings_missing_ms", waited, most, waited >= most])
    if waited < most:
        raise End(Reason.WAIT_HOLDINGS)


def _sell(f: Facts, lines: list[CheckRow], v: Verdict) -> None:
    trade, policy, held = f.trade, f.policy, f.held
    if f.untold_since is not None:
        _first_look(f, f.untold_since, lines)
    lines.append(["held_shares_micro", held, 1, held > 0])
    if held <= 0:
        raise End(_NO_POSITION)
    if trade.unexplained:
        wanted = policy.copy_unexplained_exits
        lines.append(["copy_unexplained_exits", wanted, True, wanted])
        if not wanted:
            raise End(Reason.SKIP_UNEXPLAINED_EXIT)
    market = _market(f, lines)
    before = trade.leader_pre_sell_shares
    if f.later:
        shares = f.late_shares
        lines.append(["later_trades", f.later, None, True])
    else:
        shares = sizing.sell_shares(held, trade.shares, before, policy.exit_all_ratio)
    lines.append(["leader_pre_sell_shares_micro", before, None, True])
    lines.append(["leader_sold_shares_micro", trade.shares, None, True])
    lines.append(["sell_shares_micro", shares, 1, shares > 0])
    if shares <= 0:
        raise End(Reason.SKIP_BELOW_MIN)
    if trade.unexplained:
        v.reason = Reason.COPY_GONE
    v.shares = shares
    tick, book = market.tick if market is not None else UNKNOWN_TICK, f.fresh_book
    tick = min(tick, book.tick if book is not None else MICRO)
    priced = sizing.is_priced(trade.usdc, trade.shares, tick)
    usdc, of = (trade.usdc, trade.shares) if priced else (f.reference, MICRO)
    v.limit = sizing.sell_limit(usdc, of, policy.sell_max_slippage_bps, tick, policy.sell_max_slippage_ticks)
