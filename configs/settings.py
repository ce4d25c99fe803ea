"""Every setting of the application, read from the environment, from `.env` and from the `args` of a Serve config.

The environment wins over `.env`, which wins over the Serve config: the file says what a machine is meant to run, the
environment what this start wants. A value that cannot work is refused here, before any model loads.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from configs.project import PROJECT
from configs.types import (
    ClipModel,
    DatabaseUrl,
    Hosts,
    HttpUrl,
    Key,
    LlmModel,
    LlmModels,
    Networks,
    PretrainedModel,
    PromptSet,
    RedisUrl,
    StoreUrl,
)

MEGABYTE = 1_000_000


class Settings(BaseSettings):
    """The settings by their environment names in lower case (`API_KEY` is `api_key`)."""

    model_config = SettingsConfigDict(
        env_file=PROJECT / ".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="forbid", frozen=True
    )

    environment: Literal["development", "staging", "production"] = Field(
        "development", description="Shown in /health; has no other effect."
    )

    weights: Literal["auto", "hub", "bundled"] = Field(
        "auto", description="hub: the named checkpoints or nothing; bundled: ours; auto: hub where there, else bundled."
    )
    clip_enabled: bool = Field(True, description="Off: no CLIP deployment, its routes answer 503 model_disabled.")
    clip_model_name: ClipModel = Field(
        "openai/clip-vit-base-patch32", description="Hugging Face id of the CLIP model, one of configs/models.yaml."
    )
    clip_threads: int | None = Field(
        None, ge=0, le=256, description="CPU threads of a CLIP replica, instead of the registry's; 0: all, at most 8."
    )
    clip_max_batch: int = Field(16, ge=1, le=1024, description="Most images in one forward pass; more on a GPU.")
    prompt_set: PromptSet = Field("default", description="Prompt set of /classify, one of configs/prompts.yaml.")

    blur_enabled: bool = Field(True, description="Off: no Blur deployment.")
    blur_threshold: float = Field(100.0, ge=0, description="Laplacian variance below which a picture is blurry.")
    quality_enabled: bool = Field(True, description="Off: no Quality deployment, and no need of pyiqa (noncommercial).")
    quality_threads: int | None = Field(
        None,
        ge=0,
        le=256,
        description="CPU threads of a Quality replica, instead of the registry's; 0: all, at most 8.",
    )
    quality_max_megapixels: float = Field(
        4, gt=0, le=100, description="Larger pictures are scaled down before their quality is measured."
    )
    emotion_enabled: bool = Field(True, description="Off: no Emotion deployment.")
    deepface_detector: Literal["opencv", "yunet", "ssd", "centerface"] = Field(
        "opencv",
        description="opencv, yunet, ssd or centerface; all but opencv need a file in DEEPFACE_HOME or its download.",
    )
    emotion_max_side: int = Field(
        1280,
        ge=64,
        le=10_000,
        description="Longest side in pixels at which faces are looked for; more finds smaller ones.",
    )
    analyzer_timeout_s: float = Field(
        30, gt=0, le=3600, description="Time for one analyser on one image; what is late is missing from the answer."
    )
    max_batch_size: int = Field(20, ge=1, le=1000, description="Most images of one /v1/analyze/batch request.")

    tagger_enabled: bool = Field(True, description="Off: no Tagger deployment.")
    tagger_model_name: PretrainedModel = Field(
        "facebook/levit-384", description="Image classifier: an id of configs/models.yaml, or a folder of transformers."
    )
    tagger_threads: int | None = Field(
        None, ge=0, le=256, description="CPU threads of a Tagger replica, as CLIP_THREADS."
    )
    tagger_max_batch: int = Field(16, ge=1, le=1024, description="Most images in one forward pass of the tagger.")
    tagger_backend: Literal["imagenet", "florence2"] = Field(
        "imagenet", description="What answers /process: imagenet (labels) or florence2 (the detector's counts)."
    )
    captioner_enabled: bool = Field(True, description="Off: no Captioner deployment.")
    captioner_model_name: PretrainedModel = Field(
        "Salesforce/blip-image-captioning-base", description="BLIP: an id of configs/models.yaml, or a folder."
    )
    captioner_threads: int | None = Field(
        None, ge=0, le=256, description="CPU threads of a Captioner replica, as CLIP_THREADS."
    )
    captioner_max_batch: int = Field(8, ge=1, le=256, description="Most images that are captioned together.")
    caption_max_tokens: int = Field(30, ge=1, le=200, description="Most tokens of a caption.")
    detector_enabled: bool = Field(True, description="Off: no Detector deployment.")
    detector_model_name: PretrainedModel = Field(
        "florence-community/Florence-2-base", description="Florence-2: an id of configs/models.yaml, or a folder."
    )
    detector_threads: int | None = Field(
        None, ge=0, le=256, description="CPU threads of a Detector replica, as CLIP_THREADS."
    )
    detector_max_batch: int = Field(4, ge=1, le=256, description="Most images whose objects are found together.")
    detector_max_tokens: int = Field(
        512, ge=8, le=1024, description="Most tokens of Florence-2's answer; an object takes about six."
    )
    process_timeout_s: float = Field(
        240,
        gt=0,
        le=3600,
        description="Time for one /process, what is late is named; keep http_options.request_timeout_s above it.",
    )
    process_video_frames: int = Field(
        16, ge=1, le=256, description="Frames of a video that /process tags, spread evenly."
    )
    work_enabled: bool = Field(True, description="Off: no Work deployment, /work/status answers 503.")

    video_enabled: bool = Field(True, description="Off: no Video deployment, /video answers 503.")
    video_step_s: float = Field(
        1, gt=0, le=3600, description="Seconds between the frames of a video that are looked at."
    )
    max_video_frames: int = Field(
        600, ge=1, le=100_000, description="Most frames of a video; the step is widened for a longer one."
    )
    max_video_seconds: float = Field(600, gt=0, le=36_000, description="Longest video, in seconds.")
    max_video_mb: float = Field(
        500, gt=0, le=5000, description="Largest video, in megabytes; MAX_REQUEST_MB holds too."
    )
    video_timeout_s: float = Field(
        300, gt=0, le=3600, description="Time to answer one /video; keep http_options.request_timeout_s above it."
    )

    clusterer_enabled: bool = Field(True, description="Off: no Clusterer deployment, /v1/cluster answers 503.")
    clusterer_threads: int = Field(
        0, ge=0, le=256, description="CPU threads of a Clusterer replica; 0: all, at most 8."
    )
    max_cluster_embeddings: int = Field(
        20_000, ge=2, le=1_000_000, description="Most embeddings of one /v1/cluster request."
    )

    cataloguer_enabled: bool = Field(True, description="Off: no catalogue, its routes answer 503.")
    database_url: DatabaseUrl = Field(
        SecretStr(""), description="sqlite:///… or postgresql://…; SQLite in data/catalogue.db when empty."
    )
    store_url: StoreUrl = Field(
        "data/pictures", description="Folder for the catalogue's files, or a URL of fsspec such as s3://bucket/prefix."
    )
    max_attempts: int = Field(5, ge=1, le=100, description="How often an upload is tried before it is failed.")
    lease_s: float = Field(
        60, ge=1, le=3600, description="How long an upload is a worker's; of a killed one it is tried anew after this."
    )
    cataloguer_parallel: int = Field(4, ge=1, le=256, description="Uploads that a worker has under way at a time.")
    cataloguer_poll_s: float = Field(
        2, gt=0, le=60, description="A worker that nobody wakes looks for uploads this often."
    )
    exif_gps: bool = Field(False, description="On: the metadata of an image say where it was taken.")

    llm_enabled: bool = Field(True, description="Off: no Llm deployment, /v1/analyze/llm answers 503.")
    llm_model: LlmModel = Field(
        "anthropic/claude-opus-4-6", description="LiteLLM's name of the vision model asked by default."
    )
    llm_fallbacks: LlmModels = Field((), description="Models asked in turn when the provider of the first one fails.")
    llm_timeout_s: float = Field(
        20, gt=0, le=600, description="Time for one call of a provider; repair and fallbacks are further calls."
    )
    llm_base_url: HttpUrl = Field("", description="OpenAI-compatible server that answers for openai/… models.")
    anthropic_api_key: Key = Field(SecretStr(""), description="Key for anthropic/… models.")
    openai_api_key: Key = Field(SecretStr(""), description="Key for openai/… models.")
    gemini_api_key: Key = Field(SecretStr(""), description="Key for gemini/… models.")

    api_key: Key = Field(SecretStr(""), description="When set, every route but the public ones asks for it.")
    rate_limit_enabled: bool = Field(True, description="Limit inference and uploads by API key or client address.")
    rate_limit_per_minute: int = Field(60, ge=1, description="Requests admitted in any 60 seconds.")
    rate_limit_burst: int = Field(10, ge=1, description="Requests admitted in any one second.")
    rate_limit_redis_url: RedisUrl = Field(
        SecretStr(""), description="redis://… makes the limit exact across ingress replicas."
    )
    trusted_proxies: Networks = Field((), description="Addresses or networks whose X-Forwarded-… headers are believed.")

    max_image_mb: float = Field(50, gt=0, le=1000, description="Largest uploaded image, in megabytes.")
    max_fetch_mb: float = Field(30, gt=0, le=1000, description="Largest image fetched from a URL, in megabytes.")
    max_megapixels: float = Field(100, gt=0, le=1000, description="Largest image, in millions of pixels.")
    max_request_mb: float = Field(500, gt=0, le=5000, description="Largest request with several files, in megabytes.")
    max_batch_mb: float = Field(
        100, gt=0, le=5000, description="Largest request of /v1/analyze/batch or /process, in megabytes of JSON."
    )
    max_files: int = Field(1000, ge=1, le=10_000, description="Most files in one request.")
    max_categories: int = Field(1000, ge=1, le=10_000, description="Most categories or labels in one request.")
    max_embedding_inputs: int = Field(256, ge=1, le=2048, description="Most inputs of one /v1/embeddings request.")

    fetch_allow_private: Hosts = Field(
        (), description="Host names, addresses or networks that may be fetched although they are not public."
    )
    fetch_timeout_s: float = Field(15, gt=0, le=300, description="Time to fetch one URL, redirects included.")
    request_timeout_s: float = Field(
        60, gt=0, le=3600, description="Time to answer one request; keep http_options.request_timeout_s above it."
    )
    max_concurrent_requests: int = Field(
        200,
        ge=1,
        description="Inference and uploads under way in an ingress replica; Serve refuses at max_ongoing_requests.",
    )
    max_concurrent_pictures: int = Field(
        8, ge=1, le=1000, description="Pictures analysed side by side in an ingress replica; each is there whole."
    )
    decode_threads: int = Field(2, ge=1, le=64, description="Threads of an ingress replica that decode images.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, dotenv_settings, init_settings

    @model_validator(mode="after")
    def _request_holds_an_image(self) -> Self:
        if self.max_request_mb < self.max_image_mb:
            raise ValueError("MAX_REQUEST_MB must be at least MAX_IMAGE_MB")
        return self

    @property
    def catalogue_database(self) -> str:
        """DATABASE_URL; a SQLite file that is named without a folder of its own lies in the project's."""
        url = self.database_url.get_secret_value() or "sqlite:///data/catalogue.db"
        kind, _, rest = url.partition("://")
        if kind.partition("+")[0] == "sqlite" and not rest.startswith("//"):
            return f"{kind}:///{PROJECT / rest.removeprefix('/')}"
        return url

    @property
    def catalogue_store(self) -> str:
        """STORE_URL; a folder that is not absolute lies in the project's."""
        return self.store_url if "://" in self.store_url else str(PROJECT / Path(self.store_url).expanduser())

    @property
    def max_image_bytes(self) -> int:
        return int(self.max_image_mb * MEGABYTE)

    @property
    def max_fetch_bytes(self) -> int:
        return int(self.max_fetch_mb * MEGABYTE)

    @property
    def max_video_bytes(self) -> int:
        return int(self.max_video_mb * MEGABYTE)

    @property
    def max_batch_bytes(self) -> int:
        return int(self.max_batch_mb * MEGABYTE)

    @property
    def max_request_bytes(self) -> int:
        return int(self.max_request_mb * MEGABYTE)

    @property
    def quality_max_pixels(self) -> int:
        return int(self.quality_max_megapixels * 1_000_000)

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1_000_000)


SECRETS = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}


class SettingsError(ValueError):
    """The settings cannot work; the message names each variable and says what is wrong with it."""


def load_settings(arguments: dict[str, Any] | None = None) -> Settings:
    """The settings of this process.

    Args:
        arguments: the `args` of the application in its Serve config, weaker than the environment.

    Raises:
        SettingsError: an unknown name in `arguments` or `.env`, an impossible value, or a secret in `arguments`.
    """
    arguments = arguments or {}
    for name in arguments.keys() & SECRETS:
        raise SettingsError(f"Cannot start: {name.upper()} must come from the environment or .env: Serve logs its args")
    try:
        return Settings(**arguments)
    except ValidationError as invalid:
        lines = []
        for error in invalid.errors(include_url=False):
            name = ".".join(str(part) for part in error["loc"]).upper()
            reason = error["msg"].removeprefix("Value error, ")
            if error["type"] == "extra_forbidden":
                lines.append(f"{name} is not a setting of Panoptes")
            else:
                lines.append(f"{name}: {reason}" if name else reason)
        raise SettingsError("Cannot start: " + "; ".join(lines)) from None
