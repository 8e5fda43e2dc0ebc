"""Alerts through Apprise (Telegram, Discord, ntfy, mail, …): gathered for a moment, sent beside the work, never in its
way. What cannot be sent is tried again a few times, then counted and shown."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import stamina
import structlog

from pilotfish.app.alert_times import Times, times_of, zone_of
from pilotfish.app.logs import hide, plain
from pilotfish.core.effects import Effect, Insert
from pilotfish.core.events import Market
from pilotfish.core.numerals import money, percent, price_micro, shares
from pilotfish.core.records import EntryRecord, EquityRecord, FillRecord
from pilotfish.core.setting_values import words_of
from pilotfish.core.settings import BY_NAME, SettingError, Value
from pilotfish.core.trade import Side
from pilotfish.feeds.hub import Hub
from pilotfish.store.worker_state import ProviderState

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
GATHER_SECONDS = 2.0
"""How long after the first line of a message others may join it."""
MOST_LINES = 20
"""Lines of one message; what is beyond is counted."""
MOST_WAITING = 500
ATTEMPTS = 3
SEND_SECONDS = 30.0
_NEXT = re.compile(r"[,\s]+(?=[A-Za-z][A-Za-z0-9+]{0,15}://)")


class SendError(Exception):
    """Apprise could not deliver to every address."""


@dataclass(slots=True)
class AlertStatus:
    """What a person wants to know (times in epoch seconds)."""

    on: bool = False
    sent: int = 0
    failed: int = 0
    last_sent_at: float | None = None
    error: str = ""


def addresses(text: str) -> list[str]:
    """The addresses in an ``alert_urls`` value."""
    return [part for part in _NEXT.split(text.strip().strip(",")) if part]


def check(changes: Mapping[str, object]) -> None:
    """Raise :class:`SettingError` where ``changes`` holds an ``alert_urls`` that Apprise cannot use, or an
    ``alert_zone`` that is none."""
    zone = next((v for k, v in changes.items() if k.lower() == "alert_zone"), None)
    if isinstance(zone, str):
        zone_of(zone.strip())
    given = next((v for k, v in changes.items() if k.lower() == "alert_urls"), None)
    if not given or not isinstance(given, str):
        return
    apprise = _apprise()
    for number, address in enumerate(addresses(given), start=1):
        if apprise.Apprise.instantiate(address) is None:
            scheme = address.partition("://")[0][:20] if "://" in address else "no scheme"
            raise SettingError(
                f"alert_urls: entry {number} ({scheme}) is not an Apprise address; expected something like"
                " ntfy://topic, tgram://bot-token/chat-id, discord://webhook-id/webhook-token or mailto://…"
            )


async def send(urls: str, lines: list[str]) -> None:
    """Deliver one message to every address. Raises :class:`SendError`."""
    apprise = await asyncio.to_thread(_apprise)
    gate = apprise.Apprise()
    for address in addresses(urls):
        gate.add(address)
    if not len(gate):
        raise SendError("alert_urls holds no address that can be used")
    try:
        async with asyncio.timeout(SEND_SECONDS):
            delivered = await gate.async_notify(
                body="\n".join(_plain(line) for line in lines), title="pilotfish", body_format=apprise.NotifyFormat.TEXT
            )
    except TimeoutError:
        raise SendError(f"no answer within {SEND_SECONDS:.0f} s") from None
    if not delivered:
        raise SendError("an address refused the message or does not answer")


class SourceHealth(NamedTuple):
    """Whether a source works, and the detail, without secrets."""

    healthy: bool
    detail: str


class Alerts:
    """Sees every event's effects and the health of the sources; :meth:`run` sends. ``markets``: what the engine knows
    of a token's market, for the words of a message."""

    def __init__(self, hub: Hub, markets: Mapping[str, Market]) -> None:
        self.hub = hub
        self._markets = markets
        self.status = AlertStatus()
        self.wanted: frozenset[str] = frozenset()
        """Kinds of ``alert_on`` that are told; empty while there is nowhere to send to."""
        self.labels: dict[str, str] = {}
        """Wallet -> label."""
        self._urls = ""
        self._lines: deque[str] = deque()
        self._first_at = 0.0
        self._left_out = 0
        self._down_since: dict[str, float] = {}
        self._told_down: set[str] = set()
        self._bad_told = 0
        self._times = Times()
        self._daily_at = 0.0
        self._units = 0
        self._fallen: set[str] = set()
        """Portfolios whose fall was told."""

    def take(self, settings: Mapping[str, Value]) -> None:
        """Settings as they are from now on."""
        urls = str(settings.get("alert_urls", ""))
        if urls != self._urls:
            self._urls = urls
            hide([urls, *addresses(urls)])
            self._bad_told = self.hub.bad_inputs
        kinds = words_of(str(settings.get("alert_on", BY_NAME["alert_on"].default)))
        self.wanted = frozenset(kinds) if urls else frozenset()
        self.status.on = bool(self.wanted)
        times = times_of(settings)
        if times != self._times or not self._daily_at:
            self._times, self._daily_at = times, times.next_daily(self.hub.clock.wall())

    @property
    def urls(self) -> str:
        """Where alerts go; empty = nowhere."""
        return self._urls

    @property
    def waiting(self) -> int:
        """Lines that are not sent yet."""
        return len(self._lines)

    def see(self, effects: Iterable[Effect]) -> None:
        """What an event led to. Whatever goes wrong in telling it stays out of the way of copying."""
        try:
            self._see(effects)
        except Exception as problem:
            self._faulty(problem)

    def _faulty(self, problem: Exception) -> None:
        self.status.failed += 1
        self.status.error = f"{type(problem).__name__}: {problem}"[:300]
        log.error("an alert could not be made; copying goes on", exc_info=problem)

    def note(self, line: str) -> None:
        """Something about the worker itself, for who wants to know of health."""
        if "health" in self.wanted:
            self._tell(line)

    def _see(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Insert):
                continue
            match effect.record:
                case FillRecord(side=side) as fill:
                    if ("copies" if side is Side.BUY else "exits") in self.wanted:
                        self._tell(self._fill(fill))
                case EntryRecord(kind="settle") as entry if "results" in self.wanted:
                    paid, market = money(entry.amount_micro), self._market(entry.token_id)
                    self._tell(f"{entry.portfolio}: {market} paid {paid} USDC")
                case EquityRecord() as worth if "drawdown" in self.wanted:
                    self._fall(worth)
                case _:
                    pass

    def _fall(self, worth: EquityRecord) -> None:
        """Told once; again after half of what had to be made up for was."""
        most = worth.peak_micro * self.hub.number("alert_drawdown_bps") // 10_000
        fall = worth.peak_micro - worth.equity_micro
        if fall >= most > 0 and worth.portfolio not in self._fallen:
            self._fallen.add(worth.portfolio)
            self._tell(
                f"{worth.portfolio}: {percent(fall, worth.peak_micro, 1)} below its highest value,"
                f" {money(worth.equity_micro)} of {money(worth.peak_micro)} USDC"
            )
        elif 2 * fall < most:
            self._fallen.discard(worth.portfolio)

    def _fill(self, f: FillRecord) -> str:
        held, usdc = shares(f.shares_micro), money(f.usdc_micro)
        what = "bought" if f.side is Side.BUY else "sold"
        who, price = self.labels.get(f.leader) or f.leader, price_micro(f.price_micro)
        return f"{f.portfolio}: {what} {held} of {self._market(f.token_id)} at {price} ({usdc} USDC) – {who}"

    def _market(self, token_id: str) -> str:
        market = self._markets.get(token_id)
        if market is None:
            return f"token {token_id[:12]}…"
        return f"{market.title[:120]} / {market.outcome[:40]}"

    def _tell(self, line: str) -> None:
        if not self._lines:
            self._first_at = time.monotonic()
        if len(self._lines) < MOST_WAITING:
            self._lines.append(line)
        else:
            self._left_out += 1

    # -- health ------------------------------------------------------------------------------------------------

    def _look(self, sources: Mapping[str, SourceHealth]) -> None:
        now = time.monotonic()
        if "health" in self.wanted:
            patience = self.hub.number("alert_after_sec")
            for name, source in sources.items():
                self._source(name, now, patience, healthy=source.healthy, detail=source.detail)
        bad = self.hub.bad_inputs
        if "bad_input" in self.wanted and bad > self._bad_told:
            self._tell(f"{bad - self._bad_told} inputs could not be used: pilotfish status names them")
        self._bad_told = bad

    def _provider(self, use: ProviderState) -> None:
        before, self._units = (0 if use.units < self._units else self._units), use.units
        if "provider" in self.wanted and use.passed(before):
            self._tell(use.told())

    def _source(self, name: str, now: float, patience: int, *, healthy: bool, detail: str) -> None:
        if healthy:
            self._down_since.pop(name, None)
            if name in self._told_down:
                self._told_down.discard(name)
                self._tell(f"{name} is back")
        else:
            since = self._down_since.setdefault(name, now)
            if now - since >= patience and name not in self._told_down:
                self._told_down.add(name)
                self._tell(f"{name} is down: {detail}")

    # -- sending -----------------------------------------------------------------------------------------------

    async def run(
        self,
        sources: Callable[[], Mapping[str, SourceHealth]],
        use: Callable[[], ProviderState],
        summary: Callable[[], list[str]],
    ) -> None:
        """Send what gathers, what ``sources`` says by a person's name for each, what the provider's ``use`` has passed,
        and once a day the ``summary``; never ends."""
        self._units = use().units
        while True:
            self.hub.beat(LOOK_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)
            self.hub.progress()
            try:
                now = self.hub.clock.wall()
                if self.wanted:
                    self._look(sources())
                    self._provider(use())
                if now >= self._daily_at:
                    self._daily_at = self._times.next_daily(now)
                    if "daily" in self.wanted:
                        for line in [*await asyncio.to_thread(summary), use().told()]:
                            self._tell(line)
                gathered = self._lines and time.monotonic() - self._first_at >= GATHER_SECONDS
                if gathered and not self._times.is_quiet(now):
                    await self._send()
            except Exception as problem:
                self._faulty(problem)

    async def _send(self) -> None:
        lines = [self._lines.popleft() for _ in range(min(MOST_LINES, len(self._lines)))]
        rest = len(self._lines) + self._left_out
        if rest:
            lines.append(f"and {rest} more")
            self._lines.clear()
            self._left_out = 0
        try:
            async for attempt in stamina.retry_context(on=SendError, attempts=ATTEMPTS, wait_initial=1.0, timeout=None):
                with attempt:
                    await send(self._urls, lines)
        except SendError as problem:
            self.status.failed += 1
            self.status.error = str(problem)
            log.error("an alert could not be sent; copying goes on", error=str(problem), lines=len(lines))
        else:
            self.status.sent += 1
            self.status.last_sent_at, self.status.error = time.time(), ""


def _plain(text: str) -> str:
    """One line that no service takes for a mention: titles are other people's text."""
    return plain(text).replace("@", "@\u200b")


def _apprise() -> Any:
    """The library; slow to import, and needed by few."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return apprise
