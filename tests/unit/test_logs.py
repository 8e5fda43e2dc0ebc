"""Secrets never reach logs; log lines are for people, or for machines in one of two forms."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from pilotfish.app.logs import hide, redact
from pilotfish.core.settings import SettingError, find, parse
from tests.terminal import at_terminal


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


LOGGED = r"""
import sys, structlog
from pilotfish.app import logs
logs.set_up("DEBUG", sys.argv[1])
logs.hide(["a-very-secret-token"])
log = structlog.get_logger()
log.info("following", leader="0x" + "a1" * 20, label="Wh\x1b[31m\x9b[ale", since=12, isNew=True, mode=None)
log.warning("poll failed; the cursor stays", error="wss://x.example/v2/abcDEF123456789xyz0\nsaid a-very-secret-token")
log.info("decision", id=4, trade=5, action="skip", reason="SKIP_SAME_ORDER", all=["a-very-secret-token"])
try:
    int("a-very-secret-token")
except ValueError:
    log.exception("an unforeseen error", part="books")
"""


def logged(form: str) -> list[str]:
    """What a program writes to standard error that logs a few things."""
    done = subprocess.run([sys.executable, "-c", LOGGED, form], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    assert "a-very-secret-token" not in done.stderr
    assert "abcDEF" not in done.stderr
    assert not re.search(r"[\x1b\x9b]", done.stderr), "nothing that a terminal would obey"
    return done.stderr.splitlines()


def test_a_log_line_for_people_is_a_time_of_day_a_sentence_its_cause_and_what_matters() -> None:
    lines = logged("people")
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", line[:8]) for line in lines[:4])
    assert [line[9:] for line in lines[:4]] == [
        "following (leader 0xa1a1…a1a1, label Wh [31m [ale, is new yes)",
        "WARNING poll failed; the cursor stays: wss://x.example/v2/… said [secret]",
        "decision: same order (trade 5, action skip, all ['[secret]'])",
        "ERROR an unforeseen error (part books)",
    ]
    assert lines[4] == "Traceback (most recent call last):"
    assert lines[-1].startswith("ValueError: ")


def test_a_log_line_of_key_and_value_is_one_line_with_every_field() -> None:
    lines = logged("keyvalue")
    assert len(lines) == 4
    fields = [dict(part.partition("=")[::2] for part in shlex.split(line)) for line in lines]
    assert list(fields[0]) == ["timestamp", "level", "event", "leader", "label", "since", "isNew", "mode"]
    assert fields[0]["leader"] == "0x" + "a1" * 20
    assert (fields[1]["level"], fields[1]["event"]) == ("warning", "poll failed; the cursor stays")
    assert (fields[2]["id"], fields[2]["reason"]) == ("4", "SKIP_SAME_ORDER")
    assert fields[3]["exception"].startswith("Traceback")


def test_a_log_line_of_json_is_an_object_with_every_field() -> None:
    lines = [json.loads(line) for line in logged("json")]
    assert lines[0] | {"timestamp": ""} == {
        "timestamp": "", "level": "info", "event": "following", "leader": "0x" + "a1" * 20,
        "label": "Wh\x1b[31m\x9b[ale", "since": 12, "isNew": True, "mode": None,
    }  # fmt: skip


def test_log_lines_have_colours_at_a_terminal_only() -> None:
    def shown(**more: str) -> str:
        env = {**os.environ, "TERM": "xterm", **more}
        program = [sys.executable, "-c", LOGGED, "people"]
        return at_terminal(lambda tty: subprocess.Popen(program, env=env, stderr=tty))

    assert "\x1b[33mWARNING\x1b[0m" in shown()
    assert "\x1b" not in shown(NO_COLOR="1")


def test_what_a_form_was_called_once_still_counts() -> None:
    assert parse(find("log_format"), "console") == "people"
    with pytest.raises(SettingError, match="one of people, keyvalue, json"):
        parse(find("log_format"), "pretty")
