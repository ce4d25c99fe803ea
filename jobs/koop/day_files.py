"""The files of one day. They are written in parts while the day is processed, and put into place when it is finished.

    publications/date=D/publications.parquet    images/date=D/images.parquet    kept/date=D/<sha256>.<suffix>
    manifests/date=D.json                       _parts/D.<signature>.…          what is not finished

A day exists once its manifest does. The parts of an interrupted run stay in `_parts`, and the next run continues from
them if it has the same options and weights. The same holds for the publications of a day that could not be completed.
"""

import uuid
from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.koop.tables import IMAGES, PUBLICATIONS, Row, image_table, table
from jobs.runtime.output import Output

PARTS = "_parts"
PUBLICATIONS_END, IMAGES_END = ".publications.parquet", ".images.parquet"

Tables = tuple[pa.Table, pa.Table]
Manifest = dict[str, Any]


def manifest_path(day: date) -> str:
    """The path of the manifest of a day."""
    return f"manifests/date={day}.json"


def publications_path(day: date) -> str:
    """The path of the table of a day's publications."""
    return f"publications/date={day}/publications.parquet"


def images_path(day: date) -> str:
    """The path of the table of a day's images."""
    return f"images/date={day}/images.parquet"


def kept_path(day: date, name: str) -> str:
    """The path of a kept picture in a finished day."""
    return f"kept/date={day}/{name}"


class DayFiles:
    """The files of a day in an output. All methods may raise JobRefused."""

    def __init__(self, output: Output, day: date, signature: str) -> None:
        """`signature` is that of the options and weights with which the day is processed."""
        self._output, self._day, self._signature = output, day, signature
        self._beginning = f"{PARTS}/{day}.{signature}."
        self._publications, self._images = publications_path(day), images_path(day)

    def begin(self) -> pa.Table:
        """Remove the parts of other options or weights, and return the publications that are done, each once."""
        for path in _parts(self._output, [self._day]):
            if not path.startswith(self._beginning):
                self._output.delete(path)
        return pa.concat_tables([PUBLICATIONS.empty_table(), *(publications for publications, _ in self._done())])

    def add_kept(self, name: str, data: bytes) -> None:
        """Store a kept picture among the parts. Call this before adding the part that names it."""
        self._output.write_bytes(self._aside(name), data)

    def add_part(self, publications: list[Row], images: list[Row]) -> None:
        """Write publications and their images as a part. They count as done once this returns."""
        part = self._beginning + uuid.uuid4().hex
        self._output.write_table(part + IMAGES_END, image_table(images, self._day))
        self._output.write_table(part + PUBLICATIONS_END, table(publications, PUBLICATIONS))

    def gather(self, identifiers: set[str]) -> Tables:
        """The rows of these publications as far as they are done.

        Publications are sorted by identifier, images by publication, position and page.
        """
        wanted = pa.array(sorted(identifiers), pa.string())
        publications, images = [PUBLICATIONS.empty_table()], [IMAGES.empty_table()]
        for done, images_path in self._done():
            theirs = self._output.read_table(images_path)
            if theirs is not None:
                publications.append(done.filter(pc.is_in(done["identifier"], wanted)))
                identifiers_here = publications[-1]["identifier"].combine_chunks()
                images.append(theirs.filter(pc.is_in(theirs["publication"], identifiers_here)))
        return (
            pa.concat_tables(publications).sort_by("identifier"),
            pa.concat_tables(images).sort_by(
                [("publication", "ascending"), ("position", "ascending"), ("page", "ascending")]
            ),
        )

    def finish(self, tables: Tables, manifest: Manifest) -> None:
        """Replace the files of the day: the kept pictures, the tables, and last the manifest. Then remove the parts."""
        publications, images = tables
        kept = {path for path in images["kept"].to_pylist() if path}
        self._output.delete(manifest_path(self._day))
        # Pictures that are no longer among the parts were already moved by an interrupted run.
        self._output.move({self._aside(path.rpartition("/")[2]): path for path in sorted(kept)})
        self._output.write_table(self._publications, publications)
        self._output.write_table(self._images, images)
        for path in self._output.list(f"kept/date={self._day}"):
            if path not in kept:
                self._output.delete(path)
        self._output.write_json(manifest_path(self._day), manifest)
        remove_parts(self._output, [self._day])

    def _aside(self, name: str) -> str:
        return f"{self._beginning}kept.{name}"

    def _done(self) -> Iterator[tuple[pa.Table, str]]:
        """Yield the publications that are done, each once, with the path of the table of their images."""
        seen = pa.array([], pa.string())
        for publications, images_path in self._sources():
            new = publications.filter(pc.invert(pc.is_in(publications["identifier"], seen)))
            seen = pa.concat_arrays([seen, new["identifier"].combine_chunks()])
            yield new, images_path

    def _sources(self) -> Iterator[tuple[pa.Table, str]]:
        """Yield the parts, and then the completed publications of an incomplete day of an earlier run."""
        parts = {path for path in _parts(self._output, [self._day]) if path.startswith(self._beginning)}
        for path in sorted(parts):
            images_path = path.removesuffix(PUBLICATIONS_END) + IMAGES_END
            if path.endswith(PUBLICATIONS_END) and images_path in parts:
                publications = self._output.read_table(path)
                if publications is not None:
                    yield publications, images_path
        manifest = read_manifest(self._output, self._day)
        if manifest is None or manifest["signature"] != self._signature:
            return
        publications = self._output.read_table(self._publications)
        if publications is not None and self._output.list(self._images):
            yield publications.filter(pc.equal(publications["unreachable"], 0)), self._images


def read_manifest(output: Output, day: date) -> Manifest | None:
    """The manifest of a day; None if there is none, or if it is not one of this job."""
    found = output.read_json(manifest_path(day))
    known = isinstance(found, dict) and {"signature", "complete", "options", "counts"} <= found.keys()
    return found if known else None


def forget(output: Output, day: date) -> None:
    """Remove the manifest and the parts of a day, so that nothing of it counts as done."""
    output.delete(manifest_path(day))
    remove_parts(output, [day])


def remove_parts(output: Output, days: Collection[date]) -> None:
    """Remove the parts of days. Complete days have parts only if a run was killed just before it removed them."""
    for path in _parts(output, days):
        output.delete(path)


def _parts(output: Output, days: Collection[date]) -> list[str]:
    beginnings = tuple(f"{PARTS}/{day}." for day in days)
    return [path for path in output.list(PARTS) if path.startswith(beginnings)]
