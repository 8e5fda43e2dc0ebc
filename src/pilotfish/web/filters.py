"""What pages of rows are filtered by, as it stands in their addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeAlias

import msgspec
from fastapi import Query

from pilotfish.store.views.leaders import Leader
from pilotfish.store.views.markets import MarketNamed, read_market
from pilotfish.web.view import View

Before: TypeAlias = Annotated[int | None, Query(ge=1, le=2**62, description="The number to continue before.")]
Choices: TypeAlias = tuple[tuple[str, str], ...]
"""(value, text) pairs to choose from."""
ANY = ("", "any")
_MARKET_SECONDS = 30.0
_UNKNOWN = MarketNamed(title="", outcome="", slug=None)


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks for; empty = any. ``token`` is any token of a market, ``q`` words of its title."""

    leader: str = ""
    side: str = ""
    state: str = ""
    token: str = ""
    q: str = ""

    @property
    def given(self) -> dict[str, str]:
        """What is asked for by the names that addresses have."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}

    @property
    def folded(self) -> int:
        """How many filters are set that a phone shows only when they are unfolded."""
        return sum(1 for name in self.given if name != "q")


def leader_choices(leaders: Iterable[Leader], asked: str) -> Choices:
    """Leaders to choose from; formerly followed ones say so, and who is asked for is among them."""
    known = {one.wallet: (one.label or one.wallet) + (" (formerly followed)" if one.left_at else "") for one in leaders}
    return (ANY, *({asked: asked} | known if asked else known).items())


async def market_asked(view: View, token: str) -> MarketNamed | None:
    """The market of a token that is asked for; ``None`` = none is."""
    if not token:
        return None
    return await view.site.shared.get(("market", token), _MARKET_SECONDS, lambda c: read_market(c, token) or _UNKNOWN)
