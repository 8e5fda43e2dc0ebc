"""What a source reports (:class:`LeaderFill`) and the canonical record that it becomes (:class:`Trade`).

Identity is ``(leader, tx_hash, token_id, side, shares)`` plus an occurrence number, because one transaction can hold
identical fills. USDC is no part of it: the Data API's figure contains the taker's fee, the chain's does not.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec


class Source(StrEnum):
    """Where an observation came from."""

    API = "api"
    POLYGON = "polygon"


class Side(StrEnum):
    """The leader's side of the fill."""

    BUY = "BUY"
    SELL = "SELL"


class TradeClass(StrEnum):
    """How a trade relates to now: from before the follow, fresh, or missed and late."""

    BACKFILL = "backfill"
    LIVE = "live"
    CATCH_UP = "catch-up"


TradeKey: TypeAlias = tuple[str, str, str, Side, int]


class LeaderFill(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fill of a leader's own order, as one source reports it.

    ``shares`` and ``usdc`` are millionths; ``usdc`` is without the taker's fee. ``traded_at`` is the block's time in
    microseconds (whole seconds), or ``None`` when the source did not say. ``raw`` is the payload as it came.
    """

    source: Source
    leader: str
    tx_hash: str
    token_id: str
    side: Side
    shares: int
    usdc: int
    traded_at: int | None
    fee: int | None = None
    role: str | None = None
    order_hash: str | None = None
    exchange: str | None = None
    block_number: int | None = None
    block_hash: str | None = None
    log_index: int | None = None
    condition_id: str | None = None
    outcome: str | None = None
    title: str | None = None
    slug: str | None = None
    is_combo: bool = False
    raw: str = ""

    @property
    def key(self) -> TradeKey:
        """The identity without the occurrence number."""
        return (self.leader, self.tx_hash, self.token_id, self.side, self.shares)


class Trade(msgspec.Struct, kw_only=True):
    """The canonical record of one fill, whoever saw it.

    Created once; later sightings only fill in their own fields. The chain's figures (USDC, fee, log index, order
    hash, role) win over the API's because they are exact.
    """

    id: int
    leader: str
    tx_hash: str
    token_id: str
    side: Side
    shares: int
    usdc: int
    occurrence: int
    traded_at: int
    traded_at_estimated: bool = False
    first_source: Source
    first_seen_by_api_at: int | None = None
    first_seen_by_polygon_at: int | None = None
    trade_class: TradeClass
    is_combo: bool = False
    condition_id: str | None = None
    outcome: str | None = None
    title: str | None = None
    slug: str | None = None
    fee: int | None = None
    role: str | None = None
    order_hash: str | None = None
    exchange: str | None = None
    block_number: int | None = None
    block_hash: str | None = None
    log_index: int | None = None
    leader_pre_sell_shares: int | None = None
    moves_holding: bool = True
    api_lagged: bool = False
    retracted_at: int | None = None
    unexplained: bool = False
    """True for the exit from a holding that was gone for a reason nobody saw; such a trade is no row of trades."""

    @property
    def key(self) -> TradeKey:
        """The identity without the occurrence number."""
        return (self.leader, self.tx_hash, self.token_id, self.side, self.shares)

    @property
    def is_backfill(self) -> bool:
        """True for a trade from before its leader was followed: it never makes an intent."""
        return self.trade_class is TradeClass.BACKFILL

    @property
    def active(self) -> bool:
        """False once a reorg has taken the trade back."""
        return self.retracted_at is None

    @property
    def signed_shares(self) -> int:
        """+shares for a BUY, −shares for a SELL."""
        return self.shares if self.side is Side.BUY else -self.shares


def exit_without_trade(
    leader: str, token_id: str, sold: int, before: int, price: int, at: int, *, unexplained: bool = False
) -> Trade:
    """A leader's MERGE, REDEEM or CONVERSION as the SELL that it amounts to. It has no id and is no row of trades.

    ``unexplained``: nobody saw what became of the shares, only that they are gone.

    ``price`` in millionths is what a share was worth then, for the limit.
    """
    return Trade(
        id=0,
        leader=leader,
        tx_hash="",
        token_id=token_id,
        side=Side.SELL,
        shares=sold,
        usdc=sold * price // 1_000_000,
        occurrence=1,
        traded_at=at,
        first_source=Source.API,
        first_seen_by_api_at=at,
        first_seen_by_polygon_at=at,
        trade_class=TradeClass.LIVE,
        leader_pre_sell_shares=before,
        unexplained=unexplained,
    )
