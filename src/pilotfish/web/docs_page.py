"""``/api/docs``: the REST interface as one page, made from its schema; nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from pilotfish.web.markup import Html, esc


class _Kind(msgspec.Struct, rename={"any_of": "anyOf"}):
    """What a parameter can be."""

    type: str = ""
    enum: list[bool | int | float | str | None] = []
    default: bool | int | float | str | None = None
    any_of: list[_Kind] = []


class _Parameter(msgspec.Struct):
    name: str
    description: str = ""
    schema: _Kind = msgspec.field(default_factory=_Kind)


class _Content(msgspec.Struct):
    schema: object


class _Body(msgspec.Struct):
    content: dict[str, _Content] = {}


class _Operation(msgspec.Struct, rename={"request_body": "requestBody"}):
    tags: list[str] = []
    summary: str = ""
    description: str = ""
    parameters: list[_Parameter] = []
    request_body: _Body = msgspec.field(default_factory=_Body)


class _Components(msgspec.Struct):
    schemas: dict[str, object] = {}


class _Interface(msgspec.Struct):
    """Of an OpenAPI description, what the page shows."""

    paths: dict[str, dict[str, _Operation]]
    components: _Components = msgspec.field(default_factory=_Components)


def router(app: FastAPI) -> APIRouter:
    """The page."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/api/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(_page(msgspec.convert(app.openapi(), _Interface)))

    return pages


def _page(interface: _Interface) -> Html:
    groups: dict[str, list[str]] = {}
    schemas = interface.components.schemas
    for path, methods in interface.paths.items():
        for method, operation in methods.items():
            tag = (operation.tags or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(schemas, method.upper(), path, operation))
    body = "".join(f"<h2>{esc(tag.title())}</h2>{''.join(parts)}" for tag, parts in groups.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>pilotfish – REST</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="/static/icon.svg">'
        '<link rel="stylesheet" href="/static/style.css"></head><body class="docs"><main class="pf"><h1>REST</h1>'
        "<p>Amounts that end in <code>_micro</code> are millionths, times are ISO 8601 UTC. Writing needs"
        " <code>Authorization: Bearer ADMIN_TOKEN</code>; reading needs a token only where <code>VIEW_TOKEN</code> is"
        ' set. Errors are RFC 9457 problem details. The schema: <a href="/api/openapi.json">openapi.json</a>. Probes:'
        " <code>/healthz</code>, <code>/readyz</code>, <code>/metrics</code>.</p>"
        f"{body}</main></body></html>"
    )


def _operation(schemas: Mapping[str, object], method: str, path: str, operation: _Operation) -> Html:
    rows = "".join(_parameter(p) for p in operation.parameters)
    table = f'<table class="grid"><thead><tr><th>parameter</th><th>kind</th><th>meaning</th></tr></thead>{rows}</table>'
    content = operation.request_body.content.get("application/json")
    body = ""
    if content:
        shown = esc(json.dumps(_resolved(schemas, content.schema, 0), indent=1))
        body = f"<details><summary>body</summary><pre>{shown}</pre></details>"
    return (
        f'<article class="card op"><h3><span class="chip">{esc(method)}</span> <code>{esc(path)}</code></h3>'
        f"<p>{esc(operation.description or operation.summary)}</p>"
        f"{table if rows else ''}{body}</article>"
    )


def _parameter(p: _Parameter) -> Html:
    options = [p.schema, *p.schema.any_of]
    kind = " or ".join(x.type for x in options if x.type not in ("", "null"))
    values = [str(v) for x in options for v in x.enum]
    default = f", default {p.schema.default}" if p.schema.default not in (None, "") else ""
    told = p.description + (" One of " + ", ".join(values[:40]) + "." if values else "")
    return f"<tr><td><code>{esc(p.name)}</code></td><td>{esc(kind + default)}</td><td>{esc(told)}</td></tr>"


def _resolved(schemas: Mapping[str, object], part: object, depth: int) -> object:
    """A body's schema without references, for people."""
    if isinstance(part, Mapping):
        reference = part.get("$ref")
        if isinstance(reference, str) and depth < 4:
            return _resolved(schemas, schemas[reference.rsplit("/", 1)[-1]], depth + 1)
        return {k: _resolved(schemas, v, depth) for k, v in part.items() if k not in ("title",)}
    if isinstance(part, list):
        return [_resolved(schemas, x, depth) for x in part]
    return part
