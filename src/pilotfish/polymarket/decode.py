"""``OrderFilled`` logs to integers: what one log says about the owner of the filled order.

The ``maker`` topic is the owner. His role was taker exactly if the ``taker`` topic is the emitting exchange. A log
that names a wallet in the ``taker`` topic only is its counterparty's, never a trade of that wallet.
"""

from __future__ import annotations

from binascii import a2b_hex
from collections.abc import Mapping
from functools import lru_cache
from struct import Struct
from typing import Any

import msgspec

from pilotfish.core.trade import LeaderFill, Side, Source
from pilotfish.core.units import MAX_TRADE, shown
from pilotfish.polymarket.contracts import (
    CTF_EXCHANGE_V1,
    EXCHANGES,
    NEG_RISK_EXCHANGE_V1,
    ORDER_FILLED,
    ORDER_FILLED_V1,
    is_combo_token,
)

_WORDS = {ORDER_FILLED: 7, ORDER_FILLED_V1: 5}
_ZERO_PREFIX = "0" * 24
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")
_KNOWN = frozenset((*EXCHANGES, CTF_EXCHANGE_V1, NEG_RISK_EXCHANGE_V1))
_SEVEN_WORDS = 2 + 64 * 7
_BUY, _SELL = bytes(32), bytes(31) + b"\x01"
_five_words = Struct("32s32s32s32s32s64x").unpack
_int = int.from_bytes
MOST_REMEMBERED = 16_384
_numbers: dict[object, int] = {}
"""Quantities by their text."""
_wallets: dict[str, str] = {}
"""Addresses by their topic."""


class DecodeError(ValueError):
    """A log that is not a usable ``OrderFilled``; the message says which part and why."""


class DataError(DecodeError):
    """A log whose data are missing or no words: its transaction's receipt may have them."""


class OrderFilled(msgspec.Struct, frozen=True, gc=False):
    """One filled order. ``shares``, ``usdc`` and ``fee`` are millionths; ``wallet`` owns the order.

    ``counterparty`` is the ``taker`` topic; ``block_timestamp`` is in epoch seconds where the provider sends it.
    """

    wallet: str
    role: str
    side: str
    token_id: str
    shares: int
    usdc: int
    fee: int
    order_hash: str
    counterparty: str
    exchange: str
    tx_hash: str | None
    log_index: int | None
    block_number: int | None
    block_hash: str | None
    block_timestamp: int | None
    removed: bool

    def observed(self, traded_at: int | None, raw: str) -> LeaderFill:
        """The fill as an observation of the chain's. ``traded_at`` is the block's time (µs), where it is known;
        ``raw`` the log as it came, which must have said its transaction."""
        assert self.tx_hash is not None
        return LeaderFill(
            source=Source.POLYGON,
            leader=self.wallet,
            tx_hash=self.tx_hash,
            token_id=self.token_id,
            side=Side(self.side),
            shares=self.shares,
            usdc=self.usdc,
            traded_at=traded_at,
            fee=self.fee,
            role=self.role,
            order_hash=self.order_hash,
            exchange=self.exchange,
            block_number=self.block_number,
            block_hash=self.block_hash,
            log_index=self.log_index,
            is_combo=is_combo_token(self.token_id),
            raw=raw,
        )


def decode_order_filled(log: Mapping[str, Any]) -> OrderFilled:
    """Decode a JSON-RPC log object (V2/V3, and historic V1).

    Missing JSON-RPC fields (``transactionHash``, ``logIndex``, ``blockNumber``, ``blockHash``, ``blockTimestamp``) are
    ``None``. Raises :class:`DecodeError` for anything that is not such a log.
    """
    return _usual(log) or _any(log)


def _usual(log: Mapping[str, Any]) -> OrderFilled | None:
    """A log as nodes usually write it (V2/V3, of a known exchange, lower-case, nothing missing), in a seventh of the
    time of :func:`_any`, which gives the same; ``None`` for any other, which is for that one to read."""
    try:
        event, order_hash, owner, other = log["topics"]
        exchange, data, tx_hash, block_hash = log["address"], log["data"], log["transactionHash"], log["blockHash"]
        hashes = "".join((order_hash, tx_hash, block_hash))
        if (
            event != ORDER_FILLED
            or exchange not in _KNOWN
            or not len(order_hash) == len(tx_hash) == len(block_hash) == 66
            or len(data) != _SEVEN_WORDS
            or data[:2] != "0x"
            or hashes[::66] != "000"
            or hashes[1::66] != "xxx"
            or hashes.encode().translate(None, b"0123456789abcdef") != b"xxx"
        ):
            return None
        side, token, made, took, paid = _five_words(a2b_hex(data[2:]))
        making, taking, fee = _int(made), _int(took), _int(paid)
        if side == _BUY:
            name, usdc, shares = "BUY", making, taking
        elif side == _SELL:
            name, usdc, shares = "SELL", taking, making
        else:
            return None
        if not 0 < shares <= MAX_TRADE or usdc > shares or fee > MAX_TRADE:
            return None
        stamp, number, index = log.get("blockTimestamp"), log.get("blockNumber"), log.get("logIndex")
        counterparty = _wallets.get(other) or _wallet(other)
        return OrderFilled(
            _wallets.get(owner) or _wallet(owner),
            "taker" if counterparty == exchange else "maker",
            name,
            _token(token),
            shares,
            usdc,
            fee,
            order_hash,
            counterparty,
            exchange,
            tx_hash,
            _numbers[index] if index in _numbers else _number(index, "logIndex"),
            _numbers[number] if number in _numbers else _number(number, "blockNumber"),
            block_hash,
            None if stamp is None else _number(stamp, "blockTimestamp"),
            log.get("removed") is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


@lru_cache(16_384)
def _token(word: bytes) -> str:
    """A token id in decimal digits; leaders trade the same ones again and again."""
    return str(_int(word))


def _wallet(topic: str) -> str:
    """A topic's address, remembered: leaders, the exchanges, and a few who make most markets."""
    address = _address(topic, "topics")
    if len(_wallets) > MOST_REMEMBERED:
        _wallets.clear()
    _wallets[topic] = address
    return address


def _number(value: object, what: str) -> int | None:
    """A quantity, remembered: a block has many logs, and a log's index is small."""
    number = _quantity(value, what)
    if isinstance(value, str) and number is not None:
        if len(_numbers) > MOST_REMEMBERED:
            _numbers.clear()
        _numbers[value] = number
    return number


def _any(log: Mapping[str, Any]) -> OrderFilled:
    if not isinstance(log, Mapping):
        raise DecodeError(f"log: expected an object, got {type(log).__name__}")
    topics = log.get("topics")
    if not isinstance(topics, (list, tuple)) or len(topics) != 4:
        raise DecodeError("topics: expected four")
    topic0 = topics[0].lower() if isinstance(topics[0], str) else ""
    words = _WORDS.get(topic0)
    if words is None:
        raise DecodeError(f"topics[0]: not an OrderFilled event: {shown(topics[0], 70)}")
    order_hash = _hex(topics[1], 32, "topics[1]")
    wallet = _address(topics[2], "topics[2]")
    counterparty = _address(topics[3], "topics[3]")
    exchange = "0x" + _hex(log.get("address"), 20, "address")[2:]
    data = log.get("data")
    if not isinstance(data, str) or len(data) < 2 + 64 * words or (len(data) - 2) % 64 or data[:2] not in ("0x", "0X"):
        size = len(data) if isinstance(data, str) else type(data).__name__
        raise DataError(f"data: expected {words} words of 32 bytes, got {size}")
    if not _HEX.issuperset(data[2 : 2 + 64 * words].lower()):
        raise DataError("data: not hexadecimal")
    values = [int(data[i : i + 64], 16) for i in range(2, 2 + 64 * words, 64)]
    if topic0 == ORDER_FILLED:
        side_code, token, making, taking, fee = values[:5]
        if side_code not in (0, 1):
            raise DecodeError(f"side: expected 0 or 1, got {side_code}")
        buy = side_code == 0
    else:
        maker_asset, taker_asset, making, taking, fee = values
        if (maker_asset == 0) == (taker_asset == 0):
            raise DecodeError("V1 assets: exactly one must be the collateral (0)")
        buy = maker_asset == 0
        token = taker_asset if buy else maker_asset
    usdc, shares = (making, taking) if buy else (taking, making)
    for name, amount in (("shares", shares), ("usdc", usdc), ("fee", fee)):
        if amount > MAX_TRADE:
            raise DecodeError(f"{name}: {amount} is out of range")
    if shares == 0:
        raise DecodeError("shares: zero")
    if usdc > shares:
        raise DecodeError(f"usdc: {usdc} for {shares} shares is a price above 1")
    return OrderFilled(
        wallet=wallet,
        role="taker" if counterparty == exchange else "maker",
        side="BUY" if buy else "SELL",
        token_id=str(token),
        shares=shares,
        usdc=usdc,
        fee=fee,
        order_hash=order_hash,
        counterparty=counterparty,
        exchange=exchange,
        tx_hash=_hex(log["transactionHash"], 32, "transactionHash") if log.get("transactionHash") else None,
        log_index=_quantity(log.get("logIndex"), "logIndex"),
        block_number=_quantity(log.get("blockNumber"), "blockNumber"),
        block_hash=_hex(log["blockHash"], 32, "blockHash") if log.get("blockHash") else None,
        block_timestamp=_quantity(log.get("blockTimestamp"), "blockTimestamp"),
        removed=log.get("removed") is True,
    )


def _hex(value: object, size: int, what: str) -> str:
    if isinstance(value, str) and len(value) == 2 + 2 * size and value[:2] in ("0x", "0X"):
        text = value.lower()
        if _HEX.issuperset(text[2:]):
            return text
    raise DecodeError(f"{what}: expected {size} bytes of hex, got {shown(value, 70)}")


def _address(value: object, what: str) -> str:
    text = _hex(value, 32, what)
    if text[2:26] != _ZERO_PREFIX:
        raise DecodeError(f"{what}: not an address: {text}")
    return "0x" + text[26:]


def _quantity(value: object, what: str) -> int | None:
    if value is None:
        return None
    number = quantity_of(value)
    if number is None:
        raise DecodeError(f"{what}: expected a quantity, got {shown(value, 40)}")
    return number


def quantity_of(value: object) -> int | None:
    """A JSON-RPC quantity: a whole number, or its text in hex (or, of some providers, in decimal), from 0 to 2^63 - 1;
    ``None`` for anything else."""
    number = -1
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and len(value) <= 66:
        digits, base = (value[2:].lower(), 16) if value[:2] in ("0x", "0X") else (value, 10)
        known = _HEX if base == 16 else _DIGITS
        number = int(digits, base) if digits and known.issuperset(digits) else -1
    return number if 0 <= number < 2**63 else None
