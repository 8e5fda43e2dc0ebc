"""Who traded in the stand-in venue's past, and in what manner: the kinds of leaders whose truth is known."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pilotfish.core.units import PPM
from pilotfish.sim.story import wallet_of


class Kind(StrEnum):
    """What a leader of the past lives from.

    ``FIRST_SECOND``: the price jumps to what is fair the second after their BUY, and they leave within minutes.
    ``VALUE``: buys cheap, the price drifts to what is fair over hours. ``SKILLED``: the same, kept to the end.
    ``FLIPPER``: a coin. ``GAMBLER``: a coin that fell well, a few times. ``ONE_EVENT``: a coin, and one happening that
    made nearly all. ``MARKET_MAKER``: rests on both sides, earns the spread, splits, merges and converts.
    """

    FIRST_SECOND = "first_second"
    VALUE = "value"
    GAMBLER = "gambler"
    MARKET_MAKER = "market_maker"
    ONE_EVENT = "one_event"
    FLIPPER = "flipper"
    SKILLED = "skilled"


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind trades. ``chance`` are bounds of the chance of what they buy; ``sold_ppm`` is the part of positions
    sold before the end; ``exact``: half a spread in thousandths on ticks of a thousandth, else one tick of a
    hundredth."""

    categories: tuple[str, ...]
    chance: tuple[int, int]
    events: int
    edge_ppm: int | None = None
    sold_ppm: int = 0
    exact: int | None = 5


_WIDE = ("sports", "politics", "economics", "culture", "geopolitics", "crypto")
MANNERS: dict[Kind, Manner] = {
    Kind.FIRST_SECOND: Manner(categories=("sports",), chance=(740_000, 880_000), events=160, exact=2),
    Kind.VALUE: Manner(categories=_WIDE[:4], chance=(420_000, 720_000), events=240, edge_ppm=220_000, sold_ppm=400_000),
    Kind.GAMBLER: Manner(categories=_WIDE, chance=(350_000, 650_000), events=12, exact=None),
    Kind.MARKET_MAKER: Manner(categories=_WIDE[:3], chance=(350_000, 650_000), events=80, exact=3),
    Kind.ONE_EVENT: Manner(categories=_WIDE, chance=(350_000, 650_000), events=40),
    Kind.FLIPPER: Manner(categories=_WIDE, chance=(300_000, 700_000), events=300),
    Kind.SKILLED: Manner(categories=_WIDE, chance=(450_000, 750_000), events=300, edge_ppm=200_000),
}


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A leader of the past. ``events`` and ``edge_ppm`` (what a copy earns a dollar after spread and fee, in parts per
    million; value buyers and skilled ones only) are the kind's own where they are None."""

    wallet: str
    kind: Kind
    name: str = ""
    events: int | None = None
    edge_ppm: int | None = None

    def __post_init__(self) -> None:
        if self.events is not None and self.events < 1:
            raise ValueError(f"events of {self.wallet}: expected at least 1, got {self.events}")
        if self.edge_ppm is not None and self.kind not in (Kind.VALUE, Kind.SKILLED):
            raise ValueError(f"edge_ppm of {self.wallet}: a {self.kind} has none; give it to a value or skilled leader")
        if self.edge_ppm is not None and not 0 <= self.edge_ppm <= PPM:
            raise ValueError(f"edge_ppm of {self.wallet}: expected 0 to {PPM}, got {self.edge_ppm}")

    @property
    def manner(self) -> Manner:
        """How they trade."""
        return MANNERS[self.kind]

    @property
    def happenings(self) -> int:
        """How many independent happenings they trade on."""
        return self.events if self.events is not None else self.manner.events

    @property
    def edge(self) -> int | None:
        """What a copy earns a dollar, in parts per million; ``None`` where the quote is not off for hours."""
        return self.edge_ppm if self.edge_ppm is not None else self.manner.edge_ppm


def crowd(
    seed: object, kind: Kind, count: int, *, events: int | None = None, edge_ppm: int | None = None
) -> tuple[Person, ...]:
    """So many leaders of one kind, with wallets that depend on the seed alone."""
    return tuple(
        Person(
            wallet=wallet_of(seed, f"past {kind} {i}"),
            kind=kind,
            name=f"{kind.replace('_', ' ').title()} {i + 1}",
            events=events,
            edge_ppm=edge_ppm,
        )
        for i in range(count)
    )
