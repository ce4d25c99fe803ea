"""The report of an analysis, made from its tables: results, distributions and sample pictures."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.analyze.analyses import schema
from jobs.analyze.plan import AnalysisPlan, Part
from jobs.report import Bars, Fact, Gallery, Report, ReportPicture, Section, Table, sample

SAMPLES, SHOWN_ERRORS, SHOWN_LABELS, BINS = 8, 20, 20, 24
HEAVY = ("embedding",)
# Title, column, and the titles of the galleries with the lowest and the highest values.
MEASURES = {
    "blur": ("Sharpness (variance of the Laplacian at 512 pixels)", "blur_normalized_variance", "Blurred", "Sharp"),
    "quality": ("Technical quality (NIMA, 1–10)", "quality_technical", "Technically poor", "Technically good"),
}
# Title and column.
LABELLED = {
    "tags": ("Labels", "tags"),
    "objects": ("Things found", "objects"),
    "emotion": ("Emotions", "emotion_faces"),
}


def summarize(plan: AnalysisPlan, parts: Sequence[Part], took: str) -> Report:
    """The report. Pictures that were deleted meanwhile are left out."""
    rows = _rows(plan, parts)
    errors = rows.filter(pc.is_valid(rows["error"]))
    analyses = plan.wanted.analyses
    facts = [
        Fact("images", f"{rows.num_rows:,}"),
        Fact("without an error", f"{rows.num_rows - errors.num_rows:,}"),
        Fact("megabytes", f"{(pc.sum(rows['bytes']).as_py() or 0) / 1e6:,.1f}"),
        Fact("time", took),
    ]
    weights = [
        (name, plan.served[name].weights, "yes" if plan.served[name].bundled else "no", _answered(rows, name))
        for name in analyses
    ]
    sections: list[Section] = [Table("Analyses", ("analysis", "weights", "bundled", "images answered"), weights)]
    for name in analyses:
        sections += SECTIONS[name](plan, rows) if name in SECTIONS else []
    if len(sections) == 1:
        sections.append(_gallery(plan, "Samples", _spread(rows.filter(pc.is_null(rows["error"])))))
    if errors.num_rows:
        sections.append(_errors(errors))
    bundled = [one.weights for one in plan.served.values() if one.bundled]
    warnings = [_warning(bundled)] if bundled else []
    return Report(
        "Image analysis", f"Images of {plan.source.shown}, by {', '.join(analyses)}.", facts, sections, warnings
    )


def _warning(bundled: Sequence[str]) -> str:
    names = ", ".join(dict.fromkeys(bundled))
    return (
        f"{names}: trained on scenes that Panoptes draws itself. They are right about those and nothing else; for "
        "photographs serve hub checkpoints (WEIGHTS=hub)."
    )


def _rows(plan: AnalysisPlan, parts: Sequence[Part]) -> pa.Table:
    columns = [field for field in schema(plan.wanted.analyses) if field.name not in HEAVY]
    tables = (plan.output.read_table(part.table, [field.name for field in columns]) for part in parts)
    return pa.concat_tables([pa.schema(columns).empty_table(), *(table for table in tables if table is not None)])


def _spread(rows: pa.Table) -> pa.Table:
    """At most SAMPLES rows, evenly spaced over a table."""
    return rows.take(pa.array(range(0, rows.num_rows, max(1, math.ceil(rows.num_rows / SAMPLES))), pa.int64()))


def _answered(rows: pa.Table, analysis: str) -> int:
    return int(rows.num_rows - rows[f"{analysis}_weights"].null_count)


def _measure(name: str) -> Callable[[AnalysisPlan, pa.Table], list[Section]]:
    title, column, low, high = MEASURES[name]

    def sections(plan: AnalysisPlan, rows: pa.Table) -> list[Section]:
        known = rows.filter(pc.is_finite(rows[column])).sort_by([(column, "ascending"), ("path", "ascending")])
        values = known[column].to_pylist()
        if not values:
            return []
        return [
            _histogram(title, values),
            _gallery(plan, low, known.slice(0, SAMPLES), column),
            _gallery(plan, high, known.slice(max(0, known.num_rows - SAMPLES)), column),
        ]

    return sections


def _labels(name: str, labels: Callable[[Any], Iterator[str]]) -> Callable[[AnalysisPlan, pa.Table], list[Section]]:
    title, column = LABELLED[name]

    def sections(plan: AnalysisPlan, rows: pa.Table) -> list[Section]:
        counts = Counter(label for value in rows[column].to_pylist() if value for label in labels(value))
        most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:SHOWN_LABELS]
        table = Table(title, ("label", "count"), most)
        some = rows.filter(pc.greater(pc.list_value_length(rows[column]), 0)).slice(0, SAMPLES)
        return [table, _gallery(plan, f"{title}: samples", some, column)]

    return sections


def _captions(plan: AnalysisPlan, rows: pa.Table) -> list[Section]:
    return [_gallery(plan, "Captions", rows.filter(pc.is_valid(rows["caption"])).slice(0, SAMPLES), "caption")]


def _classes(plan: AnalysisPlan, rows: pa.Table) -> list[Section]:
    counts = Counter(value for value in rows["classification"].to_pylist() if value)
    names = sorted(counts)
    sections: list[Section] = [Bars("Classification", names, {"images": [counts[name] for name in names]})]
    for name in names:
        of_it = rows.filter(pc.equal(rows["classification"], name))
        best = of_it.sort_by([("classification_confidence", "descending"), ("path", "ascending")])
        sections.append(_gallery(plan, name, best.slice(0, SAMPLES), "classification_confidence"))
    return sections


SECTIONS: dict[str, Callable[[AnalysisPlan, pa.Table], list[Section]]] = {
    "blur": _measure("blur"),
    "quality": _measure("quality"),
    "classification": _classes,
    "caption": _captions,
    "tags": _labels("tags", lambda tags: (tag["label"] for tag in tags[:1])),
    "objects": _labels("objects", lambda found: (one["label"] for one in found)),
    "emotion": _labels("emotion", lambda faces: (face["emotion"] for face in faces)),
}


def _histogram(title: str, values: Sequence[float]) -> Bars:
    """Counts in equal steps from the lowest to the highest value."""
    low, high = values[0], values[-1]
    bins = BINS if high > low else 1
    step = (high - low) / bins or 1.0
    counts = Counter(min(bins - 1, math.floor((value - low) / step)) for value in values)
    labels = [f"{low + step * number:.3g}" for number in range(bins)]
    return Bars(title, labels, {"images": [counts[number] for number in range(bins)]})


def _gallery(plan: AnalysisPlan, title: str, rows: pa.Table, column: str = "") -> Gallery:
    pictures = []
    for row in rows.to_pylist():
        jpeg = sample(partial(plan.source.read, row["path"]), plan.wanted.max_pixels)
        if jpeg is not None:
            pictures.append(ReportPicture(jpeg, row["path"], _detail(row.get(column))))
    return Gallery(title, pictures)


def _detail(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(str(one.get("label") or one.get("emotion")) for one in value)
    return "" if value is None else str(value)


def _errors(errors: pa.Table) -> Table:
    shown = errors.slice(0, SHOWN_ERRORS)
    return Table(
        "Errors",
        ("path", "what is wrong"),
        [(row["path"], row["error"]) for row in shown.select(["path", "error"]).to_pylist()],
        note=f"{shown.num_rows} of {errors.num_rows:,}.",
    )
