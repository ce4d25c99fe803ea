"""The analysis of a folder: the contents of its tables, and the work that a second run skips."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from deployments.pictures.formats import FILES
from jobs.analyze.plan import parts_of
from jobs.analyze.source import Source, signature
from jobs.analyze.summary import SAMPLES
from jobs.runtime.errors import JobRefused
from testbed.doubles.model_handles import handles
from testbed.pictures.images import encoded, in_every_format
from tests.unit.analyze.run import EVERYTHING, analyze, other_weights, picture, rows


def test_every_analysis_has_its_columns(photos: Path, tmp_path: Path) -> None:
    assert analyze(photos, tmp_path / "out", EVERYTHING) == 0
    found = rows(tmp_path / "out")
    assert [row["path"] for row in found] == sorted(
        f"album {n % 3}/{n:02d}.{('png', 'BMP', 'jpg')[n % 3]}" for n in range(12)
    )
    data = picture(1)
    row = next(row for row in found if row["path"].endswith("01.BMP"))
    assert row | {"part": 0} == {
        "image_id": "album 1/01.BMP", "path": "album 1/01.BMP", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "width": 40,
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
        "text_lines": [{"text": "Oudegracht", "confidence": 0.5, "quadrilateral": [{"x": x, "y": y} for x, y in ((0, 0), (8, 0), (8, 4), (0, 4))]}],
        "text_weights": "test/text", "text_bundled": False,
        "classification": "aerial_satellite", "classification_confidence": pytest.approx(1, abs=1e-3), "is_map_or_aerial": True,
        "probability_maps": pytest.approx(0, abs=1e-3), "probability_aerial_satellite": pytest.approx(1, abs=1e-3),
        "probability_miscellaneous": pytest.approx(0, abs=1e-3), "classification_weights": "test/clip", "classification_bundled": True,
    }  # fmt: skip


def test_every_format_is_found_analysed_and_shown(tmp_path: Path) -> None:
    files = in_every_format(Image.new("RGB", (40, 30), (250, 0, 0)))
    expected = dict[str, str]()
    (tmp_path / "in").mkdir()
    for one in FILES:
        for suffix in one.suffixes:
            name = f"{one.name} {suffix[1:]}{suffix.upper()}"
            (tmp_path / "in" / name).write_bytes(files[one.name])
            expected[name] = one.name
    assert analyze(tmp_path / "in", tmp_path / "out", "embedding,caption") == 0
    found = rows(tmp_path / "out")
    assert {row["path"]: row["format"] for row in found} == expected
    for row in found:
        assert (row["error"], row["width"], row["height"], row["caption"]) == (None, 40, 30, "40 by 30"), row["path"]
        assert row["embedding"][:3] == pytest.approx((250, 0, 0), abs=6), row["path"]
    report = (tmp_path / "out" / "report.html").read_text()
    assert report.count("data:image/jpeg;base64,") == SAMPLES


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
    assert models["Blur"].most <= 2  # a quarter of the limit, because whole pictures are large
    assert models["Clip"].most <= 4


def test_clip_gets_batches(photos: Path, tmp_path: Path) -> None:
    models = handles()
    assert analyze(photos, tmp_path / "out", "embedding,classification", models=models) == 0
    assert models["Clip"].calls["classify"] == 1
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
def test_a_changed_input_is_analysed_again(photos: Path, tmp_path: Path, change: str) -> None:
    out, models, analyses = tmp_path / "out", handles(), "embedding"
    analyze(photos, out, analyses, "--part-size=5", models=models)
    done_again = 3
    if change == "weights":
        models["Clip"].served = (other_weights(models["Clip"].served[0]),)
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
    assert {row["embedding_weights"] for row in found if not row["error"]} == {models["Clip"].served[0].id}


def test_a_smaller_input_leaves_no_old_parts(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    analyze(photos, out, "embedding", "--part-size=3")
    for path in (photos / "album 2").iterdir():
        path.unlink()
    analyze(photos, out, "embedding", "--part-size=3")
    assert len(rows(out)) == 8
    assert len(list((out / "manifests").iterdir())) == 3


def test_other_files_in_the_output_folder_stay(photos: Path) -> None:
    """The output may be the folder above the pictures, whose own folder may be called `images`."""
    photos = photos.rename(photos.with_name("images"))
    others = [photos / "part=00000" / "a.png", photos.parent / "manifests" / "part=1.json"]
    for path in others:
        path.parent.mkdir()
        path.write_bytes(picture(0))
    before = sorted(photos.rglob("*"))
    for analyses in ("blur", "embedding"):
        assert analyze(photos, photos.parent, analyses) == 0
        assert sorted(path for path in photos.rglob("*") if path.suffix != ".parquet") == before
    assert all(path.exists() for path in others)


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
def test_a_job_that_cannot_start_prints_one_line(
    photos: Path, tmp_path: Path, arguments: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    wanted = {"source": "photos", "target": "out", "analyses": "blur", **arguments}
    with pytest.raises(JobRefused, match=said) as refused:
        analyze(wanted["source"], wanted["target"], wanted["analyses"])
    assert "\n" not in str(refused.value)


def test_the_signature_covers_names_and_sizes(photos: Path) -> None:
    found = Source(str(photos)).find()
    assert signature(found) == signature(Source(f"file://{photos}").find())
    (photos / "album 0" / "00.png").write_bytes(b"other")
    assert signature(found) != signature(Source(str(photos)).find())
    assert signature(found[:2]) != signature(found[1:3])
    assert [len(part.images) for part in parts_of(found, 5)] == [5, 5, 2]


def test_an_unreadable_folder_is_reported(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("album 1"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(JobRefused, match="PermissionError"):
        Source(str(photos)).find()
