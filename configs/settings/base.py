"""The base classes of the groups of settings."""

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, field_validator

from configs.registry import PretrainedEntry, read_entry

MEGABYTE = 1_000_000


class SettingsError(ValueError):
    """The settings are invalid; the message names each variable and says what is wrong with it."""


class Group(BaseModel):
    """Settings that belong together; the first line of the docstring is the group's heading in `.env.example`.

    A field is set by the environment variable `<GROUP>_<FIELD>`, or by its `alias` where it has one. A new setting
    follows the pattern; aliases keep names that are older than the pattern.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=False)


class ModelGroup(Group):
    """The settings of one model, declared in `deployments/models/<name>/settings.py`."""

    name: ClassVar[str]

    enabled: bool


class PretrainedGroup(ModelGroup):
    """The settings of a model that transformers loads; `model_name` is an id of its entry in models.yaml, or a folder.

    `threads` are the CPU threads of a replica, None for those of models.yaml; `max_batch` is in images.
    """

    model_name: str
    threads: int | None
    max_batch: int

    @field_validator("model_name")
    @classmethod
    def _known_or_folder(cls, value: str) -> str:
        known = read_entry(cls.name, PretrainedEntry).checkpoints
        if value in known:
            return value
        folder = Path(value).resolve()  # the replica may have another working directory
        if not (folder / "config.json").is_file():
            raise ValueError(f"must be a folder with a config.json, or one of {', '.join(known)}")
        if not folder.name.isascii() or not folder.name.isprintable():
            raise ValueError("the folder's name must be printable ASCII: it stands in a header of every answer")
        return str(folder)
