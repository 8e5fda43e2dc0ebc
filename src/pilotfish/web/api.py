"""REST under ``/api/v1``: reads are the pages' queries; writes leave rows that the worker takes up, and need the
admin token."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, HTTPException, Path, Query, Request
from pydantic import BaseModel
from sqlalchemy import Engine, select

from pilotfish.core import settings as s
from pilotfish.core.settings import Kind, SettingError, Value
from pilotfish.store import commands_store, leaders_store, queries, settings_store, summaries
from pilotfish.store import tables as t
from pilotfish.web.auth import require_admin

RESET_SECONDS = 5.0
LARGEST_ID = 2**63 - 1


class NewLeader(BaseModel):
    """Somebody to follow."""

    wallet: str
    label: str = ""


class Reset(BaseModel):
    """What to reset; ``portfolio`` null = all."""

    portfolio: str | None = None


def _now() -> int:
    return time.time_ns() // 1000


Limit = Annotated[int, Query(ge=1, le=1000, description="Rows a page.")]
Before = Annotated[
    int | None,
    Query(ge=0, le=LARGEST_ID, description="Only rows with a smaller id: `next_before` of the last page."),
]
Id = Annotated[int, Path(ge=0, le=LARGEST_ID)]


def router(database: Engine, environment: dict[str, Value]) -> APIRouter:
    """All routes."""
    api = APIRouter(prefix="/api/v1")

    @api.get("/status")
    def status() -> dict[str, Any]:
        """What the worker last said of itself, and figures over everything."""
        with database.connect() as c:
            worker, age = summaries.worker(c)
            return {
                "running": age is not None and age < 5,
                "last_sign_of_life_sec": age,
                "worker": worker,
                "counts": summaries.counts(c),
            }

    @api.get("/leaders")
    def leaders() -> list[dict[str, Any]]:
        """Who is followed."""
        with database.connect() as c:
            return queries.leaders(c)

    @api.get("/trades")
    def trades(
        limit: Limit = 100, before: Before = None, leader: str | None = None, token_id: str | None = None
    ) -> dict[str, Any]:
        """Leaders' trades, newest first."""
        return _page("trades", limit, before, leader=leader.lower() if leader else None, token_id=token_id)

    @api.get("/trades/{trade_id}")
    def trade(trade_id: Id) -> dict[str, Any]:
        """One trade with its decisions and the payload that it came in."""
        with database.connect() as c:
            row = c.execute(select(t.trades).where(t.trades.c.id == trade_id)).first()
            if row is None:
                raise HTTPException(404, f"there is no trade {trade_id}")
            decisions = c.execute(select(t.decisions).where(t.decisions.c.trade_id == trade_id))
            raw = c.execute(select(t.trade_raw.c.payload).where(t.trade_raw.c.trade_id == trade_id)).scalar()
            return {**queries.trade(row), "decisions": [queries.decision(d) for d in decisions], "raw": raw}

    @api.get("/decisions")
    def decisions(
        limit: Limit = 100, before: Before = None, portfolio: str | None = None,
        action: Literal["copy", "skip", "wait"] | None = None, reason: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Decisions with their traces, newest first."""
        return _page("decisions", limit, before, portfolio=portfolio, action=action, reason=reason)

    @api.get("/fills")
    def fills(limit: Limit = 100, before: Before = None, portfolio: str | None = None) -> dict[str, Any]:
        """Paper fills, newest first."""
        return _page("fills", limit, before, portfolio=portfolio)

    @api.get("/positions")
    def positions(open_only: bool = True, portfolio: str | None = None) -> list[dict[str, Any]]:
        """Positions."""
        with database.connect() as c:
            return queries.positions(c, open_only=open_only, portfolio=portfolio)

    @api.get("/portfolios")
    def portfolios() -> list[dict[str, Any]]:
        """Portfolios with their latest valuation."""
        with database.connect() as c:
            return summaries.portfolios(c)

    @api.get("/equity")
    def equity(portfolio: str = "main", points: Annotated[int, Query(ge=2, le=5000)] = 400) -> list[dict[str, Any]]:
        """A portfolio's equity over time."""
        with database.connect() as c:
            return summaries.equity(c, portfolio, points)

    @api.get("/latency")
    def latency() -> dict[str, Any]:
        """Chain against API."""
        with database.connect() as c:
            return summaries.latency(c)

    @api.get("/settings")
    def settings(portfolio: str | None = None) -> list[dict[str, Any]]:
        """Every setting with its value, where that comes from, and what it overrides."""
        with database.connect() as c:
            effective = settings_store.effective(environment, settings_store.load(c), portfolio)
        return [settings_store.as_json(e) for e in effective.values() if e.setting.kind is not Kind.SECRET]

    def admin(request: Request) -> None:
        require_admin(request, str(environment.get("admin_token", "")))

    writing: dict[str, Any] = {
        "dependencies": [Depends(admin)],
        "responses": {400: {}, 401: {}, 403: {}},
    }

    @api.patch("/settings", **writing)
    def change_settings(
        changes: Annotated[dict[str, bool | int | float | str | None], Body(examples=[{"fixed_usdc": 50}])],
        portfolio: str = "",
    ) -> list[dict[str, Any]]:
        """Change settings, all or none; null takes a change back. A running worker takes them up at once."""
        try:
            with database.begin() as c:
                settings_store.change(c, changes, at=_now(), by="web", portfolio=portfolio)
                effective = settings_store.effective(environment, settings_store.load(c), portfolio or None)
        except SettingError as problem:
            raise HTTPException(400, str(problem)) from None
        changed = {s.find(name).name for name in changes}
        return [settings_store.as_json(e) for name, e in effective.items() if name in changed]

    @api.post("/leaders", status_code=201, **writing)
    def add_leader(leader: NewLeader) -> dict[str, str]:
        """Follow a wallet from now on."""
        try:
            with database.begin() as c:
                result = leaders_store.add(c, leader.wallet, leader.label, _now())
        except leaders_store.LeaderError as problem:
            raise HTTPException(400, str(problem)) from None
        return {"wallet": leaders_store.wallet_of(leader.wallet), "result": result}

    @api.delete("/leaders/{wallet}", **writing)
    def remove_leader(wallet: str) -> dict[str, str]:
        """Follow a wallet no longer; what was copied stays."""
        try:
            with database.begin() as c:
                leaders_store.set_status(c, wallet, "removed", _now())
        except leaders_store.LeaderError as problem:
            raise HTTPException(400, str(problem)) from None
        return {"wallet": wallet.lower(), "result": "removed"}

    @api.post("/admin/reset", **writing)
    def reset(what: Annotated[Reset | None, Body()] = None) -> dict[str, Any]:
        """Wipe the paper state of one portfolio, or of all; trades, leaders and settings stay."""
        portfolio = what.portfolio if what else None
        with database.begin() as c:
            if portfolio is not None and portfolio not in {p["name"] for p in summaries.portfolios(c)}:
                raise HTTPException(400, f"there is no portfolio {portfolio!r}")
            number = commands_store.ask(c, "reset", {"portfolio": portfolio}, at=_now(), by="web")
            _, age = summaries.worker(c)
        runs = age is not None and age < RESET_SECONDS
        result = commands_store.wait(database, number, RESET_SECONDS) if runs else None
        return {"command": number, "status": result or "asked for; a worker does it as soon as it runs"}

    def _page(kind: str, limit: int, before: int | None, **equal: object) -> dict[str, Any]:
        with database.connect() as c:
            rows, following = queries.newest(c, kind, limit=limit, before_id=before, **equal)
        return {"data": rows, "next_before": following}

    return api
