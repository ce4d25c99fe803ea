"""Family C: photo analysis of one image or a batch, and the assessment of an image by a vision language model."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from deployments.models.llm.assessment import LlmPhotoAnalysis
from serve_app.schemas.common import ImageInput, plain_base64
from serve_app.schemas.pictures import (
    CAPTION_EXAMPLE,
    OBJECTS_EXAMPLE,
    TAGS_EXAMPLE,
    CaptionResult,
    ObjectsResult,
    TagsResult,
)

HAPPY: dict[str, JsonValue] = {
    "angry": 0.8, "disgust": 0.0, "fear": 0.1, "happy": 92.1, "sad": 1.3, "surprise": 0.3, "neutral": 5.4,
}  # fmt: skip
RESULT_EXAMPLE: dict[str, JsonValue] = {
    "image_id": "photo_001",
    "source_url": "https://example.com/photo.jpg",
    "width_px": 640,
    "height_px": 427,
    "blur": {
        "laplacian_variance": 312.5,
        "normalized_laplacian_variance": 148.2,
        "is_blurry": False,
        "blur_threshold": 100.0,
    },
    "quality": {"brisque_score": 14.3, "nima_technical_score": 6.8, "overall_quality": "high"},
    "aesthetic": {"nima_aesthetic_score": 7.2, "aesthetic_label": "high"},
    "emotion": {
        "faces_detected": 1,
        "faces": [
            {
                "dominant_emotion": "happy",
                "scores": HAPPY,
                "face_confidence": 0.97,
                "region": {"x": 120, "y": 45, "w": 210, "h": 215},
            }
        ],
    },
    "embedding": {"model": "openai/clip-vit-base-patch32", "dimensions": 512, "vector": [0.021, -0.014]},
    "classification": None,
    "caption": CAPTION_EXAMPLE,
    "tags": TAGS_EXAMPLE,
    "objects": OBJECTS_EXAMPLE,
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


class AnalysisFlags(BaseModel):
    """Which analysers look at an image. One that is left out runs where its model is switched on."""

    model_config = ConfigDict(extra="forbid")

    run_blur: bool = Field(True, description="Sharpness by the variance of the Laplacian.")
    run_quality: bool = Field(True, description="Technical quality and aesthetics: BRISQUE and two NIMA networks.")
    run_emotion: bool = Field(True, description="Faces and their emotions.")
    run_embedding: bool = Field(True, description="CLIP embedding.")
    run_classification: bool = Field(False, description="Map, aerial photo or neither, as in /classify.")
    run_caption: bool = Field(False, description="A sentence that describes it, as /v1/caption.")
    run_tags: bool = Field(False, description="The five most probable labels, as /v1/tags.")
    run_objects: bool = Field(False, description="The things in it, as /v1/objects.")

    def asked(self, analyzer: str) -> bool:
        """Whether a client asked for an analyser itself, and not by leaving its flag out."""
        return bool(getattr(self, f"run_{analyzer}")) and f"run_{analyzer}" in self.model_fields_set


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

    images: list[ImageInput] = Field(min_length=1, description="At most MAX_BATCH_SIZE images (20 by default).")


class BlurResult(BaseModel):
    laplacian_variance: float = Field(description="Of the image as it is; higher is sharper.")
    normalized_laplacian_variance: float = Field(description="At a long side of 512 pixels: comparable between sizes.")
    is_blurry: bool = Field(description="laplacian_variance < blur_threshold.")
    blur_threshold: float


class QualityResult(BaseModel):
    brisque_score: float = Field(description="BRISQUE, about 0–150; lower is better.")
    nima_technical_score: float = Field(description="NIMA trained on technical quality (KonIQ-10k), 1–10.")
    overall_quality: Literal["low", "medium", "high"] = Field(
        description="high: BRISQUE < 25 and technical ≥ 6.0; medium: < 50 and ≥ 4.5; otherwise low."
    )


class AestheticResult(BaseModel):
    nima_aesthetic_score: float = Field(description="NIMA trained on what people like (AVA), 1–10.")
    aesthetic_label: Literal["low", "medium", "high"] = Field(description="high ≥ 6.5, medium ≥ 5.0, otherwise low.")


class EmotionEntry(BaseModel):
    dominant_emotion: str
    scores: dict[str, float] = Field(description="Per emotion 0–100; they sum to 100.")
    face_confidence: float = Field(description="The detector's, 0–1.")
    region: dict[str, int] = Field(description="x, y, w, h in pixels of the upright image.")


class EmotionResult(BaseModel):
    faces_detected: int
    faces: list[EmotionEntry]


class EmbeddingResult(BaseModel):
    model: str = Field(description="The exact weights: vectors of two of them do not compare.")
    dimensions: int
    vector: list[float] = Field(description="L2-normalised.")


class ClassificationResult(BaseModel):
    model: str
    classification: Literal["maps", "aerial_satellite", "miscellaneous"]
    confidence: float
    is_map_or_aerial: bool
    probabilities: dict[str, float]


class ImageAnalysisResult(BaseModel):
    """What was found out about one image.

    A null field was not asked for, is switched off, or has its reason in `error`.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [RESULT_EXAMPLE]})

    image_id: str | None = None
    source_url: str | None = None
    width_px: int | None = Field(None, description="Width of the upright image in pixels.")
    height_px: int | None = None
    blur: BlurResult | None = None
    quality: QualityResult | None = None
    aesthetic: AestheticResult | None = None
    emotion: EmotionResult | None = Field(None, description="Also null when no face was found.")
    embedding: EmbeddingResult | None = None
    classification: ClassificationResult | None = None
    caption: CaptionResult | None = None
    tags: TagsResult | None = None
    objects: ObjectsResult | None = None
    processing_time_ms: float
    error: str | None = Field(None, description="What went wrong with this image or with some of its analysers.")


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


class LlmAnalyzeRequest(BaseModel):
    """One image for a vision language model: exactly one of `image_url` and `image`."""

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"image_url": "https://example.com/photo.jpg", "ref_id": "photo_abc123"}]},
    )

    image_url: str | None = Field(
        None, min_length=1, description="http(s) URL; this service fetches it, not the provider."
    )
    image: str | None = Field(None, description="The image's bytes in standard base64.")
    ref_id: str | None = Field(None, max_length=256, description="Echoed back.")
    model: str | None = Field(None, description="LiteLLM's name of a vision model; default: LLM_MODEL.")
    custom_prompt: str | None = Field(
        None, max_length=20_000, description="Replaces the default prompt; the form of the answer stays the same."
    )
    max_tokens: int = Field(500, ge=100, le=2000)
    language: str | None = Field(
        None, min_length=1, max_length=50, description="Language of the texts in the answer; default: English."
    )

    @field_validator("image")
    @classmethod
    def _plain_base64(cls, value: str | None) -> str | None:
        return plain_base64(value)

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
