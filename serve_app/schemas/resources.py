"""The new routes: embeddings in OpenAI's wire format, the list of models, zero-shot classification."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from configs.prompts import check_template
from deployments.runtime.weights import Source
from deployments.wire.requests import RequestModel, Whole
from serve_app.schemas.common import ImageInput, Label

MOST_LABELS = 10_000  # MAX_CATEGORIES may not be more


class _OpenAIModel(RequestModel):
    """A model of OpenAI's wire format: fields that it does not have are ignored."""

    model_config = ConfigDict(extra="ignore")


class TextPart(_OpenAIModel):
    """A text, as OpenAI's content part."""

    type: Literal["text"]
    text: str


class ImageUrl(_OpenAIModel):
    url: str


class ImagePart(_OpenAIModel):
    """An image, as OpenAI's content part: an http(s) URL or a `data:` URI."""

    type: Literal["image_url"]
    image_url: ImageUrl


ContentPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class EmbeddingRequest(_OpenAIModel):
    """OpenAI's request, extended by images. `user` and other fields of OpenAI's clients are accepted and ignored."""

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
    ) = Field(
        description="Texts; or, with modality `image`, http(s) URLs or data: URIs; or OpenAI-style content parts."
    )
    model: str = Field("clip", description="`clip`, or the id of the CLIP weights in /v1/models.")
    modality: Literal["text", "image"] = Field(
        "text", description="Whether the strings of `input` are texts or URLs of images."
    )
    encoding_format: Literal["float", "base64"] = Field("float", description="base64: of little-endian float32.")
    dimensions: Whole | None = Field(None, description="Refused unless it is the dimension of the model's vectors.")


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="L2-normalised.")


class Usage(BaseModel):
    """The number of tokens in the texts; images count 0."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingResponse(BaseModel):
    """One vector per input, in the order of the inputs."""

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
    model: str = Field(description="The exact weights that computed the vectors.")
    usage: Usage


class ClassifyRequest(RequestModel):
    """Zero-shot classification of one image by the caller's own labels."""

    model_config = ConfigDict(
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
    labels: list[Label] = Field(
        min_length=1, max_length=MOST_LABELS, fail_fast=True, description="What the image may show."
    )
    template: str | None = Field(
        None, description="A prompt with `{}` in place of the label; default: the configured template."
    )

    @field_validator("template")
    @classmethod
    def _template(cls, value: str | None) -> str | None:
        return value if value is None else check_template(value)


class LabelScore(BaseModel):
    label: str
    score: float = Field(description="Probability, 0–1; the scores of the given labels sum to 1.")


class ClassifyResponse(BaseModel):
    """All labels with their probabilities, the best first."""

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
    """One model, in OpenAI's form with additional fields for operators."""

    id: str = Field(description="The exact weights, as in every `model` field.")
    object: Literal["model"] = "model"
    created: int = Field(description="When this application started, seconds since 1970.")
    owned_by: str
    name: str
    task: str
    source: Source = Field(
        description="Where the weights come from. builtin: a method without weights; provider: a model run by others."
    )
    revision: str | None
    licence: str | None = Field(description="Given if the model's code or weights are not free for every use.")
    statement: str = Field(description="What a user must know about these weights.")
    dimensions: int | None = Field(description="Dimension of an embedding; null for other models.")
    device: str | None
    replicas: int
    queue: int | None = Field(description="Items that wait for a batch in the replica that answered.")
    items: int | None = Field(description="Items that this replica has computed since it started.")
    batches: int | None = Field(description="Batches that it has computed; items / batches is the mean batch size.")
    error: str | None = Field(description="Why it cannot work, or why this is not of now.")
    age_s: float | None = Field(description="How many seconds ago its status was given; null where it never was.")


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
                            "age_s": 0.0,
                        }
                    ],
                }
            ]
        }
    )

    object: Literal["list"] = "list"
    data: list[ServedModel]
