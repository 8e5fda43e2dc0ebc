"""From history to what a backtest of one wallet reads, and to what of it is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial

from pilotfish.history.balances import balances
from pilotfish.history.columns import SIDES, values_of
from pilotfish.history.folder import History
from pilotfish.history.kept import Each, KeptDeeds, KeptRows
from pilotfish.history.plan import Plan, plan_of, prices_span
from pilotfish.history.pull import BEGINNING
from pilotfish.history.records import Deed, Missing, Past, PastMarket, PricePoint, Print
from pilotfish.history.spans import Spans
from pilotfish.history.windows import KNOWN, NOT_ASKED, State


def read_past(history: History, wallet: str, from_at: int, to_at: int, name: str = "") -> Past:
    """All that is known of ``wallet`` (lower case) from ``from_at`` to ``to_at`` (epoch seconds, both inclusive).

    What is not known is in ``missing``: nothing of it is guessed. Raises :class:`~.folder.HistoryError`.
    """
    plan = plan_of(_outline(history, wallet, from_at, to_at), to_at)
    markets = markets_of(history, plan)
    missing = lacking(history, wallet, plan, markets, from_at, to_at)
    lines = {token: Spans([span]) for token, span in _price_spans(plan, markets, from_at, to_at).items()}
    tapes = dict(sorted(plan.tape.items()))
    return Past(
        wallet=wallet,
        name=name,
        from_at=from_at,
        to_at=to_at,
        deeds=KeptDeeds(history, wallet, from_at, to_at, plan.deeds),
        markets=markets,
        tape=Each(tapes, partial(KeptRows[Print], history, "tape")),
        tape_known=Each(tapes, partial(history.whole, "tape")),
        prices=Each(lines, partial(KeptRows[PricePoint], history, "prices")),
        held=_held(history, wallet, from_at, missing),
        missing=missing,
    )


def _outline(history: History, wallet: str, from_at: int, to_at: int) -> Iterator[Deed]:
    """A wallet's deeds as far as a plan looks at them, which is several times faster than all of each."""
    names = ("at", "kind", "condition_id", "token_id", "side", "shares", "event_slug", "is_combo")
    for batch in history.columns("activity", wallet, Spans([(from_at, to_at)]), names):
        for at, kind, condition, token, side, shares, event, combo in zip(
            *(values_of(batch.column(name)) for name in names), strict=True
        ):
            yield Deed(kind, at, "", condition, token, SIDES[side], shares, event_slug=event, is_combo=combo)


def markets_of(history: History, plan: Plan) -> dict[str, PastMarket]:
    """The markets that a plan names, as they were known last."""
    found = ((condition, history.market(condition)) for condition in sorted(plan.conditions))
    return {condition: market for condition, market in found if market is not None}


def lacking(
    history: History, wallet: str, plan: Plan, markets: Mapping[str, PastMarket], from_at: int, to_at: int
) -> list[Missing]:
    """What is not known of a wallet's past and of what belongs to it, by kind."""
    missing = history.missing("activity", wallet, (from_at, to_at))
    for condition in sorted(plan.conditions):
        newest = history.newest("markets", condition)
        if newest is None or newest.state not in KNOWN:
            why = NOT_ASKED if newest is None else str(newest.state)
            missing.append(Missing(kind="markets", key=condition, from_at=from_at, to_at=to_at, why=why))
    for token in sorted(plan.unplaced):
        missing.append(Missing(kind="markets", key=token, from_at=from_at, to_at=to_at, why=NOT_ASKED))
    for condition, spans in sorted(plan.tape.items()):
        missing += history.gaps("tape", condition, spans)
    for token, (low, high) in _price_spans(plan, markets, from_at, to_at).items():
        missing += history.missing("prices", token, (low, high))
    return missing


def _price_spans(plan: Plan, markets: Mapping[str, PastMarket], from_at: int, to_at: int) -> dict[str, tuple[int, int]]:
    begin = max(from_at, plan.first_at or from_at)
    return {
        token: prices_span(span, markets.get(span.condition_id), begin, to_at)
        for token, span in sorted(plan.tokens.items())
    }


def market_reader(history: History) -> Callable[[str], PastMarket | None]:
    """Markets by condition, each read once."""
    return cache(history.market)


def _held(history: History, wallet: str, from_at: int, missing: list[Missing]) -> dict[str, int]:
    """Shares by token at ``from_at``: by the activity before it, where all of that is known; else what the venue showed
    at the last look, less what happened since."""
    market_of = market_reader(history)
    if not history.missing("activity", wallet, (BEGINNING, from_at - 1)):
        before = balances(history.deeds(wallet, BEGINNING, from_at - 1), market_of)
        return {token: shares for token, shares in sorted(before.shares.items()) if shares > 0}
    shown = history.positions(wallet)
    if shown is None or shown[0].state is State.FAILED:
        why = NOT_ASKED if shown is None else str(State.FAILED)
        missing.append(Missing(kind="positions", key=wallet, from_at=from_at, to_at=from_at, why=why))
        return {}
    window, rows = shown
    if window.state is State.CAPPED:
        missing.append(Missing(kind="positions", key=wallet, from_at=from_at, to_at=from_at, why=str(window.state)))
    missing += [m for m in history.missing("activity", wallet, (from_at, window.from_at)) if m not in missing]
    return _back(history, wallet, from_at, window.from_at, {row.token_id: row.shares for row in rows}, market_of)


def _back(
    history: History, wallet: str, from_at: int, shown_at: int, shown: dict[str, int],
    market_of: Callable[[str], PastMarket | None],
) -> dict[str, int]:  # fmt: skip
    """What must have been held at ``from_at`` for the deeds since to end in what was ``shown``."""
    moved = balances(history.deeds(wallet, from_at, shown_at), market_of)
    held = {token: shown.get(token, 0) - moved.shares.get(token, 0) for token in {*shown, *moved.shares}}
    return {token: shares for token, shares in sorted(held.items()) if shares > 0}
