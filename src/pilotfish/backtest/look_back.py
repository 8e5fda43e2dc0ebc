"""The answer before following: what copying a wallet would have come to, with its band, its curves and its doubts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from pilotfish.backtest.assumptions import Assumptions, Band
from pilotfish.backtest.bets import Bet
from pilotfish.backtest.books import Books
from pilotfish.backtest.breakdown import broken_down
from pilotfish.backtest.flags import find_flags
from pilotfish.backtest.grounds import ASSUMED, Grounds
from pilotfish.backtest.judgement import Judgement, Terms, Tried, judge
from pilotfish.backtest.run import Job, Played, Whole
from pilotfish.backtest.together import side_by_side
from pilotfish.backtest.told import LookBack, Point, Step, Uncopyable
from pilotfish.backtest.uncopyable import soonest, uncopyable
from pilotfish.core.settings import Policy
from pilotfish.core.shortfall import Line
from pilotfish.core.units import MICRO
from pilotfish.history.records import Past

DELAYS_MS = (0, 2_000, 5_000, 22_000, 60_000)
"""After how long a trade is seen, in the curve of delays: at once, a log, a row of the API, a slow one, a minute."""
SIZES = tuple(n * MICRO for n in (10, 25, 50, 100, 250, 1_000, 5_000))
"""What a copied order costs, in the curve of sizes (millionths of a USDC)."""
ROOM = 400
"""So many copies of a size fit into the bankroll of the curve of sizes, and a quarter of a hundredth into a market."""


def look_back(
    past: Past,
    policy: Policy,
    by: Grounds = ASSUMED,
    *,
    curves: bool = True,
    processes: int = 1,
    told: Callable[[int, int], None] = lambda _done, _of: None,
) -> LookBack:
    """Copy a wallet through its past with one policy, in three bands, and judge it; with ``curves`` at other delays and
    sizes, too. ``by`` is what was recorded and measured; ``told`` hears how many of how many runs are done."""
    answer, _ = judged(past, policy, by, curves=curves, processes=processes, told=told)
    return answer


def judged(
    past: Past,
    policy: Policy,
    by: Grounds = ASSUMED,
    *,
    curves: bool = True,
    steps: bool = True,
    processes: int = 1,
    told: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[LookBack, Judgement]:
    """As :func:`look_back`, with the judgement itself, which a board of many wallets is made of. Without ``steps`` no
    books are kept: what their prices would have made, and the way from there, is not said."""
    return judged_each(past, [policy], by, curves=curves, steps=steps, processes=processes, told=told)[0]


def judged_each(
    past: Past,
    policies: Sequence[Policy],
    by: Grounds = ASSUMED,
    *,
    curves: bool = False,
    steps: bool = True,
    processes: int = 1,
    told: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[tuple[LookBack, Judgement]]:
    """The same with several policies, in their order: the past is read once for all of them."""
    wanted = [_runs(policy, by, curves=curves) for policy in policies]
    kept = [Books(policy.bankroll, past.from_at) if steps else None for policy in policies]
    here = [
        Job(policy=policy, assumed=by.bands[Band.EXPECTED], as_seen=True, sink=books.see if books else None)
        for policy, books in zip(policies, kept, strict=True)
    ]
    nearest = soonest(by.bands[Band.OPTIMISTIC])
    first = [Books(policy.bankroll, past.from_at) for policy in policies if curves]
    here += [Job(policy=policy, assumed=nearest, sink=b.see) for policy, b in zip(policies, first, strict=False)]
    whole = Whole(past=past, books=by.books, seen=by.seen)
    mains, others = side_by_side(whole, here, [job for runs in wanted for job in runs], processes, told)
    rest, beyond = iter(others), zip(mains[len(policies) :], first, strict=True)
    return [
        _answer(past, policy, by, main, books, [next(rest) for _ in runs], next(beyond, None), curves=curves)
        for policy, main, books, runs in zip(policies, mains, kept, wanted, strict=False)
    ]


def _runs(policy: Policy, by: Grounds, *, curves: bool) -> list[Job]:
    """The runs beside the expected one: the other ends of the band, and the curves."""
    bands = by.bands
    expected = bands[Band.EXPECTED]
    jobs = [Job(policy=policy, assumed=bands[band]) for band in (Band.PESSIMISTIC, Band.OPTIMISTIC)]
    if curves:
        jobs += [Job(policy=policy, assumed=_delayed(expected, ms)) for ms in DELAYS_MS]
        jobs += [Job(policy=_sized(policy, size), assumed=expected, as_seen=True) for size in SIZES]
    return jobs


def _answer(
    past: Past,
    policy: Policy,
    by: Grounds,
    main: Played,
    kept: Books | None,
    rest: list[Played],
    nearest: tuple[Played, Books] | None,
    *,
    curves: bool,
) -> tuple[LookBack, Judgement]:
    """What is to be said of these runs."""
    bands = by.bands
    expected = bands[Band.EXPECTED]
    line: Line = Line()
    wrong: tuple[str, ...] = ()
    if kept is not None:
        line, wrong = kept.line(past.wallet), tuple(kept.differences())
        kept.close()
    pessimistic, optimistic = rest[:2]
    mean = main.wanted // max(1, main.orders)
    by_delay = tuple(_point(p, ms, mean) for ms, p in zip(DELAYS_MS, rest[2:], strict=False) if curves)
    by_size = tuple(
        _point(played, expected.delay_us // 1000, size)
        for size, played in zip(SIZES, rest[2 + len(DELAYS_MS) :], strict=False)
    )
    size = policy.fixed_usdc if policy.sizing_mode == "fixed_usdc" else mean
    terms = Terms(size=size, delay_ms=expected.delay_us // 1000)
    tried = Tried(orders=main.orders, wanted=main.wanted, filled=min(main.spent, main.wanted))
    answer = judge(main.bets, pessimistic.bets, optimistic.bets, terms=terms, tried=tried)
    moved = sum(main.tiers.values())
    interval = answer.interval
    return LookBack(
        wallet=past.wallet,
        name=past.name,
        from_at=past.from_at,
        to_at=past.to_at,
        verdict=answer.verdict,
        why=answer.why,
        events=answer.events,
        edge_per_usdc=answer.edge_per_usdc,
        interval=(interval.low, interval.high) if interval is not None else None,
        shrunk=answer.shrunk,
        p_value=answer.figures.p_value,
        halves=answer.halves,
        size_micro=size,
        delay_ms=expected.delay_us // 1000,
        result_micro={
            Band.PESSIMISTIC: pessimistic.result,
            Band.EXPECTED: main.result,
            Band.OPTIMISTIC: optimistic.result,
        },
        at_leader_prices_micro=line.ideal,
        steps=(
            Step(cause="delay", amount_micro=-line.parts.delay),
            Step(cause="spread", amount_micro=-line.parts.spread),
            Step(cause="fees", amount_micro=-line.parts.fees),
            Step(cause="catch_up", amount_micro=-line.parts.catch_up),
            *(Step(cause=cause, amount_micro=-lost) for cause, lost in sorted(line.parts.missed.items()) if lost),
        ),
        fees_micro=main.fees,
        spent_micro=main.spent,
        filled_share=main.filled_ppm / MICRO,
        trades=sum(d.kind == "TRADE" for d in past.deeds),
        orders=main.orders,
        skipped=main.skipped,
        tiers={tier.value: amount / moved for tier, amount in main.tiers.items()} if moved else {},
        by_delay=by_delay,
        by_size=by_size,
        parts=broken_down(main.bets),
        flags=find_flags(past, main.bets, answer.figures),
        equity=tuple(_daily(main.equity)),
        open=main.open,
        missing=tuple(past.missing),
        books=wrong,
        uncopyable=_uncopyable(past, *nearest) if nearest is not None else None,
        basis=by.basis,
    ), answer


def _uncopyable(past: Past, played: Played, kept: Books) -> Uncopyable:
    kept.thin(played.thin)
    found = uncopyable(kept.line(past.wallet))
    kept.close()
    return found


def _delayed(assumed: Assumptions, ms: int) -> Assumptions:
    return msgspec.structs.replace(assumed, delay_us=ms * 1000)


def _sized(policy: Policy, size: int) -> Policy:
    """A policy that spends so much on each order, with room for it: no tiers, no minimum and no caps of its own."""
    change = partial(msgspec.structs.replace, policy)
    return change(
        sizing_mode="fixed_usdc",
        fixed_usdc=size,
        size_tiers=(),
        min_copy_usdc=0,
        max_copy_usdc=0,
        per_trade_cap_usdc=0,
        per_market_cap_usdc=0,
        per_leader_cap_usdc=0,
        total_cap_usdc=0,
        daily_cap_usdc=0,
        bankroll=max(policy.bankroll, ROOM * size),
    )


def _point(played: Played, delay_ms: int, size: int) -> Point:
    return Point(
        delay_ms=delay_ms,
        size_micro=size,
        result_micro=played.result,
        spent_micro=played.spent,
        edge_per_usdc=sum(b.result for b in played.bets) / paid if (paid := _paid(played.bets)) else None,
        filled=played.filled_ppm / MICRO,
    )


def _paid(bets: Sequence[Bet]) -> int:
    return sum(bet.paid for bet in bets)


def _daily(equity: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The last value of each day: (epoch second, amount)."""
    return [(at // MICRO, amount) for at, amount in equity]
