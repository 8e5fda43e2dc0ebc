"""Leaders as rows: following, pausing and leaving a wallet. The worker takes changes up within a second."""

from __future__ import annotations

from sqlalchemy import Connection, case, insert, select, update

from pilotfish.core.names import unturned
from pilotfish.core.problem import Problem
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.store import tables as t
from pilotfish.store.audit import Deed, note

_DEEDS = {"active": Deed.RESUMED, "paused": Deed.PAUSED, "removed": Deed.LEFT}


class LeaderError(Problem, ValueError):
    """A wallet that cannot be followed; the message says why."""


def wallet_of(text: str) -> str:
    """A wallet in lower case; raises :class:`LeaderError`."""
    wallet = text.strip()
    if not is_wallet(wallet):
        raise LeaderError(f"{wallet[:60]!r} is not a wallet: expected 0x and 40 hex digits")
    if int(wallet, 16) == 0:
        raise LeaderError("the zero address trades nothing")
    return wallet.lower()


def add(c: Connection, wallet: str, label: str, at: int, *, by: str) -> str:
    """Follow a wallet from ``at`` (µs) on, as ``by`` wants; answers ``added``, ``again`` (was removed) or ``known``."""
    wallet = wallet_of(wallet)
    label = _label(label)
    row = c.execute(select(t.leaders).where(t.leaders.c.wallet == wallet)).first()
    if row is None:
        c.execute(insert(t.leaders).values(wallet=wallet, label=label, status="active", added_at=at, updated_at=at))
        note(c, Deed.FOLLOWED, at=at, by=by, leader=wallet, detail=label)
        return "added"
    change = update(t.leaders).where(t.leaders.c.wallet == wallet)
    if row.status == "removed":
        c.execute(change.values(status="active", added_at=at, updated_at=at, label=label or row.label))
        note(c, Deed.FOLLOWED_AGAIN, at=at, by=by, leader=wallet, detail=label or row.label)
        return "again"
    if label and label != row.label:
        c.execute(change.values(label=label, updated_at=at))
        note(c, Deed.RENAMED, at=at, by=by, leader=wallet, detail=f"{row.label} → {label}")
    return "known"


def set_status(c: Connection, wallet: str, status: str, at: int, *, by: str) -> None:
    """Set ``active``, ``paused`` or ``removed``; raises :class:`LeaderError` for a wallet that is not followed now."""
    wallet = wallet_of(wallet)
    changed = c.execute(
        update(t.leaders)
        .where(t.leaders.c.wallet == wallet, t.leaders.c.status != "removed")
        .values(status=status, updated_at=at)
    )
    if changed.rowcount:
        note(c, _DEEDS[status], at=at, by=by, leader=wallet)
    else:
        known = c.execute(select(t.leaders.c.wallet).where(t.leaders.c.wallet == wallet)).first()
        again = f"it was once; `pilotfish leaders add {wallet}` follows it again, from now on"
        raise LeaderError(f"{wallet} is not followed; {again if known else '`pilotfish leaders list` shows who is'}")


def rename(c: Connection, wallet: str, label: str, at: int, *, by: str) -> None:
    """Give a leader another name, also a formerly followed one, of whom it stays known when they were left; raises
    :class:`LeaderError` for a wallet that was never followed."""
    wallet = wallet_of(wallet)
    touched = case((t.leaders.c.status == "removed", t.leaders.c.updated_at), else_=at)
    change = update(t.leaders).where(t.leaders.c.wallet == wallet)
    if c.execute(change.values(label=_label(label), updated_at=touched)).rowcount == 0:
        raise LeaderError(f"{wallet} was never followed; `pilotfish leaders list --all` shows who was")
    note(c, Deed.RENAMED, at=at, by=by, leader=wallet, detail=_label(label))


def _label(text: str) -> str:
    return " ".join(unturned(text).replace("\0", " ").split())[:200]
