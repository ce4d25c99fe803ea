"""All errors that a client can get, each with a code and a status, and how each family of routes renders them.

PanoptesError                    500 internal_error
├── InvalidRequest               400 invalid_request
│   ├── EmptyFile                400 empty_file
│   ├── InvalidImage             400 invalid_image
│   │   └── UnreadImage          400 invalid_image
│   ├── InvalidVideo             400 invalid_video
│   ├── InvalidPrompt            400 prompt_too_long
│   ├── Untreated                400 untreated_document
│   └── UrlRefused               400 url_refused
├── Unauthorized                 401 unauthorized
├── ForeignOrigin                403 foreign_origin
├── NotFound                     404 not_found
│   ├── ModelNotFound            404 model_not_found
│   └── ImageNotFound            404 image_not_found
├── TooLarge                     413 payload_too_large
│   ├── ImageTooLarge            413 image_too_large
│   └── VideoTooLarge            413 video_too_long
├── UnsupportedMediaType         415 unsupported_media_type
├── Misdirected                  421 misdirected_request
├── ValidationFailed             422 validation_error
│   └── NotJson                  422 validation_error
├── LlmUnknown                   422 llm_unknown
├── LlmUnparsable                422 llm_unparsable
├── RateLimited                  429 rate_limited         Retry-After
├── Slow
│   ├── UploadTimeout            408 upload_timeout
│   └── DeadlineExceeded         504 deadline_exceeded
├── LlmFailed                    502 llm_failed           Retry-After if the provider sends it
├── FetchFailed                  502 fetch_failed
│   └── FetchTimeout             504 fetch_timeout
├── OutOfSpace                   507 insufficient_storage
└── Unavailable                  503 unavailable          Retry-After
    ├── Overloaded               503 overloaded           Retry-After
    ├── ModelUnavailable         503 model_unavailable    Retry-After
    ├── LlmWithoutKey            503 llm_without_key
    └── ModelDisabled            503 model_disabled
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope


class PanoptesError(HTTPException):
    """Base of all errors: a stable `code`, an HTTP `status`, and a message that says what to do.

    It is an HTTPException because FastAPI turns any other exception raised while a body is parsed into its own error.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, detail: Any = None, retry_after_s: int | None = None) -> None:
        super().__init__(self.status, message)
        self.message, self.facts, self.retry_after_s = message, detail, retry_after_s


class InvalidRequest(PanoptesError):
    code, status = "invalid_request", 400


class EmptyFile(InvalidRequest):
    code = "empty_file"


class InvalidImage(InvalidRequest):
    code = "invalid_image"


class UnreadImage(InvalidImage):
    """A variant of a format that is read which its reader does not take; the file may be all right."""


class InvalidVideo(InvalidRequest):
    code = "invalid_video"


class InvalidPrompt(InvalidRequest):
    code = "prompt_too_long"


class Untreated(InvalidRequest):
    """A document that /process leaves out. The message becomes its reason in `list_id_not_treated`.

    This error is never rendered as a response.
    """

    code = "untreated_document"


class UrlRefused(InvalidRequest):
    code = "url_refused"


class Unauthorized(PanoptesError):
    code, status = "unauthorized", 401


class ForeignOrigin(PanoptesError):
    code, status = "foreign_origin", 403


class Misdirected(PanoptesError):
    code, status = "misdirected_request", 421


class NotFound(PanoptesError):
    code, status = "not_found", 404


class ModelNotFound(NotFound):
    code, status = "model_not_found", 404


class ImageNotFound(NotFound):
    code, status = "image_not_found", 404


class TooLarge(PanoptesError):
    code, status = "payload_too_large", 413


class ImageTooLarge(TooLarge):
    code = "image_too_large"


class VideoTooLarge(TooLarge):
    code = "video_too_long"


class UnsupportedMediaType(PanoptesError):
    code, status = "unsupported_media_type", 415


class ValidationFailed(PanoptesError):
    code, status = "validation_error", 422


class NotJson(ValidationFailed):
    """A body is not JSON."""


class LlmUnknown(PanoptesError):
    code, status = "llm_unknown", 422


class LlmUnparsable(PanoptesError):
    code, status = "llm_unparsable", 422


class RateLimited(PanoptesError):
    code, status = "rate_limited", 429


class Slow(PanoptesError):
    pass


class UploadTimeout(Slow):
    code, status = "upload_timeout", 408


class DeadlineExceeded(Slow):
    code, status = "deadline_exceeded", 504


class LlmFailed(PanoptesError):
    code, status = "llm_failed", 502


class FetchFailed(PanoptesError):
    code, status = "fetch_failed", 502


class FetchTimeout(FetchFailed):
    code, status = "fetch_timeout", 504


class OutOfSpace(PanoptesError):
    code, status = "insufficient_storage", 507


class Unavailable(PanoptesError):
    code, status = "unavailable", 503


class Overloaded(Unavailable):
    code = "overloaded"


class ModelUnavailable(Unavailable):
    code = "model_unavailable"


class LlmWithoutKey(Unavailable):
    code = "llm_without_key"


class ModelDisabled(Unavailable):
    code = "model_disabled"


def internal_error(identity: str) -> PanoptesError:
    """The 500 of a failure that is not the request's; `identity` is the id under which the log explains it."""
    return PanoptesError(
        f"Something broke here, not in your request. Report it with the request id {identity}.",
        detail={"request_id": identity},
    )


def no_such_path(scope: Scope) -> NotFound:
    """The 404 of a path that no route has."""
    return NotFound(f"There is no {scope['path'][:MOST_PATH]}: see /docs for the routes.")


MOST_PATH = 200  # characters of a path that a message repeats
MOST_PROBLEMS = 10  # listed in the `detail` of a validation error; the message names the first
LONGEST_TEXT = 300  # characters of a message or a name in it

# Clients of the categorizer and the catalogue read only {"error": text}.
TEXT_ONLY_ROUTES = ("/categorize", "/image", "/video", "/api/")
# Clients of the tagger read errors in the form of its answers, `Index_Response`.
TAGGER_ROUTES = frozenset({"/process", "/work/status", "/test", "/health-check"})


def route_path(scope: Scope) -> str:
    """The path of a request without the application's root path."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/")) or "/"


def render(error: PanoptesError, scope: Scope) -> Response:
    """The response for an error in the form of the route's family, with `Retry-After` or `WWW-Authenticate` if due."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else {}
    core = {"error": error.code, "message": error.message}
    body: dict[str, Any] = {**core, "detail": error.message if error.facts is None else error.facts}
    if isinstance(error, UploadTimeout):
        headers["Connection"] = "close"  # what may still arrive is not waited for
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "ApiKey"
        body["detail"] = core
    keeps_its_form = isinstance(error, Unauthorized | ValidationFailed)
    return JSONResponse(_in_family(body, scope, error.status, keeps_its_form), error.status, headers)


def _in_family(body: dict[str, Any], scope: Scope, status: int, keeps_its_form: bool) -> dict[str, Any]:
    """The body of an error in the form that the clients of its route expect."""
    path, message = route_path(scope), body["message"]
    if path.startswith(TEXT_ONLY_ROUTES) and not keeps_its_form:
        return {"error": message}
    if path in TAGGER_ROUTES:
        untreated = {"number_documents_treated": 0, "number_documents_non_treated": 0, "list_id_not_treated": []}
        # `error` is a message in an Index_Response, but a code in a 401, which is the same on all routes.
        text = {} if status == 401 else {"error": message}
        return {**body, "status": {"code": status, "message": message}, "data": [], **text, **untreated}
    return body


def invalid(problems: Sequence[Mapping[str, Any]], kind: type[ValidationFailed] = ValidationFailed) -> ValidationFailed:
    """The error for problems as pydantic lists them: it names the first, and has the first few as its facts."""
    shown = shown_problems(problems)
    where = ".".join(str(part) for part in shown[0]["loc"])
    more = f" ({len(problems)} problems in all)" if len(problems) > 1 else ""
    message = f"The request is not valid: {where}: {shown[0]['msg']}{more}. See /docs for what this route takes."
    return kind(message, detail=shown)


def shown_problems(problems: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The first few problems as they are shown to a client: `loc`, `msg` and `type`, each of a bounded length."""
    return [
        {"loc": [_place(part) for part in one["loc"]], "msg": _shortened(one["msg"]), "type": one["type"]}
        for one in problems[:MOST_PROBLEMS]
    ]


def _place(part: str | int) -> str | int:
    return part if isinstance(part, int) else _shortened(part)


def _shortened(text: str) -> str:
    """A text of at most LONGEST_TEXT characters that UTF-8 can encode; a name in a request may be any."""
    cut = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    return cut.encode("utf-8", "backslashreplace").decode()


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    return render(invalid(error.errors()), request.scope)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    status, message, headers = error.status_code, str(error.detail), dict(error.headers or {})
    if status == 404:
        return render(no_such_path(request.scope), request.scope)
    code = "invalid_request"
    if status == 405:
        code, allowed = "method_not_allowed", allowed_methods(request)
        headers["Allow"] = ", ".join(allowed)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        message = f"{request.method} is not a method of this path: use {' or '.join(allowed)}."
    body = {"error": code, "message": message, "detail": message}
    return JSONResponse(_in_family(body, request.scope, status, False), status, headers)


def allowed_methods(request: Request) -> list[str]:
    """The methods of a path. HEAD is one wherever GET is, and OPTIONS, the last, everywhere."""
    # A mounted folder leaves its own path in `root_path`.
    root_path = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    scope, routes = {**request.scope, "root_path": root_path}, request.app.routes
    known = ("GET", "POST", "PUT", "PATCH", "DELETE")
    methods = [method for method in known if any(_takes(route, {**scope, "method": method}) for route in routes)]
    return [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]


def _takes(route: BaseRoute, scope: Scope) -> bool:
    # A mounted folder of files matches with every method.
    return route.matches(scope)[0] is Match.FULL and (scope["method"] == "GET" or not isinstance(route, Mount))


def _panoptes_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PanoptesError)  # noqa: S101 - registered for this type alone
    return render(error, request.scope)


def install(app: FastAPI) -> None:
    """Make an app render the errors above, validation errors and routing errors in the form of the route's family."""
    app.add_exception_handler(PanoptesError, _panoptes_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
