"""``bench decode``: a raw log object to a decoded fill, against ``eth_abi`` and ``web3``'s log processing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeAlias, TypedDict

from pilotfish.cli.benches.figure import Figure, Options, figure, rates, same
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled
from pilotfish.polymarket.decode import decode_order_filled

Facts: TypeAlias = tuple[str, str, int, int, int, int, int]
"""Owner, counterparty, side, token, what was made and taken, and the fee."""


class _Log(TypedDict):
    """A log as JSON-RPC gives it."""

    address: str
    topics: list[str]
    data: str
    blockNumber: str
    blockHash: str
    transactionHash: str
    transactionIndex: str
    logIndex: str
    removed: bool


_INDEXED = {"orderHash": "bytes32", "maker": "address", "taker": "address"}
_DATA = {
    "side": "uint8", "tokenId": "uint256", "makerAmountFilled": "uint256", "takerAmountFilled": "uint256",
    "fee": "uint256", "builder": "bytes32", "metadata": "bytes32",
}  # fmt: skip
_ABI_EVENT = {
    "type": "event",
    "name": "OrderFilled",
    "anonymous": False,
    "inputs": [
        {"name": name, "type": kind, "indexed": name in _INDEXED} for name, kind in {**_INDEXED, **_DATA}.items()
    ],
}
"""The event as ``web3`` is told of it."""


def _logs(n: int) -> list[_Log]:
    logs: list[_Log] = []
    for i in range(n):
        side = "SELL" if i % 2 else "BUY"
        owner, token = f"0x{i + 1:040x}", str(10**76 + i)
        said = order_filled(f"0x{i:064x}", owner, CTF_EXCHANGE_V2, side, token, 13_698_629 + i, 8_698_629 + i, i % 1000)
        logs.append(
            {
                "topics": said["topics"],
                "data": said["data"],
                "address": CTF_EXCHANGE_V2,
                "blockNumber": hex(93_000_000 + i),
                "blockHash": f"0x{i:064x}",
                "transactionHash": f"0x{i + 7:064x}",
                "transactionIndex": "0x1",
                "logIndex": hex(i % 400),
                "removed": False,
            }
        )
    return logs


def figures(_options: Options) -> list[Figure]:
    """Ours gives the same as both others, and is then timed against them."""
    logs = _logs(500)

    def ours() -> list[Facts]:
        found = []
        for log in logs:
            fill = decode_order_filled(log)
            buys = fill.side == "BUY"
            making, taking = (fill.usdc, fill.shares) if buys else (fill.shares, fill.usdc)
            found.append(
                (fill.wallet, fill.counterparty, 0 if buys else 1, int(fill.token_id), making, taking, fill.fee)
            )
        return found

    sides: dict[str, Callable[[], object]] = {"ours": lambda: [decode_order_filled(log) for log in logs]}
    try:
        from eth_abi.abi import decode as abi_decode
        from hexbytes import HexBytes
        from web3 import Web3
        from web3._utils.events import get_event_data
    except ImportError:
        note = "not installed: pip install 'pilotfish[dev]'"
        found = rates(sides, len(logs), clock=time.thread_time)
        return [figure("decode", "logs/s", found["ours"], "eth_abi, web3", None, note)]
    types = list(_DATA.values())
    codec = Web3().codec

    def with_eth_abi() -> list[tuple[Any, ...]]:
        return [
            (
                *(abi_decode(["address"], bytes.fromhex(topic[2:]))[0] for topic in log["topics"][2:]),
                *abi_decode(types, bytes.fromhex(log["data"][2:])),
            )
            for log in logs
        ]

    def with_web3() -> list[Any]:
        return [
            get_event_data(
                codec,
                _ABI_EVENT,
                {
                    **log,
                    "topics": [HexBytes(x) for x in log["topics"]],
                    "data": HexBytes(log["data"]),
                    "blockNumber": int(log["blockNumber"], 16),
                    "logIndex": int(log["logIndex"], 16),
                    "transactionIndex": 1,
                },
            )["args"]
            for log in logs
        ]

    facts = ours()
    same("a decoded log against eth_abi", facts, [found[:7] for found in with_eth_abi()])
    names = ("maker", "taker", *list(_DATA)[:5])
    read = [[a[n] for n in names] for a in with_web3()]
    same("a decoded log against web3", facts, [(a.lower(), b.lower(), *rest) for a, b, *rest in read])
    sides |= {"eth_abi": with_eth_abi, "web3": with_web3}
    speeds = rates(sides, len(logs), clock=time.thread_time)
    return [
        figure("decode", "logs/s", speeds["ours"], "eth_abi", speeds["eth_abi"], aim=15.0),
        figure("decode", "logs/s", speeds["ours"], "web3 log processing", speeds["web3"], aim=100.0),
    ]
