"""A real wallet's fills through the folder of history: every figure to the last digit."""

from __future__ import annotations

from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from pilotfish.core.trade import Side
from pilotfish.core.units import MICRO
from pilotfish.history.folder import History
from pilotfish.history.records import Deed
from pilotfish.history.rows import parse_deed, parse_past_market, parse_print, parse_resolved
from pilotfish.history.windows import State, Window
from pilotfish.polymarket.http import Service, make_session
from tests.past_venue import PastVenue, condition_id, serving
from tests.payloads.reading import Payloads

FILE = "wallet_history_short_horizon.json"


def kept(folder: Path, rows: list[Any]) -> list[Deed]:
    """The rows after they were written and read again."""
    history = History(str(folder))
    wallet = str(rows[0]["proxyWallet"])
    deeds = [parse_deed(row, wallet) for row in rows]
    history.write("activity", wallet, Window(1, 2**33, State.COMPLETE), deeds)
    return list(history.deeds(wallet, 1, 2**33))


def notional(deeds: list[Deed], side: Side) -> Decimal:
    """The sum as the figures that are expected were made: decimals of 28 digits."""
    with localcontext() as usual:
        usual.prec = 28
        return sum((Decimal(d.size) * Decimal(d.price) for d in deeds if d.side is side), Decimal(0))


def test_real_fills_come_back_with_every_figure_to_the_last_digit(recorded: Payloads, tmp_path: Path) -> None:
    payload = recorded.read(FILE)
    expect, rows = payload["expect"], payload["rows"]
    deeds = kept(tmp_path, rows)
    assert len(deeds) == expect["rows"] == 153
    assert [sum(d.side is side for d in deeds) for side in (Side.BUY, Side.SELL)] == [expect["buys"], expect["sells"]]
    assert len({d.token_id for d in deeds}) == expect["tokens"]
    assert (deeds[0].at, deeds[-1].at) == (expect["first_ts"], expect["last_ts"])
    bought, sold = notional(deeds, Side.BUY), notional(deeds, Side.SELL)
    flow = sold - bought
    assert [str(bought), str(sold), str(flow)] == [
        expect["buy_notional_usdc"], expect["sell_notional_usdc"], expect["cash_flow_usdc"],
    ]  # fmt: skip
    micros = sum(d.usdc if d.side is Side.SELL else -d.usdc for d in deeds)
    assert abs(Decimal(micros) / MICRO - flow) < Decimal(len(deeds)) / (2 * MICRO), "half a millionth a row"


async def test_the_default_of_the_trades_route_hides_makers_fills_and_a_pull_does_not(recorded: Payloads) -> None:
    payload = recorded.read(FILE)
    rows = [{**{k: str(v) if isinstance(v, Decimal) else v for k, v in row.items() if k != "taker"},
             "condition_id": condition_id(0), "_taker": row["taker"]} for row in payload["rows"]]  # fmt: skip
    venue = PastVenue(tape=rows, page=50)
    async with serving(venue) as (api, url), make_session() as session:
        reading = await api.tape(condition_id(0), 1, 2**33, 50)
        prints = [parse_print(row) for _, row in reading.rows]
        plain = await Service(session, "data", url, per_second=1000).get(
            "/v2/trades", {"condition": condition_id(0), "start": 1, "limit": 1000, "end": 2**33}
        )
    assert (len(prints), reading.gaps, reading.through) == (153, [], None)
    assert sum(row["taker"] for row in payload["rows"]) == payload["expect"]["taker_rows"] == 133
    assert plain["pagination"]["has_more"] or len(plain["data"]) == 133


def test_activity_of_every_recorded_type_is_read(recorded: Payloads) -> None:
    rows = [*recorded.rows("activity_v1_whale.json"), *recorded.rows("activity_v1_redeems.json"),
            *recorded.rows("activity_v2.json")]  # fmt: skip
    deeds = [parse_deed(row, str(row.get("proxyWallet") or row.get("proxy_wallet"))) for row in rows]
    assert {d.kind for d in deeds} == {"TRADE", "REDEEM", "REWARD", "MAKER_REBATE", "TAKER_REBATE"}
    assert all(d.side is None and not d.token_id and d.usdc == 0 for d in deeds if d.kind != "TRADE")
    assert all(d.usdc_size > 0 for d in deeds if d.kind != "REDEEM"), "losers are redeemed for nothing"
    assert all(d.condition_id and d.shares == d.usdc_size for d in deeds if d.kind == "REDEEM")
    taker, row = next((d, r) for d, r in zip(deeds, rows, strict=True) if d.size == "22.84")
    assert (taker.usdc, taker.usdc_size, taker.at) == (11_876_800, 12_161_840, row["timestamp"])


def test_recorded_markets_and_resolutions_are_known_in_the_end(recorded: Payloads) -> None:
    markets = [parse_past_market(row) for row in recorded.rows("gamma_markets_crypto_resolved.json")]
    assert all(m.payouts in ((MICRO, 0), (0, MICRO)) and m.closed_at and m.event for m in markets)
    assert {(m.fee.rate_ppm, m.tick, m.delay_ms, m.category) for m in markets} == {
        (m.fee.rate_ppm, 1_000, 150, m.category) for m in markets
    }
    row = recorded.one("gamma_market_sports_market_money_line.json")
    sports = parse_past_market(row)
    assert (sports.event, sports.fee.rate_ppm, sports.delay_ms) == (row["events"][0]["slug"], 30_000, 3_000)
    assert (sports.payouts, sports.closed_at) == ((MICRO, 0), 1_775_417_853)
    assert parse_past_market(recorded.one("gamma_market_open.json")).payouts is None
    closed = parse_past_market(recorded.one("gamma_market_closed_binary.json"))
    assert closed.payouts is None, "closed alone settles nothing"
    found = [parse_resolved(row) for row in recorded.rows("resolutions_v2_rows.json")]
    assert sum(payouts is not None for _, payouts, _ in found) >= 1
    assert all(at is not None for _, payouts, at in found if payouts is not None)


@pytest.mark.parametrize("row", [None, [], {}, {"type": "TRADE"}, {"type": "REWARD", "timestamp": "x"}])
def test_what_is_no_row_is_an_error_of_its_own_kind(row: object) -> None:
    for parse in (lambda r: parse_deed(r, ""), parse_print, parse_past_market, parse_resolved):
        with pytest.raises(ValueError, match=r"\w+"):
            parse(row)
