"""Traces, and payloads of PostgreSQL and of before, as they are kept: compressed against a fixed text that most of
them are made of.

A packed value begins with the number of its dictionary. Anything else is the text itself, as rows of before have it;
both are read alike. A dictionary never changes: another one gets another number, and the old ones stay readable.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.types import TypeDecorator, TypeEngine

from pilotfish.store.declared import Declared

_NOTHING = "0" * 128
_TOPIC = "0x" + "0" * 24
DICTIONARIES: dict[int, bytes] = {
    1: (
        # a decision: what is seldom first, what is in most of them last
        b'["polygon_healthy",true,true,true],["api_healthy",true,true,true],["log_missing_ms",["api_missing_ms",'
        b'["catch_up_age_sec",["catch_up_opens_new",["only_categories",["skip_categories",["only_keywords",'
        b'["skip_keywords",["time_to_end_sec",["time_to_end_max_sec",["buys_of_outcome",["lost_today_micro",'
        b'["leader_value_micro",["most_for_a_copy_micro",["saved_up_micro",["daily_left_micro",["open_positions",'
        b'["leader_positions",["leader_shares_micro",["spread_ticks",["catch_up_worse_bps",["slippage_ticks",'
        b'["copy_unexplained_exits",["pending_buy_left_micro",["value_over_cost_bps","leader_ratio x ",'
        b'"bankroll_ratio x ["class","catch-up",null,true],["age_ms",5,15000,true],["paused",false,false,true],'
        b'["on_chain",true,true,true],'
        b'["side","SELL","both",true],["combo",false,false,true],["held_shares_micro",100000000,1,true],'
        b'["market_age_sec",25,600,true],["market","open","open",true],["leader_pre_sell_shares_micro",570000000,null,'
        b'true],["leader_sold_shares_micro",70000000,null,true],["sell_shares_micro",12280701,1,true]]'
        b'["held_shares_micro",0,1,false]]["book",null,1500,false]]["order_already_copied",false,false,true],'
        b'["wanted_usdc_micro",25000000,"fixed_usdc x 1",true],["budget_usdc_micro",25000000,1000000,true],'
        b'["per_trade_left_micro",250000000,25000000,true],["per_market_left_micro",1000000000,25000000,true],'
        b'["per_leader_left_micro",["total_left_micro",["cash_left_micro",10000000000,25000000,true],'
        b'["book_age_ms",0,1500,true],["spread_bps",203,1000,true],["slippage_bps",102,300,true],'
        b'["depth_usdc_micro",499850000000,1000000,true]]'
        b'[["class","live",null,true],["age_ms",0,15000,true],["paused",false,false,true],["on_chain",true,true,true],'
        b'["side","BUY","both",true],["combo",false,false,true],["market_age_sec",0,600,true],["market","open","open",'
        b'true],["leader_price_micro",495000,[0,1000000],true],["leader_usdc_micro",34155000,0,true],'
        b'["order_already_copied",true,false,false]]'
    ),
    2: (
        # a row of the Data API, then a log of an exchange with the fields in the orders in which providers give them
        '{"proxy_wallet":"0x","timestamp":179,"condition_id":"0x","type":"TRADE","size":,"usdc_size":,'
        '"transaction_hash":"0x","price":0.,"token_id":"","side":"SELL","side":"BUY","outcome_index":0,"outcome_index":1,'
        '"title":"Will the ","slug":"will-the-","icon":"https://polymarket-upload.s3.us-east-2.amazonaws.com/",'
        '"event_slug":"","outcome":"No","outcome":"Yes","name":"","pseudonym":"","bio":"","profile_image":"",'
        '"profile_image_optimized":""}'
        f'{_NOTHING}"address":"0xe3333700ca9d93003f00f0f71f8515005f6c00aa","0xe2222d279d744050d28e00520010520000310f59",'
        '"transactionHash":"0x","blockNumber":"0x5","blockHash":"0x","blockTimestamp":"0x6","transactionIndex":"0x1",'
        '"logIndex":"0x","removed":false}'
        f'{{"topics":["0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee","0x","{_TOPIC}","{_TOPIC}'
        f'e111180000d2663c0091e4f400237545b87b996b"],"data":"0x{_NOTHING[:64]}'
        f'{"0" * 56}0{"0" * 56}{_NOTHING}{_NOTHING}","address":"0xe111180000d2663c0091e4f400237545b87b996b",'
        '"blockNumber":"0x5","blockHash":"0x","blockTimestamp":"0x6","transactionHash":"0x","transactionIndex":"0x",'
        '"logIndex":"0x","removed":false}'
    ).encode(),
}
_BEGINS_TEXT = 32
"""No text begins with a smaller byte: those number dictionaries."""

_PACKERS = {
    number: zlib.compressobj(3, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, said)
    for number, said in DICTIONARIES.items()
}
"""Ready to be copied. More effort takes a third longer and saves a twentieth; less is no faster."""


def pack(text: str, dictionary: int) -> bytes:
    """A text as it is kept; as it is where packing saves nothing."""
    plain = text.encode()
    packer = _PACKERS[dictionary].copy()
    packed = bytes((dictionary,)) + packer.compress(plain) + packer.flush()
    return plain if len(packed) >= len(plain) and (not plain or plain[0] >= _BEGINS_TEXT) else packed


def unpack(kept: bytes | str) -> str:
    """The text that was kept. Raises :class:`ValueError` for what no version has written."""
    if isinstance(kept, str):
        return kept
    if not kept or kept[0] >= _BEGINS_TEXT:
        return kept.decode()
    known = DICTIONARIES.get(kept[0])
    if known is None:
        raise ValueError(f"packed with dictionary {kept[0]}, which this version does not know")
    return zlib.decompressobj(-12, known).decompress(kept[1:]).decode()


class Trace(TypeDecorator[Any]):
    """A decision's checks."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Bytes; on SQLite, where any column holds any value, the column stays as it was declared."""
        return Declared("JSON") if dialect.name == "sqlite" else LargeBinary()

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> Any:
        """As it is kept."""
        return None if value is None else pack(msgspec.json.encode(value).decode(), 1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any:
        """[check, value, limit, passed], in order."""
        return None if value is None else msgspec.json.decode(unpack(value))
