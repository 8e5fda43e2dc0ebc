"""A file of wallets: one a line, a CSV with a column of them, or JSON. What is no wallet is named with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pilotfish.backtest.candidates import Candidate
from pilotfish.core.problem import Problem
from pilotfish.polymarket.contracts import is_wallet

COLUMNS = ("wallet", "proxy_wallet", "proxywallet", "user_id", "user", "address", "leader")
"""Names that a column of wallets may have."""
NAMES = ("name", "label", "user_name", "username")
MOST_BYTES = 50_000_000
MOST_NAMED = 20
"""Bad lines that are named one by one."""


class WalletFileError(Problem):
    """The file holds no wallets; the message says what is wrong and what is expected."""


class WalletFile(NamedTuple):
    """The wallets of a file in its order, each once; ``bad`` are lines that hold none, each named."""

    candidates: list[Candidate]
    bad: list[str]


class _Entry(NamedTuple):
    where: str
    wallet: str
    name: str


def read_wallets(path: Path) -> WalletFile:
    """Read a file of wallets. Raises :class:`WalletFileError`."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise WalletFileError(f"{path} is larger than {MOST_BYTES // 1_000_000} MB; give a file of wallets")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise WalletFileError(f"{path} is not text; give one wallet a line, a CSV or JSON") from None
    except OSError as problem:
        raise WalletFileError(f"{path} cannot be read: {problem.strerror or problem}") from None
    return read_text(text, str(path))


def read_text(text: str, named: str) -> WalletFile:
    """Read the text of a file of wallets, or what somebody pasted; ``named`` is what it is called where it holds none.
    Raises :class:`WalletFileError`."""
    found: dict[str, Candidate] = {}
    bad: list[str] = []
    for entry in _entries(named, text):
        if is_wallet(entry.wallet):
            wallet = entry.wallet.lower()
            found.setdefault(wallet, Candidate(wallet=wallet, name=entry.name[:200]))
        else:
            bad.append(f"{entry.where}: {entry.wallet[:60]!r} is not a wallet: expected 0x and 40 hex digits")
    if not found:
        why = f": {bad[0]}" if bad else ""
        raise WalletFileError(f"{named} holds no wallet{why}; give one wallet a line, a CSV or JSON")
    return WalletFile(list(found.values()), bad)


def _entries(named: str, text: str) -> Iterator[_Entry]:
    if text.lstrip()[:1] in ("[", "{"):
        return _json(named, text)
    lines = text.splitlines()
    if lines and _column([cell.strip().lower() for cell in lines[0].split(",")]) is not None:
        return _csv(lines)
    return _lines(lines)


def _lines(lines: list[str]) -> Iterator[_Entry]:
    for number, line in enumerate(lines, 1):
        given = line.split("#")[0].strip()
        if given:
            wallet, _, name = given.partition(",")
            yield _Entry(f"line {number}", wallet.strip(), name.strip())


def _csv(lines: list[str]) -> Iterator[_Entry]:
    reader = csv.reader(lines)
    heads = [cell.strip().lower() for cell in next(reader)]
    place, named = _column(heads), next((heads.index(name) for name in NAMES if name in heads), None)
    assert place is not None
    for row in reader:
        if any(cell.strip() for cell in row):
            wallet = row[place].strip() if place < len(row) else ""
            yield _Entry(
                f"line {reader.line_num}", wallet, row[named].strip() if named is not None and named < len(row) else ""
            )


def _column(heads: list[str]) -> int | None:
    return next((heads.index(name) for name in COLUMNS if name in heads), None)


def _json(named: str, text: str) -> Iterator[_Entry]:
    try:
        answer = msgspec.json.decode(text)
    except msgspec.DecodeError as problem:
        raise WalletFileError(f"{named} is not JSON: {problem}") from None
    rows = answer
    if isinstance(answer, dict):
        rows = next((answer[key] for key in ("rows", "wallets", "data") if isinstance(answer.get(key), list)), None)
    if not isinstance(rows, list):
        raise WalletFileError(f"{named}: expected a list of wallets, or an object with one as rows, wallets or data")
    for number, row in enumerate(rows, 1):
        fields = {str(key).lower(): value for key, value in row.items()} if isinstance(row, dict) else {}
        wallet = next((fields[name] for name in COLUMNS if name in fields), "" if fields else row)
        name = next((fields[name] for name in NAMES if name in fields), "")
        yield _Entry(f"entry {number}", str(wallet).strip(), str(name or "").strip())
