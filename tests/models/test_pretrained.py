"""The models of transformers: loading from folders and the hub's own cache layout, what is refused, and batches."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from configs.registry import PretrainedEntry, read_entry
from deployments.machine.devices import select
from deployments.models.captioner.model import CaptionerModel
from deployments.models.detector.deployment import Detector
from deployments.models.detector.model import DetectorModel
from deployments.models.tagger.answers import best
from deployments.models.tagger.deployment import Tagger
from deployments.models.tagger.model import TaggerModel
from deployments.runtime.errors import ModelFailed, WeightsNotFound
from deployments.runtime.packed import PackedLinear
from deployments.runtime.pretrained.model import PretrainedModel
from deployments.runtime.weights import PretrainedWeights, choose_pretrained
from testbed.checkpoints import add_folder
from testbed.paths import SAMPLES, shared
from testbed.replicas import replica_class

DTYPES = read_entry("tagger", PretrainedEntry).dtype
DEVICE = select(DTYPES, threads=2, gpu_fraction=0)
LARGEST = 12_000_000  # bytes of the three together
KINDS: dict[str, Callable[[PretrainedWeights], PretrainedModel[Any]]] = {
    "tagger": lambda weights: TaggerModel(weights, DEVICE),
    "captioner": lambda weights: CaptionerModel(weights, DEVICE, 30),
    "detector": lambda weights: DetectorModel(weights, DEVICE, 64),
}
DEFAULTS = {
    "tagger": "facebook/levit-384",
    "captioner": "Salesforce/blip-image-captioning-base",
    "detector": "florence-community/Florence-2-base",
}
# What MANIFEST.md names as MobileNetV2's first label.
TOP = {
    "coral_bird.bmp": "chickadee", "coral_parrot.jpg": "macaw", "coral_hot_dog.jpg": "hotdog",
    "coral_cat.bmp": "Egyptian cat", "chelsea.png": "Egyptian cat", "coffee.png": "espresso",
    "coral_grace_hopper.bmp": "military uniform", "coral_sunflower.bmp": "daisy", "rocket.jpg": "missile",
}  # fmt: skip


def choose(name: str, policy: Any = "bundled", model: str | None = None) -> PretrainedWeights:
    return choose_pretrained(name, read_entry(name, PretrainedEntry), model or DEFAULTS[name], policy)


def pixels(name: str = "china.jpg") -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(SAMPLES / name).convert("RGB"))


@pytest.fixture(scope="module", params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> PretrainedModel[Any]:
    return KINDS[name](choose(name))


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and a hub that cannot be reached."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(cache), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(cache), raising=False)
    return tmp_path


def test_a_download_in_the_hub_s_cache_is_served(name: str, model: PretrainedModel[Any], empty_cache: Path) -> None:
    add_folder(empty_cache, DEFAULTS[name], Path(choose(name).location))
    weights = choose(name, "auto")
    assert (weights.id, weights.source, weights.location) == (DEFAULTS[name], "hub", DEFAULTS[name])
    assert weights.licence == read_entry(name, PretrainedEntry).checkpoints[DEFAULTS[name]].licence
    loaded, image = KINDS[name](weights), pixels()
    assert str(loaded.results([loaded.prepare(image)])) == str(model.results([model.prepare(image)]))


@pytest.mark.usefixtures("empty_cache")
def test_without_a_download_auto_is_bundled_and_hub_an_error_that_says_what_to_do(name: str) -> None:
    assert choose(name, "auto").id == read_entry(name, PretrainedEntry).bundled.id
    with pytest.raises(WeightsNotFound, match=r"HF_HOME.*WEIGHTS=bundled"):
        KINDS[name](choose(name, "hub"))


def test_missing_weights_are_never_replaced_by_random_ones(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(choose(name).location, folder)
    state = load_file(folder / "model.safetensors")
    state.pop(next(key for key in state if key.endswith("bias")))
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    weights = choose(name, model=str(folder))
    assert (weights.id, weights.source) == ("mine", "folder")
    with pytest.raises(WeightsNotFound, match="it lacks"):
        KINDS[name](weights)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsNotFound, match=f"unset {name.upper()}_MODEL_NAME"):
        KINDS[name](weights)


def test_a_batch_gives_the_same_as_single_images(model: PretrainedModel[Any]) -> None:
    images = [model.prepare(pixels(photo)) for photo in ("china.jpg", "flower.jpg", "china.jpg")]
    together = model.results(images)
    alone = [model.results([image])[0] for image in images]
    if isinstance(model, TaggerModel):
        assert np.stack(together) == pytest.approx(np.stack(alone), abs=1e-4)
    else:
        assert together == alone


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (3, 40), (1, 20_000), (20_000, 1), (2000, 1500)])
def test_every_shape_is_a_picture(model: PretrainedModel[Any], shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 200, np.uint8)
    image.flags.writeable = False  # as it comes from Ray
    assert len(model.results([model.prepare(image)])) == 1


@pytest.mark.parametrize("broken", ["device", "values"])
def test_a_broken_model_is_a_failure_and_not_an_answer(name: str, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = KINDS[name](choose(name))

    def fail(*_arguments: Any, **_options: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    if broken == "device":
        monkeypatch.setattr(model._model, "forward" if name == "tagger" else "generate", fail)
    else:
        for parameter in model._model.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(ModelFailed):
        model.warm_up()
    with pytest.raises(ModelFailed):
        model.results([model.prepare(pixels())])


def test_a_checkpoint_without_safetensors_is_loaded_without_a_word_to_the_hub(name: str, empty_cache: Path) -> None:
    folder = empty_cache / "old"
    shutil.copytree(choose(name).location, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    add_folder(empty_cache, DEFAULTS[name], folder)
    KINDS[name](choose(name, "auto"))
    assert [thread.name for thread in threading.enumerate() if "conversion" in thread.name] == []


@pytest.mark.parametrize("damage", ["cut off", "another model", "not JSON"])
def test_a_damaged_folder_says_what_to_do(name: str, damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(choose(name).location, folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    if damage == "cut off":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "not JSON":
        config.write_text("{")
    else:
        others = {"tagger": "captioner", "captioner": "detector", "detector": "tagger"}
        config.write_bytes((Path(choose(others[name]).location) / "config.json").read_bytes())
    with pytest.raises(WeightsNotFound, match=f"unset {name.upper()}_MODEL_NAME"):
        KINDS[name](choose(name, model=str(folder)))


def test_the_model_is_packed_and_says_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "tagger":
        pytest.skip("the bundled tagger has but one linear layer")
    packed = KINDS[name](choose(name))
    monkeypatch.setattr("deployments.runtime.pretrained.model.pack_linears", lambda _model: None)
    plain = KINDS[name](choose(name))
    assert sum(isinstance(module, PackedLinear) for module in packed._model.modules()) > 10
    assert sum(isinstance(module, nn.Linear) for module in packed._model.modules()) <= 1  # the tied one
    image = pixels("flower.jpg")
    assert packed.results([packed.prepare(image)]) == plain.results([plain.prepare(image)])


def test_a_caption_is_as_long_as_it_may_be() -> None:
    short = CaptionerModel(choose("captioner"), DEVICE, 2)
    assert 1 <= len(short.results([short.prepare(pixels())])[0].split()) <= 2


def test_mobilenet_tags_real_photos() -> None:
    folder = shared("weights/mobilenet_v2_1.0_224")
    photos = {photo: shared(f"images/{photo}") for photo in TOP}
    tagger = TaggerModel(choose("tagger", model=str(folder)), DEVICE)
    images = [tagger.prepare(np.asarray(Image.open(path).convert("RGB"))) for path in photos.values()]
    found = [best(tagger.labels, probabilities, 1000) for probabilities in tagger.results(images)]
    assert [tags[0].label for tags in found] == list(TOP.values())
    assert found[0][0].probability == pytest.approx(0.98, abs=0.01)
    for tags in found:
        assert len(tags) == 1000  # and not the background
        probabilities = [tag.probability for tag in tags]
        assert probabilities == sorted(probabilities, reverse=True)


async def test_a_video_s_tags_are_of_its_frames_mean() -> None:
    replica = replica_class(Tagger)(choose("tagger"), DTYPES, 2, 8)
    frames = np.stack([np.full((96, 128, 3), value, np.uint8) for value in (10, 250)])
    tags = await replica.analyze_frames(frames, 1000)
    alone = [{tag.label: tag.probability for tag in await replica.analyze(frame, 1000)} for frame in frames]
    assert {tag.label: tag.probability for tag in tags} == pytest.approx(
        {label: (alone[0][label] + alone[1][label]) / 2 for label in alone[0]}, abs=1e-4
    )
    (status,) = await replica.status()
    assert (status.name, status.device, status.items, status.error) == ("tagger", "cpu", 4, None)
    await replica.check_health()


async def test_a_detector_s_boxes_are_shares_of_the_picture() -> None:
    replica = replica_class(Detector)(choose("detector"), read_entry("detector", PretrainedEntry).dtype, 2, 4, 64)
    for found in await replica.analyze_frames(np.stack([pixels("china.jpg"), pixels("flower.jpg")])):
        for thing in found:
            left, top, right, bottom = thing.box
            assert 0 <= left <= right <= 1
            assert 0 <= top <= bottom <= 1


def test_the_bundled_weights_are_small_and_half_precision() -> None:
    files = [file for name in KINDS for file in Path(choose(name).location).iterdir()]
    assert sum(file.stat().st_size for file in files) <= LARGEST
    for name in KINDS:
        header = (Path(choose(name).location) / "model.safetensors").read_bytes()
        entries = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
        types = {entry["dtype"] for key, entry in entries.items() if key != "__metadata__"}
        assert types - {"I64"} == {"F16"}, name
