"""The feeds of one worker, made and connected with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import aiohttp

from pilotfish.app.config import process_value
from pilotfish.core.settings import Value
from pilotfish.feeds.books import Books
from pilotfish.feeds.hub import Hub
from pilotfish.feeds.late_rows import LateRows
from pilotfish.feeds.local_books import LocalBooks
from pilotfish.feeds.markets import Markets
from pilotfish.feeds.poller import Poller
from pilotfish.feeds.reconcile import Reconcile
from pilotfish.feeds.watcher import Watcher
from pilotfish.polymarket.book_rows import BookRow
from pilotfish.polymarket.clob import Clob
from pilotfish.polymarket.data_api import DataApi
from pilotfish.polymarket.gamma import Gamma
from pilotfish.polymarket.http import Service
from pilotfish.polymarket.polygon import PolygonHttp
from pilotfish.polymarket.throttle import DATA, DATA_ROUTES


@dataclass(frozen=True, slots=True)
class Feeds:
    """What a worker hears and asks: one of each, and the two services whose answers are counted for people."""

    data: Service
    clob: Service
    poller: Poller
    late_rows: LateRows
    reconcile: Reconcile
    markets: Markets
    books: Books
    watcher: Watcher


def wire(
    hub: Hub, session: aiohttp.ClientSession, env: Mapping[str, Value], record: Callable[[BookRow], bool]
) -> Feeds:
    """Feeds that speak to the addresses of ``env`` and give what they learn to ``hub``, and what they hear of order
    books to ``record``; none of them has begun."""
    service = partial(Service, session, progress=hub.progress, queued=hub.queued)
    data = service("data", process_value(env, "data_api_url"), per_second=DATA, routes=DATA_ROUTES)
    clob = service("clob", process_value(env, "clob_http_url"), per_second=120)
    gamma = Gamma(service("gamma", process_value(env, "gamma_api_url"), per_second=25))
    api, order_books = DataApi(data), Clob(clob)
    poller = Poller(hub, api)
    markets = Markets(hub, gamma, api, order_books)
    channel = process_value(env, "clob_market_ws_url")
    books = Books(
        hub,
        order_books,
        lambda reread: LocalBooks(hub, session, channel, reread=reread, resolved=markets.ask, record=record),
    )
    http, used = process_value(env, "polygon_http_url"), Counter[str]()
    look_up = PolygonHttp(service("polygon", http, per_second=10, attempts=1), used) if http else None
    chain, exchanges = process_value(env, "polygon_ws_url"), process_value(env, "exchange_addresses")
    return Feeds(
        data=data,
        clob=clob,
        poller=poller,
        late_rows=LateRows(hub, poller),
        reconcile=Reconcile(hub, api, poller),
        markets=markets,
        books=books,
        watcher=Watcher(hub, session, chain, exchanges, look_up, used),
    )
