"""The door for JSON: how every route that takes JSON gets its body, read, parsed and validated within bounds."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from deployments.wire.json_text import SMALL, InvalidJson, JsonTooLarge, parse_json
from serve_app.http.errors import NotJson, TooLarge, UnsupportedMediaType, invalid

Model = TypeVar("Model")

# One thread: several would take turns with the event loop, which then waited for all of them.
_parser = ThreadPoolExecutor(1, thread_name_prefix="json")

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
ADD_THE_HEADER = "add -H 'Content-Type: application/json'"


class JsonRoute(APIRoute):
    """A route whose JSON is parsed and validated here; FastAPI gets the model. Routes without a body are unchanged."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler; before it, the body becomes the model that the endpoint takes."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", self.body_field.field_info.annotation))

        async def handle(request: Request) -> Response:
            body = await read_body(request, as_json=True)
            return await handler(_Parsed(request, await parsed(body, adapter) if body else None))

        return handle


class _Parsed(Request):
    """A request whose body has been read, for FastAPI's handler: it passes a model on as it is."""

    def __init__(self, request: Request, model: object | None) -> None:
        """`model`: None if there is no body."""
        super().__init__(request.scope, request.receive)
        self._model = model

    async def body(self) -> bytes:
        return b"" if self._model is None else b"{}"

    async def json(self) -> object:
        return self._model


async def read_body(request: Request, *, as_json: bool = False) -> bytearray:
    """The body of a request. Its size is limited by `BodyMiddleware`.

    Args:
        as_json: refuse a body whose Content-Type is not that of JSON.

    Raises:
        UnsupportedMediaType: the Content-Type is missing or another one.
    """
    body = bytearray()
    async for chunk in request.stream():
        if as_json and chunk and not body:
            _check_type(request.headers.get("content-type", ""))
        body += chunk
    return body


def _check_type(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    if not kind:
        raise UnsupportedMediaType(
            f"The Content-Type is missing, and this route takes JSON: with curl, {ADD_THE_HEADER}."
        )
    if kind in FORMS:
        sent = f"The Content-Type says that this is a form ({kind}), and this route takes JSON"
        raise UnsupportedMediaType(f"{sent}: curl -d and -F send a form; {ADD_THE_HEADER}.")
    raise UnsupportedMediaType(f"The Content-Type is {kind[:100]!r}, and this route takes JSON: {ADD_THE_HEADER}.")


async def parsed(body: bytearray, adapter: TypeAdapter[Model], *, half_characters: bool = False) -> Model:
    """The model that a body in JSON describes. Empties the body, to free its memory.

    Args:
        half_characters: accept texts with lone surrogates, which cannot be returned.

    Raises:
        NotJson, ValidationFailed: the body is not JSON, or not valid.
        TooLarge: it is over the limits of `parse_json`.
    """
    if len(body) <= SMALL:
        return _parse(body, adapter, half_characters)
    return await asyncio.get_running_loop().run_in_executor(_parser, _parse, body, adapter, half_characters)


def _parse(body: bytearray, adapter: TypeAdapter[Model], half_characters: bool) -> Model:
    try:
        value = parse_json(body, half_characters=half_characters)
    except InvalidJson as error:
        place = ("body",) if error.position is None else ("body", error.position)
        problem = {"loc": place, "msg": f"JSON decode error: {error}", "type": "json_invalid"}
        raise invalid([problem], NotJson) from None
    except JsonTooLarge as error:
        raise TooLarge(str(error)) from None
    finally:
        body.clear()
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise invalid([{**problem, "loc": ("body", *problem["loc"])} for problem in problems]) from None
