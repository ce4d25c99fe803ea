"""Decides which weights a model serves: once, when the application is built, without loading them."""

import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import httpx
from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache

from configs.project import PROJECT
from configs.registry import Bundled, FileEntry, Packaged, PretrainedEntry
from deployments.runtime import verified
from deployments.runtime.errors import WeightsNotFound

logger = logging.getLogger("ray.serve.panoptes.weights")

Policy = Literal["auto", "hub", "bundled"]
Source = Literal["hub", "packaged", "bundled", "folder", "builtin", "provider"]

# The file names of a checkpoint that open_clip looks for in a repository, in its order.
CHECKPOINT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# Those that transformers looks for, in its order.
PRETRAINED_FILES = ("model.safetensors", "pytorch_model.bin")
HUB_DECISION_S = 5.0
# Hosts that have not answered: they are not asked again for the next model.
_silent: set[str] = set()


@dataclass(frozen=True)
class Weights:
    """The weights that a model serves.

    `name` is the name of the model, whatever its weights are. `id` names the exact weights, as in the `model` fields of
    answers. `source` is `builtin` for a method without weights and `provider` for a model that others run.
    """

    name: str
    task: str
    id: str
    source: Source
    revision: str | None = None
    licence: str | None = None

    @property
    def has_weights(self) -> bool:
        """Whether this application loads weights for the model."""
        return self.source in {"hub", "packaged", "bundled", "folder"}

    @property
    def statement(self) -> str:
        """What a user must know about these weights, in one sentence."""
        if self.source == "bundled":
            return (
                f"{self.id} was trained on scenes that Panoptes draws itself: it is right about those and nothing "
                "else. For photographs serve a hub checkpoint (WEIGHTS=hub)."
            )
        if self.source == "packaged":
            return f"{self.id} as its authors published it, from the installed package {self.revision}."
        if self.source == "hub":
            return f"{self.id} as its authors published it, revision {self.revision or 'newest'}."
        if self.source == "folder":
            return f"{self.id}, from a folder of this machine."
        if self.source == "provider":
            return f"{self.id} at its provider, by LiteLLM."
        return f"{self.id}, a method without weights."


@dataclass(frozen=True, kw_only=True)
class FileWeights(Weights):
    """Weights that are a single file.

    `path` is the local file, which is downloaded from `url` when it is not there. `sha256` is its hash or the beginning
    of it, None if any file is accepted. `options` are the arguments of the model's class.
    """

    path: str
    url: str
    sha256: str | None
    options: Mapping[str, Any]

    def read(self) -> bytes:
        """The bytes of the file, downloaded if necessary and compared with the hash.

        Raises:
            WeightsNotFound: it is neither here nor downloadable, or it is another file.
        """
        return verified.read(verified.fetch(self.url, Path(self.path), self.sha256), self.sha256)


@dataclass(frozen=True, kw_only=True)
class PackagedWeights(Weights):
    """Weights that an installed package contains; `files` are paths, by what they are for."""

    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PretrainedWeights(Weights):
    """Weights and a processor that transformers loads from `location`, a folder or a hub repository."""

    location: str


def choose_file(name: str, entry: FileEntry, cache: Path, policy: Policy, verify: bool = True) -> FileWeights:
    """Decide between the published file of a model and the bundled one, by the policy.

    Args:
        name: the name of the model.
        entry: the model's entry in the registry.
        cache: the folder in which the model's library keeps its files.
        policy: where to take the weights from.
        verify: whether a published file must have the hash that the registry names.
    """
    cached = cache / entry.file
    if policy == "hub" or (
        policy == "auto" and (cached.is_file() or _answers(httpx.URL(entry.url).host, lambda: _url_exists(entry.url)))
    ):
        chosen = FileWeights(
            name,
            entry.task,
            entry.id,
            "hub",
            licence=entry.licence,
            path=str(cached),
            url=entry.url,
            sha256=entry.sha256 if verify else None,
            options=entry.options,
        )
    else:
        directory = bundled_folder(entry.bundled, entry.bundled.file)
        chosen = FileWeights(
            name,
            entry.task,
            entry.bundled.id,
            "bundled",
            licence=entry.licence,
            path=str(directory / entry.bundled.file),
            url=entry.url,
            sha256=None,
            options=entry.bundled.options,
        )
    logger.warning("%s serves %s", chosen.name, chosen.statement)
    return chosen


def choose_pretrained(name: str, entry: PretrainedEntry, model: str, policy: Policy) -> PretrainedWeights:
    """Decide between a hub repository of transformers and the bundled weights, by the policy.

    Args:
        name: the name of the model.
        entry: the model's entry in the registry.
        model: an id in the registry, or a folder saved by transformers, which is served whatever the policy is.
        policy: where to take the weights from.
    """
    checkpoint = entry.checkpoints.get(model)
    if checkpoint is None:
        chosen = PretrainedWeights(name, entry.task, Path(model).name, "folder", location=model)
    elif policy == "hub" or (policy == "auto" and available(model, checkpoint.revision, PRETRAINED_FILES)):
        chosen = PretrainedWeights(
            name, entry.task, model, "hub", checkpoint.revision, checkpoint.licence, location=model
        )
    else:
        folder = bundled_folder(entry.bundled, "config.json")
        chosen = PretrainedWeights(name, entry.task, entry.bundled.id, "bundled", location=str(folder))
    logger.warning("%s serves %s", chosen.name, chosen.statement)
    return chosen


def find_packaged(name: str, entry: Packaged) -> PackagedWeights:
    """The weights that an installed package contains, which is not imported.

    Args:
        name: the name of the model.
        entry: the model's entry in the registry.

    Raises:
        WeightsNotFound: the package is not installed, or lacks a file.
    """
    spec = find_spec(entry.package)
    if spec is None or spec.origin is None:
        raise WeightsNotFound(f"{entry.id} comes with the package {entry.package}, which is not installed")
    folder = Path(spec.origin).parent
    files = {what: folder / file for what, file in entry.files.items()}
    if missing := [str(file) for file in files.values() if not file.is_file()]:
        raise WeightsNotFound(f"{entry.id}: the installed {entry.package} has no {', '.join(missing)}: reinstall it")
    found = PackagedWeights(
        name,
        entry.task,
        entry.id,
        "packaged",
        revision=f"{entry.package} {version(entry.package)}",
        licence=entry.licence,
        files={what: str(file) for what, file in files.items()},
    )
    logger.warning("%s serves %s", found.name, found.statement)
    return found


def torch_home() -> Path:
    """Where torch keeps downloaded files: TORCH_HOME, or `torch` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()


def deepface_home() -> Path:
    """Where DeepFace keeps its files: DEEPFACE_HOME, or the user's home."""
    return Path(os.environ.get("DEEPFACE_HOME", "~")).expanduser()


def cached_checkpoint(repository: str, revision: str | None, names: tuple[str, ...] = CHECKPOINT_FILES) -> str | None:
    """The path of the first of `names` that is in the local Hugging Face cache; None if there is none."""
    found = (try_to_load_from_cache(repository, name, revision=revision) for name in names)
    return next((path for path in found if isinstance(path, str)), None)


def available(repository: str, revision: str | None, names: tuple[str, ...] = CHECKPOINT_FILES) -> bool:
    """Whether a checkpoint is in the local cache, or the hub confirms within 5 s that it has it."""
    return bool(cached_checkpoint(repository, revision, names)) or _answers(
        constants.ENDPOINT, lambda: _hub_has(repository, revision, names)
    )


def _answers(host: str, ask: Callable[[], bool]) -> bool:
    """The result of `ask` for a host; False if it fails or takes over 5 s, has failed before, or we are offline."""
    if constants.HF_HUB_OFFLINE or host in _silent:
        return False
    # In a thread of its own: httpx has timeouts for single steps only, and none for name resolution.
    thread = ThreadPoolExecutor(max_workers=1)
    try:
        return thread.submit(ask).result(timeout=HUB_DECISION_S)
    except Exception as error:  # an unusable proxy, a name that does not resolve: all mean that there is no hub
        logger.info("%s does not answer (%s)", host, type(error).__name__)
        _silent.add(host)
        return False
    finally:
        thread.shutdown(wait=False)


def _url_exists(url: str) -> bool:
    with httpx.Client(timeout=HUB_DECISION_S, follow_redirects=True) as client:
        return client.head(url).is_success


def _hub_has(repository: str, revision: str | None, names: tuple[str, ...]) -> bool:
    with httpx.Client(timeout=HUB_DECISION_S, follow_redirects=True) as client:
        return any(client.head(hf_hub_url(repository, name, revision=revision)).is_success for name in names)


def bundled_folder(bundled: Bundled, file: str) -> Path:
    """The folder of bundled weights.

    Raises:
        WeightsNotFound: `file` is not in it.
    """
    folder = PROJECT / bundled.directory
    if not (folder / file).is_file():
        raise WeightsNotFound(f"the bundled weights {bundled.directory} are missing: reinstall, or set WEIGHTS=hub")
    return folder
