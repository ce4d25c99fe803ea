"""The report of a job: one HTML file that needs nothing else, for a phone as for a desk.

    report = Report("Analysis", "…", [Fact("images", "5,000")], [Gallery("Samples", [Picture(jpeg, "a.jpg")])])
    output.write_bytes("report.html", render(report))

Every text may come from strangers: all of them are escaped, and the page's own policy lets no script run.
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
    """A figure of the summary, as it is to be read: `Fact("images kept", "1,234")`."""

    label: str
    value: str


@dataclass(frozen=True)
class Table:
    """Rows of texts or numbers; numbers are set to the right."""

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    note: str = ""


@dataclass(frozen=True)
class ReportPicture:
    """A JPEG as `thumbnail` makes it, and what stands below it. `link`: http(s), others are left out."""

    jpeg: bytes
    caption: str
    detail: str = ""
    link: str = ""
    mark: Literal["", "good", "bad"] = ""

    @property
    def data_uri(self) -> str:
        """The picture itself as a URL."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"

    @property
    def href(self) -> str:
        """The link, when it is one that may be followed."""
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
    """Counts per day or partition: `series` names stacked counts, each as long as `labels`."""

    kind: ClassVar[str] = "bars"
    title: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[int]]
    note: str = ""

    @property
    def chart(self) -> BarChart:
        """Where everything stands."""
        return BarChart(self.labels, self.series)


@dataclass(frozen=True)
class Points:
    """A scatter of (x, y) by group, at most `most` of them, drawn evenly.

    `geographic`: they are (longitude, latitude) in degrees.
    """

    kind: ClassVar[str] = "points"
    title: str
    groups: Mapping[str, Iterable[tuple[float, float]]]
    note: str = ""
    geographic: bool = False
    most: int = 5_000

    @property
    def chart(self) -> PointChart:
        """Where everything stands."""
        groups = {name: list(points) for name, points in self.groups.items()}
        return PointChart(groups, self.geographic, self.most)


Section = Table | Gallery | Bars | Points


@dataclass(frozen=True)
class Report:
    """The page: a title, a paragraph, figures, a warning where one is due, and sections in their order."""

    title: str
    summary: str
    facts: Sequence[Fact] = ()
    sections: Sequence[Section] = ()
    warnings: Sequence[str] = ()


def render(report: Report) -> bytes:
    """The report as HTML in UTF-8."""
    return _template().render(report=report).encode("utf-8", errors="replace")


def thumbnail(image: Image.Image) -> bytes:
    """A small JPEG of an RGB image, without anything but its pixels."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=THUMBNAIL_QUALITY)
    return buffer.getvalue()


def sample(read: Callable[[], bytes], max_pixels: int) -> bytes | None:
    """The thumbnail of the picture that `read` gives; None when it is gone or broken: a report does without it."""
    try:
        image = decode(read(), max_pixels, shortest_side=THUMBNAIL_SIDE)
    except Exception as error:  # each file system has its own errors
        logger.warning("The report does without a picture: %s: %s", type(error).__name__, error)
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
