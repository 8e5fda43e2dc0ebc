"""What commands print at a terminal of 80 columns and in a pipe: nothing that was asked for is cut, a row is a line."""

from __future__ import annotations

import json
import re
from itertools import takewhile
from pathlib import Path

import pytest
from rich.cells import cell_len
from sqlalchemy import update

from pilotfish.cli.session import clean_environment
from pilotfish.core.effects import RowEffect
from pilotfish.history.folder import History
from pilotfish.sim.past_people import Kind, Person
from pilotfish.store import leaders_store
from pilotfish.store import tables as t
from pilotfish.store.batch import write
from tests import processes
from tests.desk import LEADER, OTHER, START, Desk, chain_fill, usd
from tests.fresh import fresh_database
from tests.kept_past import kept_world
from tests.terminal import at_terminal

pytestmark = pytest.mark.slow

HOSTILE = "Will \x1b[31m[red]日本[/red]\x9b2J the\u202e council  \n approve the bridge across the bay before spring?"
PLAIN = "Will [31m[red]日本[/red] 2J the council approve the bridge across the bay before spring?"
LABEL = "[b]Somebody with a name[/b]"
TABLES = {
    ("trades",): "id", ("positions", "list", "--all"): "portfolio|leader", ("leaders", "list"): "label",
    ("leaders", "show", LABEL): "market", ("portfolio", "list"): "portfolio", ("report",): "leader",
    ("settings", "list"): "setting", ("history", "list"): "wallet",
}  # fmt: skip
"""Commands that print a table, and its first column."""


PEOPLE = [Person(wallet="0x" + pair * 20, kind=Kind.GAMBLER, events=2) for pair in ("a1", "b2")]
"""Whose history is kept."""


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database: two leaders copied into two portfolios, in a market with a title that is no good."""
    desk = Desk(others={"small": {"fixed_usdc": usd(10)}})
    desk.follow_leader(OTHER)
    desk.buy(1, 1000, 0.50)
    desk.chain(chain_fill(2, "BUY", 1000, 0.50, leader=OTHER, token_id="1003", traded_at=desk.at, order_hash="0xb2"))
    desk.advance(2)
    desk.value()
    folder = tmp_path_factory.mktemp("printed")
    database = fresh_database(folder / "x.db")
    with database.begin() as c:
        for name in ("main", "small"):
            c.execute(t.portfolios.insert().values(name=name, bankroll_micro=usd(10_000), created_at=START))
        for wallet, label in ((LEADER, LABEL), (OTHER, "")):
            leaders_store.add(c, wallet, label, START, by="test")
        write(c, [e for e in desk.effects if isinstance(e, RowEffect)])
        for table in (t.trades, t.markets):
            c.execute(update(table).values(title=HOSTILE))
    database.dispose()
    kept_world(History(str(folder / "history")), 1, PEOPLE)
    return folder


def environment(books: Path, **more: str) -> dict[str, str]:
    ours = {k: v for k, v in clean_environment().items() if k not in ("COLUMNS", "LINES")}
    return {**ours, "DATABASE_URL": f"sqlite:///{books / 'x.db'}", "TERM": "xterm", **more}


def piped(books: Path, *words: str, code: int = 0) -> list[str]:
    """What a command writes into a pipe, though the environment speaks of a narrow terminal."""
    done = processes.run(*words, cwd=books, env=environment(books, COLUMNS="40"))
    assert done.returncode == code, done.stderr
    return (done.stdout if code == 0 else done.stderr).splitlines()


def shown(books: Path, *words: str, columns: int = 80) -> list[str]:
    """What a command shows at a terminal, without the styles of a line."""
    env = environment(books, NO_COLOR="1")
    written = at_terminal(
        lambda tty: processes.start(*words, cwd=books, env=env, stdout=tty, stderr=tty), columns=columns
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", written).splitlines()


def table(lines: list[str], first: str) -> list[list[str]]:
    """The cells of the table whose heading begins with that column."""
    begin = max(n for n, line in enumerate(lines) if re.match(rf" *({first})  ", line))
    rows = takewhile(lambda line: "more column" not in line and not line.startswith("filled "), lines[begin:])
    return [re.split(" {2,}", line.strip()) for line in rows]


@pytest.mark.parametrize(("words", "first"), TABLES.items(), ids=" ".join)
def test_in_a_pipe_a_table_has_all_columns_and_a_row_is_a_line(books: Path, words: tuple[str, ...], first: str) -> None:
    lines = piped(books, *words)
    heading, *rows = table(lines, first)
    assert rows
    assert {len(row) for row in rows} == {len(heading)}, "every cell is there, on the line of its row"
    text = "\n".join(lines)
    assert "…" not in text
    assert "--wide" not in text
    assert text.replace("\n", "").isprintable()
    if "market" in heading:
        assert {row[heading.index("market")] for row in rows} == {PLAIN}
    assert len(table(piped(books, *words, "--wide"), first)[0]) >= len(heading)


@pytest.mark.parametrize(("words", "first"), TABLES.items(), ids=" ".join)
@pytest.mark.parametrize("columns", [80, 100])
def test_at_a_terminal_whole_columns_are_shown_and_the_others_named(
    books: Path, words: tuple[str, ...], first: str, columns: int
) -> None:
    lines = shown(books, *words, columns=columns)
    everything = table(piped(books, *words, "--wide"), first)
    heading, *rows = table(lines, first)
    assert max(cell_len(line) for line in lines) <= columns
    assert {len(row) for row in rows} == {len(heading)}
    note = " ".join(" ".join(lines[next(n for n, line in enumerate(lines) if "more column" in line) :]).split())
    found = re.search(r"(\d+) more columns?: (.*?); --wide or --columns", note)
    assert found is not None
    missing = found[2].split(", ")
    assert int(found[1]) == len(missing)
    assert sorted([*heading, *missing]) == sorted(everything[0])
    for name in heading:
        n, m = heading.index(name), everything[0].index(name)
        for row, whole in zip(rows, everything[1:], strict=True):
            assert row[n] == whole[m] or (name in ("market", "outcome", "value", "why") and row[n].endswith("…"))


def test_wide_shows_every_column_whole_and_columns_picks_and_orders(books: Path) -> None:
    wide = table(shown(books, "trades", "--wide", columns=2000), "id")
    assert wide == table(piped(books, "trades", "--wide"), "id")
    assert wide[0][-1] == "token"
    picked = table(piped(books, "trades", "--columns", "wallet, ID,became"), "wallet")
    assert picked == [["wallet", "id", "became"], [OTHER, "2", "filled"], [LEADER, "1", "filled"]]
    narrow = shown(books, "trades", "--columns", "wallet,market")
    assert narrow[1].startswith(OTHER)
    assert narrow[1].endswith("…")
    assert max(map(cell_len, narrow)) <= 80
    assert len(narrow) == 3, "who says which columns is not told of others"
    assert shown(books, "trades", "--columns", "market,wallet", "--wide", columns=2000)[1].startswith(PLAIN)


def test_a_column_that_is_none_is_refused_with_the_nearest_and_the_list(books: Path) -> None:
    for words in [*TABLES, ("status",)]:
        told = " ".join(" ".join(piped(books, *words, "--columns", "no-such", code=2)).split())
        assert "'no-such' is not one of '" in told
    told = " ".join(" ".join(piped(books, "trades", "--columns", "id,markt", code=2)).split())
    assert "Did you mean market?" in told
    assert "'transaction'" in told
    assert "names none" in " ".join(piped(books, "trades", "--columns", ",", code=2))


def test_a_terminal_too_narrow_for_any_column_gets_the_first_of_them(books: Path) -> None:
    assert [line.strip() for line in shown(books, "leaders", "list", columns=30)[:3]] == ["label", LABEL, "–"]


def test_sentences_wrap_between_words_at_a_terminal_and_never_in_a_pipe(books: Path) -> None:
    verdict = json.loads("".join(piped(books, "report", "--leader", LABEL, "--portfolio", "main", "--json")))[0][
        "verdict"
    ]
    assert len(verdict) > 80
    told = ("report", "--leader", LABEL, "--portfolio", "main")
    assert piped(books, *told)[0] == verdict
    lines = shown(books, *told)
    assert " ".join(line.strip() for line in lines[: lines.index("")]) == verdict
    assert max(map(cell_len, lines)) <= 80


def test_why_shows_every_check_with_its_figures_whole_at_eighty_columns(books: Path) -> None:
    lines = shown(books, "trades", "--why", "1")
    checks = table(piped(books, "trades", "--why", "1"), "ok")
    assert max(map(cell_len, lines)) <= 80
    assert len(checks) > 15
    for line, whole in zip(table(lines, "ok"), checks, strict=True):
        assert [line[0], *line[2:]] == [whole[0], *whole[2:]]
        assert whole[1].startswith(line[1].removesuffix("…"))
    assert table(shown(books, "trades", "--why", "1", "--wide"), "ok") == checks


def test_status_is_one_screen_of_eighty_columns(books: Path) -> None:
    assert shown(books, "status") == ["No worker has run on this database yet: pilotfish run"]


def test_a_history_is_listed_whole_in_a_pipe_and_counts_what_is_missing(books: Path) -> None:
    heading, *rows = table(piped(books, "history", "list"), "wallet")
    assert heading == ["wallet", "from", "to", "trades", "markets", "settled", "MB", "complete"]
    assert [row[0] for row in rows] == [person.wallet for person in PEOPLE]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for row in rows for day in row[1:3])
    picked = table(piped(books, "history", "list", "--columns", "tokens,wallet"), "tokens")
    assert [row[1] for row in picked[1:]] == [person.wallet for person in PEOPLE]


def test_calibrating_shows_how_far_it_is_at_a_terminal_and_nothing_of_it_in_a_pipe(books: Path) -> None:
    assert any("2/2 wallets" in line for line in shown(books, "calibrate"))
    done = processes.run("calibrate", cwd=books, env=environment(books))
    assert (done.returncode, done.stderr) == (0, "")
    assert "wallets" not in done.stdout


def parts_of(lines: list[str]) -> list[str]:
    """The lines of every leader's table of parts."""
    begins = [n for n, line in enumerate(lines) if re.match(r"part +USDC$", line)]
    return [line for n in begins for line in takewhile(bool, lines[n:])]


@pytest.mark.parametrize("columns", [40, 50, 60])
def test_a_leaders_parts_keep_their_amounts_however_narrow_the_terminal(books: Path, columns: int) -> None:
    whole, narrow = parts_of(piped(books, "report")), parts_of(shown(books, "report", columns=columns))
    assert len(narrow) == len(whole) > 8
    assert [line.split()[-1] for line in narrow] == [line.split()[-1] for line in whole]
    assert max(map(cell_len, narrow)) <= columns
    assert all(line.split("  ")[0].rstrip("…") in full for line, full in zip(narrow, whole, strict=True))


def test_what_shows_more_columns_is_an_option_that_the_command_has(books: Path) -> None:
    answer = " ".join(shown(books, "sql", "SELECT * FROM trades"))
    assert re.search(r"\d+ more columns: .*; --wide$", answer)
    assert "--wide" in " ".join(piped(books, "sql", "--help"))
    for command in ("trades", "report", "positions list", "history list", "books list", "calibrate", "latency"):
        told = " ".join(piped(books, *command.split(), "--help"))
        assert "--wide" in told, command
        assert "--columns" in told, command
