"""What every REST route keeps to: names that do not exist are refused with the nearest, and every error, from whichever
method or path, is one shape: RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import ClassVar, Literal, NamedTuple, TypeAlias, get_args

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import ErrorDetails
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from pilotfish.app.logs import redact
from pilotfish.core.names import UnknownNameError, chosen
from pilotfish.store.mapping import UnreadableRowError
from pilotfish.web.auth import problem
from pilotfish.web.render import Page
from pilotfish.web.view import view_of

log = structlog.get_logger(__name__)

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def one_of(kind: str, choices: object) -> BeforeValidator:
    """A validator for a value out of a ``Literal``, an enum or some words: refuses another one with the nearest."""
    listed = get_args(choices) or choices
    assert isinstance(listed, Iterable), f"{choices} cannot be gone through"
    words = [str(choice) for choice in listed]

    def check(given: object) -> object:
        return chosen(kind, given, words) if isinstance(given, str) else given

    return BeforeValidator(check)


class Body(BaseModel):
    """A request's body: a key that it does not have is refused with the nearest."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: object) -> object:
        for key in data if isinstance(data, dict) else ():
            chosen("field", str(key), cls.model_fields)
        return data


def known_parameters(request: Request) -> None:
    """A dependency of every route: refuses a query parameter that the route does not have, or that is there twice."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        chosen("parameter", name, known)
        if len(request.query_params.getlist(name)) > 1:
            raise HTTPException(422, f"the parameter {name} is there twice: which of them counts?")


class Refusal(NamedTuple):
    """What somebody is told instead of an answer."""

    status: int
    detail: str
    headers: Mapping[str, str] | None = None


TOLD = (HTTPException, RequestValidationError, UnknownNameError, SQLAlchemyError, UnreadableRowError, Exception)
"""What :func:`refusal` has an answer for."""


def refusal(why: Exception) -> Refusal:
    """Which exception is told as what."""
    match why:
        case HTTPException():
            return Refusal(why.status_code, str(why.detail), why.headers)
        case RequestValidationError():
            return Refusal(422, "; ".join(_told(error) for error in why.errors()))
        case UnknownNameError():
            return Refusal(422, str(why))
        case SQLAlchemyError() | UnreadableRowError():
            return Refusal(503, "the database: " + redact(str(why).splitlines()[0])[:200])
        case _:
            return Refusal(500, "an unforeseen error; the dashboard's log says more")


def install(app: FastAPI) -> None:
    """The errors' one shape: problem details, or a page for who looks at pages."""

    async def answer(request: Request, why: Exception) -> Response:
        told = refusal(why)
        if told.status == 500:
            log.error("a request ended by an unforeseen error", path=request.url.path, exc_info=why)
        if _is_page(request):
            page = ErrorPage(said=HTTPStatus(told.status).phrase, detail=told.detail)
            shown = view_of(request).show(page, told.status)
            shown.headers.update(told.headers or {})
            return shown
        return problem(told.status, told.detail, told.headers)

    for kind in TOLD:
        app.add_exception_handler(kind, answer)


def _is_page(request: Request) -> bool:
    """True where a person looks at a page; scripts and pages' own requests are told as data."""
    path, wanted = request.url.path, request.headers.get("accept", "")
    return request.method == "GET" and not path.startswith(("/api/v1", "/parts/")) and "text/html" in wanted


class ErrorPage(Page, frozen=True, kw_only=True):
    """A page that is not there, or could not be made."""

    template: ClassVar[str] = "error.html"
    title: ClassVar[str] = "not to be shown"
    seconds: ClassVar[float] = 0

    said: str
    detail: str


def _told(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    cause = error.get("ctx", {}).get("error")
    return f"{where}: {cause if isinstance(cause, Exception) else error['msg']}"


def refuse_the_rest(app: FastAPI) -> None:
    """Whatever no route of REST takes: 404, or 405 for a path that takes other methods. After all other routes."""

    routes = list(app.router.routes)

    def takes(scope: Scope, method: str) -> bool:
        return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)

    async def nothing(request: Request) -> Response:
        allowed = [method for method in METHODS if takes(request.scope, method)]
        path = request.url.path[:200]
        if allowed:
            listed = ", ".join(["GET", "HEAD", *allowed[1:]] if allowed[0] == "GET" else allowed)
            return problem(405, f"{path} takes {listed}, not {request.method}", {"Allow": listed})
        return problem(404, f"there is nothing at {path}; /api/docs lists what there is")

    for path in ("/api", "/api/{rest:path}"):
        app.router.add_route(path, nothing, methods=METHODS, include_in_schema=False)


SideName: TypeAlias = Literal["BUY", "SELL"]
SourceName: TypeAlias = Literal["api", "polygon"]
ClassName: TypeAlias = Literal["live", "catch-up", "backfill"]
ActionName: TypeAlias = Literal["copy", "skip", "wait", "exit"]
TradeStatus: TypeAlias = Literal["active", "retracted"]
PositionStatus: TypeAlias = Literal["open", "closed", "resolved"]
CopyState: TypeAlias = Literal["filled", "out", "not_filled", "skipped", "waiting"]
