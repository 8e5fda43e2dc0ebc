"""Portfolios as rows: making, cloning and archiving them, and whom they copy. The worker takes changes up within a
second."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from pilotfish.core import settings as s
from pilotfish.core.names import unknown
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Policy, Value
from pilotfish.store import audit, settings_store
from pilotfish.store import tables as t
from pilotfish.store.audit import Deed
from pilotfish.store.interned import as_text, spelled
from pilotfish.store.leaders_store import wallet_of

MAIN = "main"
"""The portfolio that exists from the beginning."""
MOST = 1_000
"""Most active portfolios: each decides every trade."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")


class PortfolioError(Problem, ValueError):
    """A portfolio that cannot be made or changed; the message says why."""


def active(c: Connection) -> list[str]:
    """Names of the portfolios that take part."""
    chosen = select(t.portfolios.c.name).where(t.portfolios.c.status == "active").order_by(spelled(t.portfolios.c.name))
    return list(c.execute(chosen).scalars())


def ensure_main(c: Connection, policy: Policy, at: int) -> None:
    """Make the first portfolio where there is none yet."""
    if c.execute(select(t.portfolios.c.name).where(t.portfolios.c.name == MAIN)).first() is None:
        c.execute(insert(t.portfolios).values(name=MAIN, bankroll_micro=policy.bankroll, created_at=at))


def find(c: Connection, name: str) -> str:
    """The name of an active portfolio; raises :class:`PortfolioError` saying that it is archived, or naming those that
    there are."""
    names = active(c)
    if name not in names:
        if c.execute(select(t.portfolios.c.name).where(t.portfolios.c.name == name)).first() is not None:
            raise PortfolioError(
                f"the portfolio {name!r} is archived: it takes part no longer and its books stay as they are; to begin"
                " anew, make one of another name (pilotfish portfolio add)"
            )
        raise PortfolioError(str(unknown("portfolio", name, names)))
    return name


def add(
    c: Connection, name: str, environment: Mapping[str, Value], *, at: int, by: str,
    changes: Mapping[str, object] | None = None, leaders: Sequence[str] | None = None, note: str = "",
) -> str:  # fmt: skip
    """Make a portfolio that starts with its ``bankroll`` in cash and copies ``leaders`` (``None`` = all) from now on.

    ``changes`` are its own settings. Raises :class:`PortfolioError` or ``SettingError``.
    """
    name = " ".join(name.split())
    if not _NAME.fullmatch(name):
        raise PortfolioError(
            f"{name[:60]!r} cannot be a portfolio's name: expected 1 to 40 letters, digits, spaces, dots, - or _"
        )
    if c.execute(select(t.portfolios.c.name).where(t.portfolios.c.name == name)).first() is not None:
        raise PortfolioError(f"there is a portfolio {name!r} already (archived ones keep their name)")
    if len(active(c)) >= MOST:
        raise PortfolioError(f"{MOST} portfolios are active; archive one first")
    own = {s.find(key).name: value for key, value in (changes or {}).items()}
    settings_store.change(c, own, at=at, by=by, portfolio=name)
    bankroll = settings_store.policy_of(environment, settings_store.load(c), name).bankroll
    values = {"bankroll_micro": bankroll, "created_at": at, "note": note[:500]}
    c.execute(insert(t.portfolios).values(name=name, follows_all=leaders is None, **values))
    if leaders is not None:
        _set_follows(c, name, leaders)
    audit.note(c, Deed.MADE, at=at, by=by, portfolio=name, detail=note)
    return name


def clone(
    c: Connection, source: str, name: str, environment: Mapping[str, Value], *, at: int, by: str,
    changes: Mapping[str, object] | None = None,
) -> str:  # fmt: skip
    """A portfolio with the settings, bankroll and leaders of ``source``, to try ``changes`` from now on.

    It starts with cash only: positions are not copied, so both are compared from the same instant.
    """
    find(c, source)
    stored = settings_store.load(c).portfolios.get(source, {})
    own: dict[str, object] = {key: s.text_of(s.BY_NAME[key], value) for key, value in stored.items()}
    row = c.execute(select(t.portfolios).where(t.portfolios.c.name == source)).one()
    own["bankroll"] = s.text_of(s.BY_NAME["bankroll"], row.bankroll_micro)
    own |= {s.find(key).name: value for key, value in (changes or {}).items()}
    return add(
        c, name, environment, at=at, by=by, changes=own, leaders=follows(c, source), note=f"cloned from {source}"
    )


def follows(c: Connection, name: str) -> list[str] | None:
    """The leaders that a portfolio copies; ``None`` = all."""
    if c.execute(select(t.portfolios.c.follows_all).where(t.portfolios.c.name == name)).scalar():
        return None
    chosen = select(t.follows.c.leader).where(t.follows.c.portfolio == name).order_by(as_text(t.follows.c.leader))
    return list(c.execute(chosen).scalars())


def everyones_follows(c: Connection, *, archived: bool = False) -> dict[str, list[str] | None]:
    """The same of every portfolio that takes part, by its name; of archived ones, too, if asked for."""
    p, f = t.portfolios.c, t.follows.c
    wanted = select(p.name, p.follows_all)
    there = c.execute(wanted if archived else wanted.where(p.status == "active"))
    found: dict[str, list[str] | None] = {name: None if every else [] for name, every in there}
    for name, leader in c.execute(select(f.portfolio, f.leader)):
        if (chosen := found.get(name)) is not None:
            chosen.append(leader)
    for chosen in found.values():
        if chosen is not None:
            chosen.sort()
    return dict(sorted(found.items()))


def set_follows(c: Connection, name: str, leaders: Sequence[str] | None, *, at: int, by: str) -> None:
    """Choose the leaders that a portfolio copies from now on; ``None`` = all, also those to come."""
    find(c, name)
    c.execute(update(t.portfolios).where(t.portfolios.c.name == name).values(follows_all=leaders is None))
    _set_follows(c, name, leaders or ())
    chosen = "all leaders" if leaders is None else f"{len(set(leaders))} chosen"
    audit.note(c, Deed.CHOSE, at=at, by=by, portfolio=name, detail=chosen)


def _set_follows(c: Connection, name: str, leaders: Sequence[str]) -> None:
    wallets = sorted({wallet_of(w) for w in leaders})
    known = set(c.execute(select(t.leaders.c.wallet)).scalars())
    strangers = [w for w in wallets if w not in known]
    if strangers:
        raise PortfolioError(f"{strangers[0]} is not followed; add it first: pilotfish leaders add {strangers[0]}")
    c.execute(delete(t.follows).where(t.follows.c.portfolio == name))
    if wallets:
        c.execute(insert(t.follows), [{"portfolio": name, "leader": w} for w in wallets])


def archive(c: Connection, name: str, *, at: int, by: str) -> None:
    """End a portfolio: nothing more is decided or filled for it; its books stay as they are."""
    if name == MAIN:
        raise PortfolioError("the portfolio main stays; reset it or pause it (setting paused) instead")
    find(c, name)
    c.execute(update(t.portfolios).where(t.portfolios.c.name == name).values(status="archived"))
    audit.note(c, Deed.ARCHIVED, at=at, by=by, portfolio=name)
