"""The jobs' command lines, run as separate processes that join the cluster of the running application."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.dataset as ds
import pytest
from PIL import Image

from configs.project import PROJECT
from testbed.application import Application
from testbed.pictures.images import encoded
from tests.contract.asking import finished, upload
from tests.contract.pictures import JPEG, inline
from training.clip.evaluation import fresh_scenes

SCENES = 28
ANALYSES = "blur,embedding,classification"
LONGEST_S = 120


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn scenes, a photo, and a broken file."""
    folder = tmp_path_factory.mktemp("photos")
    for number, scene in enumerate(fresh_scenes(SCENES, seed=6)):
        scene.image.save(folder / f"{number:02d} {scene.category}.jpg")
    (folder / "photo.jpg").write_bytes(JPEG)
    (folder / "broken.jpg").write_bytes(JPEG[:2000])
    return folder


def started(panoptes: Application, command: list[str], **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, **panoptes.joining, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def job(panoptes: Application, module: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
    return started(panoptes, [sys.executable, "-m", f"jobs.{module}", *arguments], **env)


def ended(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit status, stdout and stderr."""
    try:
        out, err = running.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    return running.returncode, out, err


def analyzed(panoptes: Application, source: Path, target: Path, *more: str) -> tuple[int, str, str]:
    flags = (f"--input={source}", f"--output={target}", f"--analyses={ANALYSES}", "--part-size=8", *more)
    return ended(job(panoptes, "analyze", *flags))


def rows(target: Path) -> dict[str, dict[str, Any]]:
    table = ds.dataset(target / "images", partitioning="hive").to_table().to_pylist()
    assert len({row["path"] for row in table}) == len(table)
    return {row["path"]: row for row in table}


@pytest.fixture(scope="module")
def output(panoptes: Application, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("analysed") / "out"
    status, out, err = analyzed(panoptes, photos, target)
    assert status == 0, err
    assert out.startswith("30 images in"), out
    assert "30/30 images · 1 errors" in err
    assert "Traceback" not in err
    return target


def test_a_folder_gets_the_same_results_as_the_routes_give(api: httpx.Client, output: Path) -> None:
    found = rows(output)
    assert sorted(path for path, row in found.items() if row["error"]) == ["broken.jpg"]
    scenes = {path: row["classification"] for path, row in found.items() if path[:2].isdigit()}
    wrong = [path for path, category in scenes.items() if path != f"{path[:2]} {category}.jpg"]
    assert len(scenes) == SCENES
    assert len(wrong) <= 2, wrong
    flags = {"run_blur": True, "run_embedding": True, "run_classification": True}
    others = dict.fromkeys(("run_quality", "run_emotion", "run_caption", "run_tags", "run_objects"), False)
    result = api.post("/v1/analyze", json={"image": inline(JPEG)} | flags | others).json()["result"]
    row = found["photo.jpg"]
    assert (row["width"], row["height"]) == (result["width_px"], result["height_px"])
    assert row["blur_variance"] == result["blur"]["laplacian_variance"]
    assert np.allclose(row["embedding"], result["embedding"]["vector"], atol=1e-3)
    assert row["classification"] == result["classification"]["classification"]
    assert row["probability_maps"] == pytest.approx(result["classification"]["probabilities"]["maps"], abs=1e-3)
    assert row["embedding_weights"] == result["embedding"]["model"]
    assert (row["embedding_bundled"], row["blur_bundled"]) == (True, False)
    manifest = json.loads((output / "manifest.json").read_text())
    assert (manifest["complete"], manifest["parts"], manifest["unreadable"]) == (True, 4, 1)
    assert "data:image/jpeg" in (output / "report.html").read_text()


def test_a_second_run_does_nothing_twice(panoptes: Application, photos: Path, output: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in output.glob("images/*/*")}
    (output / "manifests" / "part=00002.json").unlink()
    status, out, _ = analyzed(panoptes, photos, output)
    assert status == 0
    assert "3 of 4 parts were there already" in out
    changed = [path.parent.name for path in output.glob("images/*/*") if path.stat().st_mtime_ns != before[path]]
    assert changed == ["part=00002"]


def test_ray_tasks_give_the_same_results(panoptes: Application, photos: Path, output: Path, tmp_path: Path) -> None:
    status, _, err = analyzed(panoptes, photos, tmp_path / "out", "--tasks=2")
    assert status == 0, err
    here, there = rows(output), rows(tmp_path / "out")
    assert here.keys() == there.keys()
    for path, row in here.items():
        other = there[path]
        assert row["error"] == other["error"]
        assert row["sha256"] == other["sha256"]
        if not row["error"]:
            assert np.allclose(row["embedding"], other["embedding"], atol=1e-3)


def test_the_analysis_runs_as_a_submitted_job(
    panoptes: Application, photos: Path, output: Path, tmp_path: Path
) -> None:
    ray = str(Path(sys.executable).parent / "ray")
    entry = [sys.executable, "-m", "jobs.analyze", f"--input={photos}", f"--output={tmp_path}/out", "--analyses=blur"]
    submit = [ray, "job", "submit", "--"]
    status, out, err = ended(started(panoptes, [*submit, "env", f"PYTHONPATH={PROJECT}", *entry]))
    assert status == 0, out + err
    assert "30 images in" in out
    assert {path: row["sha256"] for path, row in rows(tmp_path / "out").items()} == {
        path: row["sha256"] for path, row in rows(output).items()
    }


def test_a_killed_model_costs_no_image(panoptes: Application, api: httpx.Client, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(400):
        image = Image.new("RGB", (300, 200), (number % 256, number // 256, 9))
        (folder / f"{number}.png").write_bytes(encoded(image, "PNG"))
    flags = (f"--input={folder}", f"--output={tmp_path}/out", "--analyses=embedding", "--part-size=50")
    running = job(panoptes, "analyze", *flags)
    while not list((tmp_path / "out").glob("manifests/*")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    [clip] = panoptes.replicas("Clip")
    os.kill(clip, signal.SIGKILL)
    status, out, err = ended(running)
    assert status == 0, out + err
    found = rows(tmp_path / "out")
    assert len(found) == 400
    assert all(len(row["embedding"]) == 512 and row["error"] is None for row in found.values())
    assert api.get("/health").json()["status"] in {"ok", "busy"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--application=guarded",), "Blur is switched off in the running application guarded: set BLUR_ENABLED=true"),
        (("--application=nothing",), "runs no application 'nothing'. It runs guarded, panoptes"),
        (("--analyses=beauty",), "There is no analysis 'beauty': --analyses takes blur, quality"),
    ],
)
def test_a_job_that_cannot_start_says_why(
    panoptes: Application, photos: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    status, out, err = analyzed(panoptes, photos, tmp_path / "out", *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1, err
    assert not (tmp_path / "out").exists()


def test_the_catalogue_is_moved_to_the_served_weights(
    panoptes: Application, api: httpx.Client, sqlite_url: str, pictures_folder: str
) -> None:
    env = {"DATABASE_URL": sqlite_url, "STORE_URL": pictures_folder}
    image_id = upload(api, JPEG)
    finished(api, image_id)
    try:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=10)) as database:
            database.execute("DELETE FROM vectors")
            database.commit()
        status, out, err = ended(job(panoptes, "reembed", **env))
        assert status == 0, err
        [weights] = {line.rpartition(" by ")[2] for line in out.splitlines() if "left out" not in line}
        assert f"images embedded by {weights}, 0 left out" in out
        like = api.post("/api/images/search?k=1", files={"file": ("again.jpg", JPEG)}).json()["results"]
        assert like[0]["id"] == image_id
        status, _, err = ended(job(panoptes, "reembed", f"--drop={weights}", **env))
        assert (status, len(err.splitlines())) == (2, 1)
    finally:
        api.delete(f"/api/images/{image_id}")
