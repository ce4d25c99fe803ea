"""What the reader of videos is, read without PyAV and decord."""

from collections.abc import Mapping
from typing import Any

from configs.registry import read_entry
from configs.settings import Settings
from deployments.runtime.spec import Deployed, DeploymentSpec
from deployments.runtime.weights import Weights
from deployments.video.entry import VideoEntry

VIDEO = Weights("video", "frames of videos by time", "decord/pyav", "builtin")


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    entry = read_entry("video", VideoEntry)
    return (
        entry.threads,
        settings.video.max_seconds,
        entry.parallel,
        settings.limits.max_pixels,
    )


SPEC = DeploymentSpec(
    name="Video",
    purpose="frames of videos, each read in a process of its own",
    library="av",
    extra="video",
    models=("video",),
    weights=lambda settings: (VIDEO,),
    package="deployments.video",
    arguments=_arguments,
)
