"""REST under ``/api/v1``, writing: each leaves rows that a running worker takes up, and needs the admin's token or
session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias, TypeVar

from fastapi import APIRouter, Body, Depends, HTTPException, Path, Request
from pydantic import Field
from sqlalchemy import Connection

from pilotfish.app import alerts
from pilotfish.app.lease import LeaseError
from pilotfish.app.reset import reset_now
from pilotfish.app.who import WhoError
from pilotfish.core import settings as s
from pilotfish.core.problem import Problem
from pilotfish.core.settings import Effective, Kind
from pilotfish.store import commands_store, leaders_store, names, portfolios_store, settings_store, worker_state
from pilotfish.store.views.settings import SettingRow, setting_row
from pilotfish.web import rest
from pilotfish.web.answers import Route
from pilotfish.web.auth import require_admin
from pilotfish.web.preview import Person, Preview
from pilotfish.web.site import Site, now

T = TypeVar("T")
COMMAND_SECONDS = 5.0
BY = "web"
Change: TypeAlias = bool | int | float | str | None
Wallet: TypeAlias = Annotated[str, Path(max_length=42)]
Name: TypeAlias = Annotated[str, Path(max_length=100)]


class NewLeader(rest.Body):
    """Somebody to follow: a wallet, the URL of a profile, or a user name."""

    wallet: str = Field(max_length=300)
    label: str = Field("", max_length=200)


class LeaderChange(rest.Body):
    """What to change of a leader."""

    status: Literal["active", "paused"] | None = None
    label: str | None = Field(None, max_length=200)


class NewPortfolio(rest.Body):
    """A portfolio that starts now with cash; with ``clone_of`` it has that one's settings and leaders."""

    name: str = Field(max_length=100)
    clone_of: str | None = Field(None, max_length=100)
    settings: dict[str, Change] = {}
    leaders: list[str] | None = None


class PortfolioChange(rest.Body):
    """Whom a portfolio copies from now on; null = all."""

    leaders: list[str] | None


class Close(rest.Body):
    """Which positions to sell; what is not named is any."""

    portfolio: str = Field(max_length=100)
    token_id: str | None = Field(None, max_length=100)
    leader: str | None = Field(None, max_length=42)


class Reset(rest.Body):
    """What to reset; ``portfolio`` null = all that take part."""

    portfolio: str | None = None


def router(site: Site, preview: Preview) -> APIRouter:
    """All writing routes."""

    def admin(request: Request) -> None:
        require_admin(request, site.sessions)

    api = APIRouter(
        prefix="/api/v1",
        tags=["writing"],
        dependencies=[Depends(admin), Depends(rest.known_parameters)],
        responses={400: {}, 401: {}, 403: {}},
        route_class=Route,
    )

    def write(change: Callable[[Connection], T]) -> T:
        """Run ``change(connection)`` in one transaction; what is not acceptable becomes a 400 that says why."""
        try:
            with site.database.begin() as c:
                result = change(c)
        except Problem as problem:
            raise HTTPException(400, str(problem)) from None
        site.shared.forget()
        return result

    @api.patch("/settings")
    def change_settings(
        changes: Annotated[dict[str, Change], Body(examples=[{"fixed_usdc": 50}])], portfolio: str = "",
        leader: str = "",
    ) -> list[SettingRow]:  # fmt: skip
        """Change settings, all or none; null takes a change back. A running worker takes them up at once."""
        if portfolio and leader:
            raise HTTPException(400, "portfolio or leader, not both")

        def change(c: Connection) -> dict[str, Effective]:
            wallet = names.leader(c, leader) if leader else ""
            if portfolio and portfolio != portfolios_store.MAIN:
                portfolios_store.find(c, portfolio)
            alerts.check(changes)
            settings_store.change(c, changes, at=now(), by=BY, portfolio=portfolio, leader=wallet)
            return settings_store.effective(site.environment, settings_store.load(c), portfolio or None, wallet or None)

        effective = write(change)
        changed = {s.find(name).name for name in changes}
        return [setting_row(e) for name, e in effective.items() if name in changed]

    @api.post("/leaders", status_code=201)
    async def add_leader(leader: NewLeader) -> dict[str, str]:
        """Follow somebody from now on; `result` is `added`, `again` (was followed before: what happened in between is
        never copied) or `known`."""
        wallet = await _wallet(leader.wallet)
        result = write(lambda c: leaders_store.add(c, wallet, leader.label, now(), by=BY))
        return {"wallet": wallet, "result": result}

    @api.post("/leaders/preview")
    async def look_at(leader: NewLeader) -> Person:
        """Who that is, their last trades and what they hold, read from the venue now. Nothing is changed."""
        try:
            return await preview.look(await _wallet(leader.wallet))
        except WhoError as problem:
            raise HTTPException(400, str(problem)) from None

    async def _wallet(who: str) -> str:
        try:
            return await preview.wallet_of(who)
        except (WhoError, leaders_store.LeaderError) as problem:
            raise HTTPException(400, str(problem)) from None

    @api.patch("/leaders/{wallet}")
    def change_leader(wallet: Wallet, what: LeaderChange) -> dict[str, str]:
        """Pause or resume copying somebody, or name them otherwise; a formerly followed one can be named, too."""

        def change(c: Connection) -> None:
            if what.label is not None:
                leaders_store.rename(c, wallet, what.label, now(), by=BY)
            if what.status is not None:
                leaders_store.set_status(c, wallet, what.status, now(), by=BY)

        write(change)
        changed = {"status": what.status, "label": what.label}
        return {"wallet": wallet.lower(), **{name: value for name, value in changed.items() if value is not None}}

    @api.delete("/leaders/{wallet}")
    def remove_leader(wallet: Wallet) -> dict[str, str]:
        """Follow a wallet no longer; what was copied stays."""
        write(lambda c: leaders_store.set_status(c, wallet, "removed", now(), by=BY))
        return {"wallet": wallet.lower(), "result": "removed"}

    @api.post("/portfolios", status_code=201)
    def add_portfolio(new: NewPortfolio) -> dict[str, str]:
        """Make a portfolio, new or like another one, to try settings from now on."""
        if new.clone_of and "leaders" in new.model_fields_set:
            raise HTTPException(400, "leaders: a portfolio like another one has that one's; choose others afterwards")
        own: dict[str, object] = dict(new.settings)

        def change(c: Connection) -> str:
            env, at = site.environment, now()
            if new.clone_of:
                return portfolios_store.clone(c, new.clone_of, new.name, env, at=at, by=BY, changes=own)
            return portfolios_store.add(c, new.name, env, at=at, by=BY, changes=own, leaders=new.leaders)

        return {"name": write(change)}

    @api.patch("/portfolios/{name}")
    def change_portfolio(name: Name, what: PortfolioChange) -> dict[str, str | list[str] | None]:
        """Choose whom a portfolio copies from now on."""

        def change(c: Connection) -> list[str] | None:
            portfolios_store.set_follows(c, name, what.leaders, at=now(), by=BY)
            return portfolios_store.follows(c, name)

        return {"name": name, "leaders": write(change)}

    @api.delete("/portfolios/{name}")
    def archive_portfolio(name: Name) -> dict[str, str]:
        """End a portfolio; its books stay as they are."""
        write(lambda c: portfolios_store.archive(c, name, at=now(), by=BY))
        return {"name": name, "status": "archived"}

    @api.post("/positions/close")
    def close(what: Close) -> dict[str, int | str | None]:
        """Sell paper positions at what the book bids."""

        def ask(c: Connection) -> int:
            portfolios_store.find(c, what.portfolio)
            payload = {**what.model_dump(), "leader": names.wanted_leader(c, what.leader)}
            return commands_store.ask(c, "close", payload, at=now(), by=BY)

        return _done(write(ask))

    @api.post("/admin/reset")
    def reset(what: Annotated[Reset | None, Body()] = None) -> dict[str, int | str | None]:
        """Wipe the paper state of one portfolio, or of all that take part; trades, leaders, settings and archived
        portfolios stay."""
        portfolio = what.portfolio if what else None

        if portfolio is not None:
            write(lambda c: portfolios_store.find(c, portfolio))
        try:
            reset_now(site.database, portfolio, by=BY)
        except LeaseError:
            payload = {"portfolio": portfolio}
            return _done(write(lambda c: commands_store.ask(c, "reset", payload, at=now(), by=BY)))
        site.shared.forget()
        return {"command": None, "status": "done"}

    @api.post("/alerts/test")
    async def test_alert() -> dict[str, str]:
        """Send a test message to every address of the setting `alert_urls`."""
        with site.database.connect() as c:
            effective = settings_store.effective(site.environment, settings_store.load(c))
        urls = str(effective["alert_urls"].value)
        if not urls:
            raise HTTPException(400, "alert_urls is empty: there is nowhere to send to")
        try:
            await alerts.send(urls, ["This is a test: alerts reach you."])
        except alerts.SendError as problem:
            raise HTTPException(400, f"the test could not be sent: {problem}") from None
        return {"status": "sent"}

    def _done(number: int) -> dict[str, int | str | None]:
        with site.database.connect() as c:
            runs = worker_state.alive(*worker_state.read(c))
        result = commands_store.wait(site.database, number, COMMAND_SECONDS) if runs else None
        site.shared.forget()
        return {"command": number, "status": result or "asked for; a worker does it as soon as it runs"}

    @api.get("/settings/secrets")
    def secrets() -> list[SettingRow]:
        """Which secrets are set, and where; never what they are."""
        with site.database.connect() as c:
            effective = settings_store.effective(site.environment, settings_store.load(c))
        return [setting_row(e) for e in effective.values() if e.setting.kind is Kind.SECRET]

    return api
