"""What is made by place is what it would be by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pilotfish.core import recording
from pilotfish.core.by_place import maker
from pilotfish.core.events import Market
from pilotfish.core.fees import FeeSchedule
from pilotfish.core.ledger import Position, Trip
from pilotfish.core.orders import Order
from pilotfish.core.trade import Trade
from pilotfish.core.units import plain_name


def filled(kind: Any, **of: Any) -> Any:
    """One whose every field holds a value of its own."""
    names = [name for name in kind.__struct_fields__ if name not in of]
    return kind(**{name: f"the {name}" for name in names}, **of)


@pytest.mark.parametrize(
    ("make", "of"),
    [
        (recording.trade_change, filled(Trade)),
        (recording.trade_record, filled(Trade)),
        (recording.intent_change, filled(Order)),
        (recording.intent_record, filled(Order)),
    ],
)
def test_each_field_of_a_row_is_the_field_that_is_called_alike(make: Callable[[Any], Any], of: Any) -> None:
    row = msgspec.structs.asdict(make(of))
    assert row == {name: f"the {plain_name(name)[0]}" for name in row}


def test_a_positions_row_has_its_trip_and_a_markets_row_its_fee() -> None:
    trip = Trip(bought=1, paid=2, got=3, fees=4)
    row = msgspec.structs.asdict(recording.position_record("mine", filled(Position, trip=trip)))
    assert [row.pop(f"trip_{name}_micro") for name in ("bought", "paid", "got", "fees")] == [1, 2, 3, 4]
    assert row.pop("portfolio") == "mine"
    assert row == {name: f"the {plain_name(name)[0]}" for name in row}
    market = msgspec.structs.asdict(recording.market_record(filled(Market, fee=FeeSchedule(5, 6))))
    assert (market.pop("fee_rate_ppm"), market.pop("fee_half_exponent")) == (5, 6)
    assert market == {name: f"the {plain_name(name)[0]}" for name in market}


def test_a_field_that_is_not_there_is_refused_when_the_program_starts() -> None:
    with pytest.raises(TypeError, match="Trip has no leader for Position"):
        maker(Position, Trip)
