"""Names that are rows: portfolios and leaders, formerly followed and archived ones included. What does not exist is
refused with the nearest that does."""

from __future__ import annotations

from sqlalchemy import Connection, select

from pilotfish.core.names import UnknownNameError, nearest, unknown
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.store import leaders_store
from pilotfish.store import tables as t
from pilotfish.store.interned import spelled
from pilotfish.store.portfolios_store import MAIN


def portfolio(c: Connection, name: str) -> str:
    """The name of a portfolio that there is or was; ``main`` is there before it was made. Raises
    :class:`~pilotfish.core.names.UnknownNameError`."""
    found = list(c.execute(select(t.portfolios.c.name).order_by(spelled(t.portfolios.c.name))).scalars())
    known = found if MAIN in found else [MAIN, *found]
    if name in known:
        return name
    raise unknown("portfolio", name, known)


def leader(c: Connection, wallet: str) -> str:
    """The wallet, in lower case, of somebody who is or was followed, by that or by their label. Raises
    :class:`~pilotfish.core.names.UnknownNameError`, also for a label that several have."""
    given = wallet.strip().lower()
    known = labels(c)
    if given in known:
        return given
    called = [w for w, label in known.items() if label.casefold() == wallet.strip().casefold() != ""]
    if len(called) == 1:
        return called[0]
    if called:
        raise UnknownNameError(f"{len(called)} leaders are called {wallet[:60]!r}: {', '.join(called)}; say the wallet")
    named = {label: wallet for wallet, label in known.items() if label}
    near = nearest(wallet, named)
    if near is not None:
        raise unknown("leader", wallet, known, f"{near} is {named[near]}", near=named[near])
    raise unknown("leader", wallet, known)


def wallet(c: Connection, given: str) -> str:
    """A wallet as it was given, or that of whom a label calls."""
    return leaders_store.wallet_of(given) if is_wallet(given.strip()) else leader(c, given)


def labels(c: Connection) -> dict[str, str]:
    """Wallet -> label of every leader ever followed."""
    return {row.wallet: row.label for row in c.execute(select(t.leaders.c.wallet, t.leaders.c.label))}


def short(wallet: str) -> str:
    """A wallet, shortened: what somebody without a label is called."""
    return f"{wallet[:6]}…{wallet[-4:]}" if len(wallet) > 14 else wallet


def wanted_portfolio(c: Connection, name: str | None) -> str | None:
    """:func:`portfolio`, or ``None`` for any (nothing given)."""
    return portfolio(c, name) if name else None


def wanted_leader(c: Connection, wallet: str | None) -> str | None:
    """:func:`leader`, or ``None`` for any (nothing given)."""
    return leader(c, wallet) if wallet else None
