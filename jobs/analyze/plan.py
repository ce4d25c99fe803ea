"""The plan of a run: its parts, and which of them are already complete."""

import hashlib
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from jobs.analyze.analyses import Served, schema
from jobs.analyze.pictures import AnalysisInputs
from jobs.analyze.source import Source, SourceFile, signature
from jobs.runtime.output import Output

MANIFESTS, TABLES = "manifests", "images"
MANIFEST, REPORT = "manifest.json", "report.html"
# A part's table or manifest, as `Part` names them; other files in these folders do not belong to this job.
OF_A_PART = re.compile(rf"(?:{TABLES}/(part=\d{{5,}})/images\.parquet|{MANIFESTS}/(part=\d{{5,}})\.json)")
READERS = 16


@dataclass(frozen=True)
class Part:
    """Consecutive images of the input, in the order of their paths; `number` counts from 0."""

    number: int
    images: tuple[SourceFile, ...]

    @property
    def name(self) -> str:
        """The part's name in paths."""
        return f"part={self.number:05d}"

    @property
    def table(self) -> str:
        """The path of its rows."""
        return f"{TABLES}/{self.name}/images.parquet"

    @property
    def manifest(self) -> str:
        """The path of its manifest, which says whether its rows are complete and what they were made from."""
        return f"{MANIFESTS}/{self.name}.json"


@dataclass(frozen=True)
class AnalysisPlan:
    """Everything that the rows depend on, and what is needed to make them.

    Attributes:
        wanted: the analyses and their inputs.
        served: the weights behind each analysis.
        prompt_set: of the classification, by its name in configs/prompts.yaml.
        classes: its prompts, by category.
    """

    source: Source
    output: Output
    application: str
    wanted: AnalysisInputs
    served: dict[str, Served]
    prompt_set: str
    classes: list[list[str]]
    in_flight: int

    def made_from(self, part: Part) -> dict[str, Any]:
        """What a part's manifest must say for its rows to be those of this plan."""
        columns = str(schema(self.wanted.analyses))
        asked = json.dumps([self.classes, asdict(self.wanted), columns])
        return {
            "input": signature(part.images),
            "analyses": list(self.wanted.analyses),
            "weights": {name: asdict(one) for name, one in self.served.items()},
            "settings": hashlib.sha256(asked.encode()).hexdigest(),
        }


def manifests_of(output: Output, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The manifest of each part, empty where there is none."""
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda part: output.read_json(part.manifest), parts)
        return [manifest if isinstance(manifest, dict) else {} for manifest in found]


def complete(plan: AnalysisPlan, parts: Sequence[Part]) -> list[Part]:
    """The parts whose rows exist, lack nothing, and were made from what this plan would make them from."""
    there = set(plan.output.list())
    found = [part for part in parts if part.manifest in there and part.table in there]
    return [
        part
        for part, manifest in zip(found, manifests_of(plan.output, found), strict=True)
        if manifest.get("complete") and manifest.get("made_from") == plan.made_from(part)
    ]


def parts_of(images: Sequence[SourceFile], size: int) -> list[Part]:
    """The images in parts of `size`."""
    return [
        Part(number, tuple(images[start : start + size])) for number, start in enumerate(range(0, len(images), size))
    ]


def clear(output: Output, keep: Sequence[Part]) -> int:
    """Delete all parts but `keep`, so that a reader never sees an image twice; returns how many were deleted."""
    kept = {path for part in keep for path in (part.manifest, part.table)}
    # Manifests are deleted first: rows without a manifest count as incomplete, a manifest must never lack its rows.
    there = [path for folder in (MANIFESTS, TABLES) for path in output.list(folder)]
    others = {path: match[1] or match[2] for path in there if path not in kept and (match := OF_A_PART.fullmatch(path))}
    for path in others:
        output.delete(path)
    return len(set(others.values()))
