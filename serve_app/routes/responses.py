"""The error responses that /docs shows beside each route."""

from typing import Any

from pydantic import BaseModel

from serve_app.schemas.common import ErrorBody, TextError
from serve_app.schemas.tagger import Index_Response

Responses = dict[int | str, dict[str, Any]]


def _errors(model: type[BaseModel], reasons: dict[int, str]) -> Responses:
    return {status: {"model": model, "description": reason} for status, reason in reasons.items()}


COMPRESSED = "The body is compressed: send it without Content-Encoding."
COMPRESSED_OR_NO_JSON = "The body is compressed, or the Content-Type is not that of JSON; the message says what to do."

UPLOAD_ERRORS = _errors(
    ErrorBody,
    {
        400: "Empty, broken or not an image.",
        401: "The API key is missing or wrong.",
        408: "The upload did not arrive in time.",
        413: "More bytes or pixels than are accepted.",
        415: COMPRESSED_OR_NO_JSON,
        422: "A field is missing or of the wrong type.",
        429: "Too many requests; `Retry-After` says when.",
        500: "Something broke here; the answer carries the request id.",
    },
)
QUERY_ERRORS = _errors(ErrorBody, {422: "A query parameter is not valid."})
KEY_ERRORS = _errors(ErrorBody, {401: "The API key is missing or wrong."})
MODEL_ERRORS = _errors(
    ErrorBody,
    {503: "The model is overloaded, being replaced or switched off.", 504: "No answer before the deadline."},
)
FETCH_ERRORS = _errors(ErrorBody, {502: "The URL cannot be fetched."})
LLM_ERRORS = _errors(
    ErrorBody,
    {
        422: "The request is not valid, the model is unknown, or its answer did not have the requested form twice.",
        502: "The provider failed, or the URL cannot be fetched; `Retry-After` if the provider sends it.",
        503: "There is no key for the provider, or the deployment is overloaded, being replaced or switched off.",
    },
)
NOT_FOUND_ERRORS = _errors(ErrorBody, {404: "There is no such model here; the message names the one to use."})

CATEGORIZER_ERRORS = (
    _errors(
        TextError,
        {
            400: "A file is missing, has the wrong extension, or is broken.",
            408: "The upload did not arrive in time.",
            413: "More bytes, pixels or files than are accepted.",
            415: COMPRESSED,
            429: "Too many requests; `Retry-After` says when.",
            500: "Something broke here; `X-Request-ID` says which request.",
            503: "The model is overloaded, being replaced or switched off.",
            504: "No answer before the deadline.",
        },
    )
    | KEY_ERRORS
)

CATALOGUE_ERRORS = _errors(
    TextError,
    {
        400: "A parameter has an unknown value.",
        404: "Image not found",
        500: "Something broke here; `X-Request-ID` says which request.",
        503: "The database, the store or a model does not answer or is switched off; `Retry-After` if waiting helps.",
        504: "No answer before the deadline.",
    },
)
CATALOGUE_UPLOAD_ERRORS = _errors(
    TextError,
    {
        400: "No file uploaded. · Only JPEG and PNG files are allowed. · Broken or corrupted image file.",
        408: "The upload did not arrive in time.",
        413: "More bytes or pixels than are accepted.",
        415: COMPRESSED,
        429: "Too many requests; `Retry-After` says when.",
        507: "The store or the database is full; nothing was stored.",
    },
)
CATALOGUE_JPEG_ERRORS = _errors(
    TextError,
    {
        413: "The image has more pixels than are accepted now.",
        507: "The store is full: the JPEG cannot be kept.",
    },
)
CATALOGUE_SEARCH_ERRORS: Responses = {429: CATALOGUE_UPLOAD_ERRORS[429]}

TAGGER_ERRORS = _errors(
    Index_Response,
    {
        400: "The body is not JSON.",
        401: "The API key is missing or wrong; `message` and `detail` are as on other routes.",
        408: "The upload did not arrive in time.",
        413: "More bytes or documents than are accepted.",
        415: COMPRESSED,
        422: "A field is missing or of the wrong type.",
        429: "Too many requests; `Retry-After` says when.",
        500: "Something broke here; `X-Request-ID` says which request.",
        503: "The model is overloaded, being replaced or switched off.",
        504: "No answer before the deadline.",
    },
)
WORK_ERRORS: Responses = {status: TAGGER_ERRORS[status] for status in (401, 500, 503)}


def answers(example: Any, status: int = 200) -> Responses:
    """An example of a JSON answer for /docs."""
    return {status: {"content": {"application/json": {"example": example}}}}
