"""BRISQUE and NIMA through pyiqa: the known scores of real weights, where files are looked for, what is refused."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from configs.registry import read_entry
from deployments.machine.devices import select
from deployments.models.quality.deployment import Quality
from deployments.models.quality.model import QualityModel, _load_brisque
from deployments.models.quality.nima import build_nima
from deployments.models.quality.settings import QualityEntry
from deployments.runtime.errors import ModelFailed, WeightsNotFound
from deployments.runtime.weights import FileWeights, choose_file, torch_home
from testbed.paths import shared
from testbed.replicas import replica_class

ENTRY = read_entry("quality", QualityEntry)
NAMES = ("brisque", "nima_technical", "nima_aesthetic")


def bundled() -> tuple[FileWeights, FileWeights, FileWeights]:
    brisque, technical, aesthetic = (
        choose_file(name, getattr(ENTRY, name), Path("/nowhere"), "bundled") for name in NAMES
    )
    return brisque, technical, aesthetic


@pytest.fixture(scope="module")
def model() -> QualityModel:
    return QualityModel(*bundled(), select(ENTRY.dtype, 2, 0.0), 1_000_000)


@pytest.mark.parametrize(("name", "score"), [("I03", 94.644), ("I08", 5.145)])
def test_real_brisque_gives_the_known_scores(name: str, score: float, tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "pyiqa"
    folder.mkdir(parents=True)
    (folder / ENTRY.brisque.file).symlink_to(shared("weights/brisque/brisque_svm_weights.pth"))
    weights = choose_file("pyiqa_brisque", ENTRY.brisque, folder, "auto")
    assert (weights.source, weights.id) == ("hub", "pyiqa/brisque")
    model = QualityModel(weights, *bundled()[1:], select(ENTRY.dtype, 2, 0.0), 1_000_000)
    pixels = np.asarray(Image.open(shared(f"images/iqa/dist_{name}.bmp")).convert("RGB"))
    assert model.measure(pixels).brisque == pytest.approx(score, abs=0.05)


def test_a_full_size_nima_of_the_published_form_loads(tmp_path: Path) -> None:
    entry = ENTRY.nima_technical
    options: dict[str, Any] = entry.options
    torch.manual_seed(0)
    torch.save({"params": build_nima(**options).state_dict()}, tmp_path / entry.file)
    technical = choose_file("pyiqa_nima_technical", entry, tmp_path, "hub", verify=False)
    brisque, _, aesthetic = bundled()
    model = QualityModel(brisque, technical, aesthetic, select(ENTRY.dtype, 2, 0.0), 1_000_000)
    figures = model.measure(np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8))
    assert 1 <= figures.technical <= 10


def test_the_two_nimas_are_the_right_way_round(model: QualityModel) -> None:
    assert ENTRY.nima_technical.id == "pyiqa/nima-koniq"
    assert ENTRY.nima_technical.options["num_classes"] == 1
    assert ENTRY.nima_aesthetic.id == "pyiqa/nima"
    assert ENTRY.nima_aesthetic.options["num_classes"] == 10


@pytest.mark.parametrize("shape", [(1, 1), (15, 400), (64, 64)])
def test_a_picture_without_texture_has_no_brisque(model: QualityModel, shape: tuple[int, int]) -> None:
    figures = model.measure(np.full((*shape, 3), 120, np.uint8))
    assert figures.brisque is None
    assert 1 <= figures.technical <= 10
    assert 1 <= figures.aesthetic <= 10


def test_a_large_picture_is_scaled_down_first(model: QualityModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Size] = []
    measure = model._measure_brisque

    def watched(tensor: torch.Tensor) -> float | None:
        seen.append(tensor.shape)
        return measure(tensor)

    monkeypatch.setattr(model, "_measure_brisque", watched)
    model.measure(np.zeros((3000, 1500, 3), np.uint8))
    height, width = seen[0][-2:]
    assert height * width <= 1_000_000
    assert height / width == pytest.approx(2, rel=0.01)


def test_a_missing_file_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_args: object, **_options: object) -> None:
        raise httpx.ConnectError("no route to host")

    monkeypatch.setattr("httpx.stream", unreachable)
    weights = choose_file("pyiqa_brisque", ENTRY.brisque, tmp_path, "hub")
    with pytest.raises(WeightsNotFound, match=r"TORCH_HOME.*WEIGHTS=bundled"):
        _load_brisque(weights)


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return (Path.mkdir, (Path("/tmp/harmful"),))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", Harmful()])
def test_a_file_that_is_more_than_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / ENTRY.brisque.file
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(WeightsNotFound, match="plain tensors"):
        _load_brisque(choose_file("pyiqa_brisque", ENTRY.brisque, tmp_path, "hub"))


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    entry = ENTRY.nima_aesthetic
    torch.save({"params": {"weight": torch.zeros(1)}}, tmp_path / entry.file)
    brisque, technical, _ = bundled()
    aesthetic = choose_file("pyiqa_nima_aesthetic", entry, tmp_path, "hub", verify=False)
    with pytest.raises(WeightsNotFound, match="no checkpoint of this network"):
        QualityModel(brisque, technical, aesthetic, select(ENTRY.dtype, 2, 0.0), 1_000_000)


def test_torch_home_is_where_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_torch() -> Path:
        return Path(torch.hub._get_torch_home())  # type: ignore[no-untyped-call]

    assert torch_home() == of_torch()
    monkeypatch.setenv("TORCH_HOME", "/elsewhere")
    assert torch_home() == Path("/elsewhere") == of_torch()


async def test_a_replica_reports_each_measure_and_leaves_when_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = replica_class(Quality)(bundled(), ENTRY.dtype, 2, 1_000_000)
    pixels = np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8)
    pixels.flags.writeable = False
    first, second = await asyncio.gather(replica.analyze(pixels), replica.analyze(pixels))
    assert first == second
    assert [status.name for status in await replica.status()] == list(NAMES)
    await replica.check_health()

    def broken(_tensor: Any) -> Any:
        raise RuntimeError("CUDA error")

    left: list[Exception] = []
    monkeypatch.setattr(replica._worker, "_leave", left.append)
    monkeypatch.setattr(replica._served, "_technical", broken)
    with pytest.raises(ModelFailed):
        await replica.analyze(pixels)
    assert "CUDA error" in str(left)
