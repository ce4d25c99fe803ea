"""The configuration of CLIP: its settings and its entry in models.yaml."""

from collections.abc import Collection

from pydantic import Field, field_validator

from configs.prompts import load_prompts
from configs.registry import Bundled, Checkpoint, Entry, read_entry
from configs.settings.base import ModelGroup


class ClipEntry(Entry):
    """Everything that can be served as CLIP. `dtype` is by device type, `checkpoints` by Hugging Face id.

    `threads` are the CPU threads of a replica; 0: all cores, at most 8.
    """

    bundled: Bundled
    threads: int = Field(ge=0)
    dtype: dict[str, str]
    checkpoints: dict[str, Checkpoint]


class ClipSettings(ModelGroup):
    """CLIP"""

    name = "clip"

    enabled: bool = Field(True, description="Off: no CLIP deployment, its routes answer 503 model_disabled.")
    model_name: str = Field(
        "openai/clip-vit-base-patch32", description="Hugging Face id of the CLIP model, one of configs/models.yaml."
    )
    threads: int | None = Field(
        None,
        ge=0,
        le=256,
        description="CPU threads of a CLIP replica; overrides configs/models.yaml. 0: all cores, at most 8.",
    )
    max_batch: int = Field(16, ge=1, le=1024, description="Most images in one forward pass; more on a GPU.")
    prompt_set: str = Field(
        "default", alias="PROMPT_SET", description="Prompt set of /classify, one of configs/prompts.yaml."
    )

    @field_validator("model_name")
    @classmethod
    def _known_model(cls, value: str) -> str:
        return _one_of(value, read_entry(cls.name, ClipEntry).checkpoints)

    @field_validator("prompt_set")
    @classmethod
    def _known_prompt_set(cls, value: str) -> str:
        return _one_of(value, load_prompts().classifier)


def _one_of(value: str, known: Collection[str]) -> str:
    if value not in known:
        raise ValueError(f"must be one of {', '.join(sorted(known))}")
    return value
