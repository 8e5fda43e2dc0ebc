"""Why a portfolio decided what it did, in a reader's words, and what many did, in groups: the same on pages and in the
terminal."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection

from pilotfish.core import check_words
from pilotfish.core.check_words import Line
from pilotfish.core.reasons import OUTCOMES, Reason
from pilotfish.store.copies import WORDS, State
from pilotfish.store.views.decisions import Decision, DecisionOfPortfolio, DecisionTraced
from pilotfish.store.views.order_feed import read_copied_fill


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A decision in words: ``why`` in a sentence or two, its checks as ``lines``. ``see`` is the trade on which the
    order was copied already; the sentence ends by sending there."""

    decision: DecisionTraced
    why: str
    lines: list[Line]
    see: int | None


class Group(msgspec.Struct, frozen=True):
    """Portfolios in which the same became of a trade: the ``first`` one's decision, and all their names."""

    first: Decision | DecisionOfPortfolio
    portfolios: list[str]

    @property
    def said(self) -> str:
        """What became of it, in words."""
        d = self.first
        said = "partly filled" if d.partly else WORDS[d.state]
        return f"{said}: {d.reason.words}" if d.state in (State.SKIPPED, State.WAITING) else said


def grouped(decisions: Iterable[Decision | DecisionOfPortfolio]) -> list[Group]:
    """Decisions by what became of them, the largest group first."""
    found: dict[tuple[object, ...], Group] = {}
    for d in decisions:
        why = d.reason if d.state in (State.SKIPPED, State.WAITING) else None
        found.setdefault((d.state, d.partly, d.orphaned, why), Group(d, [])).portfolios.append(d.portfolio)
    return sorted(found.values(), key=lambda one: (-len(one.portfolios), one.said))


def explained(c: Connection, d: DecisionTraced) -> Explained:
    """A decision in words."""
    see = None
    if d.reason is Reason.SKIP_SAME_ORDER and d.trade_id is not None:
        see = read_copied_fill(c, d.portfolio, d.trade_id)
    said = [check_words.why(d.reason, d.trace, see=see is not None)]
    said += [OUTCOMES[one.reason] for one in d.intents if one.reason is not None]
    return Explained(decision=d, why=" ".join(said), lines=check_words.lines(d.trace), see=see)
