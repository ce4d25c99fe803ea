"""Family C: photo analysis of one image or a batch, and the assessment of an image by a vision language model."""

from typing import TYPE_CHECKING, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    create_model,
    model_validator,
)

from deployments.models.llm.assessment import LlmPhotoAnalysis
from deployments.specs import analyses
from deployments.wire.requests import RequestModel, Whole
from serve_app.schemas.answers import views
from serve_app.schemas.common import ImageInput

RESULT_EXAMPLE: dict[str, JsonValue] = {
    "image_id": "photo_001",
    "source_url": "https://example.com/photo.jpg",
    "width_px": 640,
    "height_px": 427,
    **{name: example for one in views().values() for name, example in one.examples.items()},
    "processing_time_ms": 843.2,
    "error": None,
}


LLM_EXAMPLE: dict[str, JsonValue] = {
    "ref_id": "photo_abc123",
    "analysis": {
        "overall_score": 8.2,
        "discard_reason": None,
        "best_in_group": True,
        "composition": "rule of thirds",
        "pose_quality": "relaxed",
        "background_quality": "calm, out of focus",
        "highlights": ["sharp eyes", "soft light"],
        "issues": [],
        "summary": "A well-lit portrait whose subject is at ease.",
    },
    "model_used": "claude-opus-4-6",
    "tokens_used": 1893,
    "processing_ms": 4120,
    "error": None,
}


MOST_IMAGES = 1000  # MAX_BATCH_SIZE may not be more


class _Flags(RequestModel):
    """Which analyses run on an image. An analysis whose flag is left out is skipped if its model is switched off."""

    def wants(self, analysis: str) -> bool:
        """Whether an analysis is to run."""
        return bool(getattr(self, f"run_{analysis}"))

    def asked(self, analysis: str) -> bool:
        """Whether the request explicitly sets the flag of an analysis to true."""
        return self.wants(analysis) and f"run_{analysis}" in self.model_fields_set


if TYPE_CHECKING:

    class AnalysisFlags(_Flags):
        """With `run_<name>` of every analysis."""

else:
    _flags = {
        f"run_{name}": (StrictBool, Field(one.default, description=one.description))
        for name, (one, _) in analyses().items()
    }
    AnalysisFlags = create_model("AnalysisFlags", __base__=_Flags, __doc__=_Flags.__doc__, **_flags)


class AnalyzeRequest(AnalysisFlags):
    """One image and the analysers to run on it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image": {"url": "https://example.com/photo.jpg", "image_id": "p1"}, "run_emotion": False}]
        }
    )

    image: ImageInput


class BatchAnalyzeRequest(AnalysisFlags):
    """Several images; the same analysers run on each of them, independently of the others."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "images": [
                        {"url": "https://example.com/photo1.jpg", "image_id": "p1"},
                        {"url": "https://example.com/photo2.jpg", "image_id": "p2"},
                    ],
                    "run_emotion": False,
                }
            ]
        }
    )

    images: list[ImageInput] = Field(
        min_length=1,
        max_length=MOST_IMAGES,
        fail_fast=True,
        description="At most MAX_BATCH_SIZE images (20 by default).",
    )


class _ImageOfAnalysis(BaseModel):
    """The results of all analyses of one image.

    A field is null if its analysis was not requested, is switched off, or failed; `error` says why one failed.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [RESULT_EXAMPLE]})

    image_id: str | None = None
    source_url: str | None = None
    width_px: int | None = Field(None, description="Width of the upright image in pixels.")
    height_px: int | None = None


ERROR = "What went wrong with this image or with some of its analysers."

if TYPE_CHECKING:

    class ImageAnalysisResult(_ImageOfAnalysis):
        """With the fields of every analysis."""

        processing_time_ms: float
        error: str | None = None

else:
    _results = {
        name: (kind | None, Field(None, description=said or None))
        for one in views().values()
        for name, (kind, said) in one.results.items()
    }
    ImageAnalysisResult = create_model(
        "ImageAnalysisResult",
        __base__=_ImageOfAnalysis,
        __doc__=_ImageOfAnalysis.__doc__,
        **_results,
        processing_time_ms=(float, ...),
        error=(str | None, Field(None, description=ERROR)),
    )


class AnalyzeResponse(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"api_version": "1.0", "result": RESULT_EXAMPLE}]})

    api_version: str = "1.0"
    result: ImageAnalysisResult


class BatchAnalyzeResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "api_version": "1.0",
                    "total": 1,
                    "succeeded": 1,
                    "failed": 0,
                    "results": [RESULT_EXAMPLE],
                    "total_processing_time_ms": 850.1,
                }
            ]
        }
    )

    api_version: str = "1.0"
    total: int
    succeeded: int = Field(description="Number of images whose `error` is null.")
    failed: int
    results: list[ImageAnalysisResult] = Field(description="In the order of the request.")
    total_processing_time_ms: float


class StreamedResult(ImageAnalysisResult):
    """A line of the NDJSON answer, sent as soon as the result is ready. `index` is the image's place in the request."""

    index: int


class LlmAnalyzeRequest(RequestModel):
    """One image for a vision language model: exactly one of `image_url` and `image`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"image_url": "https://example.com/photo.jpg", "ref_id": "photo_abc123"}]},
    )

    image_url: str | None = Field(
        None, min_length=1, description="http(s) URL; this service fetches it, not the provider."
    )
    image: str | None = Field(None, description="The image's bytes in base64, plain or as a data: URI.")
    ref_id: str | None = Field(None, max_length=256, description="Echoed back.")
    model: str | None = Field(None, description="LiteLLM's name of a vision model; default: LLM_MODEL.")
    custom_prompt: str | None = Field(
        None, max_length=20_000, description="Replaces the default prompt; the form of the answer stays the same."
    )
    max_tokens: Whole = Field(500, ge=100, le=2000)
    language: str | None = Field(
        None, min_length=1, max_length=50, description="Language of the texts in the answer; default: English."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.image_url is None) == (self.image is None):
            raise ValueError("send exactly one of image_url and image")
        return self


class LlmAnalyzeResponse(BaseModel):
    model_config = ConfigDict(protected_namespaces=(), json_schema_extra={"examples": [LLM_EXAMPLE]})

    ref_id: str | None
    analysis: LlmPhotoAnalysis
    model_used: str = Field(description="The model that answered, as its provider names it.")
    tokens_used: int = Field(description="Tokens of all calls that were made for this answer.")
    processing_ms: int
    error: str | None = None
