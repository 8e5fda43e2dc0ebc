"""Leaders, portfolios and settings as one file: what is written is what is read, and taking it in makes it so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pilotfish.cli import app
from pilotfish.core import settings as s
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Kind, Scope, Setting, Value
from pilotfish.store.setup_file import LeaderSetup, PortfolioSetup, Setup, portable, read_setup, setup_lines

A, B, C = ("0x" + letter * 40 for letter in "abc")
TOPIC = "ntfys://a-topic-that-nobody-may-know"


def values(setting: Setting) -> st.SearchStrategy[Value]:
    """What a setting can be."""
    if setting.kind is Kind.BOOL:
        return st.booleans()
    if setting.kind is Kind.CHOICE:
        return st.sampled_from(setting.choices)
    if setting.kind in (Kind.INT, Kind.USDC, Kind.RATIO):
        return st.integers(setting.low or 0, setting.high or 10**9)
    if setting.kind is Kind.LIST:
        words = (
            st.sampled_from(setting.choices) if setting.choices else st.text("ab'\"\\é #=", min_size=1).map(str.strip)
        )
        return st.lists(words.filter(bool)).map(lambda found: s.parse(setting, ", ".join(found)))
    return st.just(s.parse(setting, "0:1, 1000:0.5"))


def some(scope: Scope) -> st.SearchStrategy[dict[str, Value]]:
    """Settings that can be set there."""
    fit = [x for x in s.ALL if portable(x) and (scope is Scope.GLOBAL or x.scope is not Scope.GLOBAL)]
    return st.lists(st.sampled_from(fit), max_size=4, unique_by=lambda x: x.name).flatmap(
        lambda chosen: st.fixed_dictionaries({x.name: values(x) for x in chosen})
    )


LEADERS = st.dictionaries(
    st.sampled_from((A, B, C)),
    st.builds(LeaderSetup, label=st.text(), paused=st.booleans(), settings=some(Scope.LEADER)),
)


@given(st.data())
def test_what_is_written_is_what_is_read(data: st.DataObject) -> None:
    leaders = data.draw(LEADERS)
    whom = st.lists(st.sampled_from(sorted(leaders) or [""]), unique=True) if leaders else st.just([])
    one = st.builds(
        PortfolioSetup, leaders=st.one_of(st.just("all"), whom.map(lambda w: tuple(sorted(w)))), note=st.text(),
        settings=some(Scope.PORTFOLIO),
    )  # fmt: skip
    setup = Setup(
        settings=data.draw(some(Scope.GLOBAL)),
        leaders=leaders,
        portfolios=data.draw(st.dictionaries(st.sampled_from(("main", "a b", "x.y")), one)),
    )
    assert read_setup("\n".join(setup_lines(setup, "x")), "x") == setup


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[settings]\nfixed_usd = 5", "did you mean fixed_usdc"),
        ("[settings]\nfixed_usdc = -5", "must be between"),
        ("[settings]\nalert_urls = 'x://y'", "does not belong into a file"),
        ("[settings]\nweb_port = 80", "does not belong into a file"),
        ("[leader.x]", "unknown field"),
        ("[leaders.0x12]", "is not a wallet"),
        (f"[leaders.{A}.settings]\npoll_interval_ms = 500", "is global"),
        (f"[portfolios.main]\nleaders = ['{A}']", "not among the file's leaders"),
        ("[portfolios.main]\nleaders = 'some'", "a list of wallets"),
        ("a = ", "x.toml"),
        ("[leaders]\nx = 5", "x.toml"),
    ],
)
def test_a_file_that_cannot_be_taken_in_says_where(text: str, told: str) -> None:
    with pytest.raises(Problem) as refused:
        read_setup(text, "x.toml")
    assert told in str(refused.value)


class Here:
    """Commands on a database of their own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.env = {"DATABASE_URL": f"sqlite:///{folder / name}.db"}

    def __call__(self, *words: str, code: int = 0, told: str = "") -> str:
        done = CliRunner().invoke(app, list(words), env=self.env, input=told)
        assert done.exit_code == code, (words, done.output, done.exception)
        return done.stdout


def test_a_set_up_moves_from_one_database_to_another(tmp_path: Path) -> None:
    one, other, file = Here(tmp_path, "one"), Here(tmp_path, "other"), str(tmp_path / "x.toml")
    one("leaders", "add", A, "--label", 'Ann "the" = #1')
    one("leaders", "add", B)
    one("leaders", "pause", B)
    one("leaders", "add", C)
    one("leaders", "remove", C)
    one("settings", "set", "fixed_usdc", "33.25")
    one("settings", "set", "alert_urls", TOPIC)
    one("portfolio", "add", "tight", "--set", "max_spread_bps=100", "--set", "bankroll=500", "--leader", A)
    one("config", "export", file)
    assert TOPIC not in Path(file).read_text()
    assert C not in Path(file).read_text()
    one("config", "diff", file)
    assert {d["what"] for d in found(other("config", "diff", file, "--json", code=1))} == {
        f"leader {A}", f"leader {B}", "fixed_usdc", "portfolio tight", "max_spread_bps of portfolio tight",
        "bankroll of portfolio tight",
    }  # fmt: skip
    other("config", "import", file)
    other("config", "diff", file)
    assert other("config", "export").splitlines()[1:] != []
    assert "33.25" in other("settings", "get", "fixed_usdc")
    assert other("settings", "get", "max_spread_bps", "--portfolio", "tight") == "100\n"
    rows = {row["wallet"]: (row["label"], row["status"]) for row in found(other("leaders", "list", "--json"))}
    assert rows == {A: ('Ann "the" = #1', "active"), B: ("", "paused")}
    other("config", "import", file)  # again: nothing changes
    other("config", "diff", file)


def found(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def test_what_a_file_does_not_name_stays_unless_it_is_to_be_exact(tmp_path: Path) -> None:
    here = Here(tmp_path, "x")
    here("leaders", "add", A)
    here("settings", "set", "fixed_usdc", "40")
    here("portfolio", "add", "tight")
    text = f'[settings]\nmax_spread_bps = 500\n[leaders.{B}]\nlabel = "Bob"\n[portfolios.main]\nleaders = ["{B}"]\n'
    told = here("config", "import", "-", told=text)
    assert f"only here: leader {A}" in told
    assert here("settings", "get", "fixed_usdc") == "40\n"
    here("config", "import", "-", "--exact", told=text)
    here("config", "diff", "-", told=text)
    assert here("settings", "get", "fixed_usdc") == "25\n"
    assert [row["wallet"] for row in found(here("leaders", "list", "--json"))] == [B]
    names = {row["name"]: row["status"] for row in found(here("portfolio", "list", "--json"))}
    assert names == {"main": "active", "tight": "archived"}


def test_a_file_is_taken_in_whole_or_not_at_all(tmp_path: Path) -> None:
    here = Here(tmp_path, "x")
    here("portfolio", "add", "old")
    here("portfolio", "archive", "old")
    before = here("config", "export")
    text = f'[settings]\nfixed_usdc = 41\n[leaders.{A}]\nlabel = "Ann"\n[portfolios.old]\nleaders = "all"\n'
    here("config", "import", "-", code=1, told=text)  # an archived portfolio keeps its name
    assert here("config", "export") == before
