"""Rows of history. Amounts and prices are millionths, times are epoch seconds as the venue has them, ids are text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from pilotfish.core.fees import UNKNOWN_FEE, FeeSchedule
from pilotfish.core.trade import Side


class Deed(msgspec.Struct, frozen=True, gc=False):
    """A row of a wallet's activity, of any kind. ``side`` is ``None`` and ``token_id`` empty where the row has none.

    ``shares`` of a move (SPLIT, MERGE, …) are its amount. ``usdc`` of a TRADE is ``size × price``, without the fee;
    ``usdc_size`` is what the venue says, the taker's fee included. ``size`` and ``price`` are the venue's own digits.
    """

    kind: str
    at: int
    tx_hash: str
    condition_id: str = ""
    token_id: str = ""
    side: Side | None = None
    shares: int = 0
    usdc: int = 0
    usdc_size: int = 0
    size: str = ""
    price: str = ""
    outcome: str = ""
    title: str = ""
    slug: str = ""
    event_slug: str = ""
    is_combo: bool = False


class Print(msgspec.Struct, frozen=True, gc=False):
    """One fill of one order on a market's tape: both sides of a match are rows of their own, in one transaction."""

    at: int
    tx_hash: str
    wallet: str
    condition_id: str
    token_id: str
    side: Side
    shares: int
    price: int


class PricePoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a token was worth at a second."""

    at: int
    price: int


class PastMarket(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A market as it is known in the end. ``payouts`` are millionths per share, in the order of ``tokens``; ``None`` =
    not resolved. ``resolved_at`` and ``closed_at`` in epoch seconds, ``None`` = not known. Markets of one ``event`` are
    settled by the same happening; a market without one is its own event (its condition)."""

    condition_id: str
    tokens: tuple[str, ...]
    outcomes: tuple[str, ...] = ()
    title: str = ""
    slug: str = ""
    event: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    fee: FeeSchedule = UNKNOWN_FEE
    tick: int = 10_000
    delay_ms: int = 0
    end_at: int | None = None
    closed_at: int | None = None
    resolved_at: int | None = None
    payouts: tuple[int, ...] | None = None
    is_combo: bool = False


class HeldToken(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a wallet held of a token when it was asked: shares in millionths."""

    token_id: str
    condition_id: str
    shares: int


class Missing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is not known: of ``kind`` (activity, tape, prices, markets, …) and ``key`` (wallet, condition, token) the
    seconds ``from_at`` to ``to_at``, and why: capped, failed or not asked."""

    kind: str
    key: str
    from_at: int
    to_at: int
    why: str


class Past(msgspec.Struct, kw_only=True):
    """All that a backtest of one wallet reads, from ``from_at`` to ``to_at`` (epoch seconds).

    ``deeds`` oldest first; ``tape`` by condition and ``prices`` by token, each oldest first; ``held`` are shares by
    token at ``from_at``. ``tape_known`` are the seconds (from, to) by condition of which the tape is whole. What is in
    files is read from them each time that it is gone through (``kept``), so that a past of any length fits.
    """

    wallet: str
    name: str = ""
    from_at: int
    to_at: int
    deeds: Collection[Deed]
    markets: Mapping[str, PastMarket]
    tape: Mapping[str, Iterable[Print]] = {}
    tape_known: Mapping[str, Iterable[tuple[int, int]]] = {}
    prices: Mapping[str, Iterable[PricePoint]] = {}
    held: dict[str, int] = {}
    missing: list[Missing] = []
