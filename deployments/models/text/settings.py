"""The configuration of Text: its settings and its entry in models.yaml."""

from pydantic import Field

from configs.registry import Entry, Packaged
from configs.settings.base import ModelGroup


class TextEntry(Entry):
    """The networks that find and read text; `threads` are CPU threads of a replica, 0: all cores, at most 8."""

    threads: int = Field(ge=0)
    networks: Packaged


class TextSettings(ModelGroup):
    """Text"""

    name = "text"

    enabled: bool = Field(True, description="Off: no Text deployment, /v1/text answers 503.")
    threads: int | None = Field(
        None, ge=0, le=256, description="CPU threads of a Text replica; overrides configs/models.yaml."
    )
    min_confidence: float = Field(0.5, ge=0, le=1, description="Lines that are read with less confidence are left out.")
    max_side: int = Field(
        2000,
        ge=64,
        le=10_000,
        description="Longest side in pixels at which text is looked for; more finds smaller letters.",
    )
