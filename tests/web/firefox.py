"""Pages in a real Firefox, as Debian ships it, driven over WebDriver BiDi, which it speaks by itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.rig import PATIENCE

KEYS = {
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Delete": "\ue017",
    "Shift": "\ue008",
    "Control": "\ue009",
}
LOOK_SECONDS = 0.05
"""Between two looks."""
PREFERENCES = {
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.download.alwaysOpenPanel": False,
    "browser.download.always_ask_before_handling_new_types": False,
    "app.update.auto": False,
    "browser.aboutwelcome.enabled": False,
    "browser.preonboarding.enabled": False,
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
"""Files go to a folder without a question; nothing is asked of anybody, and nothing stands before the page."""


@dataclass
class Firefox:
    """One window of it."""

    socket: aiohttp.ClientWebSocketResponse
    downloads: Path
    context: str = ""
    asked: int = 0

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Ask it for something; what it tells besides is passed over."""
        self.asked += 1
        await self.socket.send_json({"id": self.asked, "method": method, "params": params})
        while True:
            told = await self.socket.receive_json(timeout=PATIENCE)
            if told.get("id") == self.asked:
                assert told["type"] == "success", (method, told)
                result: dict[str, Any] = told["result"]
                return result

    async def open(self, url: str) -> None:
        """Go to a page."""
        await self.call("browsingContext.navigate", context=self.context, url=url, wait="complete")
        await self.arrive("true")

    async def arrive(self, expression: str) -> None:
        """Wait for a page of which that is true, and look at it: keys go to the window that has the focus."""
        await self.until(expression)
        await self.call("browsingContext.activate", context=self.context)
        await self.until("document.hasFocus()")

    async def press(self, *keys: str) -> None:
        """Some keys, one after the other; ``Shift+Tab`` is both at once."""
        actions: list[dict[str, str]] = []
        for key in keys:
            held = [KEYS.get(part, part) for part in key.split("+")]
            actions += [{"type": "keyDown", "value": part} for part in held]
            actions += [{"type": "keyUp", "value": part} for part in reversed(held)]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        await self.call("input.performActions", context=self.context, actions=[source])

    async def ask(self, function: str) -> Any:
        """What a function says in the page."""
        told = await self.call(
            "script.evaluate", expression=f"JSON.stringify(({function})())", target={"context": self.context},
            awaitPromise=False,
        )  # fmt: skip
        assert told["type"] == "success", told
        return json.loads(told["result"]["value"])

    async def until(self, expression: str) -> None:
        """Wait until that is true in the page, whichever page it is then, and all of it is there."""
        end = time.monotonic() + PATIENCE
        while not await self._holds(expression):
            assert time.monotonic() < end, expression
            await asyncio.sleep(LOOK_SECONDS)

    async def _holds(self, expression: str) -> bool:
        """False also where the page is just being left."""
        target = {"context": self.context}
        self.asked += 1
        number, params = (
            self.asked,
            {
                "expression": f"document.readyState === 'complete' && !!({expression})",
                "target": target,
                "awaitPromise": False,
            },
        )
        await self.socket.send_json({"id": number, "method": "script.evaluate", "params": params})
        while True:
            told = await self.socket.receive_json(timeout=PATIENCE)
            if told.get("id") == number:
                return bool(told.get("result", {}).get("result", {}).get("value"))


@asynccontextmanager
async def launched(path: str, folder: Path) -> AsyncIterator[Firefox]:
    """A browser with a profile of its own in ``folder``."""
    profile, downloads = folder / "profile", folder / "downloads"
    profile.mkdir()
    downloads.mkdir()
    given = {**PREFERENCES, "browser.download.dir": str(downloads)}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in given.items()]
    (profile / "user.js").write_text("\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        path, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        host = await _listens(profile / "WebDriverBiDiServer.json", process)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://{host}/session", max_msg_size=0) as ws:
            firefox = Firefox(ws, downloads)
            await firefox.call("session.new", capabilities={})
            firefox.context = (await firefox.call("browsingContext.create", type="window"))["context"]
            size = {"width": 1440, "height": 900}
            await firefox.call("browsingContext.setViewport", context=firefox.context, viewport=size)
            yield firefox
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)


async def _listens(file: Path, process: asyncio.subprocess.Process) -> str:
    """Where it listens, as it says in its profile."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.returncode is None, "Firefox ended"
        try:
            at = json.loads(file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return f"{at['ws_host']}:{at['ws_port']}"
    raise AssertionError("Firefox does not listen")
