"""What a source reports (:class:`LeaderFill`) and the canonical record that it becomes (:class:`Trade`).

Identity is ``(leader, tx_hash, token_id, side, shares)`` plus an occurrence number, because one transaction can hold
identical fills. USDC is no part of it: the Data API's figure contains the taker's fee, the chain's does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import msgspec

from pilotfish.core.words import Word

_T = TypeVar("_T")


class Source(Word):
    """Where an observation came from."""

    API = "api"
    POLYGON = "polygon"


class Side(Word):
    """The leader's side of the fill."""

    BUY = "BUY"
    SELL = "SELL"


BUY, SELL = Side.BUY, Side.SELL
"""The sides, where each trade asks for them often: looking a member up in its enumeration costs 40 ns."""


class TradeClass(Word):
    """How a trade relates to now: from before the follow, fresh, or missed and late."""

    BACKFILL = "backfill"
    LIVE = "live"
    CATCH_UP = "catch-up"


_API, _BACKFILL = Source.API, TradeClass.BACKFILL
TradeKey: TypeAlias = tuple[str, str, str, Side, int]
LogId: TypeAlias = int | str | None
"""A log within its transaction: its index, or the order that it filled where a provider leaves the index out."""
LogFacts: TypeAlias = tuple[int, str | None, int | None, str | None, int]
"""What one log says and another log of the same transaction may say otherwise: its index first."""


class LeaderFill(msgspec.Struct, frozen=True, gc=False):
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

    @property
    def log_id(self) -> LogId:
        """Which log of its transaction it is."""
        return self.log_index if self.log_index is not None else self.order_hash


class Trade(msgspec.Struct, gc=False):
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
    traded_at_estimated: bool
    first_source: Source
    first_seen_by_api_at: int | None
    first_seen_by_polygon_at: int | None
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
    def log_id(self) -> LogId:
        """Which log of its transaction it is, by what is known now."""
        return self.log_index if self.log_index is not None else self.order_hash

    @property
    def log_facts(self) -> LogFacts:
        """What its log says of it; there is one."""
        assert self.log_index is not None
        return (self.log_index, self.order_hash, self.fee, self.role, self.usdc)

    def be_of_log(self, facts: LogFacts) -> None:
        """It is another log of its transaction than it seemed."""
        self.log_index, self.order_hash, self.fee, self.role, self.usdc = facts

    def learn_from_chain(self, fill: LeaderFill) -> None:
        """The chain shows it: its figures win, because they are exact."""
        self.usdc = fill.usdc
        self.fee, self.role, self.order_hash = fill.fee, fill.role, fill.order_hash
        self.exchange = fill.exchange
        self.block_number, self.block_hash, self.log_index = fill.block_number, fill.block_hash, fill.log_index
        if fill.traded_at is not None:
            self.traded_at, self.traded_at_estimated = fill.traded_at, False

    def learn_from_api(self, fill: LeaderFill) -> bool:
        """The Data API shows it: what is not known yet is taken from there; True if its time was not."""
        self.condition_id = self.condition_id or fill.condition_id
        self.outcome = self.outcome or fill.outcome
        self.title = self.title or fill.title
        self.slug = self.slug or fill.slug
        self.is_combo = self.is_combo or fill.is_combo
        if not self.traded_at_estimated or fill.traded_at is None:
            return False
        self.traded_at, self.traded_at_estimated = fill.traded_at, False
        return True

    @property
    def names_its_order(self) -> bool:
        """True where the order that it fills is known by hash."""
        return self.order_hash is not None

    def order_among(self, by_hash: Mapping[str, _T]) -> _T | None:
        """Which of these its order's hash names, if any."""
        return by_hash.get(self.order_hash) if self.order_hash is not None else None

    def fills_order(self, hashes: tuple[str, ...]) -> bool | None:
        """Whether it fills the order that is known by ``hashes``; ``None`` where nothing says so or otherwise."""
        return self.order_hash in hashes if hashes and self.order_hash is not None else None

    def order_known_by(self, hashes: tuple[str, ...]) -> tuple[str, ...]:
        """What the order that it fills is known by: ``hashes``, and what this fill says of it."""
        return hashes if self.order_hash is None or self.order_hash in hashes else (*hashes, self.order_hash)

    @property
    def is_backfill(self) -> bool:
        """True for a trade from before its leader was followed: it never makes an intent."""
        return self.trade_class is _BACKFILL

    @property
    def active(self) -> bool:
        """False once a reorg has taken the trade back."""
        return self.retracted_at is None

    @property
    def signed_shares(self) -> int:
        """+shares for a BUY, −shares for a SELL."""
        return self.shares if self.side is BUY else -self.shares


def first_seen(fill: LeaderFill, number: int, occurrence: int, traded_at: int, kind: TradeClass, at: int) -> Trade:
    """The record of a fill that no source has shown before. ``traded_at`` (µs) is what counts as its time."""
    api = fill.source is _API
    return Trade(
        number, fill.leader, fill.tx_hash, fill.token_id, fill.side, fill.shares, fill.usdc, occurrence,
        traded_at, fill.traded_at is None, fill.source, at if api else None, None if api else at, kind,
        fill.is_combo, fill.condition_id, fill.outcome, fill.title, fill.slug, fill.fee, fill.role, fill.order_hash,
        fill.exchange, fill.block_number, fill.block_hash, fill.log_index,
    )  # fmt: skip


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
        traded_at_estimated=False,
        first_source=Source.API,
        first_seen_by_api_at=at,
        first_seen_by_polygon_at=at,
        trade_class=TradeClass.LIVE,
        leader_pre_sell_shares=before,
        unexplained=unexplained,
    )
