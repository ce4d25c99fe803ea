"""The settings of the detector."""

from pydantic import Field

from configs.settings.base import PretrainedGroup


class DetectorSettings(PretrainedGroup):
    """Detector"""

    name = "detector"

    enabled: bool = Field(True, description="Off: no Detector deployment.")
    model_name: str = Field(
        "florence-community/Florence-2-base", description="Florence-2: an id of configs/models.yaml, or a folder."
    )
    threads: int | None = Field(None, ge=0, le=256, description="CPU threads of a Detector replica, as CLIP_THREADS.")
    max_batch: int = Field(4, ge=1, le=256, description="Most images whose objects are found together.")
    max_tokens: int = Field(
        512, ge=8, le=1024, description="Most tokens of Florence-2's answer; an object takes about six."
    )
