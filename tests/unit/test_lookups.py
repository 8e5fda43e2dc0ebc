"""What decisions wait for is asked for once, however many wait, and always asked for again."""

from __future__ import annotations

from pilotfish.core import events as ev
from pilotfish.core.effects import NeedBook, NeedMarket, SetTimer
from pilotfish.core.settings import policy_from
from pilotfish.core.timers import HoldingsAgain, LookAgain, Waited
from pilotfish.core.units import SECOND
from tests.desk import CONDITION, LEADER, OTHER, TOKEN, Desk, chain_fill, tx, usd


def test_what_many_wait_for_is_asked_for_once_and_tried_again_by_one_timer() -> None:
    """However many portfolios and leaders wait for it, and however often it is said to be missing."""
    desk = Desk(answer_markets=False, others={name: {} for name in ("second", "third")})
    desk.follow_leader(OTHER)
    desk.chain_buy(1)
    desk.chain(chain_fill(2, "BUY", 100, 0.50, leader=OTHER, traded_at=desk.at))
    for attempt in range(1, 4):
        asked = [e for e in desk.effects if isinstance(e, NeedMarket)]
        assert len(asked) == attempt
        for _ in range(3):
            desk.send(ev.MarketMissing(at=desk.at, token_id=TOKEN))
        running = {k: n for k, n in desk.drive.timers.items() if isinstance(k, LookAgain)}
        assert running == {LookAgain(Waited.MARKET, TOKEN): 1}
        desk.advance(1)


def test_a_book_that_many_wait_for_is_asked_for_once_an_event() -> None:
    desk = Desk(answer_books=False, others={name: {} for name in ("second", "third")})
    desk.follow_leader(OTHER)
    desk.chain_buy(1)
    desk.chain(chain_fill(2, "BUY", 100, 0.50, leader=OTHER, traded_at=desk.at))
    desk.effects.clear()
    for _ in range(3):
        desk.send(ev.BookMissing(at=desk.at, token_id=TOKEN))
    assert [e for e in desk.effects if isinstance(e, SetTimer)] == [
        SetTimer(LookAgain(Waited.BOOK, TOKEN), desk.at + SECOND)
    ]
    desk.advance(1)
    assert [e for e in desk.effects if isinstance(e, NeedBook)] == [NeedBook(TOKEN)]


def test_a_market_that_was_missing_while_nobody_waited_is_asked_for_by_who_comes_next() -> None:
    desk = Desk(answer_markets=False, settings={"paused": True})
    desk.engine.copying.waits.ask_market(TOKEN, desk.at)
    desk.send(ev.MarketMissing(at=desk.at, token_id=TOKEN))
    desk.send(ev.PolicyChanged(at=desk.at, portfolio="main", policy=policy_from({})))
    desk.effects.clear()
    desk.chain_buy(1)
    assert NeedMarket(TOKEN) in desk.effects


def test_a_market_that_a_redemption_makes_doubtful_is_asked_for_though_it_was_just_read() -> None:
    desk = Desk()
    desk.buy(1)
    desk.answer_markets = False
    desk.effects.clear()
    move = ev.Move(kind="REDEEM", tx_hash=tx(9), condition_id=CONDITION, amount=usd(100), at=desk.at)
    desk.send(ev.ApiWindowRead(at=desk.at, leader=LEADER, fills=(), cursor_ts=desk.at // SECOND, moves=(move,)))
    assert NeedMarket(TOKEN) in desk.effects


def test_nothing_is_left_to_compare_of_a_leader_who_is_followed_no_longer() -> None:
    desk = Desk(holdings={TOKEN: 10})
    said = ((TOKEN, usd(5)),)
    desk.send(ev.HoldingsSnapshot(at=desk.at, leader=LEADER, as_of=desk.at, holdings=said))
    assert HoldingsAgain(LEADER) in [timer.timer for timer in desk.engine.timers(desk.at)]
    desk.send(ev.LeaderRemoved(at=desk.at, leader=LEADER))
    desk.advance(60)
    assert desk.engine.timers(desk.at) == []
