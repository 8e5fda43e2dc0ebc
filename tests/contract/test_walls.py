"""What holds the shape: one door to the engine, one clock for feeds, no circle in ``app``, no text that is taken apart,
and a table of rules that is true."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotfish.core.reasons import MEANING, Action, Reason
from tests.conftest import PROJECT

SOURCE = PROJECT / "src" / "pilotfish"
CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text()


def modules(folder: str = "") -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((SOURCE / folder).rglob("*.py")):
        yield str(file.relative_to(SOURCE)), ast.parse(file.read_text())


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_the_engine_has_two_callers_the_live_loop_and_the_driver() -> None:
    found = [
        name
        for name, tree in modules()
        for call in calls(tree)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "apply"
    ]
    assert sorted(found) == ["app/live.py", "core/drive.py"]


def test_feeds_take_time_and_chance_from_the_hub() -> None:
    for name, tree in modules("feeds"):
        if name == "feeds/clock.py":
            continue
        for node in ast.walk(tree):
            told = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            told += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"time", "random", "datetime", "secrets"} & set(told), name


def test_app_knows_its_own_parts_without_a_circle() -> None:
    for name, tree in modules("app"):
        assert "TYPE_CHECKING" not in ast.unparse(tree), name
    rules = (PROJECT / "pyproject.toml").read_text()
    assert "exclude_type_checking_imports = false" in rules
    assert 'type = "acyclic_siblings"' in rules


TAKEN_APART = {
    "web/api_look_backs.py": "a user name as a person wrote it",
    "app/alerts.py": "alert_urls as a person wrote it, and an address's scheme",
    "app/config.py": "names of the environment as a person wrote them",
    "store/holders.py": "the kernel's line about a process",
    "app/listening.py": "an address as a person wrote it",
    "app/logs.py": "URLs, to take secrets out of them",
    "app/who.py": "a wallet, name or address as a person wrote it",
    "app/journal_format.py": "names of files, the database's URL, the mark a segment begins with",
    "cli/printed.py": "names of columns as a person wrote them; spaces in other people's text; a time's letter T",
    "cli/their_record.py": "what the venue calls somebody",
    "cli/replay.py": "name=value as a person wrote it",
    "backtest/wallet_file.py": "a file of wallets as a person wrote it",
    "history/places.py": "an address as a person wrote it",
    "polymarket/leaderboard.py": "what the venue calls somebody",
    "cli/backtest.py": "name=value and name=a,b,c as a person wrote them",
    "cli/portfolio.py": "name=value as a person wrote it",
    "cli/setup.py": "a URL as a person wrote it",
    "cli/benches/channel_venue.py": "a frame, to put the time in when it is sent",
    "cli/benches/figure.py": "what the kernel tells of a process, as it writes it",
    "cli/benches/tabs.py": "server-sent events, by their standard",
    "cli/stand.py": "lines of an environment that another process prints for machines",
    "core/names.py": "words of a name as a person wrote them",
    "core/numerals.py": "a decimal, to shorten it",
    "core/reasons.py": "the codes' own home gives their words",
    "core/setting_values.py": "lists and tiers as a person wrote them",
    "core/units.py": "decimals; names of fields that say their unit (DESIGN section 12)",
    "feeds/watcher.py": "a list of addresses as a person wrote it",
    "polymarket/contracts.py": "hexadecimal texts of the chain",
    "polymarket/gamma.py": "the venue's labels",
    "polymarket/rows.py": "hexadecimal texts of the venue",
    "polymarket/wire.py": "numbers of the venue",
    "store/database.py": "a database URL as a person wrote it",
    "store/interned.py": "hexadecimal texts of the chain",
    "store/payloads.py": "payloads as the venue and providers wrote them",
    "store/leaders_store.py": "a label as a person wrote it",
    "store/portfolios_store.py": "a name as a person wrote it",
    "history/folder.py": "names of files, and a URL as a person wrote it",
    "web/addresses.py": "names of parameters as templates write them",
    "web/rest.py": "a path that a browser sent",
    "web/docs_page.py": "references of the JSON schema, by its standard",
    "web/hosts.py": "headers that a browser sent",
    "web/throttle.py": "an address that a proxy sent",
    "web/login.py": "an address that a browser sent",
    "web/pages/leaders.py": "a sort order that a browser sent",
    "web/pages/positions.py": "a sort order that a browser sent",
    "web/pages/portfolio_list.py": "a sort order that a browser sent",
    "web/sessions.py": "a header by its standard",
    "web/site.py": "a host's name",
}
"""Where text that is not ours is read. A text that other code of ours put together is nowhere taken apart."""
PARTING = {"startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit"}


def parts_text(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PARTING:
            return True
        if isinstance(node, ast.Compare) and any(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops):
            of = node.comparators[0]
            if isinstance(of, ast.Call) and isinstance(of.func, ast.Name) and of.func.id in ("str", "repr"):
                return True
    return False


def test_no_code_takes_apart_a_text_that_other_code_put_together() -> None:
    found = {name for name, tree in modules() if not name.startswith("sim/") and parts_text(tree)}
    assert found <= set(TAKEN_APART), "give it a field or a type"


ORDER_OF_A_FILL = {
    "polymarket/decode.py": "a log says it",
    "core/trade.py": "an observation and a trade hold it, and answer what it is asked for",
    "core/records.py": "what is written of a trade",
    "store/tables.py": "its column",
    "store/views/trades.py": "its field in exports and REST",
}
"""Where the hash of a fill's order is named; everybody else asks the trade (``fills_order``, ``log_id``)."""


def test_the_order_of_a_fill_is_known_in_five_places() -> None:
    word = re.compile(r"\border_hash\b")
    files = [file for kind in ("py", "html", "js") for file in SOURCE.rglob(f"*.{kind}")]
    found = {str(file.relative_to(SOURCE)) for file in files if word.search(file.read_text(encoding="utf-8"))}
    found = {name for name in found if not name.startswith(("sim/", "store/migrations/"))}
    assert found == set(ORDER_OF_A_FILL), "ask the trade instead"
    assert len(ORDER_OF_A_FILL) <= 5


def test_a_reason_says_itself_what_kind_of_decision_it_is_of() -> None:
    for reason in MEANING:
        kinds = [reason.skips, reason.waits, reason.own_exit, reason.action is Action.COPY]
        assert sum(kinds) == 1
        assert reason.value.startswith(reason.action.name)
    assert Reason.WAIT_API_UNHEALTHY.words == "api unhealthy"
    assert Reason.COPY_GONE.words == "copy gone"


RULES = re.findall(r"^\| (.+?) \| (`[a-z_]+/.+`) \|$", CONTRIBUTING, re.MULTILINE)


@pytest.mark.parametrize(("rule", "where"), RULES, ids=[rule for rule, _ in RULES])
def test_every_rule_of_the_table_is_where_it_says(rule: str, where: str) -> None:
    places = re.findall(r"`([^`]+)`", where)
    assert 1 <= len(places) <= 2, f"{rule}: one home"
    for place in places:
        path, _, name = place.partition(":")
        assert (SOURCE / path).is_file(), place
        assert not name or defined(SOURCE / path, name), place


def defined(file: Path, name: str) -> bool:
    body: list[ast.stmt] = ast.parse(file.read_text()).body
    for part in name.split("."):
        found = [
            n for n in body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and n.name == part
        ]
        if not found:
            return False
        body = found[0].body
    return True


def test_the_table_names_the_rules_and_the_glossary_the_words() -> None:
    assert len(RULES) >= 20
    words = CONTRIBUTING.split("## Words")[1].split("## ")[0]
    assert len(re.findall(r"^\| (?!word|-)", words, re.MULTILINE)) >= 20
