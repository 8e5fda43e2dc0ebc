"""What the documentation site makes of the code: settings, reasons, commands and REST from their declarations, and the
pages that stand at the project's top. A hook of ``mkdocs.yml``; nothing of it is kept in a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from sqlalchemy import create_engine
from typer.core import TyperArgument, TyperOption

from pilotfish.cli import TASKS, command
from pilotfish.core import reasons
from pilotfish.core.advice import ADVICE, OUTCOME_ADVICE
from pilotfish.core.reasons import Action, Reason
from pilotfish.core.setting_titles import FIRST, TITLES, ZERO
from pilotfish.core.settings import ALL, BY_NAME, Kind, Scope, Setting, show
from pilotfish.web import docs_page
from pilotfish.web.reader import Reader
from pilotfish.web.server import application
from pilotfish.web.site import Site

PROJECT = Path(__file__).resolve().parent.parent
SETTINGS_PAGE, REASONS_PAGE = "reference/settings.md", "reference/reasons.md"
SETTABLE = {
    Scope.PROCESS: "the environment alone, read at start",
    Scope.GLOBAL: "the dashboard or the environment, for everything",
    Scope.PORTFOLIO: "the dashboard or the environment, for a portfolio, or for a leader in a portfolio",
}
"""Where a setting can be set, by its scope."""
KINDS = {
    Action.COPY: "Copied",
    Action.SKIP: "Skipped",
    Action.WAIT: "Waiting",
    Action.EXIT: "Sold without the leader",
}


# -- settings ----------------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """Every setting in its group."""
    parts = [
        "# Every setting\n",
        "This page is made from the program's own declarations. [Settings](../settings-where.md) tells where to set"
        " them and which value counts.\n",
        "Most of what copying comes to is decided by " + ", ".join(_setting_link(name, "") for name in FIRST) + ".\n",
    ]
    for group in dict.fromkeys(one.group for one in ALL):
        parts.append(f"## {group}\n")
        parts += [_setting(one) for one in ALL if one.group == group]
    return "\n".join(parts)


def _setting(one: Setting) -> str:
    facts = [("environment", f"`{one.env_name}`"), ("default", _value(one, one.default))]
    if one.choices:
        facts.append(("values", ", ".join(f"`{choice}`" for choice in one.choices)))
    if one.low is not None and one.high is not None:
        facts.append(("between", f"{_number(one, one.low)} and {_number(one, one.high)}{_unit(one)}"))
    if one.kind in (Kind.LIST, Kind.TIERS):
        facts.append(("form", "words, parted by commas" if one.kind is Kind.LIST else "`from:times`, parted by commas"))
    if one.kind is Kind.SECRET:
        facts.append(("secret", "never shown"))
    if one.name in ZERO:
        facts.append(("0 means", ZERO[one.name]))
    facts.append(("set in", SETTABLE[one.scope]))
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts)
    return f"### `{one.name}` {{ #{one.name} }}\n\n**{TITLES[one.name]}.** {one.help}\n\n| | |\n|---|---|\n{rows}\n"


def _value(one: Setting, value: object) -> str:
    if value == "":
        return "empty"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{_number(one, value)}{_unit(one)}"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _number(one: Setting, value: int) -> str:
    shown = show(one, value)
    return f"{shown:,}" if isinstance(shown, (int, float)) else str(shown)


def _unit(one: Setting) -> str:
    return f" {one.unit}" if one.unit else ""


def _setting_link(name: str, page: str) -> str:
    return f"[`{name}`]({page}#{name})"


# -- reasons -----------------------------------------------------------------------------------------------------------


def reasons_page() -> str:
    """Every reason and every way in which an order ends, with what to do."""
    parts = [
        "# Every reason\n",
        "Each trade of a leader is decided once for each portfolio, and the decision carries one of these codes. This"
        " page is made from the program's own list. The [trace](../concepts/decision.md) of a decision shows which"
        " value met which limit.\n",
    ]
    for action, title in KINDS.items():
        parts.append(f"## {title}\n")
        parts += [_reason(r.value, r.words, reasons.MEANING[r], ADVICE[r]) for r in Reason if r.action is action]
    parts.append("## How an order ended\n\nWhere it was not simply filled.\n")
    parts += [_reason(o.value, reasons.words(o.value), reasons.OUTCOMES[o], OUTCOME_ADVICE[o]) for o in reasons.Outcome]
    return "\n".join(parts)


def _reason(code: str, words: str, meaning: str, advice: str) -> str:
    def linked(found: re.Match[str]) -> str:
        return _setting_link(found[1], "settings.md") if found[1] in BY_NAME else found[0]

    return f"### {code} {{ #{code} }}\n\n*{words}.* {meaning}\n\n**To do:** {re.sub(r'`([a-z_]+)`', linked, advice)}\n"


# -- commands ----------------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """Every command with its arguments and options."""
    parts = [
        "# Every command\n",
        "This page is made from the program's own help (`pilotfish COMMAND --help`). `--json` is there on every reading"
        " command. What exit codes mean is in the [runbook](../runbook.md#exit-codes).\n",
    ]
    for task, commands in TASKS.items():
        parts.append(f"## {task}\n")
        for name in commands:
            parts += _command(f"pilotfish {name}", command(name))
    return "\n".join(parts)


def _command(path: str, one: Any) -> Iterator[str]:
    """A command of Typer's, or a group with those below it."""
    below: dict[str, Any] = getattr(one, "commands", {})
    usage = " ".join([path, *(_argument(p) for p in one.params if isinstance(p, TyperArgument))])
    context = one.context_class(one, info_name=path)
    options = [_option(p, context) for p in one.params if isinstance(p, TyperOption) and not p.hidden]
    more = " [OPTIONS]" if options else " COMMAND" if below else ""
    yield f"### `{path}` {{ #{path.replace(' ', '-')} }}\n\n{_plain(one.help)}\n\n```text\n{usage}{more}\n```\n"
    if options:
        yield "| option | default | |\n|---|---|---|\n" + "\n".join(options) + "\n"
    for name, sub in below.items():
        yield from _command(f"{path} {name}", sub)


def _argument(one: TyperArgument) -> str:
    name = (one.metavar or str(one.name).upper()).strip("[]").removesuffix("...")
    return (name if one.required else f"[{name}]") + ("…" if one.nargs == -1 else "")


def _option(one: TyperOption, context: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])
    kind = one.metavar or one.display_type(context).strip("<>")
    value = "" if one.is_flag else f" *{_cell(kind)}*"
    plain = isinstance(one.default, str | int | float) and not isinstance(one.default, bool) and one.default != ""
    default = f"`{one.default}`" if plain else ""
    return f"| {names}{value} | {default} | {_cell(_plain(one.help))} |"


def _plain(text: str | None) -> str:
    """Help as Markdown: one paragraph, nothing of it taken for HTML or emphasis."""
    return re.sub(r"([<*_\[])", r"\\\1", " ".join((text or "").split()))


# -- REST --------------------------------------------------------------------------------------------------------------


def rest_page() -> str:
    """Every route with its parameters, and every record that goes in or comes out."""
    database = create_engine("sqlite://")
    app = application(Site(database, {}), Reader(database))
    described = app.openapi()
    parts = [
        "# REST\n",
        "This page is made from the interface's own description; a running dashboard has it at `/api/docs` and, for"
        " programs, at `/api/openapi.json`. Integers in millionths end in `_micro`; times are ISO 8601, UTC. Errors are"
        " problem details (RFC 9457). Writing needs `Authorization: Bearer` with the admin token, reading needs the"
        " view token where one is set.\n",
    ]
    for group in docs_page.groups_of(app):
        parts.append(f"## {group.title}\n")
        for one in group.operations:
            answers = described["paths"][one.path][one.method.lower()].get("responses", {})
            parts.append(f"### {one.method} `{one.path}`\n\n{_prose(one.text)}\n")
            parts.append(_answer(answers))
            if one.parameters:
                rows = "\n".join(f"| `{p.name}` | {p.kind} | {_cell(p.text)} |" for p in one.parameters)
                parts.append(f"| parameter | kind | |\n|---|---|---|\n{rows}\n")
            if one.body:
                parts.append(f'??? note "What it takes"\n\n    ```json\n{_indented(one.body)}\n    ```\n')
    parts.append("## Records\n")
    parts += [_record(name, schema) for name, schema in sorted(described["components"]["schemas"].items())]
    database.dispose()
    return "\n".join(parts)


def _answer(answers: dict[str, Any]) -> str:
    content: dict[str, Any] = next((a.get("content", {}) for code, a in answers.items() if code.startswith("2")), {})
    schema = content.get("application/json", {}).get("schema", {})
    return f"Answers with {_kind(schema)}.\n" if schema else ""


def _record(name: str, schema: dict[str, Any]) -> str:
    fields = schema.get("properties", {})
    rows = [f"| `{field}` | {_kind(one)} | {_cell(one.get('description', ''))} |" for field, one in fields.items()]
    table = "| field | kind | |\n|---|---|---|\n" + "\n".join(rows) + "\n" if rows else ""
    values = "One of " + ", ".join(f"`{v}`" for v in schema["enum"]) + ".\n" if "enum" in schema else ""
    return f"### {name} {{ #record-{name} }}\n\n{_prose(schema.get('description', ''))}\n\n{values}{table}"


def _kind(schema: dict[str, Any]) -> str:
    """A schema's kind in words, with links to the records that it is made of."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#record-{name})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"a list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"by name: {_kind(schema['additionalProperties'])}"
    return str(schema.get("type", "anything"))


def _prose(text: str) -> str:
    return text.replace("``", "`")


def _cell(text: str) -> str:
    return " ".join(_prose(text).split()).replace("|", r"\|")


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


# -- what stands at the top of the project -----------------------------------------------------------------------------


def _of_the_project(name: str) -> Callable[[], str]:
    def page() -> str:
        return (PROJECT / name).read_text().replace("](docs/", "](../")

    return page


PAGES: dict[str, Callable[[], str]] = {
    SETTINGS_PAGE: settings_page,
    REASONS_PAGE: reasons_page,
    "reference/commands.md": commands_page,
    "reference/rest.md": rest_page,
    "developers/contributing.md": _of_the_project("CONTRIBUTING.md"),
    "developers/changelog.md": _of_the_project("CHANGELOG.md"),
}
"""Address within the site -> what makes the page."""


# -- hooks -------------------------------------------------------------------------------------------------------------


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for address, made in PAGES.items():
        files.append(File.generated(config, address, content=made()))
    return files


outside: set[str] = set()
"""Addresses of others that the documents name."""
PICTURE = re.compile(r'<p>\s*<img alt="([^"]*)" src="[^"]*pictures/([\w-]+)\.svg" ?/?>\s*</p>')


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put drawings into the page, so that they follow its theme and not the system's; its style sheet has the same
    classes as they have of their own."""

    def drawn(found: re.Match[str]) -> str:
        text = (Path(config.docs_dir) / "pictures" / f"{found[2]}.svg").read_text()
        return f'<figure class="picture">{re.sub(r"<style>.*?</style>", "", text, flags=re.S)}</figure>'

    outside.update(re.findall(r'href="(https?://[^"]+)"', html))
    return PICTURE.sub(drawn, html)


def on_post_build(config: MkDocsConfig) -> None:
    """List the addresses of others that the documents name: a build without a network asks for none of them."""
    (Path(config.site_dir) / "outside.txt").write_text("".join(f"{address}\n" for address in sorted(outside)))
