"""How REST answers: a route's function gives what its annotation says, which is encoded as commands and exports encode
it, and the interface's description tells its shape."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeAlias, get_type_hints

import msgspec
from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.routing import APIRoute

_JSON = "application/json"
_COMPONENT = "#/components/schemas/{name}"
Endpoint: TypeAlias = Callable[..., object]


class Route(APIRoute):
    """A route whose function gives rows (a struct, or a list of structs), or a response as it is."""

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        gives = get_type_hints(endpoint)["return"]
        code = options.get("status_code") or 200
        responses = dict(options.pop("responses", None) or {})
        if not (isinstance(gives, type) and issubclass(gives, Response)):
            responses.setdefault(code, {"content": {_JSON: {"schema": _schema(gives)}}})
        options["response_model"] = None
        super().__init__(path, _answering(endpoint, code), responses=responses, **options)


def _answering(endpoint: Endpoint, code: int) -> Endpoint:
    """The function, with what it gives encoded."""

    def encoded(value: object) -> Response:
        return value if isinstance(value, Response) else Response(msgspec.json.encode(value), code, media_type=_JSON)

    @wraps(endpoint)
    async def later(*given: object, **named: object) -> Response:
        found = endpoint(*given, **named)
        assert isinstance(found, Awaitable)
        return encoded(await found)

    @wraps(endpoint)
    def now(*given: object, **named: object) -> Response:
        return encoded(endpoint(*given, **named))

    return later if inspect.iscoroutinefunction(endpoint) else now


def _schema(gives: object) -> dict[str, object]:
    """The shape of an answer, with the definitions that it refers to beside it until :class:`Application` moves them to
    where they are looked for."""
    (shape,), definitions = msgspec.json.schema_components([gives], schema_hook=_anything, ref_template=_COMPONENT)
    return {**shape, "$defs": definitions} if definitions else shape


def _anything(kind: type) -> dict[str, object]:
    """The shape of an ``object``: none is told."""
    if kind is object:
        return {"description": "Any value."}
    raise NotImplementedError


class Application(FastAPI):
    """Describes what its routes answer."""

    def openapi(self) -> dict[str, object]:
        """The description of REST."""
        whole: dict[str, object] = super().openapi()
        found: dict[str, object] = {}
        _move(whole, found)
        components = whole.setdefault("components", {})
        assert isinstance(components, dict)
        schemas = components.setdefault("schemas", {})
        schemas.update(found)
        components["schemas"] = dict(sorted(schemas.items()))
        return whole


def _move(part: object, found: dict[str, object]) -> None:
    """Take the definitions out of a part of the description."""
    if isinstance(part, dict):
        found.update(part.pop("$defs", {}))
        for one in part.values():
            _move(one, found)
    elif isinstance(part, list):
        for one in part:
            _move(one, found)
