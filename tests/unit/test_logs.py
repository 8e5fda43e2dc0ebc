"""Secrets never reach logs."""

from __future__ import annotations

import pytest

from pilotfish.app.logs import hide, redact


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("cannot reach wss://polygon.example/v2/abcDEF123456789xyz0: refused", "wss://polygon.example/v2/…", "abcDEF"),
        ("postgresql://me:hunter2@db.example/pilotfish", "postgresql://db.example/pilotfish", "hunter2"),
        ("GET https://rpc.example/?apikey=s3cr3t failed", "https://rpc.example/", "s3cr3t"),
        ("wss://user:pw@node.example/ws", "wss://node.example/ws", "pw@"),
    ],
)
def test_keys_in_urls_are_taken_out(text: str, kept: str, gone: str) -> None:
    shown = redact(text)
    assert kept in shown
    assert gone not in shown


def test_known_secrets_are_taken_out_wherever_they_stand() -> None:
    hide(["a-very-secret-token"])
    assert redact("Authorization: a-very-secret-token!") == "Authorization: [secret]!"
