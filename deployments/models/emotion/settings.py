"""The configuration of Emotion: its settings and its entry in models.yaml."""

from typing import Literal

from pydantic import Field

from configs.registry import Entry, FileEntry
from configs.settings.base import ModelGroup


class EmotionEntry(Entry):
    """The emotion network; its face detector is a setting."""

    threads: int = Field(ge=0)
    network: FileEntry


class EmotionSettings(ModelGroup):
    """Emotion"""

    name = "emotion"

    enabled: bool = Field(True, description="Off: no Emotion deployment.")
    detector: Literal["opencv", "yunet", "ssd", "centerface"] = Field(
        "opencv",
        alias="DEEPFACE_DETECTOR",
        description="opencv, yunet, ssd or centerface; all but opencv need a file in DEEPFACE_HOME or its download.",
    )
    max_side: int = Field(
        1280,
        ge=64,
        le=10_000,
        description="Longest side in pixels at which faces are looked for; more finds smaller ones.",
    )
