"""The analysis of a folder: what its tables say, what it survives, and what it does not do twice."""

import contextlib
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image
from ray.exceptions import RayActorError, RayTaskError, WorkerCrashedError
from ray.serve.exceptions import BackPressureError

from configs.settings import Settings
from deployments.errors import ModelFailed, PromptTooLong
from deployments.weights import ClipWeights
from jobs import asking
from jobs.analyze import __main__ as command
from jobs.analyze import working
from jobs.analyze.analyses import ANALYSES
from jobs.analyze.plan import Part, parts_of
from jobs.analyze.source import Found, Source, signature
from jobs.analyze.working import Done, deployments
from jobs.asking import Asker, ModelAway, Refused
from jobs.errors import JobRefused
from tests.doubles.model_handles import Answer, handles
from tests.unit.test_images import encoded

EVERYTHING = ",".join(ANALYSES)
COLOURS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}


def picture(number: int) -> bytes:
    """A picture of its own, 40 × 30 or 30 × 40."""
    size = (40, 30) if number % 2 else (30, 40)
    image = Image.new("RGB", size, list(COLOURS.values())[number % 3])
    image.putpixel((0, 0), (number % 256, number // 256, 7))
    return encoded(image, ("PNG", "BMP", "JPEG")[number % 3])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures in folders, one of them broken, and files that are none."""
    folder = tmp_path / "photos"
    for number in range(12):
        path = folder / f"album {number % 3}" / f"{number:02d}.{('png', 'BMP', 'jpg')[number % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no picture" if number == 5 else picture(number))
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes(picture(0))
    return folder


def analyze(
    source: Path | str, target: Path | str, analyses: str = "blur,embedding", *more: str, models: Any = None
) -> int:
    """The job's exit status; `models` are the doubles that it asks."""
    options = command.parse([f"--input={source}", f"--output={target}", f"--analyses={analyses}", *more])
    models = models or handles()
    asked = {name: models[name] for name in deployments(command.parse_analyses(analyses))}
    return command.analyze(options, Settings(), asked, 0)


def rows(target: Path | str) -> list[dict[str, Any]]:
    """Every row as a reader who knows nothing of the job finds it, by path."""
    table: pa.Table = ds.dataset(f"{target}/images", partitioning="hive").to_table()
    return sorted(table.to_pylist(), key=lambda row: row["path"])


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FIRST_WAIT_S", 0.0)


def test_every_analysis_has_its_columns(photos: Path, tmp_path: Path) -> None:
    assert analyze(photos, tmp_path / "out", EVERYTHING) == 0
    found = rows(tmp_path / "out")
    assert [row["path"] for row in found] == sorted(
        f"album {n % 3}/{n:02d}.{('png', 'BMP', 'jpg')[n % 3]}" for n in range(12)
    )
    data = picture(1)
    row = next(row for row in found if row["path"].endswith("01.BMP"))
    assert row | {"part": 0} == {
        "path": "album 1/01.BMP", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "width": 40,
        "height": 30, "format": "BMP", "error": None, "part": 0,
        "blur_variance": pytest.approx(np.asarray(Image.open(io.BytesIO(data))).mean()), "blur_normalized_variance": 40.0,
        "blur_weights": "test/blur", "blur_bundled": False,
        "quality_brisque": 20.0, "quality_technical": 5.0, "quality_aesthetic": pytest.approx(250 / 51 + 1),
        "quality_weights": "test/brisque + test/technical + test/aesthetic", "quality_bundled": False,
        "embedding": pytest.approx([0, 250, 0, 1], abs=1.0), "embedding_weights": "test/clip", "embedding_bundled": True,
        "emotion_faces": [{"emotion": "happy", "scores": [("happy", 75.0), ("sad", 25.0)], "confidence": 0.5, "x": 1, "y": 2, "w": 3, "h": 4}],
        "emotion_weights": "test/emotion", "emotion_bundled": False,
        "tags": [{"label": f"label {n}", "probability": 0.5**n} for n in range(1, 6)],
        "tags_weights": "test/tagger", "tags_bundled": False,
        "caption": "40 by 30", "caption_weights": "test/captioner", "caption_bundled": False,
        "objects": [{"label": "cat", "left": 0.0, "top": 0.25, "right": 0.5, "bottom": 1.0}],
        "objects_weights": "test/detector", "objects_bundled": False,
        "classification": "aerial_satellite", "classification_confidence": pytest.approx(1, abs=1e-3), "is_map_or_aerial": True,
        "probability_maps": pytest.approx(0, abs=1e-3), "probability_aerial_satellite": pytest.approx(1, abs=1e-3),
        "probability_miscellaneous": pytest.approx(0, abs=1e-3), "classification_weights": "test/clip", "classification_bundled": True,
    }  # fmt: skip


def test_a_broken_file_fails_alone(photos: Path, tmp_path: Path) -> None:
    assert analyze(photos, tmp_path / "out") == 0
    broken = [row for row in rows(tmp_path / "out") if row["error"]]
    assert len(broken) == 1
    assert broken[0]["path"] == "album 2/05.jpg"
    assert broken[0]["error"].startswith("This is not an image that can be read")
    assert (broken[0]["bytes"], broken[0]["sha256"]) == (10, hashlib.sha256(b"no picture").hexdigest())
    assert broken[0]["embedding"] is broken[0]["embedding_weights"] is broken[0]["width"] is None
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["complete"], manifest["images"], manifest["unreadable"], manifest["failed"]) == (True, 12, 1, 0)
    assert manifest["answered"] == {"blur": 11, "embedding": 11}
    assert manifest["weights"]["embedding"] == {"weights": "test/clip", "bundled": True}


def test_a_file_that_is_too_large_is_not_read(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (photos / "large.png").open("wb") as file:
        file.truncate(60_000_000)
    monkeypatch.setattr(Source, "read", _read)
    assert analyze(photos, tmp_path / "out") == 0
    row = next(row for row in rows(tmp_path / "out") if row["path"] == "large.png")
    assert (row["bytes"], row["sha256"], row["width"]) == (60_000_000, None, None)
    assert row["error"] == "The file has 60 MB; at most 50 MB are read: MAX_IMAGE_MB decides."


_read_any = Source.read


def _read(source: Source, path: str) -> bytes:
    assert path != "large.png"
    return _read_any(source, path)


def test_a_turned_photo_has_its_upright_size(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (3000, 2000)).save(tmp_path / "in" / "a.jpg", exif=exif)
    analyze(tmp_path / "in", tmp_path / "out", "embedding")
    row = rows(tmp_path / "out")[0]
    assert (row["width"], row["height"], row["format"]) == (2000, 3000, "JPEG")


def test_parts_are_the_same_whatever_is_in_flight(photos: Path, tmp_path: Path) -> None:
    for name, flags in {"a": ("--in-flight=1",), "b": ("--in-flight=64",)}.items():
        assert analyze(photos, tmp_path / name, "blur,embedding", "--part-size=5", *flags) == 0
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    parts = sorted(path.parent.name for path in (tmp_path / "a").glob("images/part=*/*.parquet"))
    assert parts == ["part=00000", "part=00001", "part=00002"]
    assert [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "a").glob("images/*/*"))] == [5, 5, 2]


def test_images_in_flight_are_bounded(photos: Path, tmp_path: Path) -> None:
    models = handles()
    models["Blur"].slow_s = models["Clip"].slow_s = 0.01
    assert analyze(photos, tmp_path / "out", "blur,embedding", "--in-flight=8", models=models) == 0
    assert models["Blur"].most <= 2  # a quarter: they are whole pictures
    assert models["Clip"].most <= 4


def test_clip_gets_batches(photos: Path, tmp_path: Path) -> None:
    models = handles()
    assert analyze(photos, tmp_path / "out", "embedding,classification", models=models) == 0
    assert models["Clip"].calls["score"] == 1
    assert models["Clip"].calls["embed_images"] == 0


def test_complete_parts_are_kept(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, models = tmp_path / "out", handles()
    analyze(photos, out, "embedding", "--part-size=5", models=models)
    before, asked = rows(out), models["Clip"].calls["embed_images"]
    assert analyze(photos, out, "embedding", "--part-size=5", models=models) == 0
    assert models["Clip"].calls["embed_images"] == asked
    assert "3 of 3 parts were there already" in capsys.readouterr().out
    assert rows(out) == before
    assert json.loads((out / "manifest.json").read_text())["images"] == 12
    assert analyze(photos, out, "embedding", "--part-size=5", "--force", models=models) == 0
    assert models["Clip"].calls["embed_images"] == 2 * asked
    assert rows(out) == before


@pytest.mark.parametrize("change", ["weights", "analyses", "size", "file", "lost table", "lost manifest"])
def test_what_is_not_the_same_is_done_again(photos: Path, tmp_path: Path, change: str) -> None:
    out, models, analyses = tmp_path / "out", handles(), "embedding"
    analyze(photos, out, analyses, "--part-size=5", models=models)
    done_again = 3
    if change == "weights":
        models["Clip"].served = _other(models["Clip"].served)
    elif change == "analyses":
        analyses = "embedding,blur"
    elif change == "size":
        (photos / "album 0" / "00.png").write_bytes(encoded(Image.new("RGB", (90, 90), "red"), "PNG"))
        done_again = 1
    elif change == "file":
        (photos / "album 0" / "000.png").write_bytes(picture(0))
    else:
        folder, file = ("images", "images.parquet") if change == "lost table" else ("manifests", "")
        (out / folder / "part=00001" / file if file else out / folder / "part=00001.json").unlink()
        done_again = 1
    models["Clip"].calls.clear()
    assert analyze(photos, out, analyses, "--part-size=5", models=models) == 0
    assert models["Clip"].calls["embed_images"] == done_again
    found = rows(out)
    assert len({row["path"] for row in found}) == len(found) == 12 + (change == "file")
    assert {row["embedding_weights"] for row in found if not row["error"]} == {models["Clip"].served.id}


def _other(weights: ClipWeights) -> ClipWeights:
    return replace(weights, id="test/other")


def test_a_smaller_input_leaves_no_old_parts(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    analyze(photos, out, "embedding", "--part-size=3")
    for path in (photos / "album 2").iterdir():
        path.unlink()
    analyze(photos, out, "embedding", "--part-size=3")
    assert len(rows(out)) == 8
    assert len(list((out / "manifests").iterdir())) == 3


class Sometimes:
    """An error for some of the calls, by their number."""

    def __init__(self, error: Exception, *numbers: int, method: str = "analyze") -> None:
        self._error, self._numbers, self._method, self._count = error, numbers, method, 0

    def __call__(self, method: str, arguments: tuple[Any, ...]) -> Exception | None:
        if method != self._method:
            return None
        self._count += 1
        return self._error if self._count in self._numbers else None


@pytest.mark.parametrize(
    "error",
    [
        RayActorError(),
        BackPressureError(num_queued_requests=9, max_queued_requests=9),
        RayTaskError("analyze", "Traceback", ModelFailed("CUDA error")).as_instanceof_cause(),
    ],
)
def test_what_passes_is_tried_again(photos: Path, tmp_path: Path, error: Exception) -> None:
    models = handles()
    models["Blur"].fails = Sometimes(error, 1, 2, 5, 9)
    models["Clip"].fails = Sometimes(error, 1, method="embed_images")
    assert analyze(photos, tmp_path / "out", models=models) == 0
    assert sum(row["error"] is None for row in rows(tmp_path / "out")) == 11
    assert models["Blur"].calls["analyze"] == 11 + 4


def test_a_model_that_stays_away_fails_its_images(photos: Path, tmp_path: Path) -> None:
    models = handles()
    models["Blur"].fails = lambda method, arguments: (
        RayActorError() if method == "analyze" and arguments[0].shape[1] == 40 else None
    )
    assert analyze(photos, tmp_path / "out", models=models) == 1
    found = [row for row in rows(tmp_path / "out") if row["path"] != "album 2/05.jpg"]
    for row in found:
        assert (row["error"] is not None) == (row["width"] == 40) == (row["blur_variance"] is None)
        assert row["embedding"] is not None
    failed = next(row["error"] for row in found if row["error"])
    assert failed.startswith("blur: Blur gave no answer in 6 attempts (RayActorError: ")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["complete"], manifest["failed"]) == (False, 5)
    models["Blur"].fails = None  # and given again, the part is done
    assert analyze(photos, tmp_path / "out", models=models) == 0
    assert sum(row["error"] is None for row in rows(tmp_path / "out")) == 11


def test_an_image_that_clip_refuses_fails_alone(photos: Path, tmp_path: Path) -> None:
    def red(method: str, arguments: tuple[Any, ...]) -> Exception | None:
        refused = method == "embed_images" and (arguments[0].mean(axis=(1, 2))[:, 0] > 200).any()
        return RayTaskError("embed", "", PromptTooLong("no", 1)).as_instanceof_cause() if refused else None

    models = handles()
    models["Clip"].fails = red
    assert analyze(photos, tmp_path / "out", "embedding", models=models) == 1
    for row in rows(tmp_path / "out"):
        assert (row["embedding"] is None) == (row["path"] == "album 2/05.jpg" or row["path"].startswith("album 0"))
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["complete"] is True


def test_an_application_that_is_gone_ends_the_job(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(60):
        (tmp_path / "in" / f"{number}.png").write_bytes(picture(number))
    models = handles()
    models["Blur"].fails = lambda method, _: RayActorError() if method == "analyze" else None
    with pytest.raises(JobRefused, match="Blur does not answer any more"):
        analyze(tmp_path / "in", tmp_path / "out", "blur", models=models)
    assert models["Blur"].calls["analyze"] < 60 * 6
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_weights_that_change_meanwhile_end_the_job(photos: Path, tmp_path: Path) -> None:
    models = handles()

    def change(method: str, arguments: tuple[Any, ...]) -> None:
        if method == "embed_images" and models["Clip"].calls["embed_images"] == 2:
            models["Clip"].served = _other(models["Clip"].served)

    models["Clip"].fails = change
    with pytest.raises(JobRefused, match="serves other weights since part=0000"):
        analyze(photos, tmp_path / "out", "embedding", "--part-size=5", "--in-flight=1", models=models)
    models["Clip"].fails = None
    assert analyze(photos, tmp_path / "out", "embedding", "--part-size=5", models=models) == 0
    assert {row["embedding_weights"] for row in rows(tmp_path / "out")} == {"test/other", None}


class Cluster:
    """Ray as far as the tasks need it: what a task would do is done when it is asked for."""

    def __init__(self, outcomes: dict[int, Any]) -> None:
        self.outcomes, self.most, self._running = outcomes, 0, 0

    def remote(self, **options: Any) -> Any:
        assert 0 < options["num_cpus"] < 0.1
        return lambda function: SimpleNamespace(remote=self._start)

    def _start(self, plan: None, part: Part) -> Part:
        self._running += 1
        self.most = max(self.most, self._running)
        return part

    def wait(self, references: list[Part], num_returns: int) -> tuple[list[Part], list[Part]]:
        return references[:1], references[1:]

    def get(self, part: Part) -> Done:
        self._running -= 1
        outcome = self.outcomes.get(part.number, Done(len(part.images), 1, 0))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]


def as_tasks(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> tuple[list[Done], list[tuple[int, int]], list[int]]:
    """What was done, seen and failed of seven parts of two images."""
    monkeypatch.setattr(working, "ray", cluster)
    seen, failed = list[tuple[int, int]](), list[int]()
    parts = parts_of([Found(str(number), 1) for number in range(14)], 2)
    done = working.do_as_tasks(
        None,  # type: ignore[arg-type]
        parts,
        3,
        lambda images, errors: seen.append((images, errors)),
        lambda part, error: failed.append(part.number),
    )
    return done, seen, failed


def test_tasks_are_bounded_and_one_that_fails_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster({4: WorkerCrashedError()})
    done, seen, failed = as_tasks(monkeypatch, cluster)
    assert (len(done), failed, cluster.most) == (6, [4], 3)
    assert sum(images for images, _ in seen) == 14
    assert sum(errors for _, errors in seen) == 6 + 2


def test_a_task_that_is_refused_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = RayTaskError("do", "Traceback", JobRefused("Clip does not answer any more.")).as_instanceof_cause()
    with pytest.raises(JobRefused, match=r"^Clip does not answer any more\.$"):
        as_tasks(monkeypatch, Cluster({2: refused}))


async def test_a_hanging_model_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "CALL_TIMEOUT_S", 0.01)
    calls: list[Answer] = []

    def hang() -> Answer:
        calls.append(Answer(lambda: asking.asyncio.sleep(60)))
        return calls[-1]

    with pytest.raises(ModelAway, match="TimeoutError"):
        await Asker().ask("Clip", hang)
    assert len(calls) == asking.ATTEMPTS
    assert all(call.cancelled for call in calls)


async def test_pauses_grow_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FIRST_WAIT_S", 1.0)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def gone() -> None:
        raise RayActorError

    with pytest.raises(ModelAway):
        await Asker(sleep).ask("Clip", lambda: Answer(gone))
    for pause, middle in zip(pauses, (1, 2, 4, 8, 10), strict=True):
        assert middle / 2 <= pause <= middle * 1.5


async def test_a_refusal_is_not_asked_again() -> None:
    calls = 0

    async def refuse() -> None:
        nonlocal calls
        calls += 1
        raise RayTaskError("score", "Traceback: File /srv/x.py", PromptTooLong("word", 77)).as_instanceof_cause()

    with pytest.raises(Refused, match="at most 77 tokens") as refused:
        await Asker().ask("Clip", lambda: Answer(refuse))
    assert calls == 1
    assert "Traceback" not in str(refused.value)


def test_a_bucket(photos: Path) -> None:
    bucket = fsspec.filesystem("memory")
    for path in photos.rglob("*.*"):
        bucket.pipe_file(f"/photos-in/{path.relative_to(photos)}", path.read_bytes())
    assert analyze("memory://photos-in", "memory://photos-out", "embedding", "--part-size=5") == 0
    table = pq.read_table(io.BytesIO(bucket.cat_file("/photos-out/images/part=00000/images.parquet")))
    assert table.num_rows == 5
    assert b"Image analysis" in bucket.cat_file("/photos-out/report.html")
    assert analyze("memory://photos-in", "memory://photos-out", "embedding", "--part-size=5") == 0


def test_the_report_shows_what_was_found(photos: Path, tmp_path: Path) -> None:
    (photos / "album 0" / "<script>alert(1)<").mkdir()
    (photos / "album 0" / "<script>alert(1)<" / "a.png").write_bytes(picture(0))
    analyze(photos, tmp_path / "out", EVERYTHING)
    report = (tmp_path / "out" / "report.html").read_text()
    for text in ("test/brisque + test/technical", "Blurred", "Technically good", "aerial_satellite", "40 by 30", "label 1",
                 "test/clip: trained on scenes", "album 2/05.jpg", "This is not an image", "&lt;script&gt;alert(1)&lt;/a.png"):  # fmt: skip
        assert text in report, text
    assert "<script" not in report
    assert report.count("data:image/jpeg") > 20


def test_a_report_of_embeddings_alone(photos: Path, tmp_path: Path) -> None:
    analyze(photos, tmp_path / "out", "embedding")
    assert (tmp_path / "out" / "report.html").read_text().count("data:image/jpeg") == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"analyses": "blur,nonsense"}, "no analysis 'nonsense': --analyses takes blur, quality, "),
        ({"analyses": ","}, "No analysis is named"),
        ({"source": "empty"}, "There is no image in .*empty"),
        ({"source": "photos/notes.txt"}, "is a file: name the folder"),
        ({"source": "nowhere"}, "nowhere cannot be listed .FileNotFoundError"),
        ({"source": "nosuch://x"}, "nosuch://x cannot be used"),
        ({"target": "photos/notes.txt/out"}, "cannot be written"),
    ],
)
def test_what_cannot_begin_is_one_line(
    photos: Path, tmp_path: Path, arguments: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    wanted = {"source": "photos", "target": "out", "analyses": "blur", **arguments}
    with pytest.raises(JobRefused, match=said) as refused:
        analyze(wanted["source"], wanted["target"], wanted["analyses"])
    assert "\n" not in str(refused.value)


def test_the_signature_is_of_names_and_sizes(photos: Path) -> None:
    found = Source(str(photos)).find()
    assert signature(found) == signature(Source(f"file://{photos}").find())
    (photos / "album 0" / "00.png").write_bytes(b"other")
    assert signature(found) != signature(Source(str(photos)).find())
    assert signature(found[:2]) != signature(found[1:3])
    assert [len(part.images) for part in parts_of(found, 5)] == [5, 5, 2]


def test_a_folder_that_cannot_be_read_is_said(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("album 1"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(JobRefused, match="PermissionError"):
        Source(str(photos)).find()


def test_killed_and_given_again_it_ends_with_the_same_rows(tmp_path: Path) -> None:
    folder, seed = tmp_path / "in", random.randrange(10**6)
    folder.mkdir()
    for number in range(120):
        (folder / f"{number:03d}.png").write_bytes(b"broken" if number == 60 else picture(number))
    flags = ("blur,embedding,classification", "--part-size=7", "--in-flight=16")
    analyze(folder, tmp_path / "whole", *flags)
    rng = random.Random(seed)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.doubles.model_handles", f"--input={folder}", f"--output={tmp_path}/killed",
         f"--analyses={flags[0]}", *flags[1:]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as job:  # fmt: skip
        assert job.stdin is not None
        assert job.stdout is not None
        kills, status = 0, -1
        for run in range(21):
            print("go", file=job.stdin, flush=True)
            pid = int(_line(job.stdout))
            if run < 20:
                time.sleep(rng.random() * 0.25)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            status = int(_line(job.stdout))
            kills += status == -signal.SIGKILL
            with contextlib.suppress(FileNotFoundError):
                found = [row["path"] for row in rows(tmp_path / "killed")]
                assert len(found) == len(set(found)), f"seed {seed}"
        job.stdin.close()
    assert status == 0
    assert kills > 3
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole"), f"seed {seed}"
    assert not [path for path in (tmp_path / "killed").rglob("*.parquet") if path.name != "images.parquet"]


def _line(lines: Any) -> str:
    """The next line that is a number: the job talks too."""
    for line in lines:
        if line.strip().lstrip("-").isdigit():
            return str(line)
    raise AssertionError("the job has ended")
