"""Markets of somebody's own record are linked as markets are everywhere; into the real venue only from the real one."""

from __future__ import annotations

import re

import pytest

from pilotfish.core.trade import Side
from pilotfish.core.units import Shares, Usdc
from pilotfish.web.keepers import Keepers
from pilotfish.web.pages.preview_part import PreviewPart
from pilotfish.web.preview import LastTrade, Person
from pilotfish.web.records import TheirPosition, TheirRecord
from pilotfish.web.render import Live, render
from pilotfish.web.view import Frame, Halt

WALLET = "0x" + "a1" * 20


def position(token_id: str, slug: str) -> TheirPosition:
    return TheirPosition(
        token_id=token_id, slug=slug, title=f"Held {token_id}", outcome="Yes", shares_micro=Shares(1),
        average_price=0.5, price=None, value_micro=Usdc(1), pnl_micro=None,
    )  # fmt: skip


def shown(simulated: str) -> str:
    """Who somebody is: they hold two positions, of one of which the venue tells neither token nor address."""
    record = TheirRecord(
        realized_pnl_micro=None, volume_micro=None, biggest_win_micro=None, markets=None, trades=None, rank=None,
        joined_at=None, value_micro=None, positions=[position("77", "tide/../turn"), position("", "")],
        open_positions=2, more_open=False, won=None, lost=None, more_decided=False, not_told=[],
        asked_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    last = LastTrade(
        traded_at="2026-01-01T00:00:00Z", side=Side.BUY, token_id="78", slug="rain", title="Will it rain?",
        outcome="Yes", shares=1.0, shares_micro=Shares(1), price=0.5,
    )  # fmt: skip
    person = Person(
        wallet=WALLET, name="Ebb", trades_in_days=7, trades=1, more=False, turnover_usdc=1.0, turnover_micro=Usdc(1),
        last_trades=[last], open_positions=2, positions_value_usdc=0.0, positions_value_micro=Usdc(0), record=record,
    )  # fmt: skip
    frame = Frame(
        title="", path="/leaders", here="/leaders", portfolio="second", portfolios=("main", "second"), admin=True,
        writable=True, locked=False, simulated=simulated, seconds=1, halt=Halt.NONE, halt_told="",
        keepers=Keepers(writes=None, waits=(), taken_over=None, can_wait=False), hung=(), more_hung=0,
        gaps=(), more_gaps=0, stray=None,
    )  # fmt: skip
    return render(PreviewPart(person=person, known=None, looked=None), frame, Live())


@pytest.mark.parametrize("simulated", ["", "127.0.0.1:9"])
def test_markets_of_a_record_lead_to_their_trades_and_to_the_venue_that_is_followed(simulated: str) -> None:
    found = re.findall(r'href="([^"]*)"', shown(simulated))
    ours = ["/trades?token=77&amp;portfolio=second", "/trades?token=78&amp;portfolio=second"]
    venue = ["https://polymarket.com/market/tide%2F..%2Fturn", "https://polymarket.com/market/rain"]
    assert [link for link in found if link.startswith("/trades")] == ours
    assert [link for link in found if "/market/" in link] == ([] if simulated else venue)
    if simulated:
        assert not [link for link in found if "polymarket.com" in link]
