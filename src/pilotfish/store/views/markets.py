"""Markets as they are looked up by a token or by words of their titles."""

from __future__ import annotations

from sqlalchemy import Connection, literal, select

from pilotfish.store import tables as t
from pilotfish.store.folded import folded
from pilotfish.store.mapping import read_row
from pilotfish.store.views.base import View

TITLES = 300
"""Tokens that a search for words of a market's title takes in."""


class MarketNamed(View, frozen=True, kw_only=True):
    """What a token is called; ``slug`` is its market's name in the venue's addresses."""

    title: str
    outcome: str
    slug: str | None


def read_market(c: Connection, token_id: str) -> MarketNamed | None:
    """A token's market; ``None`` = not known."""
    m = t.markets.c
    return read_row(c, MarketNamed, select(m.title, m.outcome, m.slug).where(m.token_id == token_id))


def tokens_beside(c: Connection, token_id: str) -> list[str]:
    """All outcomes of the market that a token belongs to, itself among them; it alone where its market is not known."""
    m, mine = t.markets.c, t.markets.alias("mine")
    of_market = select(m.token_id).join(mine, mine.c.condition_id == m.condition_id)
    found = of_market.where(mine.c.token_id == token_id, mine.c.condition_id != "")
    return sorted({token_id, *c.execute(found.limit(TITLES)).scalars()})


def tokens_by_words(c: Connection, words: str) -> list[str]:
    """Tokens of the markets whose titles hold these words."""
    like = "%" + "".join(f"\\{x}" if x in "%_\\" else x for x in words) + "%"
    named = folded(t.markets.c.title).like(folded(literal(like)), escape="\\")
    found = select(t.markets.c.token_id).where(named)
    return list(c.execute(found.limit(TITLES)).scalars())
