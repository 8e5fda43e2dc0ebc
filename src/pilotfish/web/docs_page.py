"""``/api/docs``: the REST interface as one page, made from its schema; nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from pilotfish.web.markup import Html, esc


def router(app: FastAPI) -> APIRouter:
    """The page."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/api/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(_page(app.openapi()))

    return pages


def _page(schema: dict[str, Any]) -> Html:
    groups: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(schema, method.upper(), path, operation))
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


def _operation(schema: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> Html:
    rows = "".join(_parameter(p) for p in operation.get("parameters", []))
    table = f'<table class="grid"><thead><tr><th>parameter</th><th>kind</th><th>meaning</th></tr></thead>{rows}</table>'
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    body = ""
    if content:
        shown = esc(json.dumps(_resolved(schema, content["schema"], 0), indent=1))
        body = f"<details><summary>body</summary><pre>{shown}</pre></details>"
    return (
        f'<article class="card op"><h3><span class="chip">{esc(method)}</span> <code>{esc(path)}</code></h3>'
        f"<p>{esc(operation.get('description') or operation.get('summary', ''))}</p>"
        f"{table if rows else ''}{body}</article>"
    )


def _parameter(p: dict[str, Any]) -> Html:
    kinds = p.get("schema", {})
    options = [kinds, *kinds.get("anyOf", [])]
    kind = " or ".join(str(x["type"]) for x in options if "type" in x and x["type"] != "null")
    values = [str(v) for x in options for v in x.get("enum", [])]
    default = f", default {kinds['default']}" if kinds.get("default") not in (None, "") else ""
    told = p.get("description", "") + (" One of " + ", ".join(values[:40]) + "." if values else "")
    return f"<tr><td><code>{esc(p['name'])}</code></td><td>{esc(kind + default)}</td><td>{esc(told)}</td></tr>"


def _resolved(schema: dict[str, Any], part: Any, depth: int) -> Any:
    """A body's schema without references, for people."""
    if isinstance(part, dict):
        if "$ref" in part and depth < 4:
            name = part["$ref"].rsplit("/", 1)[-1]
            return _resolved(schema, schema["components"]["schemas"][name], depth + 1)
        return {k: _resolved(schema, v, depth) for k, v in part.items() if k not in ("title",)}
    if isinstance(part, list):
        return [_resolved(schema, x, depth) for x in part]
    return part
