"""Small pasts by hand: one market, a leader, and what strangers traded."""

from __future__ import annotations

from pilotfish.core.fees import NO_FEE
from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO
from pilotfish.history.records import Deed, Past, PastMarket, PricePoint, Print

LEADER = "0x" + "a1" * 20
BEGIN = 1_780_000_000
END = BEGIN + 10 * 86_400
CONDITION = "0x" + "c" * 64
YES, NO = "1001", "1002"


def market(**more: object) -> PastMarket:
    """A market of Yes and No without fees that Yes wins a day before the end."""
    known = PastMarket(
        condition_id=CONDITION, tokens=(YES, NO), outcomes=("Yes", "No"), title="Will it?", event="event", fee=NO_FEE,
        closed_at=END - 86_400, resolved_at=END - 86_400, payouts=(MICRO, 0),
    )  # fmt: skip
    return PastMarket(**{**{f: getattr(known, f) for f in known.__struct_fields__}, **more})


def deed(at: int, side: str, shares: float, price: float, *, number: int = 1, token: str = YES) -> Deed:
    """The leader's trade ``at`` seconds after the beginning."""
    return Deed(
        kind="TRADE", at=BEGIN + at, tx_hash=f"0x{number:064x}", condition_id=CONDITION, token_id=token,
        side=Side(side), shares=round(shares * MICRO), usdc=round(shares * price * MICRO),
    )  # fmt: skip


def move(at: int, kind: str, shares: float, *, number: int = 900) -> Deed:
    """A move without a trade."""
    return Deed(
        kind=kind, at=BEGIN + at, tx_hash=f"0x{number:064x}", condition_id=CONDITION, shares=round(shares * MICRO)
    )


def sold_to(at: int, price: float, shares: float, *, number: int, wallet: str = "0x" + "b2" * 20) -> list[Print]:
    """Somebody bought Yes from two others who had rested: both sides of the match."""
    half = round(shares * MICRO / 2)
    rows = [(wallet, Side.BUY, 2 * half), ("0x" + "d4" * 20, Side.SELL, half), ("0x" + "e5" * 20, Side.SELL, half)]
    return [_print(at, price, n, number, who, side) for who, side, n in rows]


def bought_from(at: int, price: float, shares: float, *, number: int, wallet: str = "0x" + "b2" * 20) -> list[Print]:
    """Somebody sold Yes to two others who had rested."""
    half = round(shares * MICRO / 2)
    rows = [(wallet, Side.SELL, 2 * half), ("0x" + "d4" * 20, Side.BUY, half), ("0x" + "e5" * 20, Side.BUY, half)]
    return [_print(at, price, n, number, who, side) for who, side, n in rows]


def _print(at: int, price: float, shares: int, number: int, wallet: str, side: Side) -> Print:
    return Print(
        at=BEGIN + at, tx_hash=f"0x{number:064x}", wallet=wallet, condition_id=CONDITION, token_id=YES, side=side,
        shares=shares, price=round(price * MICRO),
    )  # fmt: skip


def past(deeds: list[Deed], prints: list[Print], *, of: PastMarket | None = None, held: dict[str, int] | None = None,
         prices: list[tuple[int, float]] | None = None, known: bool = True) -> Past:  # fmt: skip
    """The leader's past over ten days; the tape is whole unless it is not ``known``."""
    return Past(
        wallet=LEADER,
        from_at=BEGIN,
        to_at=END,
        deeds=deeds,
        markets={CONDITION: of or market()},
        tape={CONDITION: prints},
        tape_known={CONDITION: [(BEGIN, END)]} if known else {},
        prices={YES: [PricePoint(BEGIN + at, round(price * MICRO)) for at, price in prices or []]},
        held=held or {},
    )
