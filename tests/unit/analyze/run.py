"""Run the analysis of a folder with doubles of the models, and read its output."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from PIL import Image

from configs.settings import load_settings
from deployments.models.clip.weights import ClipWeights
from deployments.specs import analyses
from jobs.analyze import __main__ as command
from jobs.analyze.working import deployments
from testbed.doubles.model_handles import handles
from testbed.pictures.images import encoded

EVERYTHING = ",".join(analyses())
COLOURS = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}


def picture(number: int) -> bytes:
    """A distinct picture, 40 × 30 or 30 × 40 pixels."""
    size = (40, 30) if number % 2 else (30, 40)
    image = Image.new("RGB", size, list(COLOURS.values())[number % 3])
    image.putpixel((0, 0), (number % 256, number // 256, 7))
    return encoded(image, ("PNG", "BMP", "JPEG")[number % 3])


def analyze(
    source: Path | str, target: Path | str, analyses: str = "blur,embedding", *more: str, models: Any = None
) -> int:
    """Run the job against the doubles `models`; return its exit status."""
    options = command.parse([f"--input={source}", f"--output={target}", f"--analyses={analyses}", *more])
    models = models or handles()
    asked = {name: models[name] for name in deployments(command.parse_analyses(analyses))}
    return command.analyze(options, load_settings(), asked, 0)


def rows(target: Path | str) -> list[dict[str, Any]]:
    """All rows of the output, by path, read with plain pyarrow."""
    table: pa.Table = ds.dataset(f"{target}/images", partitioning="hive").to_table()
    return sorted(table.to_pylist(), key=lambda row: row["path"])


def other_weights(weights: ClipWeights) -> ClipWeights:
    """The same by another name."""
    return replace(weights, id="test/other")
