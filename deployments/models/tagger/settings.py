"""The settings of the tagger."""

from pydantic import Field

from configs.settings.base import PretrainedGroup


class TaggerSettings(PretrainedGroup):
    """Tagger"""

    name = "tagger"

    enabled: bool = Field(True, description="Off: no Tagger deployment.")
    model_name: str = Field(
        "facebook/levit-384", description="Image classifier: an id of configs/models.yaml, or a folder of transformers."
    )
    threads: int | None = Field(None, ge=0, le=256, description="CPU threads of a Tagger replica, as CLIP_THREADS.")
    max_batch: int = Field(16, ge=1, le=1024, description="Most images in one forward pass of the tagger.")
