"""What every REST route keeps to: names that do not exist are refused with the nearest, and every error, from whichever
method or path, is one shape: RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, get_args

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from pilotfish.app.logs import redact
from pilotfish.core.names import UnknownNameError, chosen
from pilotfish.web.auth import problem
from pilotfish.web.render import Page
from pilotfish.web.view import view_of

log = structlog.get_logger(__name__)

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def one_of(kind: str, choices: Any) -> BeforeValidator:
    """A validator for a value out of a ``Literal`` or an enum: refuses another one with the nearest."""
    words = [str(choice) for choice in (get_args(choices) or choices)]

    def check(given: Any) -> Any:
        return chosen(kind, given, words) if isinstance(given, str) else given

    return BeforeValidator(check)


class Body(BaseModel):
    """A request's body: a key that it does not have is refused with the nearest."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            chosen("field", str(key), cls.model_fields)
        return data


def answer(value: object) -> Response:
    """What a route gives, encoded as commands and exports encode it."""
    return Response(msgspec.json.encode(value), media_type="application/json")


def known_parameters(request: Request) -> None:
    """A dependency of every route: refuses a query parameter that the route does not have."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        chosen("parameter", name, known)


class Refusal(NamedTuple):
    """What somebody is told instead of an answer."""

    status: int
    detail: str
    headers: Mapping[str, str] | None = None


def _refused(why: HTTPException) -> Refusal:
    return Refusal(why.status_code, str(why.detail), why.headers)


def _invalid(why: RequestValidationError) -> Refusal:
    return Refusal(422, "; ".join(_told(error) for error in why.errors()))


ERRORS: tuple[tuple[type[Exception], Callable[[Any], Refusal]], ...] = (
    (HTTPException, _refused),
    (RequestValidationError, _invalid),
    (UnknownNameError, lambda why: Refusal(422, str(why))),
    (SQLAlchemyError, lambda why: Refusal(503, "the database: " + redact(str(why).splitlines()[0])[:200])),
    (Exception, lambda _why: Refusal(500, "an unforeseen error; the dashboard's log says more")),
)
"""Which exception is told as what; the first that fits."""


def install(app: FastAPI) -> None:
    """The errors' one shape: problem details, or a page for who looks at pages."""

    async def answer(request: Request, why: Exception) -> Response:
        refusal = next(told(why) for kind, told in ERRORS if isinstance(why, kind))
        if refusal.status == 500:
            log.error("a request ended by an unforeseen error", path=request.url.path, exc_info=why)
        if _is_page(request):
            said = HTTPStatus(refusal.status).phrase
            shown = view_of(request).show(ErrorPage(said=said, detail=refusal.detail), refusal.status)
            shown.headers.update(refusal.headers or {})
            return shown
        return problem(refusal.status, refusal.detail, refusal.headers)

    for kind, _ in ERRORS:
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


def _told(error: Any) -> str:
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
