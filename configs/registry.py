"""The model registry: which checkpoints can be served, read from `models.yaml` beside this file."""

from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict, Field

from configs.project import PROJECT

FOLDER = PROJECT / "configs"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Checkpoint(_Entry):
    """One checkpoint on the Hugging Face hub.

    `repository` holds it under open_clip's file names; `revision` is a commit where one is known for certain and
    otherwise None, the newest.
    """

    architecture: str
    repository: str
    revision: str | None
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    dimensions: int


class Bundled(_Entry):
    """Weights that ship with Panoptes: the id they answer under and their folder, from the top of the project."""

    id: str
    directory: str


class ClipEntry(_Entry):
    """Everything that can be served as CLIP. `dtype` is by device type, `checkpoints` by Hugging Face id.

    `prompts` is a file beside this one, `threads` the CPU threads of a replica (0: all cores, at most 8).
    """

    bundled: Bundled
    prompts: str
    threads: int = Field(ge=0)
    dtype: dict[str, str]
    checkpoints: dict[str, Checkpoint]


class BundledFile(Bundled):
    """Bundled weights that are one file; `options` are what the model's class is built with."""

    file: str
    options: dict[str, str | int] = {}


class FileEntry(_Entry):
    """A model whose weights are one file: where its library looks for it (`file`), whence it comes, and ours.

    `options` are what the model's class is built with.
    """

    task: str
    id: str
    file: str
    url: str
    licence: str | None
    bundled: BundledFile
    options: dict[str, str | int] = {}


class Repository(_Entry):
    """A repository on the Hugging Face hub as transformers saves a model; `revision` as in `Checkpoint`."""

    revision: str | None
    licence: str | None


class PretrainedEntry(_Entry):
    """A model that transformers loads, with its processor. `dtype`, `threads` and `checkpoints` as in ClipEntry."""

    task: str
    bundled: Bundled
    threads: int = Field(ge=0)
    dtype: dict[str, str]
    checkpoints: dict[str, Repository]


class BlurEntry(_Entry):
    """Blur has no weights; `threads` are OpenCV's."""

    threads: int = Field(ge=0)


class QualityEntry(_Entry):
    """The three measures of quality. `dtype` is by device type, `threads` as in ClipEntry."""

    threads: int = Field(ge=0)
    dtype: dict[str, str]
    brisque: FileEntry
    nima_technical: FileEntry
    nima_aesthetic: FileEntry


class EmotionEntry(_Entry):
    """The emotion network; its face detector is a setting."""

    threads: int = Field(ge=0)
    network: FileEntry


class VideoEntry(_Entry):
    """Video has no weights; `threads` for each of the `parallel` videos that a replica reads side by side."""

    threads: int = Field(ge=1)
    parallel: int = Field(ge=1)


class Registry(_Entry):
    clip: ClipEntry
    blur: BlurEntry
    quality: QualityEntry
    emotion: EmotionEntry
    tagger: PretrainedEntry
    captioner: PretrainedEntry
    detector: PretrainedEntry
    video: VideoEntry


@cache
def load_registry() -> Registry:
    """The registry of this installation."""
    return Registry.model_validate(yaml.safe_load((FOLDER / "models.yaml").read_text(encoding="utf-8")))
