"""REST under ``/api/v1``, reading: the pages' queries. Writing is in ``api_writes``."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Annotated, Literal, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Path, Query
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from pilotfish.core.names import UnknownNameError, has_words
from pilotfish.core.reasons import Reason
from pilotfish.core.settings import Kind
from pilotfish.store import (
    exports,
    names,
    portfolios_store,
    report,
    settings_store,
    worker_state,
)
from pilotfish.store.database import snapshot
from pilotfish.store.views.base import Page, View, micros_of
from pilotfish.store.views.decisions import Decision, TradeTraced, read_decisions, read_trade
from pilotfish.store.views.latency import LatencyAndPace, read_latency_and_pace
from pilotfish.store.views.leaders import Leader, LeaderWhole, Whom, read_leader, read_leaders
from pilotfish.store.views.orders import Fill, read_fills
from pilotfish.store.views.portfolios import Counts, EquityPoint, Portfolio, read_counts, read_equity, read_portfolios
from pilotfish.store.views.positions import PositionInMarket, read_positions
from pilotfish.store.views.report import Shortfall
from pilotfish.store.views.settings import Change, SettingRow, read_audit, setting_row
from pilotfish.store.views.sources import BadInput, Gap, Outage, read_bad_inputs, read_gaps, read_outages
from pilotfish.store.views.trades import TradeDecided, TradeFilter, read_trades
from pilotfish.store.worker_state import Ended, StandbyState
from pilotfish.web import rest
from pilotfish.web.answers import Route
from pilotfish.web.site import Site

LARGEST_ID = 2**63 - 1

Limit: TypeAlias = Annotated[int, Query(ge=1, le=1000, description="Rows a page.")]
Before: TypeAlias = Annotated[
    int | None,
    Query(ge=0, le=LARGEST_ID, description="Only rows with a smaller id: `next_before` of the last page."),
]
Id: TypeAlias = Annotated[int, Path(ge=0, le=LARGEST_ID)]
Name: TypeAlias = Annotated[str | None, Query(max_length=100)]
Archived: TypeAlias = Annotated[bool, Query(description="Archived portfolios, too.")]
Wallet: TypeAlias = Annotated[str | None, Query(max_length=42, description="A leader's wallet.")]
Action: TypeAlias = Annotated[rest.ActionName | None, rest.one_of("action", rest.ActionName)]
ReasonName: TypeAlias = Annotated[Reason | None, rest.one_of("reason", Reason)]
State: TypeAlias = Annotated[
    rest.CopyState | None,
    rest.one_of("state", rest.CopyState),
    Query(
        description="What became of it in the portfolio: copied and `filled` (wholly or partly), copied with the order"
        " still `out`, copied but `not_filled`, `skipped`, or `waiting` to be decided."
    ),
]
ExportKind: TypeAlias = Annotated[
    Literal[exports.KINDS],  # type: ignore[valid-type]
    rest.one_of("kind of export", exports.KINDS),
]
Format: TypeAlias = Annotated[Literal["csv", "json"], rest.one_of("format", ("csv", "json"))]
Token: TypeAlias = Annotated[str | None, Query(max_length=80, pattern="^[0-9]+$", description="A token's id.")]


class Status(View, frozen=True, kw_only=True):
    """Is it working, how are we doing; ``worker`` is what it says of itself: the one that writes, as ``pid`` on
    ``host``, and when a standby last ``took_over``. ``standby``: who waits to take over, and since when."""

    running: bool
    ended: Ended | None
    last_sign_of_life_sec: float | None
    mode: dict[str, str | None]
    worker: dict[str, object] | None
    standby: list[StandbyState]
    incomplete: list[Gap]
    counts: Counts


def router(site: Site) -> APIRouter:
    """All reading routes."""
    api = APIRouter(
        prefix="/api/v1", tags=["reading"], dependencies=[Depends(rest.known_parameters)], route_class=Route
    )
    database = site.database
    whole_passes = Lock()

    @api.get("/status")
    def status() -> Status:
        """Is it working, how are we doing."""
        with snapshot(database) as c:
            worker, age = worker_state.read(c, leaders=True)
            return Status(
                running=worker_state.alive(worker, age),
                ended=worker.ended if worker is not None else None,
                last_sign_of_life_sec=age,
                mode=worker.mode.as_json() if worker is not None else {},
                worker=worker.as_json() if worker is not None else None,
                standby=worker_state.standbys(c),
                incomplete=read_gaps(c),
                counts=read_counts(c, site.counts, site.trade_counts, site.copy_counts),
            )

    @api.get("/leaders")
    def leaders(
        status: Annotated[
            Whom, Query(description="`former` ones were followed once: their results and pages stay.")
        ] = "followed",
    ) -> list[Leader]:
        """Who is followed, or was."""
        with snapshot(database) as c:
            return read_leaders(c, status)

    @api.get("/leaders/{wallet}", responses={404: {}})
    def leader(wallet: Annotated[str, Path(max_length=42)], portfolio: Name = None) -> LeaderWhole:
        """One leader, also a formerly followed one: their figures in a portfolio, the shortfall, and what they hold
        beside what we hold."""
        with snapshot(database) as c:
            name = names.portfolio(c, portfolio or portfolios_store.MAIN)
            try:
                wallet = names.leader(c, wallet)
            except UnknownNameError as problem:
                raise HTTPException(404, str(problem)) from None
            found = read_leader(c, wallet, name, site.counts, site.reports, site.copy_counts)
        if found is None:
            raise HTTPException(404, f"{wallet} was never followed")
        return found

    @api.get("/trades")
    def trades(
        limit: Limit = 100, before: Before = None, leader: Wallet = None, token_id: Token = None,
        portfolio: Name = None, words: Annotated[str | None, Query(max_length=100, alias="q")] = None,
        side: Annotated[rest.SideName | None, rest.one_of("side", rest.SideName)] = None,
        source: Annotated[rest.SourceName | None, rest.one_of("source", rest.SourceName)] = None,
        kind: Annotated[rest.ClassName | None, rest.one_of("class", rest.ClassName), Query(alias="class")] = None,
        action: Action = None, reason: ReasonName = None,
        status: Annotated[rest.TradeStatus | None, rest.one_of("status", rest.TradeStatus)] = None,
        state: State = None,
    ) -> Page[TradeDecided]:  # fmt: skip
        """Leaders' trades, newest first, each with one portfolio's decision (`main` unless named) and what became of
        it: `state`, `partly`, `orphaned`, what the order got (`our_…`) of what it was for (`order_…`), and `why` it got
        nothing or not all."""
        with snapshot(database) as c:
            wanted = TradeFilter(
                portfolio=names.portfolio(c, portfolio or portfolios_store.MAIN),
                leader=names.wanted_leader(c, leader), token_id=token_id, words=words, side=side, source=source,
                kind=kind, action=action, reason=reason, status=status, state=state,
            )  # fmt: skip
            return read_trades(c, wanted, limit=limit, before=before)

    @api.get("/trades/{trade_id}", responses={404: {}})
    def trade(trade_id: Id) -> TradeTraced:
        """One trade with each portfolio's decision, its trace, intents and fills, and the payload that it came in."""
        with snapshot(database) as c:
            found = read_trade(c, trade_id)
        if found is None:
            raise HTTPException(404, f"there is no trade {trade_id}")
        return found

    @api.get("/decisions")
    def decisions(
        limit: Limit = 100, before: Before = None, portfolio: Name = None, leader: Wallet = None,
        action: Action = None, reason: ReasonName = None,
    ) -> Page[Decision]:  # fmt: skip
        """Decisions with their traces and what became of them (`state`, …, as with trades), newest first."""
        with snapshot(database) as c:
            of = _named(c, portfolio, leader)
            return read_decisions(c, limit=limit, before=before, **of, action=action, reason=reason)

    @api.get("/fills")
    def fills(limit: Limit = 100, before: Before = None, portfolio: Name = None, leader: Wallet = None) -> Page[Fill]:
        """Paper fills, newest first."""
        with snapshot(database) as c:
            return read_fills(c, limit=limit, before=before, **_named(c, portfolio, leader))

    @api.get("/positions")
    def positions(
        open_only: bool = True, portfolio: Name = None, leader: Wallet = None,
        status: Annotated[rest.PositionStatus | None, rest.one_of("status", rest.PositionStatus)] = None,
        archived: Archived = False, limit: Limit = 1000, offset: Annotated[int, Query(ge=0, le=10**7)] = 0,
    ) -> list[PositionInMarket]:  # fmt: skip
        """Positions, the largest cost first; `status` says more exactly than `open_only`. Those of an archived
        portfolio are there by its name, or with `archived`."""
        wanted = status or ("open" if open_only else None)
        with snapshot(database) as c:
            of = _named(c, portfolio, leader)
            return read_positions(
                c,
                portfolio=of["portfolio"],
                leader=of["leader"],
                status=wanted,
                archived=archived,
                limit=limit,
                offset=offset,
            )[0]

    @api.get("/portfolios")
    def portfolios(
        words: Annotated[str | None, Query(max_length=100, alias="q", description="Words of the name.")] = None,
        limit: Limit = 1000, offset: Annotated[int, Query(ge=0, le=10**7)] = 0,
    ) -> list[Portfolio]:  # fmt: skip
        """Portfolios with their latest valuation, the oldest first."""
        with snapshot(database) as c:
            found = [p for p in read_portfolios(c, site.trips) if has_words(p.name, words or "")]
        return found[offset : offset + limit]

    @api.get("/equity")
    def equity(portfolio: Name = None, points: Annotated[int, Query(ge=2, le=5000)] = 400) -> list[EquityPoint]:
        """A portfolio's equity over time."""
        with snapshot(database) as c:
            return read_equity(c, names.portfolio(c, portfolio or portfolios_store.MAIN), points)

    @api.get("/latency")
    def latency() -> LatencyAndPace:
        """Chain against API; and how long it took from a match to our fill. `off` says which source is off and why;
        what compares the two is null where the chain was off."""
        with snapshot(database) as c:
            return read_latency_and_pace(c)

    @api.get("/outages")
    def outages(limit: Annotated[int, Query(ge=1, le=500)] = 50) -> list[Outage]:
        """When a source was down, newest first."""
        with snapshot(database) as c:
            return read_outages(c, limit)

    @api.get("/bad-inputs")
    def bad_inputs(limit: Annotated[int, Query(ge=1, le=500)] = 50) -> list[BadInput]:
        """What could not be used, with the payload and what is wrong with it, newest first."""
        with snapshot(database) as c:
            return read_bad_inputs(c, limit)

    @api.get("/report", responses={400: {}})
    def shortfall(
        portfolio: Name = None, leader: Wallet = None,
        since: Annotated[str | None, Query(max_length=40, description="An ISO 8601 time.")] = None,
        archived: Archived = False,
    ) -> list[Shortfall]:  # fmt: skip
        """Would copying have paid: the leaders' prices at our size against what we got, in parts that add up, and the
        answer as a sentence. With `since` all decisions are gone through, which takes its time where there are very
        many; one such at a time."""
        with snapshot(database) as c:
            begin, of = _instant(since), _named(c, portfolio, leader)
            if begin is None:
                return site.reports.report(c, **of, archived=archived)
            with whole_passes:
                return report.report(c, **of, since=begin, archived=archived)

    @api.get("/settings")
    def settings(portfolio: Name = None, leader: Wallet = None) -> list[SettingRow]:
        """Every setting with its value, where that comes from, and what it overrides."""
        with snapshot(database) as c:
            stored, of = settings_store.load(c), _named(c, portfolio, leader)
        effective = settings_store.effective(site.environment, stored, **of)
        return [setting_row(e) for e in effective.values() if e.setting.kind is not Kind.SECRET]

    @api.get("/settings/audit")
    def audit(limit: Limit = 100) -> list[Change]:
        """Who changed which setting, newest first."""
        with snapshot(database) as c:
            return read_audit(c, limit)

    @api.get("/export/{kind}.{format_}", response_class=StreamingResponse)
    def export(kind: ExportKind, format_: Format, portfolio: Name = None, leader: Wallet = None) -> StreamingResponse:
        """All rows of a kind, of a portfolio or leader if named, as a file."""
        name = {"Content-Disposition": f'attachment; filename="pilotfish-{kind}.{format_}"'}
        media = "text/csv; charset=utf-8" if format_ == "csv" else "application/json"
        with snapshot(database) as c:
            of = _named(c, portfolio, leader)
        return StreamingResponse(_lines(kind, format_, of), headers=name, media_type=media)

    def _lines(kind: str, format_: str, of: dict[str, str | None]) -> Iterator[str]:
        with snapshot(database) as c:
            rows = exports.rows(c, kind, **of)
            if format_ == "csv":
                yield from exports.csv_lines(rows)
                return
            yield "["
            for n, row in enumerate(rows):
                yield ("," if n else "") + "\n" + msgspec.json.encode(row).decode()
            yield "\n]\n"

    return api


def _named(c: Connection, portfolio: str | None, leader: str | None) -> dict[str, str | None]:
    """Whose rows are asked for; a portfolio or leader that there never was is refused by name."""
    return {"portfolio": names.wanted_portfolio(c, portfolio), "leader": names.wanted_leader(c, leader)}


def _instant(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return micros_of(text)
    except ValueError:
        raise HTTPException(400, f"since: {text[:40]!r} is not an ISO 8601 time") from None
