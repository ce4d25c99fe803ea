"""What the reader of videos is, read without PyAV and decord."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from configs.registry import read_entry
from configs.settings import Settings, SettingsError
from deployments.runtime.spec import Deployed, DeploymentSpec
from deployments.runtime.weights import Weights
from deployments.video.entry import VideoEntry

VIDEO = Weights("video", "frames of videos by time", "pyav", "builtin")


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    if settings.video.reader == "decord" and find_spec("decord") is None:
        raise SettingsError(
            "Cannot start: VIDEO_READER=decord needs the extra 'decord' (`uv pip install -e '.[decord]'` in the "
            "project's folder, on x86_64); VIDEO_READER=auto reads every video without it."
        )
    entry = read_entry("video", VideoEntry)
    return (
        entry.threads,
        settings.video.max_seconds,
        entry.parallel,
        settings.limits.max_pixels,
        settings.video.reader,
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
