"""The dashboard as it is started: what a caller says of where it is counts only from a proxy that was named."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.rig import Pilot

pytestmark = pytest.mark.slow
RIGHT = "a-view-token"


def asked(address: str, token: str, forwarded: str) -> int:
    """The status of an answer."""
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": forwarded}
    request = urllib.request.Request(f"{address}/api/v1/status", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.parametrize("named", ["", "127.0.0.1"])
def test_wrong_tokens_through_a_proxy_of_this_machine_are_slowed_named_or_not(tmp_path: Path, named: str) -> None:
    pilot = Pilot(tmp_path, {}, admin_token="an-admin-token", view_token=RIGHT, web_trusted_proxies=named)
    added = ", 203.0.113.5" if named else ""
    try:
        address = pilot.start_web()
        assert [asked(address, f"wrong{n}", f"10.9.8.{n}{added}") for n in range(11)] == [401] * 11
        assert any(asked(address, f"more{n}", f"10.9.7.{n}{added}") == 429 for n in range(40)), "pauses grow to 30 s"
        if named:
            assert asked(address, RIGHT, "203.0.113.6") == 200
    finally:
        pilot.close()
