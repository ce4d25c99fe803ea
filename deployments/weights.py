"""Which weights a model serves: decided once, when the application is built, without loading anything."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache

from configs.registry import Bundled, ClipEntry
from deployments.errors import WeightsNotFound
from deployments.preprocessing import ImageSpec

logger = logging.getLogger("ray.serve.panoptes.weights")

# open_clip's own names for a checkpoint in a repository, in the order in which it looks for them.
CHECKPOINT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
HUB_DECISION_S = 5.0
PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ClipWeights:
    """The CLIP weights that are served.

    `id` is what every `model` field says. From the hub `architecture` is open_clip's name and `repository` where its
    checkpoint lies; bundled weights are a folder with their own config, `architecture` is then open_clip's
    `local-dir:` name and `repository` is None.
    """

    id: str
    source: Literal["hub", "bundled"]
    architecture: str
    repository: str | None
    revision: str | None
    image: ImageSpec
    dimensions: int

    @property
    def statement(self) -> str:
        """What a user must know about these weights, in one sentence."""
        if self.source == "bundled":
            return (
                f"{self.id} was trained on scenes that Panoptes draws itself: it is right about those and nothing "
                "else. For photographs serve a hub checkpoint (WEIGHTS=hub)."
            )
        return f"{self.id} from the Hugging Face hub, revision {self.revision or 'newest'}."


def choose_clip(entry: ClipEntry, model: str, policy: Literal["auto", "hub", "bundled"]) -> ClipWeights:
    """Decide between the hub checkpoint `model` and the bundled weights.

    `auto` takes the hub's when they are in the local cache or the hub answers within 5 s, and the bundled ones
    otherwise. `hub` never falls back: the deployment then fails with a message when the checkpoint is not to be had.
    """
    checkpoint = entry.checkpoints[model]
    hub = ClipWeights(
        id=model,
        source="hub",
        architecture=checkpoint.architecture,
        repository=checkpoint.repository,
        revision=checkpoint.revision,
        image=ImageSpec(checkpoint.image_size, checkpoint.mean, checkpoint.std),
        dimensions=checkpoint.dimensions,
    )
    if policy == "hub" or (policy == "auto" and _available(checkpoint.repository, checkpoint.revision)):
        chosen = hub
    else:
        chosen = _bundled_clip(entry.bundled)
    logger.warning("CLIP serves %s", chosen.statement)
    return chosen


def cached_checkpoint(repository: str, revision: str | None) -> str | None:
    """The path of a checkpoint in the local Hugging Face cache, None when it is not there."""
    found = (try_to_load_from_cache(repository, file, revision=revision) for file in CHECKPOINT_FILES)
    return next((path for path in found if isinstance(path, str)), None)


def _available(repository: str, revision: str | None) -> bool:
    """Whether a checkpoint is in the local cache or its hub answers for it within 5 s."""
    if cached_checkpoint(repository, revision):
        return True
    if constants.HF_HUB_OFFLINE:
        return False
    # In a thread of its own: httpx's timeouts are for each step, and none of them bounds the resolver.
    thread = ThreadPoolExecutor(max_workers=1)
    try:
        return thread.submit(_hub_has, repository, revision).result(timeout=HUB_DECISION_S)
    except Exception as error:  # a proxy that cannot be used, a name that does not resolve: each means no hub
        logger.info("The hub does not answer for %s (%s)", repository, type(error).__name__)
        return False
    finally:
        thread.shutdown(wait=False)


def _hub_has(repository: str, revision: str | None) -> bool:
    with httpx.Client(timeout=HUB_DECISION_S, follow_redirects=True) as client:
        return any(client.head(hf_hub_url(repository, file, revision=revision)).is_success for file in CHECKPOINT_FILES)


def _bundled_clip(bundled: Bundled) -> ClipWeights:
    directory = PROJECT / bundled.directory
    config_file = directory / "open_clip_config.json"
    if not config_file.is_file():
        raise WeightsNotFound(f"the bundled weights {bundled.directory} are missing: reinstall, or set WEIGHTS=hub")
    config = json.loads(config_file.read_text(encoding="utf-8"))
    model, preprocess = config["model_cfg"], config["preprocess_cfg"]
    return ClipWeights(
        id=bundled.id,
        source="bundled",
        architecture=f"local-dir:{directory}",
        repository=None,
        revision=None,
        image=ImageSpec(model["vision_cfg"]["image_size"], tuple(preprocess["mean"]), tuple(preprocess["std"])),
        dimensions=model["embed_dim"],
    )
