"""Who may write: the term of the worker that has the database. A later one has a higher number, and a commit of an
earlier term is refused in its own transaction, however late it comes.

The same row counts the commits of a term. Where a connection is lost in the middle of a commit, it tells whether that
one is there: nothing is stored twice, and nothing is left out.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, select, update

from pilotfish.store import tables as t

_COUNT = (
    update(t.terms)
    .where(
        t.terms.c.name == bindparam("of_name"), t.terms.c.number == bindparam("of_number"),
        t.terms.c.commits == bindparam("before"),
    )
    .values(commits=bindparam("commit"))
)  # fmt: skip


class TakenOverError(Exception):
    """Another worker took this database over: nothing more of this one may be stored."""

    def __init__(self) -> None:
        super().__init__("another worker took this database over")


class LostCommitsError(Exception):
    """The database lacks what it had confirmed: an older copy of it has taken its place."""


class Fence:
    """One term: from :meth:`begin` until another one begins."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number

    @classmethod
    def begin(cls, c: Connection, name: str) -> Fence:
        """A new term; waits for a commit of the one before that is under way."""
        own = t.terms.c.name == name
        if c.execute(update(t.terms).where(own).values(number=t.terms.c.number + 1, commits=0)).rowcount == 0:
            c.execute(insert(t.terms).values(name=name, number=1, commits=0))
        return cls(name, int(c.execute(select(t.terms.c.number).where(own)).scalar_one()))

    def holds(self, c: Connection) -> bool:
        """Whether this is still the term of now."""
        return c.execute(select(t.terms.c.number).where(t.terms.c.name == self.name)).scalar() == self.number

    def admit(self, c: Connection, commit: int) -> bool:
        """Count the ``commit``-th commit of this term, in its own transaction. False if it is there already, and must
        not be written again.

        Raises :class:`TakenOverError` and :class:`LostCommitsError`.
        """
        before = commit - 1
        numbers = {"of_name": self.name, "of_number": self.number, "before": before, "commit": commit}
        if c.execute(_COUNT, numbers).rowcount == 1:
            return True
        found = c.execute(select(t.terms.c.number, t.terms.c.commits).where(t.terms.c.name == self.name)).first()
        if found is None or found.number < self.number or (found.number == self.number and found.commits < before):
            has = found.commits if found is not None and found.number == self.number else 0
            raise LostCommitsError(
                f"the database lacks commits that it had confirmed (it has {has} of {before});"
                " an older copy of it has taken its place. What is missing is read again after a restart"
            )
        if found.number > self.number:
            raise TakenOverError
        return False
