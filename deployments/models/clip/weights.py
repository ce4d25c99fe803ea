"""Which weights CLIP serves: a checkpoint of the hub, or the bundled ones. Nothing is loaded here."""

import json
import logging
from dataclasses import dataclass

from configs.registry import Bundled
from deployments.models.clip.settings import ClipEntry
from deployments.pictures.preprocessing import ImageSpec
from deployments.runtime.weights import Policy, Weights, available, bundled_folder

logger = logging.getLogger("ray.serve.panoptes.weights")


@dataclass(frozen=True, kw_only=True)
class ClipWeights(Weights):
    """The CLIP weights that are served.

    For weights from the hub, `architecture` is open_clip's name, and `repository` has the checkpoint. Bundled weights
    are a folder with its own config: `architecture` is then open_clip's `local-dir:` name, and `repository` is None.
    """

    name: str = "clip"
    task: str = "zero-shot image classification and embeddings"
    architecture: str
    repository: str | None
    image: ImageSpec
    dimensions: int


def choose_clip(entry: ClipEntry, model: str, policy: Policy) -> ClipWeights:
    """Decide between the hub checkpoint `model` and the bundled weights.

    `auto` takes the checkpoint if it is in the local cache or the hub answers within 5 s, and else the bundled weights.
    `hub` never falls back: if the checkpoint is not available, the deployment fails with a message.
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
    if policy == "hub" or (policy == "auto" and available(checkpoint.repository, checkpoint.revision)):
        chosen = hub
    else:
        chosen = _bundled_clip(entry.bundled)
    logger.warning("%s serves %s", chosen.name, chosen.statement)
    return chosen


def _bundled_clip(bundled: Bundled) -> ClipWeights:
    directory = bundled_folder(bundled, "open_clip_config.json")
    config = json.loads((directory / "open_clip_config.json").read_text(encoding="utf-8"))
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
