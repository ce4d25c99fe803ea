"""The plain CLIP model: loading from the hub's own cache layout, what is refused, and the same vectors as open_clip."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from configs.registry import read_entry
from deployments.machine.devices import select
from deployments.models.clip import model as clip_model
from deployments.models.clip.model import ClipModel
from deployments.models.clip.settings import ClipEntry
from deployments.models.clip.weights import choose_clip
from deployments.pictures.preprocessing import fit
from deployments.runtime.errors import ModelFailed, PromptTooLong, WeightsNotFound
from testbed.checkpoints import REPOSITORY, make_clip
from testbed.paths import SAMPLES

OPENAI = "openai/clip-vit-base-patch32"
ENTRY = read_entry("clip", ClipEntry)
DEVICE = select(ENTRY.dtype, threads=2, gpu_fraction=0)


def photo(name: str = "china.jpg") -> Image.Image:
    return Image.open(SAMPLES / name).convert("RGB")


@pytest.fixture(scope="module")
def bundled() -> ClipModel:
    return ClipModel(choose_clip(ENTRY, OPENAI, "bundled"), DEVICE)


@pytest.fixture(scope="module")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full-size checkpoint with random weights where the hub's client keeps its downloads."""
    home = tmp_path_factory.mktemp("hf")
    make_clip(home)
    return home / "hub"


@pytest.fixture
def cached(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub_cache))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(hub_cache), raising=False)
    return hub_cache


@pytest.fixture
def uncached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a hub that cannot be reached."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("deployments.runtime.weights.hf_hub_url", lambda *_a, **_k: "http://127.0.0.1:9/nothing")


def test_a_checkpoint_in_the_hub_s_cache_is_served(cached: Path) -> None:
    weights = choose_clip(ENTRY, OPENAI, "auto")
    assert (weights.id, weights.source, weights.repository) == (OPENAI, "hub", REPOSITORY)
    model = ClipModel(weights, DEVICE)
    reference, _, transform = open_clip.create_model_and_transforms(
        "ViT-B-32-quickgelu", pretrained=str(next(cached.rglob("open_clip_model.safetensors"))), require_pretrained=True
    )
    tokenizer = open_clip.get_tokenizer("ViT-B-32-quickgelu")
    with torch.inference_mode():
        image = reference.eval().encode_image(transform(photo())[None], normalize=True).numpy()
        text = reference.encode_text(tokenizer(["a map of a city"]), normalize=True).numpy()
    assert model.encode_images([fit(photo(), 224)]) == pytest.approx(image, abs=1e-5)
    assert model.encode_texts(["a map of a city"]) == pytest.approx(text, abs=1e-5)


@pytest.mark.usefixtures("uncached")
def test_hub_without_a_checkpoint_is_an_error_that_says_what_to_do() -> None:
    weights = choose_clip(ENTRY, OPENAI, "hub")
    with pytest.raises(WeightsNotFound, match=r"HF_HOME.*WEIGHTS=bundled"):
        ClipModel(weights, DEVICE)


@pytest.mark.usefixtures("uncached")
def test_auto_without_a_checkpoint_takes_the_bundled_weights() -> None:
    weights = choose_clip(ENTRY, OPENAI, "auto")
    assert (weights.id, weights.source) == ("bundled/clip-scenes-v1", "bundled")
    assert "nothing" in weights.statement


def test_a_folder_without_weights_never_becomes_a_random_model(tmp_path: Path) -> None:
    weights = choose_clip(ENTRY, OPENAI, "bundled")
    folder = Path(weights.architecture.removeprefix("local-dir:"))
    (tmp_path / "open_clip_config.json").write_text((folder / "open_clip_config.json").read_text())
    empty = type(weights)(**{**vars(weights), "architecture": f"local-dir:{tmp_path}"})
    with pytest.raises(Exception, match=r"(?i)weights|checkpoint|pretrained"):
        ClipModel(empty, DEVICE)


def test_the_registry_says_of_each_checkpoint_what_open_clip_says() -> None:
    for name, checkpoint in ENTRY.checkpoints.items():
        known = [
            open_clip.get_pretrained_cfg(checkpoint.architecture, tag)
            for tag in open_clip.list_pretrained_tags_by_model(checkpoint.architecture)
        ]
        config = next(cfg for cfg in known if cfg.get("hf_hub", "").strip("/") == checkpoint.repository)
        assert (checkpoint.mean, checkpoint.std) == (tuple(config["mean"]), tuple(config["std"])), name
        assert (config["interpolation"], config["resize_mode"]) == ("bicubic", "shortest"), name
        shape = open_clip.get_model_config(checkpoint.architecture)
        assert (checkpoint.image_size, checkpoint.dimensions) == (shape["vision_cfg"]["image_size"], shape["embed_dim"])


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (224, 224), (100, 80), (1000, 333), (225, 901)])
def test_our_resize_is_open_clip_s(size: tuple[int, int]) -> None:
    transform = open_clip.image_transform(224, is_train=False, mean=(0, 0, 0), std=(1, 1, 1))
    image = photo().resize(size)
    expected = (transform(image).numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)
    assert (fit(image, 224) == expected).all()


def test_a_batch_gives_the_same_as_single_images(bundled: ClipModel) -> None:
    size = bundled.weights.image.size
    images = [fit(photo(name), size) for name in ("china.jpg", "flower.jpg", "china.jpg")]
    together = bundled.encode_images(images)
    alone = np.concatenate([bundled.encode_images([image]) for image in images])
    assert together == pytest.approx(alone, abs=1e-4)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert together.dtype == np.float32


def test_many_texts_are_encoded_in_several_batches(bundled: ClipModel) -> None:
    texts = [f"a picture of {number} things" for number in range(clip_model.TEXT_BATCH + 3)]
    vectors = bundled.encode_texts(texts)
    assert vectors.shape == (len(texts), bundled.weights.dimensions)
    assert vectors[-1] == pytest.approx(bundled.encode_texts(texts[-1:])[0], abs=1e-4)


def test_a_text_is_never_cut_off(bundled: ClipModel) -> None:
    assert bundled.count_tokens("word " * 75) == 77
    for text in ("word " * 76, "x" * 1_000_000):  # the second would take the tokenizer hours
        with pytest.raises(PromptTooLong, match="at most 77 tokens"):
            bundled.count_tokens(text)


@pytest.mark.parametrize("broken", ["device", "values"])
def test_a_broken_model_is_a_failure_and_not_an_answer(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ClipModel(choose_clip(ENTRY, OPENAI, "bundled"), DEVICE)

    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    if broken == "device":
        monkeypatch.setattr(torch.Tensor, "to", fail)  # a broken context shows in the first transfer
    else:
        monkeypatch.setattr(model._model, "encode_image", lambda _image: torch.full((1, 512), torch.nan))
    with pytest.raises(ModelFailed):
        model.warm_up()


def test_the_bundled_weights_are_small_and_half_precision() -> None:
    folder = Path(choose_clip(ENTRY, OPENAI, "bundled").architecture.removeprefix("local-dir:"))
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12_000_000
    header = (folder / "open_clip_model.safetensors").read_bytes()
    entries = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    types = {entry["dtype"] for name, entry in entries.items() if name != "__metadata__"}
    assert types - {"I64"} == {"F16"}  # the counters of batch normalisation are whole numbers
