"""The model registry: which checkpoints can be served, read from `models.yaml` beside this file."""

from functools import cache
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field

from configs.project import PROJECT

FOLDER = PROJECT / "configs"


class Entry(BaseModel):
    """An entry of models.yaml, or a part of one. The type of a model's own entry is declared in the model's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Kind = TypeVar("Kind", bound=Entry)


class Checkpoint(Entry):
    """One checkpoint on the Hugging Face hub.

    `repository` holds it under open_clip's file names; `revision` is a commit, or None for the newest one.
    """

    architecture: str
    repository: str
    revision: str | None
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    dimensions: int


class Bundled(Entry):
    """Weights that ship with Panoptes: the id that answers name, and the folder, relative to the project."""

    id: str
    directory: str


class BundledFile(Bundled):
    """Bundled weights that are one file; `options` are arguments of the model's class."""

    file: str
    options: dict[str, str | int] = {}


class FileEntry(Entry):
    """A model whose weights are one file: its name in the library's cache (`file`), its URL, and the bundled one.

    `sha256` is the file's hash in hexadecimal, or the first digits of it; None where it is not known for certain.
    `options` are arguments of the model's class.
    """

    task: str
    id: str
    file: str
    url: str
    sha256: str | None = Field(pattern=r"^[0-9a-f]{8,64}$")
    licence: str | None
    bundled: BundledFile
    options: dict[str, str | int] = {}


class Repository(Entry):
    """A repository on the Hugging Face hub in the format of transformers; `revision` as in `Checkpoint`."""

    revision: str | None
    licence: str | None


class PretrainedEntry(Entry):
    """A model that transformers loads, with its processor. `dtype` is by device type, `checkpoints` by id.

    `threads` are the CPU threads of a replica; 0: all cores, at most 8.
    """

    task: str
    bundled: Bundled
    threads: int = Field(ge=0)
    dtype: dict[str, str]
    checkpoints: dict[str, Repository]


class Packaged(Entry):
    """Weights that an installed package contains.

    `package` is the module whose folder has the `files`, by their purpose.
    """

    task: str
    id: str
    package: str
    files: dict[str, str]
    licence: str


def read_entry(name: str, kind: type[Kind]) -> Kind:
    """The entry of models.yaml with this name.

    Raises:
        KeyError: there is none.
        ValidationError: it is not what `kind` declares.
    """
    return kind.model_validate(read_entries()[name])


def entry_names() -> tuple[str, ...]:
    """The names of all entries, in the order of models.yaml."""
    return tuple(read_entries())


@cache
def read_entries() -> dict[str, Any]:
    """The contents of models.yaml, not validated; `read_entry` validates an entry."""
    entries: dict[str, Any] = yaml.safe_load((FOLDER / "models.yaml").read_text(encoding="utf-8"))
    return entries
