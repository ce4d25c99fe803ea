"""Emotion through DeepFace: real weights on real faces with both detectors, homes, sizes.

DeepFace reads its home and engine when it is imported, so each model has a process of its own, as in a replica.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from configs.project import PROJECT
from testbed.paths import shared

PROGRAM = """
import json, os, sys
import numpy as np
from PIL import Image
from pathlib import Path
from configs.registry import read_entry
from deployments.models.emotion.settings import EmotionEntry
from deployments.models.emotion.spec import WEIGHTS_FOLDER
from deployments.models.emotion.model import EmotionModel
from deployments.runtime.errors import WeightsNotFound
from deployments.runtime.weights import choose_file, deepface_home
policy, detector, side, *pictures = sys.argv[1:]
weights = choose_file("deepface", read_entry("emotion", EmotionEntry).network, deepface_home() / WEIGHTS_FOLDER, policy)
try:
    model = EmotionModel(weights, detector, 1, int(side))
except WeightsNotFound as error:
    sys.exit(f"WeightsNotFound: {error}")
faces = []
for picture in pictures:
    if "x" in picture and picture.replace("x", "").isdigit():
        width, height = map(int, picture.split("x"))
        pixels = np.zeros((height, width, 3), np.uint8)
    else:
        pixels = np.array(Image.open(picture).convert("RGB"))
    pixels.flags.writeable = False
    faces.append([vars(face) for face in model.faces(pixels)])
print(json.dumps({"id": weights.id, "faces": faces, "torch": "torch" in sys.modules}))
"""


def run(
    home: Path, *pictures: object, policy: str = "hub", detector: str = "opencv", side: int = 1280
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, policy, detector, str(side), *map(str, pictures)]
    env = {
        "DEEPFACE_HOME": str(home),
        "PATH": "/usr/bin",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    return subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)


def faces_in(home: Path, *pictures: object, **options: Any) -> list[list[dict[str, Any]]]:
    done = run(home, *pictures, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])["faces"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("detector", ["opencv", "yunet"])
def test_real_weights_on_real_faces(detector: str) -> None:
    home, astronaut, coffee = (
        shared("weights/deepface_home"),
        shared("images/astronaut.png"),
        shared("images/coffee.png"),
    )
    smiling, none, black, line, dot = faces_in(home, astronaut, coffee, "64x64", "500x1", "1x1", detector=detector)
    assert [face["dominant_emotion"] for face in smiling] == ["happy"]
    (face,) = smiling
    assert face["scores"]["happy"] > 90
    assert sum(face["scores"].values()) == pytest.approx(100, abs=0.01)
    assert set(face["scores"]) == {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"}
    assert 0.5 < face["confidence"] <= 1
    # The face of the picture, 512 × 512, lies about there.
    x, y, w, h = (face["region"][side] for side in "xywh")
    assert 150 < x + w / 2 < 300
    assert 60 < y + h / 2 < 200
    assert none == black == line == dot == []


def test_regions_are_in_pixels_of_the_picture_itself(tmp_path: Path) -> None:
    from PIL import Image

    large = tmp_path / "large.png"
    Image.open(shared("images/astronaut.png")).convert("RGB").resize((2048, 2048)).save(large)
    home = shared("weights/deepface_home")
    (small_face,), (large_face,) = faces_in(home, shared("images/astronaut.png"), large, side=512)
    assert large_face["region"]["x"] == pytest.approx(4 * small_face["region"]["x"], abs=40)
    assert large_face["region"]["w"] == pytest.approx(4 * small_face["region"]["w"], rel=0.2)


def test_bundled_weights_need_no_home_and_no_torch(tmp_path: Path) -> None:
    done = run(tmp_path, shared("images/coffee.png"), policy="bundled")
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["id"], answer["torch"], answer["faces"]) == ("bundled/emotion-faces-v1", False, [[]])


@pytest.mark.parametrize(("policy", "detector"), [("hub", "opencv"), ("bundled", "yunet")])
def test_a_missing_file_says_what_to_do(tmp_path: Path, policy: str, detector: str) -> None:
    done = run(tmp_path, policy=policy, detector=detector)
    assert done.returncode != 0
    assert "WeightsNotFound: " in done.stderr
    assert "DEEPFACE_DETECTOR=opencv" in done.stderr


def test_auto_takes_what_is_there(tmp_path: Path) -> None:
    with_network = json.loads(run(shared("weights/deepface_home"), policy="auto").stdout.splitlines()[-1])
    without = json.loads(run(tmp_path, policy="auto").stdout.splitlines()[-1])
    assert with_network["id"] == "deepface/emotion"
    assert without["id"] == "bundled/emotion-faces-v1"
