"""What every REST route keeps to: names that do not exist are refused with the nearest, and every error, from whichever
method or path, is one shape: RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

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
from pilotfish.web.auth import problem

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
    """A dependency of every route: refuses a query parameter that the route does not have."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        chosen("parameter", name, known)


def install(app: FastAPI) -> None:
    """The errors' one shape."""

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, why: HTTPException) -> Response:
        return problem(why.status_code, str(why.detail), why.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, why: RequestValidationError) -> Response:
        return problem(422, "; ".join(_told(error) for error in why.errors()))

    @app.exception_handler(UnknownNameError)
    async def unknown(_request: Request, why: UnknownNameError) -> Response:
        return problem(422, str(why))

    @app.exception_handler(SQLAlchemyError)
    async def unreadable(_request: Request, why: SQLAlchemyError) -> Response:
        return problem(503, "the database: " + redact(str(why).splitlines()[0])[:200])

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, why: Exception) -> Response:
        log.error("a request ended by an unforeseen error", path=request.url.path, exc_info=why)
        return problem(500, "an unforeseen error; the dashboard's log says more")


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
            listed = ", ".join(allowed)
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
