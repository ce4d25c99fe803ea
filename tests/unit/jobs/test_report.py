"""The report is one correct page that loads nothing and runs no scripts."""

import base64
import io
import math
import re
from html.parser import HTMLParser

import pytest
from lxml import etree
from PIL import Image

from jobs.report import Bars, Fact, Gallery, Points, Report, ReportPicture, Section, Table, render, sample, thumbnail
from jobs.report.charts import Axis, BarChart, PointChart
from testbed.pictures.images import encoded

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}&amp;\ud800"
SECTIONS: list[Section] = [
    Table("Counts", ["analysis", "count"], [["blur", 12], ["quality", 3.5]], note="Of all images."),
    Gallery(
        "Samples", [ReportPicture(thumbnail(Image.new("RGB", (600, 300), "red")), "a.jpg", "blur 12", mark="good")]
    ),
    Bars("Images a day", ["2023-01-01", "2023-01-02"], {"kept": [3, 0], "dropped": [7, 2]}),
    Points("Where", {"maps": [(4.9, 52.4), (5.1, 52.1)], "others": [(6.5, 53.2)]}, geographic=True),
]


class Page(HTMLParser):
    """Every tag, every attribute that loads or runs, and the text of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def report(*sections: Section, title: str = "Analysis") -> Page:
    facts = [Fact("images", "1,234")]
    return Page(render(Report(title, "What was found.", facts, sections, ["These weights are bundled."])))


def test_everything_stands_in_it() -> None:
    page = report(*SECTIONS)
    for text in ("Analysis", "What was found.", "1,234", "These weights are bundled.", "Of all images.", "quality", "3.5",
                 "a.jpg", "blur 12", "2023-01-01: 3 kept", "2023-01-02: 2 dropped", "52.5°"):  # fmt: skip
        assert text in page.text, text
    assert page.tags.count("rect") == 3
    assert page.tags.count("circle") == 3


def test_it_needs_nothing_else() -> None:
    page = report(*SECTIONS)
    assert "script" not in page.tags
    assert "link" not in page.tags
    sources = [value for name, value in page.attributes if name in {"src", "href", "data", "action"}]
    assert [source.partition(",")[0] for source in sources] == ["data:image/jpeg;base64"]
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in page.attributes


def test_hostile_texts_are_texts() -> None:
    picture = ReportPicture(thumbnail(Image.new("RGB", (8, 8))), HOSTILE, HOSTILE, "javascript:alert(1)")
    page = report(
        Table(HOSTILE, [HOSTILE], [[HOSTILE]], HOSTILE),
        Gallery(HOSTILE, [picture], HOSTILE),
        Bars(HOSTILE, [HOSTILE], {HOSTILE: [1], "other": [1]}, HOSTILE),
        Points(HOSTILE, {HOSTILE: [(1, 2)], "other": [(1, 2)]}, HOSTILE),
        title=HOSTILE,
    )
    assert "script" not in page.tags
    assert page.tags.count("img") == 1
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert not any("javascript" in value for name, value in page.attributes if name == "href")
    assert page.text.count("<script>alert(1)</script>") == 20
    assert "49" not in page.text


def test_links_are_followed_by_choice() -> None:
    picture = ReportPicture(b"", "decision", link="https://example.org/a?b=1&c=2")
    assert ("href", "https://example.org/a?b=1&c=2") in report(Gallery("Samples", [picture])).attributes


def test_a_thumbnail_is_small_and_bare() -> None:
    image = Image.new("RGB", (2000, 1000), "red")
    with Image.open(io.BytesIO(thumbnail(image))) as small:
        assert (small.format, small.size, dict(small.getexif())) == ("JPEG", (240, 120), {})
    assert image.size == (2000, 1000)
    uri = ReportPicture(b"\xff\xd8", "").data_uri
    assert base64.b64decode(uri.partition(",")[2]) == b"\xff\xd8"


def test_a_picture_that_is_gone_or_broken_is_no_sample() -> None:
    def gone() -> bytes:
        raise ConnectionError("a file system of any kind")

    image = encoded(Image.new("RGB", (400, 100), "red"), "PNG")
    assert sample(lambda: image, 40_000) == thumbnail(Image.new("RGB", (400, 100), "red"))
    assert sample(lambda: image, 39_999) is sample(lambda: image[:60], 40_000) is sample(gone, 40_000) is None


def test_the_charts_are_well_formed() -> None:
    page = render(Report("", "", sections=SECTIONS)).decode()
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        etree.fromstring(svg)


def test_bars_stand_on_each_other() -> None:
    chart = BarChart(["a", "b"], {"kept": [3, 0], "dropped": [7, 2]})
    kept, dropped, other = chart.bars
    assert kept.y + kept.height == chart.height - 24
    assert dropped.y + dropped.height == pytest.approx(kept.y)
    assert dropped.y == 8.0
    assert dropped.height / kept.height == pytest.approx(7 / 3)
    assert other.x > kept.x + kept.width
    assert (kept.series, dropped.series, other.series) == (0, 1, 1)
    assert [tick.text for tick in chart.rows] == ["0", "2", "4", "6", "8", "10"]


def test_a_year_of_bars_has_few_labels() -> None:
    chart = BarChart([f"day {day}" for day in range(365)], {"images": list(range(365))})
    assert len(chart.columns) <= 6
    assert max(bar.x + bar.width for bar in chart.bars) <= chart.width


def test_empty_charts() -> None:
    assert list(BarChart([], {}).bars) == []
    assert [tick.text for tick in BarChart(["a"], {"images": [0]}).rows] == ["0", "1"]
    assert PointChart({}, True, 10).dots == []
    assert report(Bars("none", [], {}), Points("none", {}), Gallery("none", [])).tags.count("svg") == 2


def test_series_of_other_lengths_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="for each label"):
        BarChart(["a"], {"images": [1, 2]})


def test_points_keep_their_places() -> None:
    chart = PointChart({"a": [(4.0, 52.0), (6.0, 52.0)], "b": [(4.0, 53.0), (math.nan, 1.0)]}, True, 10)
    (x0, y0, first), (x1, y1, _), (x2, y2, second) = chart.dots
    assert (first, second, chart.total) == (0, 1, 3)
    assert (y0, x0) == (y1, x2)
    assert y2 < y0 < chart.height
    # North of 52° a degree of longitude is 0.6 as long as one of latitude
    assert (x1 - x0) / 2 == pytest.approx((y0 - y2) * math.cos(math.radians(52.5)), rel=0.01)


def test_many_points_are_thinned() -> None:
    chart = PointChart({"a": [(float(index), 0.0) for index in range(10_001)]}, False, 1_000)
    assert chart.total == 10_001
    assert 900 <= chart.shown <= 1_000
    assert "of 10,001 points are drawn" in report(Points("many", {"a": [(float(i), 0.0) for i in range(10_001)]})).text


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (3.2, 7.3, [4, 5, 6, 7]), (0, 0.35, [0, 0.1, 0.2, 0.3]), (5, 5, [5])],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert Axis(low, high).ticks == ticks
