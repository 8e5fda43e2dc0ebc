"""Structs made by place. By the names of its fields a struct of thirty costs 3 µs, by their places 0.1 µs, and each
trade makes some twenty of them: what is made for each trade is made by place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from pilotfish.core.units import plain_name

R = TypeVar("R", bound=msgspec.Struct)


def maker(
    kind: type[R], of: type[msgspec.Struct], given: Iterable[str] = (), **otherwise: tuple[str, str]
) -> Callable[..., R]:
    """What makes a ``kind`` of an ``of``: each field is the one there that is called alike but for its unit, or what
    ``otherwise`` says (field = a field there, and one of that); those ``given`` are arguments, before it. Written out
    and compiled once: it costs what it would by hand and cannot mix two places up. Raises :class:`TypeError` for a
    field that is not there.
    """
    places = []
    for field in kind.__struct_fields__:
        path = otherwise.get(field) or (plain_name(field)[0],)
        if field not in given and path[0] not in of.__struct_fields__:
            raise TypeError(f"{of.__name__} has no {path[0]} for {kind.__name__}")
        places.append(field if field in given else ".".join(("it", *path)))
    made: Any = eval(f"lambda {', '.join([*given, 'it'])}: kind({', '.join(places)})", {"kind": kind})  # noqa: S307
    return made  # type: ignore[no-any-return]
