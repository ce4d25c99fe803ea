"""The configuration of Blur: its settings and its entry in models.yaml."""

from pydantic import Field

from configs.registry import Entry
from configs.settings.base import ModelGroup


class BlurEntry(Entry):
    """Blur has no weights; `threads` are OpenCV's."""

    threads: int = Field(ge=0)


class BlurSettings(ModelGroup):
    """Blur"""

    name = "blur"

    enabled: bool = Field(True, description="Off: no Blur deployment.")
    threshold: float = Field(100.0, ge=0, description="Laplacian variance below which a picture is blurry.")
