"""The three answers, and how what a dollar made is written: light enough for pages to import."""

from __future__ import annotations

from enum import StrEnum

from pilotfish.core import numerals
from pilotfish.core.units import MICRO


class Verdict(StrEnum):
    """Whether copying would have paid, at one size and delay."""

    COPYABLE = "copyable"
    NOT_COPYABLE = "not_copyable"
    CANNOT_TELL = "cannot_tell"


WORDS = {
    Verdict.COPYABLE: "Copyable",
    Verdict.NOT_COPYABLE: "Not copyable",
    Verdict.CANNOT_TELL: "Cannot tell",
}


def came_back(*edges: float) -> str:
    """What a dollar came back as: *0.94* or *0.94 to 0.99*; to more places where cents would hide gain or loss."""
    places = 2
    while places < 4 and any(edge and not round(edge, places) for edge in edges):
        places += 1
    return " to ".join(numerals.money(round((1 + edge) * MICRO), places) for edge in edges)


def in_bands(expected: int, pessimistic: int, optimistic: int) -> str:
    """What copying made (millionths of a USDC) where fills came later and fewer, and sooner and more, than expected.

    Fewer fills can make more: where those that are then missed would have lost. A reader who sees the pessimistic
    figure above the expected one is told so."""
    fewer, more = numerals.gain(pessimistic), numerals.gain(optimistic)
    missed = " (what it would have missed lost)" if pessimistic > expected else ""
    return f"{fewer} with later and fewer fills{missed}, {more} with sooner and more"
