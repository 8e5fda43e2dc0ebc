"""What the stand-in venue can be told to do, in words."""

from __future__ import annotations

SCENARIOS = ("busy", "quiet")
"""busy: the leaders act by themselves. quiet: nothing happens but what the controls ask for."""

HELP = {
    "GET /_sim": "this text, the leaders and the markets",
    "GET /_sim/requests": "requests by route, JSON-RPC calls by method, open sockets, logs delivered",
    "GET /_sim/recent": "the newest requests with their queries (?service=data&limit=100)",
    "GET /_sim/truth": "what really happened: fills by wallet, holdings, and whether everything has been shown"
    " (?wallet=0x… once for each wallet)",
    "POST /_sim/fills": "make fills: {wallet, token_id, side, shares, price, role: taker|maker, match: same|mint|merge,"
    " count: identical fills in the transaction, counterparty: a wallet, order_hash, tx_hash, age: seconds ago,"
    " chain_delay: seconds or null for never, api_delay: seconds}",
    "POST /_sim/rows": "put raw activity rows: {row or rows, visible_in: seconds,"
    " moves: {token_id: shares that it adds}}",
    "POST /_sim/logs": "deliver a raw log object to everybody who subscribed to such: {log}",
    "POST /_sim/holdings": "what a wallet held before everything: {wallet, holdings: {token_id: shares}}",
    "POST /_sim/books": "set a book and stop it from moving: {token_id, bids: [[price, size]], asks: […],"
    " tick}; both empty = no book",
    "POST /_sim/markets": "list a market: {question, mid, fee_rate, category}; answers its tokens",
    "POST /_sim/resolve": "close a market: {condition_id or token_id, payouts: [1, 0], told_by:"
    " [resolutions, clob, gamma], disputed: bool, unlisted: bool}; without payouts only closed",
    "POST /_sim/faults": "{service: data|gamma|clob|rpc:METHOD or a route like data/v2/activity,"
    " mode: status|html|hang|truncate|empty|off, status,"
    " count, seconds}",
    "POST /_sim/rpc": "{action: drop|refuse|mute|forget|raw|strip_data|stop_blocks|start_blocks|chain_id, seconds,"
    " count, value}",
    "POST /_sim/market_ws": "{action: drop|refuse|mute|silent|skip|cross|raw, seconds, count, token_id, value,"
    " connections: how many of them}; silent: heartbeats are answered but changes (of token_id, if given) are not sent;"
    " skip: so many changes are lost",
    "POST /_sim/reorgs": "{tx_hash, remine_after: seconds or null}",
    "POST /_sim/api": "{v1_only: bool, lag: [from, to] seconds, late_logs: 0…1, wall: from this offset on v1"
    " repeats a page, newest_first: bool, more_for_ever: bool, repeats: bool, overlap: rows, no_end: bool, between:"
    " rows that appear after the next full page}",
    "POST /_sim/pause": "the leaders stop acting; blocks go on",
    "POST /_sim/resume": "the leaders act again",
}
