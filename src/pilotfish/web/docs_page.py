"""``/api/docs``: the REST interface as one page, made from its schema; nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, TypeAlias, cast

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from pilotfish.web.render import Page
from pilotfish.web.view import view_of

Schema: TypeAlias = Mapping[str, object]
"""A part of an OpenAPI document."""


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a route."""

    name: str
    kind: str
    text: str


class Operation(msgspec.Struct, frozen=True):
    """A route with a method; ``body`` is what it takes, as JSON without references, or empty."""

    method: str
    path: str
    text: str
    parameters: tuple[Parameter, ...]
    body: str


class Group(msgspec.Struct, frozen=True):
    """Routes that belong together."""

    title: str
    operations: tuple[Operation, ...]


class Docs(Page, frozen=True, kw_only=True):
    """All of REST."""

    template: ClassVar[str] = "docs.html"
    title: ClassVar[str] = "REST"
    seconds: ClassVar[float] = 0

    groups: tuple[Group, ...]


def router(app: FastAPI) -> APIRouter:
    """The page."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/api/docs")
    def docs(request: Request) -> Response:
        return view_of(request).show(Docs(groups=_groups(app.openapi())))

    return pages


def _groups(schema: Schema) -> tuple[Group, ...]:
    found: dict[str, list[Operation]] = {}
    for path, methods in _part(schema, "paths").items():
        for method, operation in cast(Schema, methods).items():
            one = cast(Schema, operation)
            tag = str((_list(one, "tags") or ["other"])[0])
            found.setdefault(tag, []).append(_operation(schema, method.upper(), path, one))
    return tuple(Group(tag.title(), tuple(operations)) for tag, operations in found.items())


def _operation(schema: Schema, method: str, path: str, one: Schema) -> Operation:
    content = _part(_part(_part(one, "requestBody"), "content"), "application/json")
    body = json.dumps(_resolved(schema, content["schema"], 0), indent=1) if content else ""
    parameters = tuple(_parameter(cast(Schema, p)) for p in _list(one, "parameters"))
    return Operation(method, path, str(one.get("description") or one.get("summary", "")), parameters, body)


def _parameter(p: Schema) -> Parameter:
    kinds = _part(p, "schema")
    options = [kinds, *(cast(Schema, x) for x in _list(kinds, "anyOf"))]
    kind = " or ".join(str(x["type"]) for x in options if "type" in x and x["type"] != "null")
    values = [str(v) for x in options for v in _list(x, "enum")]
    default = f", default {kinds['default']}" if kinds.get("default") not in (None, "") else ""
    told = str(p.get("description", "")) + (" One of " + ", ".join(values[:40]) + "." if values else "")
    return Parameter(str(p["name"]), kind + default, told)


def _resolved(schema: Schema, part: object, depth: int) -> object:
    """A body's schema without references, for people."""
    if isinstance(part, dict):
        if "$ref" in part and depth < 4:
            name = part["$ref"].rsplit("/", 1)[-1]
            return _resolved(schema, _part(_part(schema, "components"), "schemas")[name], depth + 1)
        return {k: _resolved(schema, v, depth) for k, v in part.items() if k != "title"}
    if isinstance(part, list):
        return [_resolved(schema, x, depth) for x in part]
    return part


def _part(of: Schema, name: str) -> Schema:
    return cast(Schema, of.get(name, {}))


def _list(of: Schema, name: str) -> list[object]:
    return cast("list[object]", of.get(name, []))
