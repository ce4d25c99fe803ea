"""The report of a run: samples of pictures that were kept or not, counts by day, and a map of the decisions."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow.compute as pc

from jobs.koop.day_files import images_path, publications_path
from jobs.koop.driver import Run, counts_of
from jobs.koop.options import Asked
from jobs.report import Bars, Fact, Gallery, Points, Report, ReportPicture, Section, Table, render
from jobs.runtime.output import Output

SAMPLE_DAYS = 24
SAMPLES_A_DAY = 2  # of each decision
SAMPLE_COLUMNS = ["publication", "url", "page", "category", "confidence", "seen", "outcome", "sha256"]


def write_report(output: Output, run: Run, asked: Asked, warnings: list[str]) -> None:
    """Write `report.html`. Reads the images of a few days and the places of all days."""
    days = sorted(run.manifests)
    counts = [counts_of(run.manifests[day]) for day in days]
    kept, dropped = _samples(output, [day for day, of_day in zip(days, counts, strict=True) if of_day.images])
    sections: list[Section] = [
        Gallery("Kept", kept, "Samples from days spread over the whole period, as the model saw them."),
        Gallery("Not kept", dropped, "Samples from the same days; their files are not stored."),
        Bars(
            "Images by day",
            list(map(str, days)),
            {
                "kept": [of_day.kept for of_day in counts],
                "not kept": [of_day.images - of_day.kept for of_day in counts],
            },
        ),
        Points("Where the decisions are", _places(output, days), "One point per marked area.", geographic=True),
    ]
    open_days = [*((day, why) for day, why in run.failed.items()), *_reasons(run)]
    if open_days:
        rows = [(str(day), why) for day, why in sorted(open_days)]
        sections.append(Table("Days that are not complete", ("day", "why"), rows, "Run the same command again."))
    total = {name: sum(getattr(of_day, name) for of_day in counts) for name in ("records", "images", "kept")}
    complete = sum(manifest["complete"] for manifest in run.manifests.values())
    facts = [
        Fact("days complete", f"{complete:,} of {len(days) + len(run.failed.keys() - set(days)):,}"),
        Fact("decisions", f"{total['records']:,}"),
        Fact("images", f"{total['images']:,}"),
        Fact("kept", f"{total['kept']:,}"),
        Fact("classified by", asked.weights),
    ]
    first, last = (days[0], days[-1]) if days else ("", "")
    summary = f"Dutch traffic decisions from {first} to {last}: their images and the pages of their attachments."
    report = Report("Traffic decisions", summary, facts, sections, warnings)
    output.write_bytes("report.html", render(report))


def _reasons(run: Run) -> Iterator[tuple[date, str]]:
    for day, manifest in run.incomplete.items():
        yield day, "; ".join(manifest["reasons"])


def _samples(output: Output, days: list[date]) -> tuple[list[ReportPicture], list[ReportPicture]]:
    """Samples of pictures that were kept, and of pictures that were not; always the same for the same tables."""
    step = max(1, len(days) // SAMPLE_DAYS)
    chosen = days[::step][:SAMPLE_DAYS]
    each = max(SAMPLES_A_DAY, SAMPLE_DAYS // max(1, len(chosen)))
    kept: list[ReportPicture] = []
    dropped: list[ReportPicture] = []
    for day in chosen:
        images = output.read_table(images_path(day), SAMPLE_COLUMNS)
        if images is None:
            continue
        for outcome, pictures in (("kept", kept), ("dropped", dropped)):
            rows = images.filter(pc.equal(images["outcome"], outcome)).sort_by("sha256")
            pictures += [_picture(row) for row in rows.slice(0, each).to_pylist()]
    return kept, dropped


def _picture(row: dict[str, Any]) -> ReportPicture:
    page = f", page {row['page']}" if row["page"] else ""
    detail = f"{row['category']} {row['confidence']:.0%}{page}"
    return ReportPicture(
        row["seen"], row["publication"], detail, row["url"], "good" if row["outcome"] == "kept" else ""
    )


def _places(output: Output, days: list[date]) -> dict[str, list[tuple[float, float]]]:
    places: dict[str, list[tuple[float, float]]] = {"with a kept picture": [], "without": []}
    for day in days:
        publications = output.read_table(publications_path(day), ["areas", "kept"])
        if publications is None:
            continue
        for row in publications.to_pylist():
            found = [(area["longitude"], area["latitude"]) for area in row["areas"] if area["longitude"] is not None]
            places["with a kept picture" if row["kept"] else "without"] += found
    return places
