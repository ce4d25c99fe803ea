"""Measures the bundled CLIP as it is served, and writes its card."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image

from configs.prompts import CATEGORIES, load_prompts
from deployments.models.clip.zero_shot import ensemble, probabilities
from deployments.pictures.preprocessing import fit
from training.cards import million_parameters, table_rows
from training.clip.evaluation import colour_cases, fresh_scenes, labelled_scenes

MEASURED = 600  # scenes for each figure
BATCH = 64

CARD = """# {name}

A small CLIP for open_clip (ResNet vision tower, {parameters:.1f} M parameters, {size} px, 512 dimensions, half
precision), so that the server answers on a machine with no other weights. Trained on scenes this project draws itself
(`training/scenes.py`) and on nothing else: it can be relied on for those scenes, and for nothing else.

Made by {made}. Images are scaled to {size} px on the shorter side
(bicubic), cropped, and normalised with CLIP's mean and deviation.

Accuracy on {count} fresh scenes, drawn from seeds that training cannot reach:

| what | accuracy |
|---|---|
{rows}

BGR is the same picture with its channels swapped: it shows what a server would lose that mixes them up.
"""


class Saved:
    """The model as it is served: read back from its folder, with the server's own preprocessing."""

    def __init__(self, folder: Path) -> None:
        self.model = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True).eval()
        self.tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        self.scale = self.model.logit_scale.exp().item()
        preprocess = json.loads((folder / "open_clip_config.json").read_text())["preprocess_cfg"]
        self.size: int = preprocess["size"]
        self.mean, self.std = np.array(preprocess["mean"]), np.array(preprocess["std"])

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The embeddings of texts, (texts, 512), L2-normalised."""
        embeddings: NDArray[np.float32] = self.model.encode_text(self.tokenizer(list(texts)), normalize=True).numpy()
        return embeddings

    @torch.inference_mode()
    def images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """The embeddings of images, (images, 512), L2-normalised."""
        embeddings = []
        for first in range(0, len(images), BATCH):
            pixels = np.stack([fit(image, self.size) for image in images[first : first + BATCH]])
            batch = torch.from_numpy(((pixels / 255 - self.mean) / self.std).astype(np.float32)).permute(0, 3, 1, 2)
            embeddings.append(self.model.encode_image(batch, normalize=True).numpy())
        return np.concatenate(embeddings)

    def best(self, images: Sequence[Image.Image], classes: NDArray[np.float32]) -> NDArray[np.int64]:
        """For each image the index of the class embedding (k, 512) that it is most like."""
        return np.asarray(probabilities(self.images(images), classes, self.scale).argmax(axis=1), dtype=np.int64)


def measure(saved: Saved, seed: int, count: int) -> dict[str, float]:
    """The accuracies (0–1) of a saved model, each on `count` scenes that it has not seen, by what was asked."""
    prompts, figures = load_prompts(), {}
    scenes = list(fresh_scenes(count, seed))
    images, answers = [scene.image for scene in scenes], [CATEGORIES.index(scene.category) for scene in scenes]
    for name, prompt_set in prompts.classifier.items():
        classes = np.stack([ensemble(saved.texts(prompt_set[category])) for category in CATEGORIES])
        figures[f"/classify, {name} prompts"] = float(np.mean(saved.best(images, classes) == answers))
    scenes = list(labelled_scenes(count, seed))
    answers = [prompts.categories.index(scene.label) for scene in scenes if scene.label]
    best = saved.best([scene.image for scene in scenes], saved.texts(prompts.categories))
    figures["/categorize, the default categories"] = float(np.mean(best == answers))
    for order in ("RGB", "BGR"):
        figures[f"the colour of a shape, of six, pixels in {order} order"] = _colours(saved, order, seed, count)
    return figures


def _colours(saved: Saved, order: str, seed: int, count: int) -> float:
    cases, right = list(colour_cases(count, seed)), 0
    for captions in {case.captions for case in cases}:
        group = [case for case in cases if case.captions == captions]
        images = [case.image if order == "RGB" else Image.merge("RGB", case.image.split()[::-1]) for case in group]
        right += int((saved.best(images, saved.texts(captions)) == [case.answer for case in group]).sum())
    return right / count


def write_card(folder: Path, made: str, seed: int) -> str:
    """Measure the weights in a folder and write their MODEL_CARD.md; returns its rows of figures.

    Args:
        made: the command that made them and what it drew, in Markdown.
        seed: of the evaluation scenes.
    """
    saved = Saved(folder)
    rows = table_rows({name: f"{100 * value:.1f} %" for name, value in measure(saved, seed, MEASURED).items()})
    parameters = million_parameters(saved.model)
    card = CARD.format(name=folder.name, parameters=parameters, size=saved.size, made=made, count=MEASURED, rows=rows)
    (folder / "MODEL_CARD.md").write_text(card)
    return rows
