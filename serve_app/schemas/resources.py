"""The new routes: embeddings in OpenAI's wire format, the list of models, zero-shot classification."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from configs.prompts import check_template
from serve_app.schemas.common import ImageInput, Label


class TextPart(BaseModel):
    """OpenAI's content part for a text."""

    type: Literal["text"]
    text: str


class ImageUrl(BaseModel):
    url: str


class ImagePart(BaseModel):
    """OpenAI's content part for an image: an http(s) URL or a `data:` URI."""

    type: Literal["image_url"]
    image_url: ImageUrl


ContentPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class EmbeddingRequest(BaseModel):
    """OpenAI's request, with images. `user` and other fields of OpenAI's clients are accepted and not used."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "clip", "input": ["a street map", "a red car"]},
                {"model": "clip", "modality": "image", "input": "https://example.com/photo.jpg"},
                {"model": "clip", "input": [{"type": "text", "text": "a cat"}]},
            ]
        }
    )

    input: (
        str
        | Annotated[list[str], Field(max_length=2048, fail_fast=True)]
        | Annotated[list[ContentPart], Field(max_length=2048, fail_fast=True)]
    ) = Field(description="Texts; with modality image http(s) URLs or data: URIs; or OpenAI-style content parts.")
    model: str = Field("clip", description="`clip`, or the id that /v1/models gives.")
    modality: Literal["text", "image"] = Field("text", description="What the strings of `input` are.")
    encoding_format: Literal["float", "base64"] = Field("float", description="base64: little-endian float32.")
    dimensions: int | None = Field(None, description="Refused unless it is the model's own.")


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="L2-normalised.")


class Usage(BaseModel):
    """Tokens of the texts; an image counts none."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingResponse(BaseModel):
    """Vectors in the order of the inputs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "list",
                    "data": [{"object": "embedding", "index": 0, "embedding": [0.021, -0.014, 0.042]}],
                    "model": "openai/clip-vit-base-patch32",
                    "usage": {"prompt_tokens": 5, "total_tokens": 5},
                }
            ]
        }
    )

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str = Field(description="The exact weights that made the vectors.")
    usage: Usage


class ClassifyRequest(BaseModel):
    """Zero-shot classification of one image by labels of the caller's."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "image": {"url": "https://example.com/photo.jpg", "image_id": "photo_001"},
                    "labels": ["a street map", "a page of text", "a car"],
                    "template": "{}",
                }
            ]
        },
    )

    image: ImageInput
    labels: list[Label] = Field(min_length=1, fail_fast=True, description="What the image may show.")
    template: str | None = Field(None, description="A prompt with `{}` where the label goes; default: the configured.")

    @field_validator("template")
    @classmethod
    def _template(cls, value: str | None) -> str | None:
        return value if value is None else check_template(value)


class LabelScore(BaseModel):
    label: str
    score: float = Field(description="Probability over the given labels, 0–1.")


class ClassifyResponse(BaseModel):
    """Every label with its probability, best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "openai/clip-vit-base-patch32",
                    "image_id": "photo_001",
                    "width_px": 640,
                    "height_px": 427,
                    "labels": [{"label": "a car", "score": 0.98}, {"label": "a street map", "score": 0.02}],
                }
            ]
        }
    )

    model: str = Field(description="The exact weights that answered.")
    image_id: str | None
    width_px: int
    height_px: int
    labels: list[LabelScore]


class ServedModel(BaseModel):
    """One model, in OpenAI's form with what an operator wants to know beside it."""

    id: str = Field(description="The exact weights, as in every `model` field.")
    object: Literal["model"] = "model"
    created: int = Field(description="When this application started, seconds since 1970.")
    owned_by: str
    name: str
    task: str
    source: Literal["hub", "bundled", "builtin", "provider"] = Field(
        description="Whence the weights are; builtin: a method without weights, provider: a model that others run."
    )
    revision: str | None
    licence: str | None = Field(description="Where the model's code or weights are not free for every use.")
    statement: str = Field(description="What these weights are and are not.")
    dimensions: int | None = Field(description="Of an embedding.")
    device: str | None
    replicas: int
    queue: int | None = Field(description="Items that wait for a batch in the replica that answered.")
    items: int | None = Field(description="Items that this replica computed since it started.")
    batches: int | None = Field(description="In how many forward passes: their quotient is the mean batch.")
    error: str | None


class ModelList(BaseModel):
    """Every model that is switched on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "list",
                    "data": [
                        {
                            "id": "openai/clip-vit-base-patch32",
                            "object": "model",
                            "created": 1795234239,
                            "owned_by": "openai",
                            "name": "clip",
                            "task": "zero-shot image classification and embeddings",
                            "source": "hub",
                            "revision": None,
                            "licence": None,
                            "statement": "openai/clip-vit-base-patch32 from the Hugging Face hub, revision newest.",
                            "dimensions": 512,
                            "device": "cpu",
                            "replicas": 1,
                            "queue": 0,
                            "items": 12_345,
                            "batches": 1_029,
                            "error": None,
                        }
                    ],
                }
            ]
        }
    )

    object: Literal["list"] = "list"
    data: list[ServedModel]
