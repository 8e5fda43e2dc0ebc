"""Who is meant: the wallet of what a person pasted, which is a wallet, the URL of a profile, or a user name."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from pilotfish.core.problem import Problem
from pilotfish.polymarket.contracts import is_wallet
from pilotfish.polymarket.gamma import Gamma
from pilotfish.polymarket.http import VenueError
from pilotfish.store.leaders_store import wallet_of

_NAME = re.compile(r"@?[^\s/@]{1,60}")


class WhoError(Problem, ValueError):
    """Somebody who cannot be found, or a venue that does not answer; the message says what to do."""


class UnansweredError(WhoError):
    """The venue could not be asked."""


async def wallet_meant(gamma: Gamma, who: str) -> str:
    """The wallet of what a person gave; only for a name the venue is asked. Raises :class:`WhoError` or
    ``LeaderError``."""
    who = who.strip()
    if who.lower().startswith("0x") and "/" not in who:
        return wallet_of(who)
    name = who
    if "/" in who:
        parts = [unquote(p) for p in urlsplit(who if "//" in who else f"https://{who}").path.split("/") if p]
        wallet = next((p for p in parts if is_wallet(p)), None)
        if wallet is not None:
            return wallet_of(wallet)
        name = next((p for p in parts if p.startswith("@")), parts[-1] if parts[:1] == ["profile"] else "")
    if not _NAME.fullmatch(name):
        raise WhoError(f"{who[:80]!r}: expected a wallet (0x and 40 hex digits), the URL of a profile, or a user name")
    return await _named(gamma, name.removeprefix("@"))


async def _named(gamma: Gamma, name: str) -> str:
    try:
        found = await gamma.profiles_named(name)
    except VenueError as problem:
        raise UnansweredError(f"the venue cannot be asked who {name!r} is ({problem}); paste the wallet") from None
    exact = [p for p in found if p.name.lower() == name.lower()]
    if len(exact) == 1:
        return wallet_of(exact[0].wallet)
    near = ", ".join(f"{p.name} {p.wallet}" for p in (exact or found)[:3])
    hint = f"; did you mean {near}?" if near else "; paste the wallet from their profile"
    raise WhoError(f"nobody is called exactly {name!r}{hint}" if not exact else f"several are called {name!r}{hint}")
