"""SQLite keeps what repeats by its number in a table of names, hashes by their bytes and our own words by their places;
PostgreSQL keeps texts. Payloads of before stay as they are."""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_WORDS: Mapping[str, tuple[str, ...]] = {
    "side": ("BUY", "SELL"),
    "source": ("polygon", "api"),
    "class": ("live", "backfill", "catch-up"),
    "role": ("taker", "maker"),
    "action": ("skip", "copy", "wait", "exit"),
    "reason": (
        "SKIP_SAME_ORDER", "COPY", "COPY_GONE", "SKIP_BACKFILL", "SKIP_PAUSED", "SKIP_SIDE", "SKIP_UNSUPPORTED",
        "SKIP_UNKNOWN_MARKET", "SKIP_MARKET_CLOSED", "SKIP_POLYGON_UNHEALTHY", "SKIP_API_UNHEALTHY", "SKIP_NO_POSITION",
        "SKIP_UNEXPLAINED_EXIT", "SKIP_CATCHUP_TOO_OLD", "SKIP_CATCHUP_WORSE_PRICE", "SKIP_CATCHUP_NEW_POSITION",
        "SKIP_PRICE_RANGE", "SKIP_LEADER_SIZE", "SKIP_FILTERED", "SKIP_END_DATE", "SKIP_BUYS_PER_OUTCOME",
        "SKIP_LEADER_VALUE", "SKIP_BELOW_MIN", "SKIP_ACCUMULATING", "SKIP_DAILY_LOSS", "SKIP_CASH", "SKIP_CAP_TRADE",
        "SKIP_CAP_MARKET", "SKIP_CAP_LEADER", "SKIP_CAP_TOTAL", "SKIP_CAP_DAILY", "SKIP_CAP_POSITIONS",
        "SKIP_NO_BOOK", "SKIP_SPREAD", "SKIP_SLIPPAGE", "SKIP_DEPTH", "SKIP_RETRACTED", "SKIP_RESET",
        "EXIT_TAKE_PROFIT", "EXIT_STOP_LOSS", "EXIT_BY_HAND", "EXIT_DUST", "WAIT_MARKET", "WAIT_BOOK", "WAIT_TURN",
        "WAIT_CHAIN", "WAIT_API", "WAIT_POLYGON_UNHEALTHY", "WAIT_API_UNHEALTHY", "WAIT_REORG",
        "WAIT_HOLDINGS",
    ),
}  # fmt: skip
_OURS = ("portfolio", "leader", "token_id")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "portfolios": ("name",),
    "leaders": ("wallet",),
    "cursors": ("leader",),
    "history_gaps": ("leader",),
    "markets": ("token_id",),
    "marks": ("token_id",),
    "leader_holdings": ("leader", "token_id"),
    "trades": ("leader", "token_id", "condition_id", "outcome", "title", "slug", "exchange"),
    "trade_raw": (),
    "holding_adjustments": ("leader", "token_id"),
    "decisions": _OURS,
    "intents": (*_OURS, "condition_id"),
    "fills": _OURS,
    "positions": _OURS,
    "round_trips": _OURS,
    "settled_accounts": _OURS,
    "savings": _OURS,
    "liquidity_taken": ("portfolio", "token_id"),
    "ledger_entries": _OURS,
    "equity_snapshots": ("portfolio",),
}
"""The tables that are made anew, in this order, and their columns of names: the most frequent get the small numbers."""
_HASHES: Mapping[str, tuple[str, ...]] = {"trades": ("tx_hash", "order_hash", "block_hash")}
_CODES: Mapping[str, Mapping[str, str]] = {
    "trades": {"side": "side", "first_source": "source", "class": "class", "role": "role"},
    "trade_raw": {"source": "source"},
    "decisions": {"action": "action", "reason": "reason", "side": "side", "class": "class"},
}
_TEXTS: Mapping[str, str] = {
    "name": "VARCHAR(100)", "portfolio": "VARCHAR(100)", "wallet": "VARCHAR(42)", "leader": "VARCHAR(42)",
    "exchange": "VARCHAR(42)", "token_id": "VARCHAR(78)", "condition_id": "VARCHAR(66)", "outcome": "VARCHAR(500)",
    "title": "TEXT", "slug": "TEXT", "tx_hash": "VARCHAR(66)", "order_hash": "VARCHAR(66)",
    "block_hash": "VARCHAR(66)", "side": "VARCHAR(4)", "first_source": "VARCHAR(8)", "source": "VARCHAR(8)",
    "class": "VARCHAR(16)", "role": "VARCHAR(5)", "action": "VARCHAR(8)", "reason": "VARCHAR(40)",
}  # fmt: skip
"""What columns were declared as."""
_ONCE = "uq_decisions_adjustment_portfolio"
_OF_MOVE = sa.text("adjustment_id IS NOT NULL")
_BY_ORDER = "ix_trades_order_id"


def upgrade() -> None:
    """Apply the step."""
    op.create_table(
        "names",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_names"),
        sa.UniqueConstraint("name", name="uq_names_name"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _function("bytes_of", 1, _bytes_of)
        for table, columns in _NAMES.items():
            for column in columns:
                op.execute(
                    f'INSERT INTO names (name) SELECT DISTINCT "{column}" FROM {table} WHERE "{column}" IS NOT NULL'
                    " ON CONFLICT DO NOTHING"
                )
        for table in _NAMES:
            _anew(table, _numbered(table), {"trade_id": "INTEGER"} if table == "trade_raw" else {})
        op.drop_index(_BY_ORDER, "trades")
        op.execute(f"CREATE INDEX {_BY_ORDER} ON trades (substr(order_hash, -8), id) WHERE order_hash IS NOT NULL")
    else:
        op.drop_constraint(_ONCE, "decisions")
    op.create_index(
        _ONCE,
        "decisions",
        ["adjustment_id", "portfolio"],
        unique=True,
        sqlite_where=_OF_MOVE,
        postgresql_where=_OF_MOVE,
    )


def downgrade() -> None:
    """Take the step back."""
    op.drop_index(_ONCE, "decisions")
    if op.get_bind().dialect.name == "sqlite":
        _function("repacked", 4, _repacked)
        op.drop_index(_BY_ORDER, "trades")
        once = f", CONSTRAINT {_ONCE} UNIQUE (adjustment_id, portfolio)"
        for table in ("trade_raw", *(name for name in _NAMES if name != "trade_raw")):
            _anew(
                table, _spelled(table), {"trade_id": "BIGINT"} if table == "trade_raw" else {},
                once if table == "decisions" else "",
            )  # fmt: skip
        op.execute(f"CREATE INDEX {_BY_ORDER} ON trades (order_hash, id) WHERE order_hash IS NOT NULL")
    else:
        op.create_unique_constraint(_ONCE, "decisions", ["adjustment_id", "portfolio"])
    op.drop_table("names")


_New = dict[str, tuple[str, str]]
"""Column -> how it is declared from now on, and what its value is."""


def _numbered(table: str) -> _New:
    number = "(SELECT id FROM names WHERE name = of.{0})"
    only = "BIGINT CHECK (typeof({0}) <> 'text')"  # from an older version that still runs, which nobody could read
    new = {column: (only.format(_quoted(column)), number.format(_quoted(column))) for column in _NAMES[table]}
    new |= {column: ("BLOB", f"bytes_of(of.{column})") for column in _HASHES.get(table, ())}
    for column, kind in _CODES.get(table, {}).items():
        whens = " ".join(f"WHEN '{word}' THEN {n}" for n, word in enumerate(_WORDS[kind]))
        new[column] = ("BLOB", f"CASE of.{_quoted(column)} {whens} ELSE of.{_quoted(column)} END")
    return new


def _spelled(table: str) -> _New:
    text = "(SELECT name FROM names WHERE id = of.{0})"
    new = {column: (_TEXTS[column], text.format(_quoted(column))) for column in _NAMES[table]}
    for column in _HASHES.get(table, ()):
        digits = f"CASE typeof(of.{column}) WHEN 'blob' THEN '0x' || lower(hex(of.{column})) ELSE of.{column} END"
        new[column] = (_TEXTS[column], digits)
    for column, kind in _CODES.get(table, {}).items():
        whens = " ".join(f"WHEN {n} THEN '{word}'" for n, word in enumerate(_WORDS[kind]))
        quoted = _quoted(column)
        word = f"CASE typeof(of.{quoted}) WHEN 'integer' THEN CASE of.{quoted} {whens} END ELSE of.{quoted} END"
        new[column] = (_TEXTS[column], word)
    if table == "trade_raw":
        digits = "(SELECT CASE typeof(tx_hash) WHEN 'blob' THEN '0x' || lower(hex(tx_hash)) ELSE tx_hash END {0})"
        of_trade = "FROM trades WHERE id = of.trade_id"
        named = "(SELECT (SELECT name FROM names WHERE id = trades.{0}) " + of_trade + ")"
        trade = ", ".join((digits.format(of_trade), named.format("leader"), named.format("token_id")))
        new["payload"] = ("TEXT", f"repacked(of.payload, {trade})")
    return new


def _anew(table: str, new: _New, declared: Mapping[str, str], constraint: str = "") -> None:
    """Make a table anew with other columns: its rows go over as a whole, its indexes are made again, as are triggers
    that somebody gave it."""
    c = op.get_bind()
    told = "SELECT sql FROM sqlite_master WHERE type = :kind AND tbl_name = :table AND sql IS NOT NULL"
    made = c.execute(sa.text(told), {"kind": "table", "table": table}).scalar_one()
    besides = [
        statement
        for kind in ("index", "trigger")
        for statement in c.execute(sa.text(told), {"kind": kind, "table": table}).scalars()
    ]
    made = re.sub(rf",\s*CONSTRAINT {_ONCE} UNIQUE \([^)]*\)", "", made)
    made = re.sub(r""" CHECK \(typeof\("\w+"\) <> 'text'\)""", "", made)
    made = made[: made.rindex(")")] + constraint + made[made.rindex(")") :]
    for column, kind in {**{name: kind for name, (kind, _) in new.items()}, **declared}.items():
        made = re.sub(
            rf'(?<![\w"])("?{column}"?) (?:VARCHAR\(\d+\)|TEXT|BIGINT|INTEGER|BLOB)', rf"\1 {kind}", made, count=1
        )
    columns = [row[1] for row in c.exec_driver_sql(f"PRAGMA table_info({table})")]
    values = ", ".join(new[column][1] if column in new else f"of.{_quoted(column)}" for column in columns)
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
    op.execute(made)
    op.execute(f"INSERT INTO {table} ({', '.join(map(_quoted, columns))}) SELECT {values} FROM {table}_before AS of")
    op.execute(f"DROP TABLE {table}_before")
    for statement in besides:
        c.exec_driver_sql(statement)


def _quoted(column: str) -> str:
    return f'"{column}"'


def _function(name: str, values: int, does: object) -> None:
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.create_function(name, values, does, deterministic=True)


def _bytes_of(text: object) -> object:
    """``0x`` and lower-case hexadecimal digits as bytes; anything else as itself."""
    if isinstance(text, str) and len(text) > 2 and text[:2] == "0x":
        try:
            found = unhexlify(text[2:])
        except ValueError:
            return text
        if found.hex() == text[2:]:
            return found
    return text


def _repacked(kept: object, tx_hash: str | None, leader: str | None, token_id: str | None) -> object:
    """A payload as the version before packs it."""
    from pilotfish.store import packed, payloads

    if not isinstance(kept, bytes) or kept[:1] not in (b"\3", b"\4"):
        return kept
    return packed.pack(payloads.unpack(kept, (tx_hash or "", leader or "", token_id or "")), 2)
