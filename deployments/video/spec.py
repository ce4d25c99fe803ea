"""What the reader of videos is, read without PyAV and decord."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from configs.registry import Entry, read_entry
from configs.settings import Settings
from deployments.runtime.spec import Deployed, DeploymentSpec
from deployments.runtime.weights import Weights

VIDEO = Weights("video", "frames of videos by time", "decord/pyav", "builtin")


class VideoEntry(Entry):
    """Video has no weights; `threads` for each of the `parallel` videos that a replica reads side by side."""

    threads: int = Field(ge=1)
    parallel: int = Field(ge=1)


def _bind(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> Any:
    from deployments.video.deployment import Video

    entry = read_entry("video", VideoEntry)
    return Video.bind(entry.threads, settings.video.max_seconds, entry.parallel)


SPEC = DeploymentSpec(
    name="Video",
    purpose="frames of videos, each read in a process of its own",
    library="av",
    extra="video",
    models=("video",),
    weights=lambda settings: (VIDEO,),
    bind=_bind,
)
