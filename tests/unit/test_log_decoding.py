"""The short way to decode a log gives what the long one gives, and takes only what it can be sure of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.core.units import MAX_TRADE
from pilotfish.polymarket import decode
from pilotfish.polymarket.contracts import CTF_EXCHANGE_V2, order_filled

hexes = st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda text: "0x" + text)
wallets = st.text("0123456789abcdef", min_size=40, max_size=40).map(lambda text: "0x" + text)
amounts = st.one_of(st.integers(0, 10**9), st.sampled_from([MAX_TRADE, MAX_TRADE + 1, 2**255]))


@st.composite
def logs(draw: st.DrawFn) -> dict[str, Any]:
    owner, other = draw(wallets), draw(st.one_of(wallets, st.just(CTF_EXCHANGE_V2)))
    shares = draw(amounts)
    said = order_filled(
        draw(hexes), owner, other, draw(st.sampled_from(["BUY", "SELL"])), str(draw(st.integers(0, 2**256 - 1))),
        shares, draw(st.one_of(st.integers(0, shares), amounts)), draw(amounts),
    )  # fmt: skip
    return {
        **said,
        "address": CTF_EXCHANGE_V2,
        "transactionHash": draw(hexes),
        "blockHash": draw(hexes),
        "blockNumber": draw(st.sampled_from(["0x1", "0x5a995c0", "12", 7, None, "0x_1", " 0x1", "0x", True, 1.0])),
        "logIndex": draw(st.sampled_from(["0x0", "0x1f", "31", 0, None, "-1", [], "0X1F"])),
        "blockTimestamp": draw(st.sampled_from(["0x68f00000", None, "x"])),
        "removed": draw(st.sampled_from([True, False, None, "true"])),
    }


def spoilt(log: dict[str, Any], where: str, how: str, at: int) -> dict[str, Any]:
    """A log with one text of it spoilt."""

    def change(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        at_ = at % max(1, len(text))
        return {
            "upper": text.upper(), "capital x": "0X" + text[2:], "space": text[:at_] + " " + text[at_ + 1 :],
            "underscore": text[:at_] + "_" + text[at_ + 1 :], "x": text[:at_] + "x" + text[at_ + 1 :],
            "shorter": text[:-1], "longer": text + "0", "word more": text + "0" * 64, "none": None, "number": 5,
            "bytes": text.encode(), "wide": text[:at_] + "０" + text[at_ + 1 :],
        }[how]  # fmt: skip

    if where.startswith("topic"):
        number = int(where[-1])
        return {**log, "topics": [change(t) if n == number else t for n, t in enumerate(log["topics"])]}
    return {**log, where: change(log[where])}


def outcome(read: Any, log: Any) -> Any:
    try:
        return read(log)
    except decode.DecodeError as problem:
        return str(problem)


places = st.sampled_from(
    ["topic 0", "topic 1", "topic 2", "topic 3", "address", "data", "transactionHash", "blockHash", "blockNumber"]
)
ways = st.sampled_from(
    ["upper", "capital x", "space", "underscore", "x", "shorter", "longer", "word more", "none", "number", "bytes",
     "wide"]
)  # fmt: skip


@given(logs(), st.lists(st.tuples(places, ways, st.integers(0, 600)), max_size=2))
def test_what_is_decoded_the_short_way_is_what_is_decoded_the_long_way(
    log: dict[str, Any], faults: list[tuple[str, str, int]]
) -> None:
    for where, how, at in faults:
        if isinstance(log["topics"], list):
            log = spoilt(log, where, how, at)
    long, short = outcome(decode._any, log), decode._usual(log)
    assert short is None or short == long
    assert outcome(decode.decode_order_filled, log) == long


@given(logs())
def test_a_nodes_usual_log_is_decoded_the_short_way(log: dict[str, Any]) -> None:
    log |= {"blockNumber": "0x5a995c0", "logIndex": "0x1f", "blockTimestamp": None}
    long = outcome(decode._any, log)
    assert (decode._usual(log) is None) == isinstance(long, str)


def test_neighbours_whose_lengths_make_up_for_each_other_are_no_log() -> None:
    said = order_filled("0x" + "1" * 64, "0x" + "2" * 40, "0x" + "3" * 40, "BUY", "5", 10, 5, 0)
    log = {**said, "address": CTF_EXCHANGE_V2, "transactionHash": "0x" + "4" * 63, "blockHash": "40x" + "5" * 64}
    with pytest.raises(decode.DecodeError, match="transactionHash"):
        decode.decode_order_filled(log)
