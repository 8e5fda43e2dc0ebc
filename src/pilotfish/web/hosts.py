"""What a caller calls this dashboard, and where a page comes from: read so that no rubbish gets further."""

from __future__ import annotations

import ipaddress
import re

_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+(?:%[\w.~%-]+)?)\]|([\w.-]*))(?::(\d{0,5}))?", re.ASCII | re.IGNORECASE)
"""An IPv6 address in brackets or another name, and a port."""
_LAST_PORT = 65_535


def name_of(authority: str) -> str | None:
    """The name in ``name``, ``name:port`` or ``[::1]:port``, in lower case and without brackets; ``None`` if it is none
    of them."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    six, name, port = found.groups()
    if int(port or 0) > _LAST_PORT:
        return None
    if six is None:
        return str(name).lower()
    try:
        ipaddress.IPv6Address(six)
    except ValueError:
        return None
    return str(six).lower()


def authority_of(origin: str) -> str:
    """``name:port`` of the site in an ``Origin`` header; empty for ``null`` and what is no origin."""
    return origin.partition("://")[2]
