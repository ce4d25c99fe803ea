"""The groups of settings that belong to no model."""

import ipaddress
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from configs.project import PROJECT
from configs.settings.base import MEGABYTE, Group
from configs.types import DatabaseUrl, HostNames, Hosts, Key, Network, Networks, Origins, RedisUrl, StoreUrl


class Service(Group):
    """The application as a whole"""

    environment: Literal["development", "staging", "production"] = Field(
        "development", alias="ENVIRONMENT", description="Shown in /health; has no other effect."
    )
    weights: Literal["auto", "hub", "bundled"] = Field(
        "auto",
        alias="WEIGHTS",
        description="hub: only the named checkpoints; bundled: our own small models; auto: hub where it answers.",
    )
    verify_weights: bool = Field(
        True,
        alias="VERIFY_WEIGHTS",
        description="Off: files of weights may have other hashes than models.yaml names, for weights of your own.",
    )


class Analysis(Group):
    """/v1/analyze and /v1/analyze/batch"""

    timeout_s: float = Field(
        30,
        gt=0,
        le=3600,
        alias="ANALYZER_TIMEOUT_S",
        description="Seconds for one analysis of one image; an analysis that takes longer is left out of the answer.",
    )
    max_images: int = Field(
        20, ge=1, le=1000, alias="MAX_BATCH_SIZE", description="Most images of one /v1/analyze/batch request."
    )


class Tagging(Group):
    """/process"""

    backend: Literal["imagenet", "florence2"] = Field(
        "imagenet",
        alias="TAGGER_BACKEND",
        description="What answers /process: imagenet (labels) or florence2 (the detector's counts).",
    )
    timeout_s: float = Field(
        240,
        gt=0,
        le=3600,
        alias="PROCESS_TIMEOUT_S",
        description="Seconds to answer one /process request; must be below http_options.request_timeout_s.",
    )
    video_frames: int = Field(
        16,
        ge=1,
        le=256,
        alias="PROCESS_VIDEO_FRAMES",
        description="Frames of a video that /process tags, spread evenly.",
    )


class Work(Group):
    """The record of jobs"""

    enabled: bool = Field(True, description="Off: no Work deployment, /work/status answers 503.")


class Video(Group):
    """/video"""

    enabled: bool = Field(True, description="Off: no Video deployment, /video answers 503.")
    step_s: float = Field(1, gt=0, le=3600, description="Seconds between the frames of a video that are looked at.")
    max_frames: int = Field(
        600,
        ge=1,
        le=100_000,
        alias="MAX_VIDEO_FRAMES",
        description="Most frames of a video; a longer video is sampled at a wider step.",
    )
    max_seconds: float = Field(
        600, gt=0, le=36_000, alias="MAX_VIDEO_SECONDS", description="Longest video, in seconds."
    )
    max_mb: float = Field(
        500,
        gt=0,
        le=5000,
        alias="MAX_VIDEO_MB",
        description="Largest video, in megabytes; MAX_REQUEST_MB limits it, too.",
    )
    timeout_s: float = Field(
        300,
        gt=0,
        le=3600,
        description="Seconds to answer one /video request; must be below http_options.request_timeout_s.",
    )

    @property
    def max_bytes(self) -> int:
        return int(self.max_mb * MEGABYTE)


class Clustering(Group):
    """/v1/cluster"""

    enabled: bool = Field(
        True, alias="CLUSTERER_ENABLED", description="Off: no Clusterer deployment, /v1/cluster answers 503."
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        alias="CLUSTERER_THREADS",
        description="CPU threads of a Clusterer replica; 0: all cores, at most 8.",
    )
    max_embeddings: int = Field(
        20_000,
        ge=2,
        le=1_000_000,
        alias="MAX_CLUSTER_EMBEDDINGS",
        description="Most embeddings of one /v1/cluster request.",
    )


class Catalogue(Group):
    """The catalogue of uploaded images"""

    enabled: bool = Field(True, alias="CATALOGUER_ENABLED", description="Off: no catalogue, its routes answer 503.")
    database_url: DatabaseUrl = Field(
        SecretStr(""),
        alias="DATABASE_URL",
        description="sqlite:///… or postgresql://…; SQLite in data/catalogue.db when empty.",
    )
    store_url: StoreUrl = Field(
        "data/pictures",
        alias="STORE_URL",
        description="Folder for the catalogue's files, or a URL of fsspec such as s3://bucket/prefix.",
    )
    max_attempts: int = Field(
        5,
        ge=1,
        le=100,
        alias="MAX_ATTEMPTS",
        description="Attempts to process an upload before it is marked as failed.",
    )
    lease_s: float = Field(
        60,
        ge=1,
        le=3600,
        alias="LEASE_S",
        description="Seconds that a worker holds an upload before another may take it.",
    )
    parallel: int = Field(
        4, ge=1, le=256, alias="CATALOGUER_PARALLEL", description="Uploads that a worker processes at the same time."
    )
    poll_s: float = Field(
        2,
        gt=0,
        le=60,
        alias="CATALOGUER_POLL_S",
        description="Seconds between a worker's checks for uploads when nothing wakes it.",
    )
    exif_gps: bool = Field(
        False, alias="EXIF_GPS", description="On: the metadata of an image include where it was taken."
    )

    @property
    def database(self) -> str:
        """DATABASE_URL; a relative path of a SQLite file is relative to the project's folder."""
        url = self.database_url.get_secret_value() or "sqlite:///data/catalogue.db"
        kind, _, rest = url.partition("://")
        if kind.partition("+")[0] == "sqlite" and not rest.startswith("//"):
            return f"{kind}:///{PROJECT / rest.removeprefix('/')}"
        return url

    @property
    def store(self) -> str:
        """STORE_URL; a relative folder is relative to the project's folder."""
        return self.store_url if "://" in self.store_url else str(PROJECT / Path(self.store_url).expanduser())


class Security(Group):
    """Who may ask, and whose word is taken for it"""

    api_key: Key = Field(
        SecretStr(""), alias="API_KEY", description="When set, every route except the public ones requires it."
    )
    trusted_proxies: Networks = Field(
        (),
        alias="TRUSTED_PROXIES",
        description="Addresses or networks whose X-Forwarded-… headers are believed.",
    )
    allowed_hosts: HostNames = Field(
        (),
        alias="ALLOWED_HOSTS",
        description="Host names under which clients reach the service, besides localhost and literal addresses.",
    )
    cors_origins: Origins = Field(
        (),
        alias="CORS_ORIGINS",
        description="Origins (https://host:port) whose web pages may send requests and read the answers.",
    )

    @cached_property
    def trusted_networks(self) -> tuple[Network, ...]:
        """`trusted_proxies`, parsed."""
        return tuple(ipaddress.ip_network(network, strict=False) for network in self.trusted_proxies)


class RateLimit(Group):
    """The rate limit"""

    enabled: bool = Field(True, description="Limit inference and uploads by API key or client address.")
    per_minute: int = Field(60, ge=1, description="Requests admitted in any 60 seconds.")
    burst: int = Field(10, ge=1, description="Requests admitted in any one second.")
    wrong_keys: int = Field(
        60, ge=1, description="Requests without the right API key that an address may send in any 60 seconds."
    )
    redis_url: RedisUrl = Field(SecretStr(""), description="redis://… makes the limit exact across ingress replicas.")


class Limits(Group):
    """What a request may bring"""

    max_image_mb: float = Field(
        50, gt=0, le=1000, alias="MAX_IMAGE_MB", description="Largest uploaded image, in megabytes."
    )
    max_megapixels: float = Field(
        150, gt=0, le=1000, alias="MAX_MEGAPIXELS", description="Largest image, in millions of pixels."
    )
    max_request_mb: float = Field(
        500, gt=0, le=5000, alias="MAX_REQUEST_MB", description="Largest request with several files, in megabytes."
    )
    max_batch_mb: float = Field(
        100,
        gt=0,
        le=5000,
        alias="MAX_BATCH_MB",
        description="Largest request of /v1/analyze/batch or /process, in megabytes of JSON.",
    )
    max_bodies_mb: float = Field(
        1000,
        gt=0,
        le=100_000,
        alias="MAX_BODIES_MB",
        description="Most megabytes of bodies at a time in an ingress replica, in memory or spooled to disk.",
    )
    max_files: int = Field(1000, ge=1, le=10_000, alias="MAX_FILES", description="Most files in one request.")
    max_categories: int = Field(
        1000, ge=1, le=10_000, alias="MAX_CATEGORIES", description="Most categories or labels in one request."
    )
    max_embedding_inputs: int = Field(
        256, ge=1, le=2048, alias="MAX_EMBEDDING_INPUTS", description="Most inputs of one /v1/embeddings request."
    )

    @model_validator(mode="after")
    def _request_holds_an_image(self) -> Self:
        if self.max_request_mb < self.max_image_mb:
            raise ValueError("MAX_REQUEST_MB must be at least MAX_IMAGE_MB")
        if self.max_bodies_mb < max(self.max_request_mb, self.max_batch_mb, self.max_image_mb * 4 / 3):
            raise ValueError("MAX_BODIES_MB must be at least MAX_REQUEST_MB, MAX_BATCH_MB and 4/3 of MAX_IMAGE_MB")
        return self

    @property
    def max_image_bytes(self) -> int:
        return int(self.max_image_mb * MEGABYTE)

    @property
    def max_batch_bytes(self) -> int:
        return int(self.max_batch_mb * MEGABYTE)

    @property
    def max_request_bytes(self) -> int:
        return int(self.max_request_mb * MEGABYTE)

    @property
    def max_bodies_bytes(self) -> int:
        return int(self.max_bodies_mb * MEGABYTE)

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1_000_000)


class Fetch(Group):
    """Images that are fetched from a URL"""

    allow_private: Hosts = Field(
        (), description="Host names, addresses or networks that may be fetched although they are not public."
    )
    timeout_s: float = Field(15, gt=0, le=300, description="Seconds to fetch one URL, redirects included.")
    max_mb: float = Field(
        30, gt=0, le=1000, alias="MAX_FETCH_MB", description="Largest image fetched from a URL, in megabytes."
    )

    @property
    def max_bytes(self) -> int:
        return int(self.max_mb * MEGABYTE)


class Ingress(Group):
    """A replica of the ingress"""

    request_timeout_s: float = Field(
        60,
        gt=0,
        le=3600,
        alias="REQUEST_TIMEOUT_S",
        description="Seconds to answer one request; must be below http_options.request_timeout_s.",
    )
    max_concurrent_requests: int = Field(
        200,
        ge=1,
        alias="MAX_CONCURRENT_REQUESTS",
        description="Inference requests and uploads at a time in an ingress replica; see max_ongoing_requests.",
    )
    max_concurrent_pictures: int = Field(
        8,
        ge=1,
        le=1000,
        alias="MAX_CONCURRENT_PICTURES",
        description="Whole pictures in memory at a time in an ingress replica.",
    )
    decode_threads: int = Field(
        2, ge=1, le=64, alias="DECODE_THREADS", description="Threads of an ingress replica that decode images."
    )
