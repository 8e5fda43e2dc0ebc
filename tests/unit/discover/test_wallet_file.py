"""A file of wallets is read in whatever of three shapes it has, and what is no wallet in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish.backtest.wallet_file import WalletFileError, read_wallets

ONE, TWO = "0x" + "a1" * 20, "0x" + "b2" * 20


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n\n# a note\n{TWO.upper().replace('0X', '0x')}  # theirs\n{ONE}\n",
        f"name,Wallet,pnl\nfirst,{ONE},3\n,{TWO},-1\nfirst,{ONE},3\n",
        f'["{ONE}", "{TWO}", "{ONE}"]',
        f'[{{"proxyWallet": "{ONE}", "userName": "first"}}, {{"proxyWallet": "{TWO}"}}]',
        f'{{"tested": 2, "rows": [{{"wallet": "{ONE}", "name": "first"}}, {{"wallet": "{TWO}"}}]}}',
        f"\ufeff{ONE}\r\n{TWO}\r\n",
    ],
    ids=["lines", "csv", "json", "objects", "found", "windows"],
)
def test_wallets_are_read_from_lines_csv_and_json_each_once_in_their_order(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wallets"
    path.write_text(text)
    read = read_wallets(path)
    assert [one.wallet for one in read.candidates] == [ONE, TWO]
    assert read.bad == []


def test_names_beside_wallets_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "wallets.csv"
    path.write_text(f"wallet,label\n{ONE},Whale\n")
    assert read_wallets(path).candidates[0].name == "Whale"


def test_what_is_no_wallet_is_named_with_its_line_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "wallets.txt"
    path.write_text(f"{ONE}\nnobody\n0x12\n{TWO}\n")
    read = read_wallets(path)
    assert [one.wallet for one in read.candidates] == [ONE, TWO]
    assert read.bad == [
        "line 2: 'nobody' is not a wallet: expected 0x and 40 hex digits",
        "line 3: '0x12' is not a wallet: expected 0x and 40 hex digits",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no wallet"),
        (b"nobody\n", "line 1: 'nobody' is not a wallet"),
        (b"[1, 2", "is not JSON"),
        (b'{"a": 1}', "expected a list of wallets"),
        (b"\xff\xfe\x00\x9f", "is not text"),
    ],
)
def test_a_file_without_wallets_is_refused_with_what_is_expected(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "wallets"
    path.write_bytes(content)
    with pytest.raises(WalletFileError, match=words):
        read_wallets(path)


def test_a_folder_is_no_file_of_wallets(tmp_path: Path) -> None:
    with pytest.raises(WalletFileError, match="cannot be read"):
        read_wallets(tmp_path)
