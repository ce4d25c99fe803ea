"""Wire types that several families of routes share."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from deployments.wire.requests import RequestModel
from serve_app.inputs.base64_text import is_data_uri


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
    data: str | None = Field(None, description="The image's bytes in base64, plain or as a data: URI.")
    image_id: str | None = Field(None, max_length=128, description="Echoed back in the response.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.url is None) == (self.data is None):
            raise ValueError("send exactly one of url and data")
        if self.url is not None and is_data_uri(self.url):  # as OpenAI's clients send images
            self.data, self.url = self.url, None
        return self


Label = Annotated[str, Field(min_length=1, max_length=1000)]
