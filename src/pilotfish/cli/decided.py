"""How much was decided, in words that add up."""

from __future__ import annotations

from pilotfish.core.numerals import count, plural
from pilotfish.core.reasons import words
from pilotfish.store.copies import WORDS, State
from pilotfish.store.views.leaders import became
from pilotfish.store.views.portfolios import Decisions


def decided(d: Decisions, portfolios: int, *, reasons: bool = False) -> str:
    """The decisions on leaders' trades, of so many portfolios: what they say, and what became of copies. With several
    portfolios there are more of them than trades, since each decides every trade."""
    skipped = sum(d.skipped.values())
    gone = d.copied - sum(became(d).values())
    states = became(d) | ({State.RESET: gone} if gone > 0 else {})
    told = ", ".join(f"{count(n)} {WORDS[s]}" for s, n in states.items())
    why = ", ".join(f"{count(n)} {words(reason)}" for reason, n in d.skipped.items()) if reasons else ""
    parts = [f"{count(d.copied)} copied ({told})", f"{count(skipped)} skipped" + (f" ({why})" if why else "")]
    parts += [f"{count(d.waiting)} waiting"] if d.waiting else []
    of = f" of {count(portfolios)} portfolios" if portfolios > 1 else ""
    return f"{plural(d.copied + skipped + d.waiting, 'decision')}{of}: {', '.join(parts)}"
