"""Whether a history hangs together: balances against what the venue shows, what was made against the venue's
own figure, and files that cannot be read."""

from __future__ import annotations

import msgspec

from pilotfish.core.units import format_micro
from pilotfish.history.balances import Balances, balances
from pilotfish.history.folder import History, damaged
from pilotfish.history.past import market_reader
from pilotfish.history.plan import plan_of
from pilotfish.history.pull import BEGINNING
from pilotfish.history.records import Missing
from pilotfish.history.windows import State
from pilotfish.polymarket.history_api import HistoryApi
from pilotfish.polymarket.http import VenueError

CENT = 10_000
"""Differences from the venue's own figure up to this are its rounding."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Two figures that should be the same: shares of a token (``what`` = balance) or USDC (realized), in millionths."""

    what: str
    key: str
    ours: int
    theirs: int
    told: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a check. ``notes`` say what could not be compared, and why."""

    wallet: str
    tokens: int
    differences: list[Difference]
    damaged: list[str]
    missing: list[Missing]
    notes: list[str]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with what is there."""
        return not self.differences and not self.damaged


async def check(history: History, api: HistoryApi | None, wallet: str) -> Checked:
    """Compare a wallet's history with itself and, where ``api`` is given, with the venue."""
    broken = [told for _, told in damaged(history, {"activity": [wallet], "positions": [wallet]})]
    if broken:
        return Checked(
            wallet=wallet, tokens=0, differences=[], damaged=broken, missing=[], notes=["nothing could be compared"]
        )
    windows = history.windows("activity", wallet)
    first_at = min((w.from_at for w in windows), default=BEGINNING)
    last_at = max((w.to_at for w in windows), default=BEGINNING)
    plan = plan_of(history.deeds(wallet, first_at, last_at), last_at)
    of_markets = {"markets": list(plan.conditions), "tape": list(plan.tape), "prices": list(plan.tokens)}
    others = list(damaged(history, of_markets))
    missing = history.missing("activity", wallet, (first_at, last_at))
    notes: list[str] = []
    differences: list[Difference] = []
    tokens = 0
    shown = history.positions(wallet)
    if any(kept.kind == "markets" for kept, _ in others):
        notes.append("balances were not compared: markets are damaged")
    elif shown is None or shown[0].state is State.FAILED:
        notes.append("balances were not compared: what the wallet holds was not read")
    else:
        whole = not history.missing("activity", wallet, (BEGINNING, shown[0].from_at))
        moved = balances(history.deeds(wallet, first_at, shown[0].from_at), market_reader(history))
        held = {row.token_id: row.shares for row in shown[1]}
        tokens = len({*held, *(t for t, shares in moved.shares.items() if shares)})
        differences = _of_balances(moved, held, whole)
        if not whole:
            notes.append(
                "activity does not reach back to the beginning (`--all` reads it): only what cannot be is named"
            )
        elif api is not None:
            differences += await _of_cash(api, wallet, moved, notes)
    return Checked(
        wallet=wallet,
        tokens=tokens,
        differences=differences,
        damaged=[told for _, told in others],
        missing=missing,
        notes=notes,
    )


def _of_balances(moved: Balances, held: dict[str, int], whole: bool) -> list[Difference]:
    """Tokens of which the activity leaves something else than is shown. Without its beginning only that is known to be
    wrong which ends with more than is shown."""
    found: list[Difference] = []
    for token in sorted({*held, *moved.shares}):
        ours, theirs = moved.shares.get(token, 0), held.get(token, 0)
        if ours == theirs or (not whole and ours < theirs):
            continue
        unsure = moved.conditions.get(token) in moved.unsure
        why = (
            "its market has moves whose effect their rows do not say (a conversion, or an unknown market)"
            if unsure
            else "more went than had come: rows are missing, or it was transferred in"
            if ours < 0
            else "rows are missing, or it was transferred"
        )
        told = f"token {token}: {format_micro(ours)} shares by activity, {format_micro(theirs)} shown; {why}"
        found.append(Difference(what="balance", key=token, ours=ours, theirs=theirs, told=told))
    return found


async def _of_cash(api: HistoryApi, wallet: str, moved: Balances, notes: list[str]) -> list[Difference]:
    try:
        theirs = await api.realized(wallet)
    except VenueError as problem:
        notes.append(f"what the wallet made was not compared: {problem}")
        return []
    if theirs is None:
        notes.append("what the wallet made was not compared: the venue does not say it")
        return []
    if abs(theirs - moved.realized) <= CENT:
        return []
    told = (
        f"made on what is decided: {format_micro(moved.realized)} USDC by activity, {format_micro(theirs)} by the venue"
        f" (fees {format_micro(moved.fees)}, rewards and rebates {format_micro(moved.credits)} are in neither of ours)"
    )
    return [Difference(what="realized", key=wallet, ours=moved.realized, theirs=theirs, told=told)]
