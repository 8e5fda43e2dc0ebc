"""Many wallets at once: who survives, in which order, and what past rank is worth among them."""

from __future__ import annotations

import msgspec
import pytest

from pilotfish.backtest.judgement import Judgement, Verdict
from pilotfish.backtest.ranking import FALSE_DISCOVERIES, Board, past_rank, rank, spread_of_edges
from tests.unit.backtest_answer.bet_worlds import World, bets_of, judged

FLIPPER = World(events=300, days=90, prices=(0.3, 0.5, 0.7), uneven=0.0)
SKILLED = World(events=300, days=90, prices=(0.9,), uneven=0.0, edge=0.08)
"""Buys favourites at 0.90 that win 97 of 100 times: eight cents a dollar."""


def wallets(seed: int, flippers: int, skilled: int, events: int = 300) -> dict[str, Judgement]:
    """The answers on so many wallets of each kind."""
    of = {f"flipper-{n:03}": (FLIPPER, n) for n in range(flippers)}
    of |= {f"skilled-{n}": (SKILLED, 1_000 + n) for n in range(skilled)}
    return {
        name: judged(bets_of(msgspec.structs.replace(world, events=events), [seed, n]))
        for name, (world, n) in of.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(10), range(10, 20)])
def test_of_200_coin_flippers_and_5_skilled_the_skilled_are_found(seeds: range) -> None:
    called = luck = 0
    for seed in seeds:
        board = rank(wallets(seed, flippers=200, skilled=5))
        assert board.tested == 205
        found = [row.wallet for row in board.rows if row.verdict is Verdict.COPYABLE]
        assert len(found) == board.copyable
        called += len(found)
        luck += sum(wallet.startswith("flipper") for wallet in found)
    assert luck <= 0.10 * called
    assert called - luck >= 0.8 * 5 * len(seeds)


def test_wallets_are_ranked_by_the_lower_end_of_their_edge_and_who_has_none_comes_last() -> None:
    judged_ones = wallets(1, flippers=8, skilled=2, events=60) | {"empty": judged([])}
    board = rank(judged_ones)
    lows = [row.judgement.interval.low for row in board.rows if row.judgement.interval is not None]
    assert lows == sorted(lows, reverse=True)
    assert len(lows) == 10
    assert [row.place for row in board.rows] == list(range(1, 12))
    assert board.rows[-1].wallet == "empty"
    assert board.rows[-1].q_value == 1.0


def test_who_looks_copyable_alone_is_not_so_among_many_who_were_tried() -> None:
    crowd = wallets(3, flippers=120, skilled=0, events=60)
    alone = {name for name, answer in crowd.items() if answer.verdict is Verdict.COPYABLE}
    assert alone
    board = rank(crowd)
    assert board.copyable == 0
    for row in board.rows:
        if row.wallet in alone:
            assert row.verdict is Verdict.CANNOT_TELL
            assert row.why.startswith(
                "Cannot tell at 25.00 USDC and 5.0 s: alone it looks copyable, a dollar put in came"
            )
            assert row.why.endswith("; but of 120 wallets tested some do as well by luck.")
        else:
            assert row.why == row.judgement.why


def test_more_wallets_tested_make_each_of_them_less_sure() -> None:
    few, many = wallets(4, flippers=10, skilled=1), wallets(4, flippers=60, skilled=1)
    q_few = next(row.q_value for row in rank(few).rows if row.wallet == "skilled-0")
    q_many = next(row.q_value for row in rank(many).rows if row.wallet == "skilled-0")
    assert q_few < q_many
    assert q_few <= FALSE_DISCOVERIES


def test_the_board_is_the_same_in_whatever_order_wallets_come() -> None:
    judged_ones = wallets(5, flippers=15, skilled=2, events=60)
    assert rank(dict(reversed(judged_ones.items()))) == rank(judged_ones)


def test_no_wallets_make_an_empty_board() -> None:
    board = rank({})
    assert (board.tested, board.copyable, board.rows) == (0, 0, ())
    assert board.past_rank.words == (
        "Whether past rank says anything about the future here cannot be told: 0 wallets have a past of two halves, at "
        "least 10 that differ are needed."
    )


def test_past_rank_of_coin_flippers_says_little_about_the_future() -> None:
    found = past_rank(wallets(6, flippers=60, skilled=0, events=60))
    assert found.correlation is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high
    assert found.wallets == 60
    assert found.words.startswith("Past rank says little about the future here: over 60 wallets, the rank in the first")


def test_past_rank_of_wallets_that_differ_for_good_says_something() -> None:
    of = {
        f"w{n}": judged(bets_of(World(events=80, days=40, prices=(0.5,), edge=(n - 10) / 12, uneven=0.0), n))
        for n in range(20)
    }
    found = past_rank(of)
    assert found.correlation is not None
    assert found.correlation > 0.8
    assert found.words.startswith("Past rank says something about the future here: over 20 wallets")


def test_a_wallet_with_too_few_events_in_a_half_has_no_past_rank() -> None:
    assert past_rank(wallets(7, flippers=20, skilled=0, events=8)).wallets == 0


def test_edges_are_drawn_together_as_far_as_these_wallets_are_alike() -> None:
    alike = rank(wallets(8, flippers=40, skilled=0, events=60))
    assert alike.prior_sd is not None
    assert alike.prior_sd < 0.06
    for row in alike.rows:
        edge = row.judgement.edge_per_usdc
        assert row.shrunk is not None
        assert edge is not None
        assert abs(row.shrunk) <= abs(edge) / 3
    assert spread_of_edges(wallets(8, flippers=9, skilled=0, events=40)) is None


def test_the_board_survives_json() -> None:
    board = rank(wallets(9, flippers=12, skilled=1, events=40))
    assert msgspec.json.decode(msgspec.json.encode(board), type=Board) == board
