"""CLIP as open_clip's own documentation uses it; the raw limit and both other servers run it.

It uses no code of Panoptes, so that a mistake there cannot make the others look faster or slower.
"""

import io
from pathlib import Path

import open_clip
import torch
from PIL import Image

THREADS = 2
MAX_BATCH = 32
# The fifteen prompts of the earlier classifier service, by category.
PROMPTS = {
    "maps": ["a map", "a schematic map", "a city map", "a road map", "a topographic map"],
    "aerial_satellite": ["a satellite image", "an aerial photograph", "an aerial view", "a bird's eye view"],
    "miscellaneous": [
        "anything else",
        "miscellaneous content",
        "text",
        "documents",
        "signs",
        "other content",
    ],
}


class OpenClip:
    """A CLIP with its transform and tokenizer, on the CPU."""

    def __init__(self, weights: Path) -> None:
        """Load the checkpoint whose folder also holds its open_clip configuration."""
        torch.set_num_threads(THREADS)
        name = f"local-dir:{weights.parent}"
        self._model, _, self._preprocess = open_clip.create_model_and_transforms(name, require_pretrained=True)
        self._model.eval()
        self._tokenize = open_clip.get_tokenizer(name)

    def decode(self, data: bytes) -> torch.Tensor:
        """Decode an image file into its normalised tensor (3, 224, 224)."""
        with Image.open(io.BytesIO(data)) as image:
            tensor: torch.Tensor = self._preprocess(image.convert("RGB"))
            return tensor

    @torch.inference_mode()
    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """The embeddings (n, d) of n texts, L2-normalised."""
        embeddings: torch.Tensor = self._model.encode_text(self._tokenize(texts), normalize=True)
        return embeddings

    @torch.inference_mode()
    def embed_image(self, images: torch.Tensor) -> torch.Tensor:
        """The embeddings (n, d) of images (n, 3, 224, 224), L2-normalised."""
        embeddings: torch.Tensor = self._model.encode_image(images, normalize=True)
        return embeddings

    def embed_classes(self) -> torch.Tensor:
        """One embedding for each category, (3, d): the normalised mean of the embeddings of its prompts."""
        means = torch.stack([self.embed_texts(prompts).mean(dim=0) for prompts in PROMPTS.values()])
        return torch.nn.functional.normalize(means, dim=-1)

    @torch.inference_mode()
    def probabilities(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """For images (n, 3, 224, 224) the probabilities (n, k) of the texts with embeddings (k, d); rows sum to 1."""
        logits: torch.Tensor = self._model.logit_scale.exp() * self.embed_image(images) @ texts.T
        return logits.softmax(dim=-1)
