"""Leaders whom a start takes up together are each taken up as they would be alone."""

from __future__ import annotations

from sqlalchemy import insert

from pilotfish.core.effects import Upsert
from pilotfish.core.records import CursorRecord, GapRecord, HoldingRecord
from pilotfish.core.units import SECOND, Micros, Shares, Usdc
from pilotfish.store import following
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from pilotfish.store.database import empty_database

AT = 1_800_000_000 * SECOND
WALLETS = [f"0x{n:040x}" for n in range(1, 9)]


def test_many_leaders_taken_up_together_are_each_as_if_taken_up_alone() -> None:
    database = empty_database()
    with database.begin() as c:
        for n, wallet in enumerate(WALLETS):
            row = {"wallet": wallet, "label": "", "status": "paused" if n == 2 else "active", "updated_at": AT}
            c.execute(insert(t.leaders).values(added_at=AT - n * SECOND if n != 4 else AT + SECOND, **row))
            if n == 5:
                continue  # never followed yet
            write(c, [
                Upsert(CursorRecord(
                    leader=wallet, api_cursor_ts=AT // SECOND + n, api_cursor_initialized=True,
                    api_cursor_updated_at=Micros(AT), follow_from=Micros(AT + 1), floor_ts=AT // SECOND - n,
                    bootstrapped=bool(n % 2), positions_value_micro=Usdc(n) if n else None,
                )),
                *(Upsert(HoldingRecord(leader=wallet, token_id=str(token), shares_micro=Shares(10 * n + token),
                                       updated_at=Micros(AT))) for token in range(n)),
                *(Upsert(GapRecord(leader=wallet, from_ts=gap, to_ts=gap + 1, changed_at=Micros(AT),
                                   is_open=gap != 2)) for gap in range(n)),
            ])  # fmt: skip
            for token in range(n):
                c.execute(insert(t.holding_adjustments).values(
                    leader=wallet, token_id=str(token), at=AT, id=100 * n + token, before_micro=1, delta_micro=2,
                    said_micro=3 + n,
                    as_of=AT - token, cause="bootstrap" if token % 2 else "gone",
                ))  # fmt: skip
        rows = following.leaders(c)
        together = following.all_taken_up(c, rows, AT + 5, started_at=AT + 2)
        alone = {x.wallet: following.taken_up(c, x, AT + 5, started_at=AT + 2, left=False) for x in rows}
        assert together == alone
        assert {event.is_new for _, event in together.values()} == {True, False}
        assert together[WALLETS[5]][1].is_new
        assert [len(together[w][1].holdings) for w in WALLETS[:4]] == [0, 1, 2, 3]
        assert together[WALLETS[2]][1].paused
        assert together[WALLETS[7]][1].gone
        assert together[WALLETS[7]][1].sets
    database.dispose()
