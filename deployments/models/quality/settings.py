"""The configuration of Quality: its settings and its entry in models.yaml."""

from pydantic import Field

from configs.registry import Entry, FileEntry
from configs.settings.base import ModelGroup


class QualityEntry(Entry):
    """The three measures of quality. `dtype` is by device type.

    `threads` are the CPU threads of a replica; 0: all cores, at most 8.
    """

    threads: int = Field(ge=0)
    dtype: dict[str, str]
    brisque: FileEntry
    nima_technical: FileEntry
    nima_aesthetic: FileEntry


class QualitySettings(ModelGroup):
    """Quality"""

    name = "quality"

    enabled: bool = Field(True, description="Off: no Quality deployment, and no need of pyiqa (noncommercial).")
    threads: int | None = Field(
        None,
        ge=0,
        le=256,
        description="CPU threads of a Quality replica; overrides configs/models.yaml. 0: all cores, at most 8.",
    )
    max_megapixels: float = Field(
        4, gt=0, le=100, description="Larger pictures are scaled down before their quality is measured."
    )

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1_000_000)
