"""Wire types that several families of routes share."""

import base64
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from deployments.wire.requests import RequestModel


class ErrorBody(BaseModel):
    """The body of an error on the routes of families A and C and on the new routes."""

    error: str = Field(description="A stable code.", examples=["invalid_image"])
    message: str = Field(description="What is wrong and what to do about it.")
    detail: Any = Field(description="The message again, or facts: for example the list of problems or the request id.")


class TextError(BaseModel):
    """The body of an error on the routes of the categorizer and the catalogue."""

    error: str = Field(examples=["No image file selected"])


class ImageInput(RequestModel):
    """A single image: exactly one of `url` and `data`."""

    url: str | None = Field(None, min_length=1, description="Publicly reachable http(s) URL of the image.")
    data: str | None = Field(None, description="The image's bytes in standard base64, without a data-URI prefix.")
    image_id: str | None = Field(None, max_length=128, description="Echoed back in the response.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.url is None) == (self.data is None):
            raise ValueError("send exactly one of url and data")
        return self

    @field_validator("data")
    @classmethod
    def _plain_base64(cls, value: str | None) -> str | None:
        return plain_base64(value)


def plain_base64(value: str | None) -> str | None:
    """Return the value unchanged.

    Raises:
        ValueError: it is a data URI.
    """
    if value is not None and value.startswith("data:"):
        raise ValueError("send plain base64, without the data-URI prefix")
    return value


NOT_BASE64 = "this is not standard base64 (RFC 4648)"
SLICE = 1 << 20  # characters that are decoded in one step

Label = Annotated[str, Field(min_length=1, max_length=1000)]


def decode_base64(text: str) -> bytes:
    """Decode standard base64, which may contain line breaks. Slice by slice: a text may have 67 MB.

    Raises:
        ValueError: the text is not standard base64.
    """
    parts, rest, ended = list[bytes](), "", False
    for start in range(0, len(text), SLICE):
        piece = rest + "".join(text[start : start + SLICE].split())
        if ended and piece:
            raise ValueError(NOT_BASE64)
        whole = len(piece) // 4 * 4
        parts.append(_decoded(piece[:whole]))
        rest, ended = piece[whole:], ended or piece[:whole].endswith("=")
    if rest:
        raise ValueError(NOT_BASE64)
    return b"".join(parts)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(NOT_BASE64) from error
