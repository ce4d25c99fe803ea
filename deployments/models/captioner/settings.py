"""The settings of the captioner."""

from pydantic import Field

from configs.settings.base import PretrainedGroup


class CaptionerSettings(PretrainedGroup):
    """Captioner"""

    name = "captioner"

    enabled: bool = Field(True, description="Off: no Captioner deployment.")
    model_name: str = Field(
        "Salesforce/blip-image-captioning-base", description="BLIP: an id of configs/models.yaml, or a folder."
    )
    threads: int | None = Field(None, ge=0, le=256, description="CPU threads of a Captioner replica, as CLIP_THREADS.")
    max_batch: int = Field(8, ge=1, le=256, description="Most images that are captioned together.")
    max_tokens: int = Field(30, ge=1, le=200, alias="CAPTION_MAX_TOKENS", description="Most tokens of a caption.")
