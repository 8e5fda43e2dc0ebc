"""Names that do not exist are refused, with the nearest that does; misspelt settings of the environment are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from pilotfish.app.config import ConfigError, environment, misnamed
from pilotfish.cli.session import clean_environment
from pilotfish.core.names import UnknownNameError, apart, chosen, nearest
from pilotfish.core.settings import SettingError, find
from pilotfish.store import leaders_store, names, portfolios_store, settings_store
from pilotfish.store import tables as t
from tests import processes
from tests.fresh import fresh_database
from tests.rig import WALLET, WALLET_2, Pilot


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    """Two portfolios, one archived; two leaders, one formerly followed."""
    made = fresh_database(tmp_path / "pilotfish.db")
    with made.begin() as c:
        portfolios_store.ensure_main(c, settings_store.policy_of({}, settings_store.load(c), "main"), 1)
        portfolios_store.add(c, "cautious", {}, at=1, by="test")
        portfolios_store.add(c, "old", {}, at=1, by="test")
        portfolios_store.archive(c, "old", at=1, by="test")
        leaders_store.add(c, WALLET, "The Whale", 1, by="test")
        leaders_store.add(c, WALLET_2, "", 1, by="test")
        leaders_store.set_status(c, WALLET_2, "removed", 2, by="test")
    return made


@pytest.mark.parametrize(
    ("given", "near"),
    [("SKIP_SPRED", "SKIP_SPREAD"), ("skip_cash", "SKIP_CASH"), ("CASH", "SKIP_CASH"), ("zzzzzz", None), ("", None)],
)
def test_the_nearest_name_is_found_whatever_its_case(given: str, near: str | None) -> None:
    assert nearest(given, ["COPY", "SKIP_CASH", "SKIP_SPREAD"]) == near


def test_a_refusal_names_the_nearest_and_what_there_is() -> None:
    assert chosen("side", "BUY", ("BUY", "SELL")) == "BUY"
    with pytest.raises(UnknownNameError, match=r"there is no side 'BYU'; did you mean BUY\? \(there are: BUY, SELL\)"):
        chosen("side", "BYU", ("BUY", "SELL"))
    with pytest.raises(UnknownNameError, match="there are none yet"):
        chosen("portfolio", "x", ())
    with pytest.raises(SettingError, match="did you mean poll_interval_ms"):
        find("POLL_INTERVAL")


def test_archived_portfolios_and_formerly_followed_leaders_exist_and_others_are_refused(database: Engine) -> None:
    with database.connect() as c:
        assert [names.portfolio(c, name) for name in ("main", "cautious", "old")] == ["main", "cautious", "old"]
        assert names.leader(c, WALLET_2.upper().replace("0X", "0x")) == WALLET_2
        with pytest.raises(UnknownNameError, match="did you mean cautious"):
            names.portfolio(c, "cautios")
        with pytest.raises(UnknownNameError, match=f"did you mean {WALLET}"):
            names.leader(c, WALLET[:-1] + "0")
        with pytest.raises(UnknownNameError, match=f"The Whale is {WALLET}"):
            names.leader(c, "the wale")


def test_a_leader_is_named_by_wallet_or_label_and_a_label_that_two_have_by_neither(database: Engine) -> None:
    with database.begin() as c:
        assert names.leader(c, " the WHALE ") == WALLET
        leaders_store.rename(c, WALLET_2, "The whale", 3, by="test")
        with pytest.raises(UnknownNameError, match=r"2 leaders are called 'The Whale'.*say the wallet"):
            names.leader(c, "The Whale")
        assert names.leader(c, WALLET) == WALLET
        with pytest.raises(UnknownNameError):
            names.leader(c, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "report --portfolio NO", "report --leader NO", "report --portfolio NO --json", "trades --leader NO",
        "positions list --portfolio NO", "positions close NO --yes", "positions close main --leader NO --yes",
        "export trades --portfolio NO", "export report --leader NO", "leaders show NO",
        "leaders show 0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 --portfolio NO", "settings list --portfolio NO",
        "settings get fixed_usdc --portfolio NO", "settings set fixed_usdc 5 --portfolio NO", "settings get NO",
        "settings unset fixed_usdc --portfolio NO", "portfolio clone NO fresh", "portfolio archive NO",
        "portfolio follow NO --all", "portfolio reset NO --yes", "reset --portfolio NO --yes",
        "portfolio add fresh --set NO=1",
    ],
)  # fmt: skip
def test_every_option_of_every_command_refuses_a_name_that_does_not_exist(
    tmp_path: Path, database: Engine, command: str
) -> None:
    database.dispose()
    pilot = Pilot(tmp_path, {})
    for name in ("nosuchthing", "cautios"):
        env = {**clean_environment(), **pilot.environment}
        done = processes.run(*command.replace("NO", name).split(), cwd=tmp_path, env=env)
        assert done.returncode == 1, (command, done.stdout)
        assert "nosuchthing" in done.stderr or "cautios" in done.stderr
        assert "there is no" in done.stderr
        assert done.stdout == ""
    with database.connect() as c:
        assert c.execute(t.settings.select()).all() == []


def test_a_name_in_dot_env_that_is_no_setting_is_told_and_in_the_environment_only_what_is_near() -> None:
    file = {"TRIGGER_MODE": "api", "FOO": "x", "LOGLEVEL": "y", "catch_up_buy_max_age_sec": "3"}
    env = {
        "TRIGER_MODE": "api", "POLL_INTERVAL": "5", "web_port": "1", "PILOTFISH_TRIGGER_MODE": "api", "PATH": "/bin",
        "HOME": "/", "HOSTNAME": "x", "PORT": "80", "PYTHONPATH": "", "LANG": "C", "FOO": "x", "FIXED_USDC": "3",
    }  # fmt: skip
    told = {(m.name, m.where): m.near for m in misnamed(env, file)}
    assert told == {
        ("FOO", ".env"): None,
        ("LOGLEVEL", ".env"): "LOG_LEVEL",
        ("catch_up_buy_max_age_sec", ".env"): "CATCHUP_BUY_MAX_AGE_SEC",
        ("PILOTFISH_TRIGGER_MODE", "the environment"): "TRIGGER_MODE",
        ("POLL_INTERVAL", "the environment"): "POLL_INTERVAL_MS",
        ("TRIGER_MODE", "the environment"): "TRIGGER_MODE",
        ("web_port", "the environment"): "WEB_PORT",
    }


def test_the_usual_variables_of_a_machine_are_none_of_our_business() -> None:
    assert misnamed(clean_environment(), {}) == []


def test_a_value_that_cannot_be_used_and_a_file_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="environment variable WEB_PORT"):
        environment({"WEB_PORT": "70000"})
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"TRIGGER_MODE=\xff\xfe\x00api\n")
    with pytest.raises(ConfigError, match=r"\.env cannot be read"):
        environment()


@pytest.mark.slow
def test_doctor_and_the_start_tell_of_a_misspelt_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TRIGER_MODE=api\nMY_OWN=1\nDATA_API_URL=http://127.0.0.1:9\nLOCAL_BOOKS=false\n")
    env = {**clean_environment(), "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "POLL_INTERVAL": "5"}
    done = processes.run("doctor", cwd=tmp_path, env=env, timeout=90)
    shown = " ".join(done.stdout.split())
    assert "TRIGER_MODE in .env is not a setting and has no effect; did you mean TRIGGER_MODE?" in shown
    assert "MY_OWN in .env is not a setting" in shown
    assert "did you mean POLL_INTERVAL_MS?" in shown


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("The Whale", "The Whale"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u2067b\u2069\u200fc", "abc"),
        ("שלום", "\u2068שלום\u2069"),
        ("\u2069مرحبا 12", "\u2068مرحبا 12\u2069"),
        ("🐟 日本", "🐟 日本"),
    ],
)
def test_a_name_turns_no_sentence_around_it(name: str, told: str) -> None:
    assert apart(name) == told


def test_a_label_is_kept_without_what_turns_the_text_around_it(database: Engine) -> None:
    with database.begin() as c:
        leaders_store.rename(c, WALLET, "\u202e The\u200f  \0Whale", 3, by="test")
        assert names.labels(c)[WALLET] == "The Whale"


def test_whom_a_portfolio_copies_is_chosen_by_label_as_well(database: Engine, tmp_path: Path) -> None:
    env = {**clean_environment(), "DATABASE_URL": f"sqlite:///{tmp_path / 'pilotfish.db'}"}
    told = processes.run("portfolio", "follow", "cautious", "the whale", cwd=tmp_path, env=env)
    assert told.stdout == f"portfolio cautious copies {WALLET} from now on\n", told.stderr
    assert processes.run("portfolio", "add", "new", "--leader", "The Whale", cwd=tmp_path, env=env).returncode == 0
    refused = processes.run("portfolio", "follow", "cautious", "The Wale", cwd=tmp_path, env=env)
    assert f"there is no leader 'The Wale'; did you mean {WALLET}? (The Whale is" in refused.stderr
    with database.connect() as c:
        chosen = portfolios_store.everyones_follows(c)
    assert (chosen["cautious"], chosen["new"]) == ([WALLET], [WALLET])
