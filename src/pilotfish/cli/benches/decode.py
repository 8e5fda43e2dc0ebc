"""``bench decode``: a raw log object to a decoded fill, against ``eth_abi`` and ``web3``'s log processing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from pilotfish.cli.benches.figure import Figure, Options, figure, rates
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled
from pilotfish.polymarket.decode import decode_order_filled


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
    """Raw log object → decoded fill, against ``eth_abi`` and ``web3``'s log processing."""
    logs = _logs(500)

    def ours() -> None:
        for log in logs:
            decode_order_filled(log)

    sides: dict[str, Callable[[], None]] = {"ours": ours}
    try:
        from eth_abi.abi import decode as abi_decode
        from hexbytes import HexBytes
        from web3 import Web3
        from web3._utils.events import get_event_data
    except ImportError:
        note = "not installed: pip install 'pilotfish[dev]'"
        return [figure("decode", "logs/s", rates(sides, len(logs))["ours"], "eth_abi, web3", None, note)]
    types = list(_DATA.values())
    codec = Web3().codec

    def with_eth_abi() -> None:
        for log in logs:
            abi_decode(types, bytes.fromhex(log["data"][2:]))
            for topic in log["topics"][2:]:
                abi_decode(["address"], bytes.fromhex(topic[2:]))

    def with_web3() -> None:
        for log in logs:
            entry = {
                **log,
                "topics": [HexBytes(x) for x in log["topics"]],
                "data": HexBytes(log["data"]),
                "blockNumber": int(log["blockNumber"], 16),
                "logIndex": int(log["logIndex"], 16),
                "transactionIndex": 1,
            }
            get_event_data(codec, _ABI_EVENT, entry)

    sides |= {"eth_abi": with_eth_abi, "web3": with_web3}
    found = rates(sides, len(logs))
    return [
        figure("decode", "logs/s", found["ours"], "eth_abi", found["eth_abi"]),
        figure("decode", "logs/s", found["ours"], "web3 log processing", found["web3"]),
    ]
