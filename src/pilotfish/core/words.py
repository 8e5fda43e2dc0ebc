"""Enumerations whose members are plain words."""

from __future__ import annotations

from enum import StrEnum


class Word(StrEnum):
    """A word of a fixed set; it is its own text, also where it is looked up: hashing goes by the text, as comparing
    does, and is as fast as a text's."""

    __hash__ = str.__hash__
