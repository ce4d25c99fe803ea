"""The catalogue with 8 clients: uploads accepted, images processed, and the time of each stage of processing.

With the bundled weights and the catalogue's defaults (SQLite and a folder); every upload has different bytes. After the
clients have stopped, the uploads that still wait are processed. About three minutes.
"""

import json
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cli, report
from testbed import load, photos
from testbed.application import REPORT_INTERVAL, Application, only
from testbed.processes import fetch, free_port, within

CLIENTS = 8
STAGES = {
    "read": "the file, from the store",
    "prepare": "decoding, thumbnails, each model's input",
    "look": "CLIP, captioner and tagger side by side",
    "thumbnails": "into the store",
    "write": "the row and the vector, in one transaction",
}
WARM_UP_SECONDS = 5.0
DRAIN_S = 600.0  # within which all uploads must be processed


@dataclass
class CatalogueMeasurements:
    """Of one run.

    Attributes:
        accepted: the load of the uploads.
        processed: number of images, in `seconds` from the first upload on.
        drained: how many of them were processed after the last upload, in `drain_s`.
        stages: seconds that all images together spent in each stage.
        cpu_s: CPU seconds by deployment.
    """

    accepted: load.Load
    processed: int
    seconds: float
    drained: int
    drain_s: float
    stages: dict[str, float]
    cpu_s: dict[str, float]


def main() -> None:
    """Measure, print the section and write it to RESULTS.md."""
    parser = cli.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of uploading (default: 20)")
    options = parser.parse_args()
    section = _render(options.seconds, _measure(options.seconds))
    print(section)
    report.update_section("catalogue", section)


def _measure(seconds: float) -> CatalogueMeasurements:
    with tempfile.TemporaryDirectory(prefix="catalogue-") as folder:
        env = only("clip", "captioner", "tagger", "cataloguer")
        env |= {"DATABASE_URL": f"sqlite:///{folder}/catalogue.db", REPORT_INTERVAL: "1000", "WEIGHTS": "bundled"}
        env["STORE_URL"] = str(Path(folder) / "pictures")
        with Application(free_port(), env) as panoptes:
            url = f"{panoptes.url}/api/images"
            load.measure(url, CLIENTS, WARM_UP_SECONDS, distinct=True)
            _wait(panoptes)
            before, stages, spent = _processed(panoptes), _stages(panoptes), panoptes.cpu_seconds()
            started = time.perf_counter()
            accepted = load.measure(url, CLIENTS, seconds, distinct=True)
            uploaded, at_upload = time.perf_counter(), _processed(panoptes)
            _wait(panoptes)
            ended, after = time.perf_counter(), _processed(panoptes)
            cpu_s = {name: value - spent.get(name, 0) for name, value in panoptes.cpu_seconds().items()}
            stages = {name: value - stages.get(name, 0) for name, value in _stages(panoptes).items()}
    return CatalogueMeasurements(
        accepted, after - before, ended - started, after - at_upload, ended - uploaded, stages, cpu_s
    )  # fmt: skip


def _images(panoptes: Application) -> dict[str, int]:
    images: dict[str, int] = json.loads(fetch(f"{panoptes.url}/api/stats"))["images"]
    return images


def _processed(panoptes: Application) -> int:
    images = _images(panoptes)
    if images["failed_images"]:
        raise RuntimeError(f"{images['failed_images']} images failed, so that the figures would mean nothing")
    return images["processed_images"]


def _wait(panoptes: Application) -> None:
    if not within(DRAIN_S, lambda: not _images(panoptes)["processing_images"]):
        raise RuntimeError(f"images still wait after {DRAIN_S:g} s: {_images(panoptes)}")


def _stages(panoptes: Application) -> dict[str, float]:
    """Seconds by stage so far."""
    time.sleep(panoptes.metrics_delay_s)
    found = re.findall(
        r'^ray_panoptes_catalogue_stage_seconds_total{.*?stage="(\w+)".*?} (\S+)$', panoptes.metrics(), re.M
    )
    return {stage: sum(float(value) for name, value in found if name == stage) for stage, _ in found}


def _render(seconds: float, figures: CatalogueMeasurements) -> str:
    whole, rate = sum(figures.stages.values()), figures.processed / figures.seconds
    lines = [
        "## The catalogue",
        "",
        f"{report.machine('sqlalchemy', 'ray')}. `python -m benchmarks.sections.catalogue --seconds {seconds:g}`",
        "",
        f"Bundled weights, SQLite and a folder; {photos.describe(photos.load())}, each upload with bytes of its own. "
        f"{CLIENTS} clients upload for {seconds:g} s, while the worker already works.",
        "",
        f"- Accepted (the file and its row are safe): {figures.accepted.throughput:.1f} uploads/s, p50 "
        f"{figures.accepted.p50 * 1000:.0f} ms, p99 {figures.accepted.p99 * 1000:.0f} ms.",
        f"- Processed: {figures.processed} images in {figures.seconds:.0f} s, {rate:.1f} "
        f"images/s, uploads included; {figures.drained / figures.drain_s:.1f} images/s after the last upload.",
        "",
        "| stage of an image | ms | share |",
        "|---|--:|--:|",
    ]
    for name, what in STAGES.items():
        taken = figures.stages.get(name, 0.0)
        lines.append(f"| {name}: {what} | {taken / figures.processed * 1000:.0f} | {taken / whole:.0%} |")
    each = {kind: cpu_s / figures.processed for kind, cpu_s in figures.cpu_s.items()}
    return "\n".join([*lines, "", f"CPU milliseconds an image, by deployment: {report.spent(each)}."])


if __name__ == "__main__":
    cli.run(main)
