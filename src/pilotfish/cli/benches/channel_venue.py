"""A market channel that says what it is told, as fast as it is told: the other end of ``bench channel``, a process of
its own so that its work is not counted as ours.

Every book goes through a cycle of changes that ends where it began, so that both ends know what it must be then.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass

from aiohttp import WSMsgType, web

BOOKS = 5_000
CYCLE = 8
LEVELS = 30
SLICE = 0.005
"""Seconds between two bursts of frames."""
AT_PLACE = b"#############"
"""Thirteen digits: milliseconds since the epoch, put in when a frame is sent."""


def tokens() -> list[str]:
    """The tokens, two of each market, with ids as long as the venue's."""
    return [str(10**76 + n * 7_919) for n in range(BOOKS)]


def book_of(number: int) -> tuple[dict[int, int], dict[int, int]]:
    """The bids and asks of a token, in thousandths and whole shares, where each cycle begins and ends."""
    middle = 200 + number * 37 % 600
    bids = {middle - 1 - n: 100 + (number + n) % 900 for n in range(LEVELS)}
    asks = {middle + 1 + n: 100 + (number * 3 + n) % 900 for n in range(LEVELS)}
    return bids, asks


def _price(thousandths: int) -> str:
    return f"0.{thousandths:03d}".rstrip("0")


def changes_of(number: int) -> list[dict[str, str]]:
    """A token's cycle: levels deep in the book that grow and go, and the best ones that move."""
    bids, asks = book_of(number)
    sides = {"BUY": bids, "SELL": asks}
    best = {"BUY": max(bids), "SELL": min(asks)}
    deep = {"BUY": best["BUY"] - 7, "SELL": best["SELL"] + 9}
    steps = [
        ("BUY", deep["BUY"], bids[deep["BUY"]] + 55), ("SELL", best["SELL"], 0), ("SELL", deep["SELL"], 0),
        ("BUY", best["BUY"], 0), ("SELL", best["SELL"], asks[best["SELL"]]), ("BUY", deep["BUY"], bids[deep["BUY"]]),
        ("SELL", deep["SELL"], asks[deep["SELL"]]), ("BUY", best["BUY"], bids[best["BUY"]]),
    ]  # fmt: skip
    found = []
    for side, price, size in steps:
        sides[side][price] = size
        if not size:
            del sides[side][price]
        found.append({
            "asset_id": tokens_of(number), "price": _price(price), "size": f"{size}.25" if size else "0", "side": side,
            "hash": "b8ee5d8f9df5ed2b5f9c6c2a8d4e3f2a1b0c9d8e",
            "best_bid": _price(max(bids)), "best_ask": _price(min(asks)),
        })  # fmt: skip
    return found


def tokens_of(number: int) -> str:
    """One token's id."""
    return str(10**76 + number * 7_919)


@dataclass(slots=True)
class _Client:
    ws: web.WebSocketResponse
    numbers: list[int]
    """Tokens by number, both of a market beside each other."""


class Channel:
    """Serves the channel, and plays changes when it is asked to."""

    def __init__(self) -> None:
        self.clients: list[_Client] = []
        self._number_of = {token: n for n, token in enumerate(tokens())}
        self._frames: dict[int, list[tuple[bytes, bytes]]] = {}

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """One connection."""
        ws = web.WebSocketResponse(heartbeat=None, compress=False)
        await ws.prepare(request)
        async for message in ws:
            if message.type is not WSMsgType.TEXT:
                break
            if message.data == "PING":
                await ws.send_str("PONG")
                continue
            numbers = sorted(self._number_of[token] for token in json.loads(message.data)["assets_ids"])
            self.clients.append(_Client(ws, numbers))
            await ws.send_str(json.dumps([_book(number) for number in numbers]))
        return ws

    def _market_frames(self, first: int) -> list[tuple[bytes, bytes]]:
        """What goes before and after the time of each frame of a market's cycle: one change of both its tokens."""
        found = self._frames.get(first)
        if found is None:
            found = self._frames[first] = []
            for pair in zip(changes_of(first), changes_of(first + 1), strict=True):
                text = json.dumps({
                    "market": f"0x{first:064x}", "price_changes": pair, "timestamp": AT_PLACE.decode(),
                    "event_type": "price_change",
                }).encode()  # fmt: skip
                before, _, after = text.partition(AT_PLACE)
                found.append((before, after))
        return found

    async def play(self, request: web.Request) -> web.Response:
        """``per_second`` changes, for about ``seconds``, in whole cycles; 0 = as fast as they are taken. Gives how many
        there were, and how far the sending fell behind at worst (ms)."""
        per_second, seconds = int(request.query["per_second"]), float(request.query["seconds"])
        turns = [
            (client, self._market_frames(number))
            for client in self.clients
            for number in client.numbers
            if number % 2 == 0 and number + 1 in set(client.numbers)
        ]
        per_cycle = 2 * len(turns) * CYCLE
        cycles = max(1, round((per_second or 40_000) * seconds / per_cycle))
        sent, behind, began = 0, 0.0, time.monotonic()
        for _ in range(cycles):
            for step in range(CYCLE):
                for client, frames in turns:
                    before, after = frames[step]
                    now = b"%d" % (time.time() * 1000)
                    await client.ws.send_frame(before + now + after, _TEXT)
                    sent += 2
                    if per_second and sent % max(2, int(per_second * SLICE) // 2 * 2) == 0:
                        pause = began + sent / per_second - time.monotonic()
                        behind = max(behind, -pause)
                        if pause > 0:
                            await asyncio.sleep(pause)
        spent = time.monotonic() - began
        return web.json_response({"changes": sent, "seconds": spent, "behind_ms": 1000 * behind})


_TEXT = WSMsgType.TEXT


def _book(number: int) -> dict[str, object]:
    bids, asks = book_of(number)
    return {
        "event_type": "book", "asset_id": tokens_of(number), "market": f"0x{number // 2 * 2:064x}",
        "bids": [{"price": _price(p), "size": f"{s}.25"} for p, s in sorted(bids.items())],
        "asks": [{"price": _price(p), "size": f"{s}.25"} for p, s in sorted(asks.items(), reverse=True)],
        "timestamp": str(int(time.time() * 1000)), "hash": "", "tick_size": "0.001", "min_order_size": "5",
    }  # fmt: skip


async def main() -> None:
    """Serve on a free port, which is printed."""
    channel = Channel()
    app = web.Application()
    app.add_routes([web.get("/ws", channel.socket), web.get("/play", channel.play)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
