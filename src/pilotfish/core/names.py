"""Names that people give: the ones that there are, and the nearest one to a name that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from unicodedata import bidirectional

from pilotfish.core.problem import Problem

MOST_SHOWN = 12
"""Names listed in a refusal; what is beyond is counted."""


TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066\u2067]")
"""What turns the direction in which the text after it is read (Unicode's bidirectional algorithm, UAX #9): figures
beside a name could be told backwards by it."""
_APART = "\u2068", "\u2069"
"""Between these two a text has a direction of its own, and what is around it keeps its."""


class UnknownNameError(Problem, ValueError):
    """A name that does not exist; the message says so, with the nearest one and those that there are."""


def nearest(given: str, known: Iterable[str], *, cutoff: float = 0.6, parts: bool = True) -> str | None:
    """The one of ``known`` that ``given`` is most likely meant to be, whatever its case; ``None`` = none is near.

    ``cutoff`` from 0 (anything) to 1 (the same); ``parts``: a part of a name will do, too.
    """
    by_fold = {name.casefold(): name for name in known}
    word = given.strip().casefold()
    if word in by_fold:
        return by_fold[word]
    close = get_close_matches(word, by_fold, n=1, cutoff=cutoff)
    if close:
        return by_fold[close[0]]
    if not parts:
        return None
    holding = sorted((name for name in by_fold if len(word) > 2 and (word in name or name in word)), key=len)
    return by_fold[holding[0]] if holding else None


def chosen(kind: str, given: str, known: Iterable[str]) -> str:
    """``given`` if it is one of ``known``; else raises :class:`UnknownNameError` naming the nearest."""
    names = list(known)
    if given in names:
        return given
    raise unknown(kind, given, names)


def unknown(kind: str, given: str, known: Iterable[str], see: str = "", near: str | None = None) -> UnknownNameError:
    """The refusal of a name: what it was to be, the nearest one (unless ``near`` says which), and what
    there is (or where to ``see`` it)."""
    names = list(known)
    near = near or nearest(given, names)
    if near is None and see:
        return UnknownNameError(f"there is no {kind} {given[:60]!r}; {see}")
    if not see:
        more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
        see = f"there are: {', '.join(names[:MOST_SHOWN])}{more}" if names else "there are none yet"
    told = f"there is no {kind} {given[:60]!r}; "
    return UnknownNameError(told + (f"did you mean {near}? ({see})" if near is not None else see))


def has_words(name: str, text: str) -> bool:
    """True for a name with all words of what a person typed, in any order and case; no words are in every name."""
    return all(word in name.casefold() for word in text.casefold().split())


def unturned(text: str) -> str:
    """Other people's text without what turns the direction of the text around it."""
    return TURNS.sub("", text)


def apart(name: str) -> str:
    """A name within a sentence of ours, which is read as it was written whatever the name is: one with letters that are
    read from the right is set apart."""
    name = unturned(name).translate(dict.fromkeys(map(ord, _APART)))
    turned = any(bidirectional(letter) in ("R", "AL", "AN") for letter in name)
    return name.join(_APART) if turned else name
