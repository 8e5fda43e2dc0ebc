"""The past of the stand-in venue: what is said to be true of it is true, whoever works it out, and wherever."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from statistics import fmean, stdev

import msgspec
import pytest

from pilotfish.core.book import Take
from pilotfish.core.fees import taker_fee
from pilotfish.core.sizing import buy_limit
from pilotfish.core.trade import Side
from pilotfish.core.units import BPS, MICRO, PPM, shares_for
from pilotfish.history.records import Past
from pilotfish.sim.past import PastWorld, deeds_of, held_at, make_past, past_of, truth
from pilotfish.sim.past_lives import Entry, Life
from pilotfish.sim.past_markets import OldMarket
from pilotfish.sim.past_people import Kind, Person, crowd
from tests.conftest import PROJECT

TO = 20_600 * 86_400
FROM = TO - 90 * 86_400
COPY = 25 * MICRO


def world(
    seed: int, kind: Kind, count: int = 1, *, events: int | None = None, edge_ppm: int | None = None
) -> PastWorld:  # fmt: skip
    people = crowd(seed, kind, count, events=events, edge_ppm=edge_ppm)
    return make_past(seed, from_at=FROM, to_at=TO, people=people)


def lives(made: PastWorld) -> Iterator[Life]:
    for person in made.people:
        life = made.life(person.wallet)
        assert life is not None
        yield life


def one_of_each(seed: int) -> PastWorld:
    people = [person for kind in Kind for person in crowd(seed, kind, 1, events=12)]
    return make_past(seed, from_at=FROM, to_at=TO, people=people)


def encoded(made: PastWorld) -> bytes:
    return msgspec.json.encode([past_of(made, person.wallet) for person in made.people])


def test_the_same_seed_makes_the_same_world_to_the_byte_in_any_process_and_order() -> None:
    here = encoded(one_of_each(7))
    backwards = one_of_each(7)
    for person in reversed(backwards.people):
        backwards.life(person.wallet)
    assert encoded(backwards) == here
    assert encoded(one_of_each(8)) != here
    code = (
        "import hashlib, tests.unit.test_past as t;"
        " print(hashlib.sha256(t.encoded(t.one_of_each(7))).hexdigest())"
    )  # fmt: skip
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env={"PYTHONPATH": "src:.", "PYTHONHASHSEED": "1"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.strip() == hashlib.sha256(here).hexdigest()


def test_a_past_moves_with_its_days_and_stays_the_same() -> None:
    """The same world a week later: nothing but the times is another."""
    before = past_of(world(3, Kind.VALUE, events=20), crowd(3, Kind.VALUE, 1)[0].wallet)
    later = make_past(3, from_at=FROM + 7 * 86_400, to_at=TO + 7 * 86_400, people=crowd(3, Kind.VALUE, 1, events=20))
    after = past_of(later, later.people[0].wallet)
    assert [(d.at + 7 * 86_400, d.tx_hash, d.usdc) for d in before.deeds] == [
        (d.at, d.tx_hash, d.usdc) for d in after.deeds
    ]


@pytest.mark.slow
def test_outcomes_come_as_often_as_their_true_chance() -> None:
    """Before anybody traded, at the time of a trade, and at the end: by what was true then, in ten bins."""
    by_chance: dict[int, list[bool]] = defaultdict(list)
    total = expected = variance = 0.0
    for life in lives(world(11, Kind.FLIPPER, 10)):
        for entry in life.entries:
            market = life.markets[entry.condition_id]
            chance = market.fair(entry.outcome, entry.at) / MICRO
            won = market.payouts[entry.outcome] == MICRO
            by_chance[int(chance * 10)].append(won)
            total, expected, variance = total + won, expected + chance, variance + chance * (1 - chance)
    assert abs(total - expected) < 4 * variance**0.5
    assert len(by_chance) >= 4
    for tenth, results in by_chance.items():
        chance = (tenth + 0.5) / 10
        assert abs(fmean(results) - chance) < 0.05 + 4 * (chance * (1 - chance) / len(results)) ** 0.5, tenth


def test_both_sides_of_each_transaction_balance() -> None:
    """What one got the other gave: the same shares of a token, or both outcomes for a dollar a share; no fee but the
    taker's, and size × price is USDC without a rest."""
    for life in lives(one_of_each(5)):
        for condition, tape in life.tapes.items():
            market = life.markets[condition]
            assert [fill.at for fill in tape] == sorted(fill.at for fill in tape)
            by_tx = defaultdict(list)
            for fill in tape:
                by_tx[fill.tx_hash].append(fill)
            for fills in by_tx.values():
                taker, *makers = fills
                assert taker.taker and makers and not any(maker.taker for maker in makers)
                assert len({fill.at for fill in fills}) == 1
                assert taker.shares == sum(maker.shares for maker in makers)
                net = sum((f.usdc if f.side is Side.BUY else -f.usdc) for f in fills)
                made = sum(m.shares for m in makers if m.outcome != taker.outcome)
                assert net == (made if taker.side is Side.BUY else -made), "a mint is paid, a merge pays"
                for maker in makers:
                    assert (maker.side is taker.side) == (maker.outcome != taker.outcome)
                    assert maker.usdc * MICRO == maker.shares * maker.price
                    assert maker.price % market.tick == 0 and 0 < maker.price < MICRO
                    assert maker.fee == 0
                takes = [Take(m.price if m.outcome == taker.outcome else MICRO - m.price, m.shares) for m in makers]
                assert taker.fee == taker_fee(takes, market.fee)


def test_everything_is_over_an_hour_before_the_end_and_nothing_is_held() -> None:
    for life in lives(one_of_each(6)):
        assert max(deed.at for deed in deeds_of(life)) <= TO - 3_600
        assert max(market.resolved_at for market in life.markets.values()) <= TO - 3_600
        assert min(market.opens_at for market in life.markets.values()) >= FROM
        assert held_at(life, TO) == {}


def test_every_kind_of_activity_occurs() -> None:
    kinds = {move.kind for life in lives(world(4, Kind.MARKET_MAKER)) for move in life.moves}
    assert kinds == {"SPLIT", "MERGE", "CONVERSION", "REWARD", "MAKER_REBATE"}
    assert {move.kind for life in lives(world(4, Kind.SKILLED)) for move in life.moves} == {"REDEEM"}


# -- what is said to be true -------------------------------------------------------------------------------------------


def brute_force(life: Life, delay: int, limit_bps: int = 300) -> dict[str, list[float]]:
    """What each copy made a dollar, by event: bought at the ask, settled or sold at the bid, as it happened."""
    made: dict[str, list[float]] = defaultdict(list)
    for entry in life.entries:
        market = life.markets[entry.condition_id]
        price = market.ask(entry.outcome, entry.at + delay)
        if price > buy_limit(entry.usdc, entry.shares, limit_bps, market.tick):
            continue
        shares = shares_for(COPY, price)
        paid = COPY + taker_fee([Take(price, shares)], market.fee)
        made[market.event].append((_brought(market, entry, shares, delay) - paid) / paid)
    return made


def _brought(market: OldMarket, entry: Entry, shares: int, delay: int) -> int:
    if entry.exit_at is None:
        return shares * market.payouts[entry.outcome] // MICRO
    bid = market.bid(entry.outcome, entry.exit_at + delay)
    return shares * bid // MICRO - taker_fee([Take(bid, shares)], market.fee)


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0, 22])
@pytest.mark.parametrize("kind", [Kind.FIRST_SECOND, Kind.VALUE, Kind.MARKET_MAKER, Kind.FLIPPER, Kind.SKILLED])
def test_the_stated_truth_is_what_copies_come_to_in_the_mean(kind: Kind, delay: int) -> None:
    made = world(21, kind, 8)
    gaps: list[float] = []
    for life in lives(made):
        stated = truth(made, life.person.wallet, delay=delay)
        assert stated.edge_ppm is not None
        copies = brute_force(life, delay)
        assert sum(map(len, copies.values())) == stated.copied
        gaps += [sum(event) - len(event) * stated.edge_ppm / PPM for event in copies.values()]
    assert len(gaps) > 500
    assert abs(fmean(gaps)) < 4 * stdev(gaps) / len(gaps) ** 0.5


def test_each_kind_is_worth_copying_or_not_as_it_is_meant_to_be() -> None:
    edges = {}
    for kind in Kind:
        made = world(31, kind)
        edges[kind] = truth(made, made.people[0].wallet).edge_ppm or 0
    assert edges[Kind.VALUE] > 150_000
    assert edges[Kind.SKILLED] > 180_000
    assert all(edge < -10_000 for kind, edge in edges.items() if kind not in (Kind.VALUE, Kind.SKILLED)), edges


@pytest.mark.parametrize("edge", [0, 50_000, 300_000])
def test_a_stated_edge_is_the_edge_of_a_copy(edge: int) -> None:
    made = world(41, Kind.SKILLED, edge_ppm=edge)
    stated = truth(made, made.people[0].wallet)
    assert stated.edge_ppm == pytest.approx(edge, abs=2_500)
    assert stated.copied == stated.entries


def test_who_is_first_has_an_edge_that_is_gone_the_next_second() -> None:
    made = world(51, Kind.FIRST_SECOND)
    (life,) = lives(made)
    for entry in life.entries:
        market = life.markets[entry.condition_id]
        assert entry.usdc * MICRO < entry.shares * market.fair(entry.outcome, entry.at)
        assert market.ask(entry.outcome, entry.at + 1) > market.fair(entry.outcome, entry.at + 1)
    theirs = sum(f.usdc * (1 if f.side is Side.SELL else -1) - f.fee for f in life.trades)
    assert theirs > 0, "they do make money"


def test_a_gambler_was_lucky_and_one_event_made_the_other() -> None:
    for seed in range(5):
        (gambler,) = lives(world(seed, Kind.GAMBLER))
        assert sum(_settled(gambler).values()) > 0
        assert len({m.event for m in gambler.markets.values()}) < 30
        (winner,) = lives(world(seed, Kind.ONE_EVENT))
        by_event = _settled(winner)
        assert max(by_event.values()) > 0.6 * sum(by_event.values()) > 0
        assert len(by_event) >= 30


def _settled(life: Life) -> dict[str, int]:
    """What they made by event, of those who keep everything to the end."""
    made: dict[str, int] = defaultdict(int)
    for entry in life.entries:
        market = life.markets[entry.condition_id]
        made[market.event] += entry.shares * market.payouts[entry.outcome] // MICRO - entry.usdc
    return made


def test_a_copy_of_25_usdc_meets_volume_within_its_limit() -> None:
    """A tenth of what strangers print within two minutes after a copy would arrive, at any delay, is enough mostly."""
    made = world(61, Kind.VALUE)
    (life,) = lives(made)
    past = past_of(made, life.person.wallet)
    for delay in (2, 22, 60):
        filled = [_could_be_filled(past, life, entry, delay) for entry in life.entries]
        assert fmean(filled) > 0.9, delay


def _could_be_filled(past: Past, life: Life, entry: Entry, delay: int) -> bool:
    market = life.markets[entry.condition_id]
    limit = entry.usdc * MICRO // entry.shares * (BPS + 300) // BPS
    wanted = shares_for(COPY, limit)
    printed = sum(
        p.shares
        for p in past.tape[entry.condition_id]
        if entry.at + delay < p.at <= entry.at + delay + 120
        and p.token_id == market.tokens[entry.outcome]
        and p.side is Side.BUY
        and p.price <= limit
        and p.wallet != life.person.wallet
    )
    return printed >= 10 * wanted


# -- what a backtest reads ---------------------------------------------------------------------------------------------


def test_a_part_of_a_history_begins_with_what_was_held_then() -> None:
    made = world(71, Kind.SKILLED)
    wallet = made.people[0].wallet
    whole = past_of(made, wallet)
    middle = (FROM + TO) // 2
    part = past_of(made, wallet, middle, TO)
    assert part.held, "something was open in the middle"
    assert part.deeds == [deed for deed in whole.deeds if deed.at >= middle]
    held = dict(part.held)
    for deed in part.deeds:
        if deed.kind == "TRADE":
            held[deed.token_id] = held.get(deed.token_id, 0) + (deed.shares if deed.side == "BUY" else -deed.shares)
    assert set(part.held) <= set(held)
    assert past_of(made, wallet, FROM, middle).held == {}
    for market in past_of(made, wallet, FROM, middle).markets.values():
        assert market.payouts is None or (market.resolved_at or TO) <= middle, "what came later is not known"


def test_prices_are_of_traded_tokens_on_ticks_and_end_with_the_settlement() -> None:
    made = world(81, Kind.VALUE, events=20)
    past = past_of(made, made.people[0].wallet)
    assert set(past.prices) == {deed.token_id for deed in past.deeds if deed.kind == "TRADE"}
    by_token = {token: market for market in past.markets.values() for token in market.tokens}
    for token, line in past.prices.items():
        market = by_token[token]
        assert market.payouts is not None
        assert [point.at for point in line] == sorted({point.at for point in line})
        *_, end = line
        assert (end.at, end.price) == (market.resolved_at, market.payouts[market.tokens.index(token)])
        assert all(point.price % market.tick == 0 for point in line)
    assert past_of(made, past.wallet, prices=False).prices == {}


def test_what_cannot_be_made_is_refused_with_what_to_do() -> None:
    person = Person(wallet="0x" + "1" * 40, kind=Kind.FLIPPER)
    with pytest.raises(ValueError, match="expected at least 172800; move from_at back"):
        make_past(1, from_at=TO - 3_600, to_at=TO, people=[person])
    with pytest.raises(ValueError, match="same wallet; give each their own"):
        make_past(1, from_at=FROM, to_at=TO, people=[person, person])
    with pytest.raises(ValueError, match="expected at least 1, got 0"):
        Person(wallet=person.wallet, kind=Kind.FLIPPER, events=0)
    with pytest.raises(ValueError, match="a flipper has none; give it to a value or skilled leader"):
        Person(wallet=person.wallet, kind=Kind.FLIPPER, edge_ppm=1)
    made = make_past(1, from_at=FROM, to_at=TO, people=[person])
    for ask in (truth, past_of):
        with pytest.raises(ValueError, match=r"nobody of this past; ask for one of world\.people"):
            ask(made, "0x" + "2" * 40)
