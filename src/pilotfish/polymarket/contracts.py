"""Contract addresses and event topics on Polygon (chain 137), each declared once."""

from __future__ import annotations

from typing import Any

CHAIN_ID = 137

CTF_EXCHANGE_V2 = "0xe111180000d2663c0091e4f400237545b87b996b"
NEG_RISK_EXCHANGE_V2 = "0xe2222d279d744050d28e00520010520000310f59"
EXCHANGE_V3 = "0xe3333700ca9d93003f00f0f71f8515005f6c00aa"
EXCHANGES: tuple[str, ...] = (CTF_EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, EXCHANGE_V3)
"""The exchanges that are watched unless the setting ``exchange_addresses`` names others."""

CTF_EXCHANGE_V1 = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
NEG_RISK_EXCHANGE_V1 = "0xc5d563a36ae78145c45a50134d48a1215220f80a"

ORDER_FILLED = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee"
ORDER_FILLED_V1 = "0xd0a08e8c493f9c94f29311604c9de1b4e8c8d4c06bd0c789af57f2d65bfec0f6"
ORDERS_MATCHED = "0x174b3811690657c217184f89418266767c87e4805d09680c39fc9c031c0cab7c"


def topic_of(address: str) -> str:
    """An address as a 32-byte log topic."""
    return "0x" + "0" * 24 + address.removeprefix("0x").lower()


def order_filled(
    order: str, owner: str, counterparty: str, side: str, token_id: str, shares: int, usdc: int, fee: int
) -> dict[str, Any]:
    """What an exchange emits of a filled order, as ``topics`` and ``data`` of a log. ``order`` is its hash,
    ``counterparty`` the exchange itself where the owner was the taker; amounts in millionths."""
    making, taking = (usdc, shares) if side == "BUY" else (shares, usdc)
    words = (0 if side == "BUY" else 1, int(token_id), making, taking, fee, 0, 0)
    return {
        "topics": [ORDER_FILLED, order, topic_of(owner), topic_of(counterparty)],
        "data": "0x" + "".join(f"{word:064x}" for word in words),
    }


def is_wallet(text: str) -> bool:
    """True for ``0x`` and 40 hex digits."""
    return len(text) == 42 and text[:2] in ("0x", "0X") and all(c in "0123456789abcdefABCDEF" for c in text[2:])


def is_combo_token(token_id: str) -> bool:
    """True for a Protocol V2 position of module 3 (a combo of several legs): top byte 3 and bits 40-103 zero."""
    value = int(token_id)
    return value >> 248 == 3 and (value >> 40) & ((1 << 64) - 1) == 0


def pad_condition(condition: str) -> str:
    """Protocol V2 condition ids have 31 bytes: right-padded to 32."""
    text = condition.lower()
    return text + "00" if len(text) == 64 and text.startswith("0x") else text
