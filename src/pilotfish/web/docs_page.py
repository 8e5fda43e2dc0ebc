"""``/api/docs``: the REST interface as one page, made from its schema; nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from pilotfish.web.render import Page
from pilotfish.web.view import view_of


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
    def docs(request: Request) -> Response:
        return view_of(request).show(Docs(groups=groups_of(app)))

    return pages


def groups_of(app: FastAPI) -> tuple[Group, ...]:
    """All routes of REST, by what they are for."""
    interface = msgspec.convert(app.openapi(), _Interface)
    found: dict[str, list[Operation]] = {}
    schemas = interface.components.schemas
    for path, methods in interface.paths.items():
        for method, operation in methods.items():
            tag = (operation.tags or ["other"])[0]
            found.setdefault(tag, []).append(_operation(schemas, method.upper(), path, operation))
    return tuple(Group(tag.title(), tuple(operations)) for tag, operations in found.items())


def _operation(schemas: Mapping[str, object], method: str, path: str, one: _Operation) -> Operation:
    content = one.request_body.content.get("application/json")
    body = json.dumps(_resolved(schemas, content.schema, 0), indent=1) if content else ""
    return Operation(method, path, one.description or one.summary, tuple(map(_parameter, one.parameters)), body)


def _parameter(p: _Parameter) -> Parameter:
    options = [p.schema, *p.schema.any_of]
    kind = " or ".join(x.type for x in options if x.type not in ("", "null"))
    values = [str(v) for x in options for v in x.enum]
    default = f", default {p.schema.default}" if p.schema.default not in (None, "") else ""
    told = p.description + (" One of " + ", ".join(values[:40]) + "." if values else "")
    return Parameter(p.name, kind + default, told)


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
