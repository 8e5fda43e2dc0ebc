"""JSON-RPC logs of ``OrderFilled`` (PROTOCOL.md sections 2 and 3), each with what it must be read as."""

from __future__ import annotations

from typing import Any

from pilotfish.polymarket.contracts import (
    CTF_EXCHANGE_V1,
    CTF_EXCHANGE_V2,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE_V1,
    NEG_RISK_EXCHANGE_V2,
    ORDER_FILLED,
    ORDER_FILLED_V1,
    ORDERS_MATCHED,
    topic_of,
)
from tests.payloads.values import DAY_ONE, fee, number, position, price, token, tx_hash, wallet, word

POLITICS, OTHER, CRYPTO = 40_000, 50_000, 70_000
"""Documented taker rates in ppm."""
BUILDER = 31_500
"""What the order with a builder's charge pays beside the formula."""
FIRST_BLOCK = 91_200_000


def _data(*values: int) -> str:
    return "0x" + "".join(f"{v:064x}" for v in values)


def _log(case: dict[str, Any], topic0: str, data: str, **more: Any) -> dict[str, Any]:
    topics = [topic0, "0x" + word(f"order {case['order']}"), topic_of(case["wallet"]), topic_of(case["taker"])]
    return {"address": case["exchange"], "topics": topics, "data": data, **more}


def _case(name: str, tx: str, fields: dict[str, Any], **case: Any) -> dict[str, Any]:
    """A log of today's exchanges with its ``expect``. ``fields`` are the optional JSON-RPC fields of the object."""
    buy = case["side"] == "BUY"
    making, taking = (case["usdc"], case["shares"]) if buy else (case["shares"], case["usdc"])
    data = _data(0 if buy else 1, int(case["token"]), making, taking, case["fee"], 0, 0)
    return {
        "name": name,
        "log": _log(case, ORDER_FILLED, data, transactionHash=tx_hash(tx), **fields),
        "expect": _expect(case),
        "source": case["why"],
    }


def _expect(case: dict[str, Any]) -> dict[str, Any]:
    shares, usdc = case["shares"], case["usdc"]
    told = {"size": number(shares), "price": price(usdc, shares), "side": case["side"]}
    return {
        "wallet": case["wallet"],
        "role": "taker" if case["taker"] == case["exchange"] else "maker",
        "side": case["side"],
        "token_id": case["token"],
        "shares_micro": shares,
        "usdc_micro": usdc,
        "fee_micro": case["fee"],
        **({"data_api": told} if case.get("row", True) else {}),
        **{k: case[k] for k in ("not_a_trade_of", "rate_ppm", "beside_the_formula_micro") if k in case},
    }


def _full(block: int, index: int) -> dict[str, Any]:
    """All optional fields, as a good provider sends them."""
    return {
        "blockNumber": hex(FIRST_BLOCK + block),
        "blockHash": "0x" + word(f"block {block}"),
        "blockTimestamp": hex(DAY_ONE + 2 * block),
        "transactionIndex": hex(17 + block),
        "logIndex": hex(100 * block + index),
        "removed": False,
    }


def _bare(block: int, index: int) -> dict[str, Any]:
    """What the leanest provider sends."""
    return {"blockNumber": hex(FIRST_BLOCK + block), "logIndex": hex(100 * block + index)}


def _today() -> list[dict[str, Any]]:
    ada, bo, cy, dee, eve, fox = (wallet(n) for n in ("ada", "bo", "cy", "dee", "eve", "fox"))
    ctf, neg, v3 = CTF_EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, EXCHANGE_V3
    rain, yes, no = token("rain"), token("mint yes"), token("mint no")
    pair = {"token": rain, "shares": 41_300_000, "usdc": 27_671_000, "exchange": ctf}
    whole, part = 1_200_000, 47_250_000
    mint = {"exchange": ctf, "shares": 36_400_000}
    group = {"exchange": neg, "token": token("flood")}
    resting = ((15_000_000, 4_800_000, dee), (22_222_222, 7_111_111, eve))
    eaten, paid = sum(r[0] for r in resting), sum(r[1] for r in resting)
    coin = {"shares": 18_181_818, "usdc": 7_999_999}
    coin_fee = fee(coin["shares"], 440_000, CRYPTO)
    combo = position("two matches", 3)
    return [
        _case("pair_maker_buy", "pair", _full(1, 4), **pair, wallet=ada, taker=bo, side="BUY", fee=0,
              order="ada's", why="the resting order of a match"),
        _case("pair_taker_sell_same_transaction", "pair", _full(1, 7), **pair, wallet=bo, taker=ctf, side="SELL",
              fee=fee(41_300_000, 670_000, POLITICS), rate_ppm=POLITICS, order="bo's", row=False,
              why="the incoming order's own log: its taker topic is the exchange"),
        _case("mint_maker_leg", "mint", _bare(2, 1), **mint, token=yes, usdc=33_124_000, wallet=cy, taker=dee,
              side="BUY", fee=0, order="cy's", why="maker leg of a match that minted both outcomes"),
        _case("mint_counterparty_leg", "mint", _bare(2, 2), **mint, token=no, usdc=3_276_000, wallet=dee, taker=cy,
              side="BUY", fee=fee(36_400_000, 90_000, OTHER), rate_ppm=OTHER, order="dee's", row=False,
              not_a_trade_of=cy, why="names the other wallet in its taker topic: evidence, no trade of that wallet"),
        *(_case(f"group_maker_{i}", "group", _bare(3, i), **group, shares=s, usdc=u, wallet=w, taker=fox, side="SELL",
                fee=0, order=f"group {i}", why="one of two resting orders that one incoming order filled")
          for i, (s, u, w) in enumerate(resting, 1)),
        _case("group_taker_buy", "group", _bare(3, 3), **group, shares=eaten, usdc=paid, wallet=fox, taker=neg,
              side="BUY", fee=fee(eaten, 320_000, POLITICS), rate_ppm=POLITICS, order="fox's",
              why="the incoming order: one log for all that it bought"),
        _case("later_taker_sell", "later", _bare(4, 9), **group, shares=part, usdc=18_900_000,
              wallet=fox, taker=neg, side="SELL", fee=fee(part, 400_000, POLITICS), rate_ppm=POLITICS, order="fox's 2",
              why="out of a SELL's proceeds the fee is taken, too"),
        _case("crypto_taker_buy_with_a_builder", "coin", {**_bare(5, 2), "blockTimestamp": hex(DAY_ONE + 10)}, **coin,
              exchange=ctf, token=token("coin up"), wallet=wallet("gil"), taker=ctf, side="BUY", fee=coin_fee + BUILDER,
              rate_ppm=CRYPTO, beside_the_formula_micro=BUILDER, order="gil's",
              why="the formula at the crypto rate and a builder's charge"),
        _case("protocol_v2_maker_buy", "newer", _full(6, 1), exchange=v3, token=position("later", 1), shares=whole,
              usdc=612_000, wallet=wallet("hal"), taker=ada, side="BUY", fee=0, order="hal's",
              why="ExchangeV3, a token id of module 1"),
        _case("protocol_v2_combo_maker_buy", "combo", _full(7, 1), exchange=v3, token=combo, shares=5_000_000,
              usdc=1_150_000, wallet=wallet("ivy"), taker=ada, side="BUY", fee=0, order="ivy's",
              why="a combo (module 3): a trade of theirs that is not copied"),
    ]  # fmt: skip


def _v1(name: str, **case: Any) -> dict[str, Any]:
    buy = case["side"] == "BUY"
    assets = (0, int(case["token"])) if buy else (int(case["token"]), 0)
    amounts = (case["usdc"], case["shares"]) if buy else (case["shares"], case["usdc"])
    log = _log(
        case, ORDER_FILLED_V1, _data(*assets, *amounts, case["fee"]), transactionHash=tx_hash(name), **_bare(0, 3)
    )
    return {"name": name, "log": log, "expect": _expect({**case, "row": False}), "source": case["why"]}


def _more() -> list[dict[str, Any]]:
    """Historic V1 logs, and one that a reorg took back."""
    old = wallet("old hand")
    gone = _case("removed_by_a_reorg", "gone", {**_full(8, 5), "removed": True}, exchange=CTF_EXCHANGE_V2,
                 token=token("rain"), shares=9_000_000, usdc=5_850_000, wallet=wallet("ada"), taker=wallet("bo"),
                 side="BUY", fee=0, order="ada's 2", row=False, why="the log again, taken back")  # fmt: skip
    return [
        _v1("v1_maker_buy", wallet=old, taker=wallet("bo"), exchange=CTF_EXCHANGE_V1, side="BUY", token=token("old"),
            shares=120_000_000, usdc=66_000_000, fee=0, order="old 1", why="the maker's asset 0 means BUY"),
        _v1("v1_taker_sell", wallet=old, taker=NEG_RISK_EXCHANGE_V1, exchange=NEG_RISK_EXCHANGE_V1, side="SELL",
            token=token("old"), shares=50_000_000, usdc=31_000_000, fee=124_000, order="old 2", why="a SELL of V1"),
        gone,
    ]  # fmt: skip


def _not_fills() -> list[dict[str, Any]]:
    """Logs of the same transactions that are no fills."""
    fox = {"wallet": wallet("fox"), "taker": NEG_RISK_EXCHANGE_V2, "exchange": NEG_RISK_EXCHANGE_V2, "order": "fox's"}
    matched = _log(fox, ORDERS_MATCHED, _data(0, int(token("flood")), 1, 1), transactionHash=tx_hash("group"))
    return [{"name": "orders_matched", "log": matched, "source": "repeats the incoming order: to ignore"}]


def files() -> dict[str, Any]:
    """File name -> payload."""
    return {
        "order_filled_logs.json": _today(),
        "order_filled_more_logs.json": _more(),
        "not_order_filled_logs.json": _not_fills(),
    }
