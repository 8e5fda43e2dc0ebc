"""The dashboard's process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from nicegui import app as nicegui_app
from nicegui import ui
from sqlalchemy import Engine
from starlette.exceptions import HTTPException

from pilotfish import __version__
from pilotfish.core.settings import Value
from pilotfish.web import api
from pilotfish.web.auth import Doors
from pilotfish.web.pages import overview
from pilotfish.web.reader import Reader

STATIC = Path(__file__).parent / "static"


def build(database: Engine, environment: dict[str, Value]) -> FastAPI:
    """The application: REST, health, pages."""
    reader = Reader(database)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(reader.run(), name="reader")
        yield
        task.cancel()

    app = FastAPI(
        title="pilotfish", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json",
        lifespan=life,
    )  # fmt: skip

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, problem: HTTPException) -> JSONResponse:
        return _problem(problem.status_code, str(problem.detail), problem.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, problem: RequestValidationError) -> JSONResponse:
        wrong = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in problem.errors())
        return _problem(422, wrong, None)

    app.include_router(api.router(database, environment))
    nicegui_app.add_static_files("/static", str(STATIC))
    overview.register(reader, environment)
    ui.run_with(
        app, title="pilotfish", dark=None, tailwind=False, show_welcome_message=False, favicon=STATIC / "icon.svg"
    )
    app.add_middleware(
        Doors,
        view_token=str(environment.get("view_token", "")),
        admin_token=str(environment.get("admin_token", "")),
    )
    return app


def _problem(status: int, detail: str, headers: Mapping[str, str] | None) -> JSONResponse:
    """An error as RFC 9457 problem details."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def serve(database: Engine, environment: dict[str, Value], host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    uvicorn.run(
        build(database, environment),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        server_header=False,
    )
