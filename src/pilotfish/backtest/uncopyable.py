"""How much of a wallet's profit nobody could have copied: not who saw every trade a second later, got the largest share
of each print and waited for it the longest.

In: the shortfall of such a run at the same settings. Out: what their prices would have made at our sizes, and what of
it was lost to a price that had gone within the second, to a market too thin, and to sizes below the minimum.
"""

from __future__ import annotations

import msgspec

from pilotfish.backtest.assumptions import Assumptions
from pilotfish.backtest.told import Uncopyable
from pilotfish.core.reasons import Outcome, Reason
from pilotfish.core.shortfall import FEWER_SHARES, Line
from pilotfish.core.units import SECOND

TOO_THIN = "TOO_THIN"
"""Why an order got nothing: nothing traded on its side while it could have been filled, at any price."""
_GONE = (Reason.SKIP_SLIPPAGE, Outcome.UNFILLED_PRICE)
_THIN = (
    TOO_THIN, FEWER_SHARES, Reason.SKIP_DEPTH, Reason.SKIP_SPREAD, Reason.SKIP_NO_BOOK, Outcome.FAILED_NO_BOOK,
    Outcome.FAILED_LIMIT,
)  # fmt: skip
_SMALL = (Reason.SKIP_BELOW_MIN, Reason.SKIP_ACCUMULATING)


def soonest(best: Assumptions) -> Assumptions:
    """The best that anybody could hope for: the better end of the band, with every trade seen within a second."""
    return msgspec.structs.replace(best, delay_us=SECOND)


def uncopyable(line: Line) -> Uncopyable:
    """What of a leader's profit was out of reach, by the shortfall of the run that was soonest."""
    parts = line.parts

    def missed(causes: tuple[str, ...]) -> int:
        return sum(parts.missed.get(cause, 0) for cause in causes)

    return Uncopyable(
        profit_micro=line.ideal,
        gone_micro=parts.delay + parts.spread + parts.catch_up + missed(_GONE),
        thin_micro=missed(_THIN),
        below_minimum_micro=missed(_SMALL),
    )
