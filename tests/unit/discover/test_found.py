"""The funnel counts everybody once, the board reckons with everybody who was tested, and both are kept as they are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from pilotfish.backtest.asking import Asked, Drop
from pilotfish.backtest.candidates import Candidate, merged
from pilotfish.backtest.found import Found, FoundFileError, What, found_of, read_found, write_found
from pilotfish.backtest.judgement import Verdict
from pilotfish.backtest.one_wallet import Dropped, Looked, looked_at
from pilotfish.cli import found_told
from pilotfish.core.settings import policy_from
from pilotfish.history.records import Past
from pilotfish.sim.known_truth import jobs_of, look
from pilotfish.sim.past import make_past, past_of
from pilotfish.sim.past_people import Kind, crowd
from pilotfish.web.telling import fell_out
from tests.kept_past import DAY, TO_AT

SPAN = (TO_AT - 60 * DAY, TO_AT)
PEOPLE = (
    *crowd(2, Kind.FLIPPER, 2, events=40),
    *crowd(2, Kind.SKILLED, 1, events=60, edge_ppm=600_000),
    *crowd(2, Kind.GAMBLER, 1),
)


@pytest.fixture(scope="module")
def found() -> Found:
    looked = [look(job) for job in jobs_of(2, PEOPLE, days=60)]
    broken = Looked(wallet="0x" + "d" * 40, dropped=Dropped.UNREADABLE, detail="activity is damaged")
    known = [Candidate(wallet=one.wallet) for one in [*looked, broken]]
    early = [Drop("0x" + "e" * 40, Dropped.NO_TRADES), Drop("0x" + "f" * 40, Dropped.ONLY_COMBOS)]
    late = [Drop("0x" + "c" * 40, Dropped.NOT_ASKED, "90 requests are needed, 3 are left")]
    enough = [*known, Candidate(wallet=late[0].wallet)]
    candidates = [*enough, *(Candidate(wallet=drop.wallet) for drop in early)]
    return found_of(candidates, Asked(enough, known, early, late, 7), [*looked, broken], SPAN)


def test_everybody_who_falls_out_of_the_funnel_is_counted_with_a_reason(found: Found) -> None:
    assert [step.step for step in found.funnel] == list(What)
    for before, after in pairwise(found.funnel):
        assert before.wallets - after.wallets == sum(after.dropped.values()), after.step
    by_step = {step.step: step for step in found.funnel}
    assert by_step[What.CANDIDATES].wallets == 8
    assert by_step[What.ENOUGH_TRADES].dropped == {Dropped.NO_TRADES: 1, Dropped.ONLY_COMBOS: 1}
    assert by_step[What.HISTORY_KNOWN].dropped == {Dropped.NOT_ASKED: 1}
    assert by_step[What.LOOKED_BACK].dropped == {Dropped.UNREADABLE: 1}
    assert by_step[What.ENOUGH_EVENTS].dropped == {Dropped.FEW_EVENTS: 1}


def test_all_who_were_looked_back_at_count_as_tested_and_only_the_skilled_is_copyable(found: Found) -> None:
    assert found.tested == len(found.rows) == 4
    assert [row.wallet for row in found.rows if row.verdict is Verdict.COPYABLE] == [PEOPLE[2].wallet]
    assert found.rows[0].wallet == PEOPLE[2].wallet, "the highest lower end comes first"
    assert all(row.q_value >= (row.p_value or 0) for row in found.rows)
    assert found.past_rank.words.startswith("Whether past rank says anything")


def test_what_went_wrong_is_named_with_the_wallet(found: Found) -> None:
    assert any("activity is damaged" in problem for problem in found.problems)
    assert any("90 requests are needed, 3 are left" in problem for problem in found.problems)


def test_what_was_found_is_the_same_after_it_was_kept(found: Found, tmp_path: Path) -> None:
    write_found(found, tmp_path / "found.json")
    assert read_found(tmp_path / "found.json") == found
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"funnel": 3}', b"\x00"])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(FoundFileError, match="is not what `pilotfish discover --out` writes"):
        read_found(path)


def test_a_file_that_cannot_be_written_is_named(found: Found, tmp_path: Path) -> None:
    with pytest.raises(FoundFileError, match=r"nowhere/found\.json cannot be written"):
        write_found(found, tmp_path / "nowhere" / "found.json")


def _pasts() -> Iterator[tuple[Past, Dropped]]:
    world = make_past(2, from_at=SPAN[0], to_at=SPAN[1], people=PEOPLE)
    past = past_of(world, PEOPLE[3].wallet)
    replace = msgspec.structs.replace
    yield replace(past, deeds=[]), Dropped.NO_TRADES
    yield replace(past, deeds=[replace(d, is_combo=True) for d in past.deeds]), Dropped.ONLY_COMBOS
    yield replace(past, markets={}), Dropped.NO_MARKETS


def test_a_past_of_which_nothing_can_be_copied_is_counted_and_never_raised() -> None:
    for past, why in _pasts():
        looked = looked_at(past, policy_from({}))
        assert (looked.dropped, looked.judgement) == (why, None)


def test_a_look_back_that_fails_costs_that_wallet_by_name() -> None:
    world = make_past(2, from_at=SPAN[0], to_at=SPAN[1], people=PEOPLE)
    past = past_of(world, PEOPLE[3].wallet)
    market = next(iter(past.markets.values()))
    past.markets = {condition: msgspec.structs.replace(m, tokens=()) for condition, m in past.markets.items()}
    past.markets[market.condition_id] = msgspec.structs.replace(market, payouts=())
    looked = looked_at(past, policy_from({}))
    assert looked.dropped is Dropped.FAILED
    assert looked.detail


def test_candidates_of_several_lists_come_in_turn_each_once() -> None:
    a, b, c = (Candidate(wallet=f"0x{n}") for n in "abc")
    assert merged([[a, b], [b, c], []], 10) == [a, b, c]
    assert merged([[a, b], [c]], 2) == [a, c]


def test_who_was_not_asked_is_told_with_what_the_requests_went_into(
    found: Found, capsys: pytest.CaptureFixture[str]
) -> None:
    finding_out, rest = (fell_out(Dropped.NOT_ASKED, step) for step in (What.ENOUGH_TRADES, What.HISTORY_KNOWN))
    assert finding_out == "not asked: finding out takes at most half of the requests, and that half was used up"
    assert rest == "not asked, or not for all of it: what was left of the requests did not suffice"
    assert fell_out(Dropped.NO_TRADES, What.ENOUGH_TRADES) == Dropped.NO_TRADES
    found_told.print_found(found, (), found_told.BOARD.view())
    told = capsys.readouterr().out
    assert f"(1 {rest}); 7 requests were made" in told
    assert f"{'0x' + 'c' * 40}: too few requests: 90 requests are needed, 3 are left" in told
    assert "used up" not in told
