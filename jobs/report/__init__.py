"""The report of a job: one self-contained HTML file, readable on a phone and on a desktop.

    report = Report("Analysis", "…", [Fact("images", "5,000")], [Gallery("Samples", [Picture(jpeg, "a.jpg")])])
    output.write_bytes("report.html", render(report))

Texts may come from untrusted sources: all are escaped, and the page's content security policy allows no scripts.
"""

import base64
import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import jinja2
from PIL import Image

from deployments.pictures.decoding import decode
from jobs.report.charts import BOTTOM, LEFT, RIGHT, TOP, BarChart, PointChart

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parent
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 240, 75
LINKS = ("https://", "http://")


@dataclass(frozen=True)
class Fact:
    """A figure of the summary, formatted for reading: `Fact("images kept", "1,234")`."""

    label: str
    value: str


@dataclass(frozen=True)
class Table:
    """Rows of texts or numbers; numbers are aligned to the right."""

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    note: str = ""


@dataclass(frozen=True)
class ReportPicture:
    """A JPEG as `thumbnail` makes it, with the text below it. A `link` that is not http(s) is left out."""

    jpeg: bytes
    caption: str
    detail: str = ""
    link: str = ""
    mark: Literal["", "good", "bad"] = ""

    @property
    def data_uri(self) -> str:
        """The picture as a `data:` URL."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"

    @property
    def href(self) -> str:
        """The link if it is http(s), otherwise empty."""
        return self.link if self.link.startswith(LINKS) else ""


@dataclass(frozen=True)
class Gallery:
    """Sample pictures."""

    kind: ClassVar[str] = "gallery"
    title: str
    pictures: Sequence[ReportPicture]
    note: str = ""


@dataclass(frozen=True)
class Bars:
    """A bar chart of counts per day or partition.

    `series` maps names to counts, one count per label; the series are stacked.
    """

    kind: ClassVar[str] = "bars"
    title: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[int]]
    note: str = ""

    @property
    def chart(self) -> BarChart:
        """The geometry of the chart."""
        return BarChart(self.labels, self.series)


@dataclass(frozen=True)
class Points:
    """A scatter plot of (x, y) by group. At most `most` points are drawn, selected evenly.

    `geographic`: points are (longitude, latitude) in degrees.
    """

    kind: ClassVar[str] = "points"
    title: str
    groups: Mapping[str, Iterable[tuple[float, float]]]
    note: str = ""
    geographic: bool = False
    most: int = 5_000

    @property
    def chart(self) -> PointChart:
        """The geometry of the chart."""
        groups = {name: list(points) for name, points in self.groups.items()}
        return PointChart(groups, self.geographic, self.most)


Section = Table | Gallery | Bars | Points


@dataclass(frozen=True)
class Report:
    """The page: a title, a paragraph of summary, figures, warnings, and sections in order."""

    title: str
    summary: str
    facts: Sequence[Fact] = ()
    sections: Sequence[Section] = ()
    warnings: Sequence[str] = ()


def render(report: Report) -> bytes:
    """Render the report as HTML in UTF-8."""
    return _template().render(report=report).encode("utf-8", errors="replace")


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG of at most 240 × 240 pixels of an RGB image, without metadata."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=THUMBNAIL_QUALITY)
    return buffer.getvalue()


def sample(read: Callable[[], bytes], max_pixels: int) -> bytes | None:
    """The thumbnail of the picture that `read` returns; None if it is missing or broken, and the report omits it."""
    try:
        image = decode(read(), max_pixels, shortest_side=THUMBNAIL_SIDE)
    except Exception as error:  # each file system has its own errors
        logger.warning("The report omits a picture: %s: %s", type(error).__name__, error)
        return None
    return thumbnail(image)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html", globals={"LEFT": LEFT, "RIGHT": RIGHT, "TOP": TOP, "BOTTOM": BOTTOM})
