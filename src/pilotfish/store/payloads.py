"""Payloads as SQLite keeps them: taken apart into their skeleton, which is much the same in all, and the hexadecimal
values in it. What the trade's own row says is left out.

What is left out is the trade's identity (its transaction, leader and token), which never changes. A payload is read
together with it: the column gives both (:class:`Payload`), and whoever reads it gets the text as it came.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Dialect, LargeBinary, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from pilotfish.store import packed
from pilotfish.store.declared import Declared

Trade = tuple[str, str, str]
"""Transaction, leader and token of a trade."""
ALONE, OF_TRADE = 3, 4
"""The first byte of a payload that is packed by itself, and of one that needs its trade's row."""
_HEX = re.compile("0x([0-9a-f]+)")
_VALUE, _TOKEN = "\0", "\1"
"""What stands in a skeleton for a value, and for the token as the API writes it."""

CONSTANTS = (
    "e111180000d2663c0091e4f400237545b87b996b", "e2222d279d744050d28e00520010520000310f59",
    "e3333700ca9d93003f00f0f71f8515005f6c00aa",
    "d543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee",
)  # fmt: skip
"""Values that many payloads have, by their places. New ones go to the end: what is written stays."""
SKELETONS = (
    # a row of the Data API, then logs of exchanges with the fields in the orders in which providers give them
    b'{"proxy_wallet":"\0","timestamp":179,"condition_id":"\0","type":"TRADE","size":,"usdc_size":,'
    b'"transaction_hash":"\0","price":0.,"token_id":"\1","side":"SELL","side":"BUY","outcome_index":0,'
    b'"outcome_index":1,"title":"Will the ","slug":"will-the-",'
    b'"icon":"https://polymarket-upload.s3.us-east-2.amazonaws.com/","event_slug":"","outcome":"No","outcome":"Yes",'
    b'"name":"","pseudonym":"","bio":"","profile_image":"","profile_image_optimized":""}'
    b'{"address":"\0","topics":["\0","\0","\0","\0"],"data":"\0","blockNumber":"\0","transactionHash":"\0",'
    b'"transactionIndex":"\0","blockHash":"\0","blockTimestamp":"\0","logIndex":"\0","removed":false}'
    b'{"address":"\0","blockHash":"\0","blockNumber":"\0","blockTimestamp":"\0","data":"\0","logIndex":"\0",'
    b'"removed":false,"topics":["\0","\0","\0","\0"],"transactionHash":"\0","transactionIndex":"\0"}'
    b'{"topics":["\0","\0","\0","\0"],"data":"\0","address":"\0","blockNumber":"\0","blockHash":"\0",'
    b'"blockTimestamp":"\0","transactionHash":"\0","transactionIndex":"\0","logIndex":"\0","removed":false}'
)  # fmt: skip
"""What skeletons are compressed against. It never changes."""
_PACKER = zlib.compressobj(9, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, SKELETONS)

_WORD, _ADDRESS_DIGITS = 64, 40
"""Digits of a word of the chain, and of an address, which has zeros before it where it is a word."""
_SHORT = 8
"""A token of so many digits is not worth leaving out."""
_LONG, _WORDS, _ADDRESS, _ANY, _KNOWN, _PADDED = 0x40, 0x61, 0x62, 0x63, 0xC0, 0xE0
"""How a value begins: 1 to 31 are so many digits; ``_LONG`` + n is a word of which the last n bytes are not nothing;
``_WORDS`` several of them; ``_KNOWN`` and ``_PADDED`` + n are the n-th that is known, as it is and as a word."""
_TX = bytes((_KNOWN,))


_PLACES = {value: n for n, value in enumerate(CONSTANTS, start=3)}
"""The first three places are the trade's: its transaction, leader and token."""


@lru_cache(maxsize=256)
def _skeleton(text: str) -> bytes:
    packer = _PACKER.copy()
    return packer.compress(text.encode()) + packer.flush()


def _token_word(token_id: str) -> str:
    """A token as a word of the chain; empty for what is no number of the chain's."""
    plain = token_id.isascii() and token_id.isdecimal() and len(token_id) < 80
    return f"{int(token_id):064x}" if plain else ""


def _known(trade: Trade | None) -> tuple[str, ...]:
    """What is known, by its place."""
    of_trade = ("", "", "") if trade is None else (trade[0][2:], trade[1][2:], _token_word(trade[2]))
    return (*of_trade, *CONSTANTS)


@lru_cache(maxsize=4_096)
def _of_leader(leader: str, token_id: str) -> dict[str, bytes]:
    """Values that are known by a leader and a token, as they are kept."""
    wallet = leader[2:]
    found = {wallet: bytes((_KNOWN + 1,)), _token_word(token_id): bytes((_KNOWN + 2,))}
    if len(wallet) == _ADDRESS_DIGITS:
        found[wallet.zfill(_WORD)] = bytes((_PADDED + 1,))
    return found


_NONE_KNOWN: dict[str, bytes] = {}


@lru_cache(maxsize=8_192)
def _kept(value: str) -> bytes:
    """A value as it is kept, apart from what is known of a trade."""
    n, place = len(value), _PLACES.get(value)
    if place is not None:
        return bytes((_KNOWN + place,))
    if n == _WORD:
        place = _PLACES.get(value[_WORD - _ADDRESS_DIGITS :])
        if place is not None and value[: _WORD - _ADDRESS_DIGITS].strip("0") == "":
            return bytes((_PADDED + place,))
        left = (len(value.lstrip("0")) + 1) // 2
        return bytes((_LONG + left,)) + bytes.fromhex(value[_WORD - 2 * left :])
    digits = bytes.fromhex(value if n % 2 == 0 else "0" + value)
    if n < 32:
        return bytes((n,)) + digits
    return (bytes((_ADDRESS,)) if n == _ADDRESS_DIGITS else bytes((_ANY,)) + n.to_bytes(4)) + digits


def pack(text: str, trade: Trade | None = None) -> bytes:
    """A payload as it is kept; ``trade``: of the row that it will be read with."""
    if _VALUE in text or _TOKEN in text:
        return packed.pack(text, 2)
    parts = _HEX.split(text)
    skeleton = _VALUE.join(parts[::2])
    number, known, tx = ALONE, _NONE_KNOWN, ""
    if trade is not None:
        number, known, tx = OF_TRADE, _of_leader(trade[1], trade[2]), trade[0][2:]
        if len(trade[2]) > _SHORT:
            skeleton = skeleton.replace(trade[2], _TOKEN)
    out = [bytes((number,)), _skeleton(skeleton)]
    for value in parts[1::2]:
        n = len(value)
        if value == tx:
            out.append(_TX)
        elif n > _WORD and n % _WORD == 0 and n < _WORD * 256:
            out.append(bytes((_WORDS, n // _WORD)))
            for at in range(0, n, _WORD):
                word = value[at : at + _WORD]
                out.append(known.get(word) or _kept(word))
        else:
            out.append(known.get(value) or _kept(value))
    return b"".join(out)


class _Values:
    """Values, one after the other."""

    def __init__(self, kept: bytes, known: tuple[str, ...]) -> None:
        self._kept, self._known, self._at = kept, known, 0

    def _take(self, n: int) -> bytes:
        found = self._kept[self._at : self._at + n]
        if len(found) != n:
            raise ValueError("a payload that is cut short")
        self._at += n
        return found

    def _digits(self, n: int) -> str:
        return self._take((n + 1) // 2).hex()[n % 2 :]

    def next(self) -> str:
        """The next one."""
        how = self._take(1)[0]
        if how >= _PADDED:
            return self._known[how - _PADDED].zfill(_WORD)
        if how >= _KNOWN:
            return self._known[how - _KNOWN]
        if how < 32:
            return self._digits(how)
        if how == _WORDS:
            return "".join(self.next() for _ in range(self._take(1)[0]))
        if how == _ADDRESS:
            return self._digits(_ADDRESS_DIGITS)
        if how == _ANY:
            return self._digits(int.from_bytes(self._take(4)))
        return self._digits(2 * (how - _LONG)).zfill(_WORD)


def unpack(kept: bytes | str, trade: Trade | None = None) -> str:
    """The text that was kept. Raises :class:`ValueError` for what no version has written."""
    if not isinstance(kept, bytes) or kept[:1] not in (b"\3", b"\4"):
        return packed.unpack(kept)
    if kept[0] == ALONE:
        trade = None
    elif trade is None:
        raise ValueError("packed against a trade, which is not there")
    opened = zlib.decompressobj(-12, SKELETONS)
    parts = opened.decompress(kept[1:]).decode().split(_VALUE)
    values = _Values(opened.unused_data, _known(trade))
    text = parts[0] + "".join(f"0x{values.next()}{part}" for part in parts[1:])
    return text if trade is None else text.replace(_TOKEN, trade[2])


class _Beside(FunctionElement[Any]):
    """A payload, with what of its trade's row it is read with."""

    inherit_cache = True
    name = "beside"


@compiles(_Beside)
def _as_it_is(element: _Beside, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **how)


@compiles(_Beside, "sqlite")
def _with_its_trade(element: _Beside, compiler: SQLCompiler, **how: Any) -> str:
    payload, number = (compiler.process(one, **how) for one in element.clauses)
    hashed = "CASE typeof(of.tx_hash) WHEN 'blob' THEN '0x' || lower(hex(of.tx_hash)) ELSE of.tx_hash END"
    leader, token = (f"(SELECT name FROM names WHERE id = of.{column})" for column in ("leader", "token_id"))
    told = f"SELECT char({OF_TRADE}) || json_array(hex({payload}), {hashed}, {leader}, {token})"
    return (
        f"CASE WHEN substr({payload}, 1, 1) = x'{OF_TRADE:02x}'"
        f" THEN ({told} FROM trades AS of WHERE of.id = {number}) ELSE {payload} END"
    )


class PayloadAlone(TypeDecorator[str]):
    """A payload as it came, in a database that has none that are packed against their trades."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Bytes; on SQLite, where any column holds any value, the column stays as it was declared."""
        return Declared("TEXT") if dialect.name == "sqlite" else LargeBinary()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """As it is kept by itself; the writer packs it against its trade."""
        if value is None:
            return None
        return pack(value) if dialect.name == "sqlite" else packed.pack(value, 2)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """As it came."""
        if isinstance(value, str) and value[:1] == chr(OF_TRADE):
            kept, *trade = msgspec.json.decode(value[1:], type=list[str])
            return unpack(bytes.fromhex(kept), (trade[0], trade[1], trade[2]))
        return None if value is None else unpack(value)


class Payload(PayloadAlone):
    """A payload as it came. The table has its trade's number as ``trade_id``."""

    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The payload, with what of its trade's row it is read with."""
        return type_coerce(_Beside(column, column.table.c.trade_id), PayloadAlone())
