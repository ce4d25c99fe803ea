"""The report of a clustering: sizes, a projection, and the largest clusters and near-duplicates with pictures."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc

from deployments.clustering.components import Indices
from deployments.clustering.growth import NOISE
from jobs.clustering.summary import Duplicates, Groups, Summary, projection
from jobs.clustering.vectors import Held
from jobs.report import Bars, Fact, Gallery, Points, Report, ReportPicture, Section, Table, sample
from jobs.runtime.urls import open_url

GALLERIES, PICTURES, TABLE_ROWS = 8, 8, 30
COLOURED = 6  # clusters with a colour of their own in the projection
PROJECTED = 4000
MOST_PIXELS = 150_000_000


class Album:
    """Reads pictures below one folder by the paths in the input, and counts those that cannot be shown."""

    def __init__(self, folder: str, files: Any = None) -> None:
        """`folder`: a URL, or a path in the file system `files`."""
        self._files, self._root = (files, folder) if files else open_url(folder)
        self.missing = 0

    def picture(self, path: str) -> bytes | None:
        """A small JPEG; None if the picture is missing or broken."""
        jpeg = sample(partial(self._read, path), MOST_PIXELS)
        self.missing += jpeg is None
        return jpeg

    def _read(self, path: str) -> bytes:
        below = path.removeprefix(f"{self._root.rstrip('/')}/")
        if not below or below.startswith("/") or "://" in below or ".." in below.split("/"):
            raise FileNotFoundError
        data: bytes = self._files.cat_file(f"{self._root.rstrip('/')}/{below}")
        return data


def report(summary: Summary, held: Held, manifest: dict[str, Any], album: Album) -> Report:
    """The report on a summary; `manifest` is that of the clustering."""
    sections: list[Section] = [_sizes(summary), _projected(summary, held), _table(summary)]
    warnings = []
    duplicates = summary.duplicates
    if summary.points.pictures is not None:
        clusters = summary.clusters
        sections += _galleries(summary, album, "Cluster", clusters, clusters.typical, "The typical one is marked.")
        if duplicates:
            note = _why_best(summary)
            sections += _galleries(summary, album, "Near-duplicates", duplicates.groups, duplicates.best, note)
        if album.missing:
            warnings.append(f"{album.missing} pictures are broken or not there: set their folder with --pictures.")
    elif duplicates:
        sections.append(_duplicate_table(summary, duplicates))
    return Report("Clusters", _said(manifest), _facts(summary, manifest), sections, warnings)


def _said(manifest: dict[str, Any]) -> str:
    how = "Exact DBSCAN"
    if recall := manifest["recall"]:
        how = f"DBSCAN over approximate neighbours ({recall['share']:.2%} of the edges, measured)"
    made = f" made by {manifest['weights']}" if manifest["weights"] else ""
    return (
        f"{how} of {manifest['vectors']:,} vectors of {manifest['dimensions']} numbers{made} from {manifest['input']}: "
        f"neighbours are at most {manifest['eps']:g} apart by cosine distance, and core points have at least "
        f"{manifest['min_samples']}, themselves included."
    )


def _facts(summary: Summary, manifest: dict[str, Any]) -> list[Fact]:
    count, noise = len(summary.clusters.labels), summary.noise
    facts = [
        Fact("vectors", f"{count:,}"),
        Fact("clusters", f"{len(summary.clusters.sizes):,}"),
        Fact("in no cluster", f"{noise:,} ({noise / count:.1%})"),
        Fact("largest cluster", f"{summary.clusters.sizes.max(initial=0):,}"),
    ]
    if manifest["skipped"]:
        facts.append(Fact("rows without a vector", f"{manifest['skipped']:,}"))
    if summary.duplicates:
        sizes = summary.duplicates.groups.sizes
        spare = int(sizes.sum()) - len(sizes)
        facts += [Fact("near-duplicate groups", f"{len(sizes):,}"), Fact("redundant duplicates", f"{spare:,}")]
    return facts


def _sizes(summary: Summary) -> Bars:
    """Clusters by size, in powers of two."""
    sizes = summary.clusters.sizes
    powers = np.ceil(np.log2(np.maximum(sizes, 1))).astype(np.int64)
    counts = np.bincount(powers).tolist()
    labels = [str(2**power) if power < 2 else f"{2 ** (power - 1) + 1}–{2**power}" for power in range(len(counts))]
    return Bars("Clusters by size", labels, {"clusters": counts}, "The number of clusters by their number of points.")


def _projected(summary: Summary, held: Held) -> Points:
    points, places, share = projection(held, len(summary.clusters.labels), PROJECTED)
    labels = summary.clusters.labels[points]
    coloured = summary.clusters.largest(COLOURED)
    groups = {f"cluster {label}": places[labels == label] for label in coloured}
    groups["other clusters"] = places[~np.isin(labels, [*coloured, NOISE])]
    groups["in no cluster"] = places[labels == NOISE]
    said = f"The first two principal components hold {share:.0%} of the variance: points near here may be far apart."
    listed = {name: [(float(x), float(y)) for x, y in group] for name, group in groups.items()}
    return Points("Projection", listed, said, most=PROJECTED)


def _table(summary: Summary) -> Table:
    clusters, ids = summary.clusters, summary.points.ids
    rows = [
        (label, int(clusters.sizes[label]), str(ids[int(clusters.typical[label])]))
        for label in clusters.largest(TABLE_ROWS)
    ]
    return Table("Largest clusters", ("label", "size", "typical member"), rows, "All of them are in clusters.parquet.")


def _duplicate_table(summary: Summary, duplicates: Duplicates) -> Table:
    groups, ids = duplicates.groups, summary.points.ids
    rows = [
        (group, int(groups.sizes[group]), str(ids[int(duplicates.best[group])])) for group in groups.largest(TABLE_ROWS)
    ]
    return Table("Near-duplicates", ("group", "size", "best"), rows, "All of them are in near_duplicates.parquet.")


def _galleries(
    summary: Summary, album: Album, name: str, groups: Groups, marked: Indices, note: str
) -> Iterator[Gallery]:
    """Yield galleries of the largest groups that have pictures; `marked` (g,) is one point of each group."""
    for label in groups.largest(GALLERIES):
        best = int(marked[label])
        shown = _pictures(summary, album, _with_others(summary, best, groups.members(label)), best)
        if shown:
            yield Gallery(f"{name} {label}: {groups.sizes[label]:,} pictures", shown, note)


def _why_best(summary: Summary) -> str:
    known = summary.points.quality is not None
    return "The best by quality is marked." if known else "The typical picture is marked: quality is not known."


def _pictures(summary: Summary, album: Album, points: Sequence[int], best: int) -> list[ReportPicture]:
    """The pictures of these points, as far as they can be shown."""
    paths, quality = summary.points.pictures, summary.points.quality
    found = []
    for point in points:
        path = paths[point].as_py() if paths is not None else None
        jpeg = album.picture(path) if path else None
        if jpeg is not None:
            detail = "" if quality is None or np.isnan(quality[point]) else f"quality {quality[point]:.3g}"
            mark: Literal["", "good"] = "good" if point == best else ""
            found.append(ReportPicture(jpeg, str(summary.points.ids[point]), detail, mark=mark))
    return found


def _with_others(summary: Summary, first: int, members: Indices) -> list[int]:
    """The point `first`, and up to 7 other members with pictures, evenly selected."""
    has_picture = pc.is_valid(summary.points.pictures).to_numpy()
    others = members[has_picture[members] & (members != first)]
    step = max(1, -(-len(others) // (PICTURES - 1)))
    return [first, *(int(point) for point in others[::step])]
