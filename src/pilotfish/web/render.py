"""Pages out of templates: what a page shows is a frozen struct, how it looks is one template of the same fields.

Text is escaped by the template engine and loses what would turn the direction of the text around it; names that a
template does not have are errors, and so is ``None`` where something is to be shown. Parts that change by themselves
are *live*: the page asks for its own address again and is given those parts whose content is another one
(:class:`Live`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from typing import ClassVar

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from pilotfish.backtest.told import day
from pilotfish.backtest.verdicts import came_back, in_bands
from pilotfish.core import numerals, reasons
from pilotfish.core.names import TURNS
from pilotfish.web import addresses, telling


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What a page shows. A subclass for each template, whose names are its fields, ``frame``, ``live`` and ``url``."""

    template: ClassVar[str]
    title: ClassVar[str]
    path: ClassVar[str] = ""
    """The entry of the navigation that the page belongs to."""
    seconds: ClassVar[float] = 0.5
    """How often an open page asks what has changed; 0 = it never does."""


class Live:
    """The live parts of one page: what they hold by name, in the order of the page."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}

    def __call__(self, name: str, caller: Callable[[], str]) -> str:
        """In a template: ``{% call live("name") %}…{% endcall %}`` inside the element with that id."""
        content = caller()
        self.parts[name] = str(content)
        return content

    @property
    def have(self) -> dict[str, str]:
        """Each part's digest, as the page sends them back when it asks again."""
        return {name: f"{zlib.crc32(content.encode()):x}" for name, content in self.parts.items() if name != WHOLE}

    def changes(self, have: dict[str, str]) -> bytes | None:
        """JSON with the parts whose content the page does not have (the whole content where it has other parts), and
        what it then has; ``None`` where nothing has changed."""
        now = self.have
        if have == now:
            return None
        changed = [name for name in now if have.get(name) != now[name]] if list(have) == list(now) else [WHOLE]
        return msgspec.json.encode({"have": now, "parts": {name: self.parts[name] for name in changed}})


WHOLE = "main"
"""The part that holds all of a page's own content."""


def _shown(value: object) -> object:
    if value is None:
        raise TypeError("a template shows nothing as if it were something")
    return TURNS.sub("", value) if type(value) is str else value


def json_text(value: object) -> str:
    """JSON, as the value of an attribute."""
    return msgspec.json.encode(value).decode()


@cache
def environment() -> Environment:
    """The template engine with what every template may use."""
    env = Environment(
        loader=PackageLoader("pilotfish.web"), autoescape=True, undefined=StrictUndefined, finalize=_shown,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    for name in ("money", "gain", "shares", "price", "price_micro", "count", "percent", "duration",
                 "precise", "about"):  # fmt: skip
        env.filters[name] = getattr(numerals, name)
    env.filters |= {
        "words": reasons.words, "json": json_text, "short": telling.short, "told": telling.told,
        "plural": numerals.plural, "copied_share": telling.copied_share, "average": telling.average,
        "ended": telling.ended, "ended_meaning": telling.ended_meaning, "badge": telling.badge,
        "step_of": telling.step_of, "came_back": came_back, "share": telling.share, "day": day,
        "fell_out": telling.fell_out, "went_wrong": telling.went_wrong,
    }  # fmt: skip
    env.globals |= {
        "url": addresses.url, "profile": addresses.profile, "market_page": addresses.market_page,
        "transaction": addresses.transaction, "asset": addresses.asset, "pages": addresses.PAGES,
        "keys": addresses.KEYS, "in_bands": in_bands,
    }  # fmt: skip
    return env


def render(page: Page, frame: msgspec.Struct, live: Live) -> str:
    """A page as HTML."""
    shown = {name: getattr(page, name) for name in page.__struct_fields__}
    return environment().get_template(page.template).render(**shown, frame=frame, live=live)
