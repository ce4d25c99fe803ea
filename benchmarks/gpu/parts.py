"""The parts of the GPU benchmark: each measures and returns the lines of its section."""

import tempfile
from pathlib import Path

from benchmarks.gpu import models, packing
from benchmarks.gpu.scale import Scale
from benchmarks.sections import cluster_job

MODELS = {"clip": "Clip", "tagger": "Tagger", "captioner": "Captioner"}


def measure(part: str, scale: Scale) -> list[str]:
    """Measure a part; raises RuntimeError where the CPU would be measured instead of the GPU."""
    if part in MODELS:
        return models.lines(MODELS[part], scale, models.measure(MODELS[part], scale))
    if part == "packing":
        return packing.lines(scale, *packing.measure(scale))
    return _cluster(scale)


def _cluster(scale: Scale) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "vectors.parquet")
        cluster_job.draw_vectors(source, scale.vectors)
        figure = cluster_job.run_job(source, Path(folder, "out"))
    devices = figure.manifest["devices"]
    if scale.device == "cuda" and devices == ["cpu"]:
        raise RuntimeError("the job computed on the CPU: does torch see the GPU (`torch.cuda.is_available()`)?")
    return [*cluster_job.about(), "", f"Computed on {', '.join(devices)}.", "", *cluster_job.HEAD, figure.row()]
