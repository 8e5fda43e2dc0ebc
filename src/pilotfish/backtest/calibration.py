"""How far the tape and the price line are from order books that were really there, on the same instants.

An instant is a trade of a wallet in the folder of history of which a book was recorded when a copy of it would have
arrived. There the same order is put to the book, to the tape and to the line, each by the engine's own paper fill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pilotfish.backtest.assumptions import EDGE_BAND, Assumptions, Band
from pilotfish.backtest.quotes import Quotes, Tier
from pilotfish.backtest.run import Whole
from pilotfish.backtest.shelf import Shelf
from pilotfish.core.book import Book, LiquidityMemory
from pilotfish.core.fees import NO_FEE
from pilotfish.core.fills import PaperFill, simulate_buy, simulate_sell
from pilotfish.core.numerals import count
from pilotfish.core.orders import PlaceOrder
from pilotfish.core.sizing import buy_limit, sell_limit
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO, SECOND, price_of
from pilotfish.history.folder import History
from pilotfish.history.records import Deed

LEAST_INSTANTS = 200
"""Below this many the band stays the assumed one."""
LEAST_OF_A_KIND = 30
"""Instants away from 0 and 1, or near them, below which their spread stays the assumed one."""
MOST = 10**12
"""USDC (millionths) that no book has on offer within a limit."""
PLACE = ("calibration", "band.json")
WHO = "calibration"
_PARTS = {Band.OPTIMISTIC: 10, Band.EXPECTED: 50, Band.PESSIMISTIC: 90}
"""Which percentile of what was measured stands for which end of the band."""


class Instant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One instant at one tier, in millionths. ``off``: how much worse a share was than at the recorded book, dearer to
    buy or cheaper to sell (``None`` where one of both filled nothing); ``filled`` and ``of_book``: USDC that moved
    here, and at the recorded book."""

    tier: Tier
    off: int | None
    filled: int
    of_book: int


class Width(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """At one instant: half the distance of bid and ask of the recorded book, whether that was near 0 or 1, and what it
    had on offer within the limit (millionths of a USDC)."""

    half_spread: int
    edge: bool
    depth_usdc: int


class Calibrated(msgspec.Struct, kw_only=True):
    """All that was measured with orders of ``size`` (millionths of a USDC) at a price at most ``worse_bps`` worse than
    the leader's. ``trades`` were looked at; ``instants`` of them had a recorded book."""

    size: int
    worse_bps: int
    trades: int = 0
    found: list[Instant] = []
    widths: list[Width] = []

    @property
    def instants(self) -> int:
        """Trades of which a recorded book was there."""
        return len(self.widths)


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A tier against recorded books: how often both filled, how much worse a share was (the 10th, 50th and 90th of a
    hundred, millionths; ``None`` with fewer than two), and the share of what the book filled."""

    tier: Tier
    instants: int
    both: int
    low: int | None
    middle: int | None
    high: int | None
    filled_ppm: int | None


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Half the distance of bid and ask by end of the band (millionths), and of how many instants."""

    instants: int
    half: dict[Band, int]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a band is made of: spreads away from and near 0 and 1, and what was on offer within the limit (millionths of
    a USDC) by end of the band. ``at`` is when it was measured (epoch seconds)."""

    at: int
    instants: int
    inner: Spread
    edge: Spread
    depth_usdc: dict[Band, int]


def calibrate(whole: Whole, assumed: Assumptions, into: Calibrated) -> None:
    """Look at every trade of a past of which a book was recorded when a copy would have arrived."""
    past = whole.past
    shelf = Shelf(past)
    by_tape = Quotes(shelf, {}, assumed)
    by_line = Quotes(shelf, {}, assumed, by_tape=False)
    for deed in past.deeds:
        market, _ = shelf.markets.get(deed.token_id, (None, 0))
        if deed.kind != "TRADE" or deed.side is None or market is None or not deed.shares or not deed.usdc:
            continue
        into.trades += 1
        at = deed.at * SECOND + assumed.delay_us
        track = whole.books.get(deed.token_id)
        book = track.at(at, assumed.book_max_age_sec * SECOND) if track is not None else None
        if book is None or book.mid2 is None or book.crossed:
            continue
        order = _order(deed, deed.side, into, market.tick, at)
        real = _filled(book, order)
        into.widths.append(_width(book, order))
        for tier, quotes in ((Tier.TAPE, by_tape), (Tier.LINE, by_line)):
            quote = quotes.at(deed.token_id, at, [order])
            if quote is not None and quote.tier is tier:
                into.found.append(_instant(quote.tier, deed.side, _filled(quote.book, order), real))


def compared(found: Calibrated) -> list[Compared]:
    """Each tier against the recorded books."""
    return [_tier(tier, [i for i in found.found if i.tier is tier]) for tier in (Tier.TAPE, Tier.LINE)]


def measured(found: Calibrated, at: int) -> Measured | None:
    """What a band is made of; ``None`` with fewer than :data:`LEAST_INSTANTS`. ``at`` in epoch seconds."""
    if found.instants < LEAST_INSTANTS:
        return None
    inner = sorted(w.half_spread for w in found.widths if not w.edge)
    edge = sorted(w.half_spread for w in found.widths if w.edge)
    depth = sorted(w.depth_usdc for w in found.widths)
    return Measured(
        at=at,
        inner=Spread(instants=len(inner), half={band: _percentile(inner, part) for band, part in _PARTS.items()}),
        edge=Spread(instants=len(edge), half={band: _percentile(edge, part) for band, part in _PARTS.items()}),
        instants=found.instants,
        depth_usdc={band: _percentile(depth, 100 - part) for band, part in _PARTS.items()},
    )


def keep(history: History, found: Measured) -> None:
    """Put what was measured into the folder of history. Raises :class:`~pilotfish.history.folder.HistoryError`."""
    with history.placed(*PLACE) as out:
        out.write(msgspec.json.encode(found))


def kept(history: History) -> Measured | None:
    """What was measured last; ``None`` where nothing was, or by another version."""
    try:
        return msgspec.json.decode(history.read(*PLACE) or b"", type=Measured)
    except msgspec.MsgspecError:
        return None


def by_calibration(bands: Mapping[Band, Assumptions], found: Measured | None) -> tuple[dict[Band, Assumptions], str]:
    """The band with the spreads and depths that recorded books had, and in words what it rests on. A spread that fewer
    than :data:`LEAST_OF_A_KIND` instants tell of stays the assumed one."""
    if found is None:
        return dict(bands), "spreads and depth as assumed"
    made = {}
    for band, assumed in bands.items():
        inner, edge = found.inner, found.edge
        made[band] = msgspec.structs.replace(
            assumed,
            half_spread=inner.half[band] if inner.instants >= LEAST_OF_A_KIND else assumed.half_spread,
            edge_half_spread=edge.half[band] if edge.instants >= LEAST_OF_A_KIND else assumed.edge_half_spread,
            depth_usdc=max(MICRO, found.depth_usdc[band]),
        )
    return made, f"spreads and depth as {count(found.instants)} recorded books had them"


# -- parts -------------------------------------------------------------------------------------------------------------


def _filled(book: Book, order: PlaceOrder) -> PaperFill | None:
    memory = LiquidityMemory()
    if order.side is Side.SELL:
        return simulate_sell(book, order.shares, order.limit, NO_FEE, memory, WHO)
    return simulate_buy(book, order.budget, order.limit, order.spend, NO_FEE, memory, WHO)


def _width(book: Book, order: PlaceOrder) -> Width:
    assert book.best_bid is not None and book.best_ask is not None
    middle = (book.best_bid + book.best_ask) // 2
    offered = _filled(book, msgspec.structs.replace(order, budget=MOST, spend=MOST, shares=MOST))
    return Width(
        half_spread=(book.best_ask - book.best_bid) // 2,
        edge=not EDGE_BAND <= middle <= MICRO - EDGE_BAND,
        depth_usdc=offered.usdc if offered is not None else 0,
    )


def _order(deed: Deed, side: Side, into: Calibrated, tick: int, at: int) -> PlaceOrder:
    """The same for everybody: so much is spent, or so many shares sold as are worth it at the leader's price."""
    buys = side is Side.BUY
    limit = (buy_limit if buys else sell_limit)(deed.usdc, deed.shares, into.worse_bps, tick)
    shares = 0 if buys else into.size * deed.shares // deed.usdc
    spend = into.size if buys else 0
    return PlaceOrder(
        order_id=0, account=WHO, token_id=deed.token_id, side=side, shares=shares, budget=spend, spend=spend,
        limit=limit, slack=None, due_at=at, give_up_at=at, retry_us=0, attempts=1, missing=0, fills=0,
    )  # fmt: skip


def _instant(tier: Tier, side: Side, here: PaperFill | None, real: PaperFill | None) -> Instant:
    off = None
    if here is not None and real is not None:
        off = price_of(here.usdc, here.shares) - price_of(real.usdc, real.shares)
        off = off if side is Side.BUY else -off
    return Instant(
        tier=tier, off=off, filled=here.usdc if here is not None else 0, of_book=real.usdc if real is not None else 0
    )


def _tier(tier: Tier, found: Sequence[Instant]) -> Compared:
    off = sorted(i.off for i in found if i.off is not None)
    enough = len(off) > 1
    of_book = sum(i.of_book for i in found)
    return Compared(
        tier=tier,
        instants=len(found),
        both=len(off),
        low=_percentile(off, 10) if enough else None,
        middle=_percentile(off, 50) if enough else None,
        high=_percentile(off, 90) if enough else None,
        filled_ppm=sum(i.filled for i in found) * MICRO // of_book if of_book else None,
    )


def _percentile(ordered: Sequence[int], part: int) -> int:
    """The value that ``part`` of a hundred do not exceed; 0 of nothing."""
    return ordered[min(len(ordered) - 1, len(ordered) * part // 100)] if ordered else 0
