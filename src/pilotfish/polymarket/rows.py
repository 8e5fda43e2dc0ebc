"""Rows of the Data API, v2 and v1, as records: activity, positions, tokens, resolutions (PROTOCOL.md sections 4 and 9).

Nothing but :class:`RowError` comes out of a parser, whatever a row holds; a price outside [0, 1] is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pilotfish.core.events import Move
from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import MAX_AMOUNT, MAX_TRADE, MICRO, SECOND, micro_from_decimal, price_from, scaled, shown
from pilotfish.polymarket import wire
from pilotfish.polymarket.contracts import is_combo_token, pad_condition
from pilotfish.polymarket.wire import first

WEI = 10**18
"""One, in the prices of resolution rows."""
MOVES = ("SPLIT", "MERGE", "REDEEM", "CONVERSION")
"""Kinds of activity that change a holding without a trade."""
MAX_OUTCOMES = 256
_HEX = frozenset("0123456789abcdef")


class RowError(ValueError):
    """A row that cannot be used; the message names the field."""


@dataclass(slots=True)
class Holdings:
    """What a wallet holds: token id -> millionths of shares, token id -> condition, and what it is worth together
    (millionths of a USDC).

    ``worthless`` are held tokens that can only be redeemed, or are worth nothing. ``unread`` are tokens whose row could
    not be used, ``listed`` those whose row could. ``whole`` is False where something is missing of which not even the
    token is known: then a token that is not listed may be held all the same. ``bad_rows`` are (row, error) pairs.
    """

    shares: dict[str, int] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    value: int = 0
    worthless: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    whole: bool = True
    listed: set[str] = field(default_factory=set)
    bad_rows: list[tuple[str, str]] = field(default_factory=list)


Payouts: TypeAlias = tuple[int, ...] | None
"""Millionths per share of each outcome in the venue's order; ``None`` = not settled yet."""


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """Token -> condition and outcome (``index`` in the venue's order, -1 = not said). ``payout`` is millionths per
    share once resolved."""

    token_id: str
    condition_id: str
    outcome: str
    title: str
    slug: str
    closed: bool
    is_combo: bool
    payout: int | None
    index: int


# -- parts of rows ---------------------------------------------------------------------------------------------


def as_row(row: object) -> Mapping[str, Any]:
    """A row as an object; raises :class:`RowError`."""
    if not isinstance(row, Mapping):
        raise RowError(f"row: expected an object, got {type(row).__name__}")
    return row


def _text(row: Mapping[str, Any], *names: str) -> str | None:
    return wire.text_of(first(row, *names)) or None


def _word(row: Mapping[str, Any], *names: str) -> str:
    return wire.text_of(first(row, *names)).upper()


def _hex(value: object, digits: int, what: str) -> str:
    text = value.lower() if isinstance(value, str) and len(value) == digits + 2 else ""
    if not text.startswith("0x") or not _HEX.issuperset(text[2:]):
        raise RowError(f"{what}: expected 0x and {digits} hex digits, got {shown(value, 70)}")
    return text


def condition_of(value: object) -> str | None:
    """A condition id of 32 bytes (of 31: padded), or ``None`` where it is none."""
    text = value.lower() if isinstance(value, str) and len(value) in (64, 66) else ""
    return pad_condition(text) if text.startswith("0x") and _HEX.issuperset(text[2:]) else None


def parse_token_id(value: object) -> str:
    """A token id as decimal digits without leading zeros; raises :class:`RowError`."""
    text = wire.text_of(value).strip()
    if not wire.is_digits(text):
        raise RowError(f"token id: expected up to 78 decimal digits, got {shown(value, 80)}")
    number = int(text)
    if number == 0 or number >= 1 << 256:
        raise RowError(f"token id: out of range: {text[:80]}")
    return str(number)


def parse_timestamp(value: object) -> int:
    """Epoch seconds (a number or numeric text); raises :class:`RowError`."""
    try:
        seconds = micro_from_decimal(value) // MICRO
    except ValueError:
        raise RowError(f"timestamp: expected epoch seconds, got {shown(value)}") from None
    if not wire.is_second(seconds):
        raise RowError(f"timestamp: out of range: {seconds}")
    return seconds


def _index(row: Mapping[str, Any], *names: str) -> int:
    """An outcome's place; -1 where it is not said (999 is "not labelled")."""
    try:
        index = scaled(first(row, *names), 0)
    except ValueError:
        return -1
    return index if 0 <= index < MAX_OUTCOMES else -1


def _is_combo(row: Mapping[str, Any], token_id: str) -> bool:
    return wire.is_true(first(row, "is_combo", "isCombo")) or is_combo_token(token_id)


def _owner(row: Mapping[str, Any], leader: str) -> None:
    wallet = first(row, "proxy_wallet", "proxyWallet")
    if wallet not in (None, "") and wire.text_of(wallet).lower() != leader:
        raise RowError(f"proxy_wallet: asked for {leader}, got {shown(wallet)}")


# -- rows ------------------------------------------------------------------------------------------------------


def parse_trade_row(row: Mapping[str, Any], leader: str) -> LeaderFill:
    """A TRADE row of ``/v2/activity`` or ``/activity`` (v1) as an observation.

    USDC is ``size × price``, without the fee, rounded to the nearest millionth; ``usdc_size`` contains the taker's fee
    and is not used. Raises :class:`RowError`.
    """
    row = as_row(row)
    _owner(row, leader)
    side = _word(row, "side")
    if side not in ("BUY", "SELL"):
        raise RowError(f"side: expected BUY or SELL, got {shown(row.get('side'), 20)}")
    try:
        shares = micro_from_decimal(row.get("size"))
        price_e15 = scaled(row.get("price"), 15)
    except ValueError as problem:
        raise RowError(f"size/price: {problem}") from None
    if not 0 < shares <= MAX_TRADE:
        raise RowError(f"size: out of range: {shown(row.get('size'))}")
    if not 0 <= price_e15 <= 10**15:
        raise RowError(f"price: must be between 0 and 1, got {shown(row.get('price'))}")
    token_id = parse_token_id(first(row, "token_id", "tokenId", "asset"))
    return LeaderFill(
        source=Source.API,
        leader=leader,
        tx_hash=_hex(first(row, "transaction_hash", "transactionHash"), 64, "transaction_hash"),
        token_id=token_id,
        side=Side(side),
        shares=shares,
        usdc=(2 * shares * price_e15 + 10**15) // (2 * 10**15),
        traded_at=parse_timestamp(row.get("timestamp")) * SECOND,
        condition_id=condition_of(first(row, "condition_id", "conditionId")),
        outcome=_text(row, "outcome"),
        title=_text(row, "title"),
        slug=_text(row, "slug"),
        is_combo=_is_combo(row, token_id),
        raw=wire.encode(row, 20_000),
    )


def parse_move_row(row: Mapping[str, Any], kind: str, leader: str = "") -> Move:
    """A SPLIT, MERGE, REDEEM or CONVERSION row. Raises :class:`RowError`."""
    row = as_row(row)
    if leader:
        _owner(row, leader)
    condition = condition_of(first(row, "condition_id", "conditionId"))
    if condition is None:
        raise RowError(f"condition_id: a {kind} row names no condition")
    try:
        amount = micro_from_decimal(first(row, "usdc_size", "usdcSize") or 0)
    except ValueError as problem:
        raise RowError(f"usdc_size: {problem}") from None
    return Move(
        kind=kind,
        tx_hash=_hex(first(row, "transaction_hash", "transactionHash"), 64, "transaction_hash"),
        condition_id=condition,
        amount=abs(amount),
        at=parse_timestamp(row.get("timestamp")) * SECOND,
    )


def kind_of(row: Mapping[str, Any]) -> str:
    """What kind of activity a row is; a row that does not say is a trade."""
    return _word(row, "type") if row.get("type") is not None else "TRADE"


def add_position(held: Holdings, row: object) -> bool:
    """Take one row of ``/v2/positions`` or ``/positions`` (v1) in. False where its token is there already."""
    token = None
    try:
        row = as_row(row)
        token = parse_token_id(first(row, "token_id", "tokenId", "asset"))
        shares = micro_from_decimal(first(row, "current_size", "currentSize", "size"))
        value = (
            micro_from_decimal(given) if (given := first(row, "current_value", "currentValue")) is not None else None
        )
        price = price_from(given) if (given := first(row, "current_price", "curPrice")) is not None else None
        if not 0 <= shares <= MAX_TRADE:
            raise RowError(f"current_size: out of range: {shown(shares)}")
    except ValueError as problem:
        held.bad_rows.append((wire.encode({"row": row}, 2000), str(problem)))
        if token is None:
            held.whole = False
        elif token not in held.listed:
            held.unread.add(token)
        return True
    if token in held.listed:
        return False
    held.listed.add(token)
    held.unread.discard(token)
    if not shares:
        return True
    condition = condition_of(first(row, "condition_id", "conditionId"))
    if condition is not None:
        held.conditions[token] = condition
    held.shares[token] = shares
    held.value = min(MAX_AMOUNT, held.value + max(0, value or 0))
    redeemable = wire.is_true(row.get("redeemable")) or _word(row, "status") in ("REDEEMABLE", "CLOSED")
    if redeemable or value == 0 or (value is None and price == 0):
        held.worthless.add(token)
    return True


def parse_token(row: Mapping[str, Any]) -> TokenInfo:
    """A row of ``/v2/tokens``. Raises :class:`RowError`."""
    row = as_row(row)
    token_id = parse_token_id(first(row, "token_id", "tokenId"))
    payout = None
    if wire.is_true(row.get("resolved")) and row.get("final_price") is not None:
        try:
            payout = price_from(row["final_price"])
        except ValueError as problem:
            raise RowError(f"final_price: {problem}") from None
    return TokenInfo(
        token_id=token_id,
        condition_id=condition_of(first(row, "condition_id", "conditionId")) or "",
        outcome=_text(row, "outcome") or "",
        title=_text(row, "title") or "",
        slug=_text(row, "market_slug", "marketSlug") or "",
        closed=wire.is_true(row.get("closed")),
        is_combo=_word(row, "module") == "COMBO" or is_combo_token(token_id),
        payout=payout,
        index=_index(row, "clob_index", "outcome_index"),
    )


def parse_resolution(row: Mapping[str, Any]) -> Payouts:
    """What a row of ``/v2/resolutions`` says (PROTOCOL.md sections 4, 7 and 9).

    ``payouts`` counts wherever it is given. A resolved question without them has a price in 1e18: what the first
    outcome pays; "69" means unset. Raises :class:`RowError` for payouts that cannot be.
    """
    row = as_row(row)
    given = row.get("payouts")
    if given is not None:
        if not isinstance(given, (list, tuple)) or not 0 < len(given) <= MAX_OUTCOMES:
            raise RowError(f"payouts: expected a list, got {shown(given, 80)}")
        payouts = tuple(_payout(p) for p in given)
        if sum(payouts) > MICRO:
            raise RowError(f"payouts: more than one together: {payouts}"[:120])
        return payouts if sum(payouts) else None
    price = wire.text_of(row.get("price")).strip() if row.get("price") is not None else "69"
    if _word(row, "status") != "RESOLVED" or price == "69":
        return None
    try:
        paid = scaled(row["price"], 0)
    except ValueError:
        paid = -1
    if paid not in (0, WEI // 2, WEI):
        raise RowError(f"price: {shown(row.get('price'), 80)}")
    first_outcome = paid * MICRO // WEI
    return first_outcome, MICRO - first_outcome


def _payout(value: object) -> int:
    """One payout, a whole number of millionths."""
    try:
        paid = scaled(value, 0)
        exact = micro_from_decimal(value) == paid * MICRO
    except ValueError as problem:
        raise RowError(f"payouts: {problem}") from None
    if not exact or not 0 <= paid <= MICRO:
        raise RowError(f"payouts: {shown(value, 80)}")
    return paid
