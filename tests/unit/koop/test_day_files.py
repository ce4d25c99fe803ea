"""The parts of a day: embeddings are stored unchanged, and finished publications are found without reading images."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from deployments.models.clip.answers import Floats
from jobs.koop.day_files import IMAGES_END, PARTS, DayFiles
from jobs.koop.tables import IMAGES, Row
from jobs.runtime.output import Output

DAY = date(2023, 3, 1)
SIGNATURE = "0123456789abcdef"
VECTORS = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)


class Reading(Output):
    """`read` are the tables that were read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.read: list[str] = []

    def read_table(self, path: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        self.read.append(path)
        return super().read_table(path, columns)


@pytest.fixture
def output(tmp_path: Path) -> Reading:
    return Reading(str(tmp_path))


def publication(name: str, unreachable: int = 0) -> Row:
    return {"identifier": name, "images": 1, "kept": 0, "unreachable": unreachable}


def image(of: str, embedding: Floats | None, position: int = 0) -> Row:
    outcome = "small" if embedding is None else "dropped"
    return {"publication": of, "position": position, "outcome": outcome, "embedding": embedding}


def written(output: Output) -> DayFiles:
    """A day with two parts: the publications b and c, and then a, which has two images."""
    files = DayFiles(output, DAY, SIGNATURE)
    files.add_part([publication("b"), publication("c")], [image("b", VECTORS[0]), image("c", VECTORS[1])])
    files.add_part([publication("a")], [image("a", None, 1), image("a", VECTORS[2])])
    return files


def identifiers(table: pa.Table) -> list[str]:
    return sorted(table["identifier"].to_pylist())


def test_an_embedding_is_the_model_s_array_bit_by_bit(output: Reading) -> None:
    publications, images = written(output).gather({"a", "b", "c"})
    assert publications["identifier"].to_pylist() == ["a", "b", "c"]
    assert images.schema == IMAGES
    assert images["publication"].to_pylist() == ["a", "a", "b", "c"]
    stored = images["embedding"].combine_chunks()
    assert stored.is_valid().to_pylist() == [True, False, True, True]
    assert np.array_equal(stored.flatten().to_numpy().reshape(3, 5), VECTORS[[2, 0, 1]])


def test_finished_publications_are_found_without_reading_images(output: Reading) -> None:
    written(output)
    assert identifiers(DayFiles(output, DAY, SIGNATURE).begin()) == ["a", "b", "c"]
    assert len(output.read) == 2
    assert not any(path.endswith(IMAGES_END) for path in output.read)


def test_a_part_that_lost_its_images_is_not_done(output: Reading) -> None:
    files = written(output)
    lost = next(path for path in output.list(PARTS) if path.endswith(IMAGES_END))
    table = output.read_table(lost)
    assert table is not None
    output.delete(lost)
    left = sorted({"a", "b", "c"} - set(table["publication"].to_pylist()))
    assert identifiers(DayFiles(output, DAY, SIGNATURE).begin()) == left
    publications, images = files.gather({"a", "b", "c"})
    assert identifiers(publications) == left
    assert set(images["publication"].to_pylist()) == set(left)


@pytest.mark.parametrize("lost", [None, "images"])
def test_of_an_incomplete_day_only_publications_with_unreachable_files_are_redone(
    output: Reading, lost: str | None
) -> None:
    files = DayFiles(output, DAY, SIGNATURE)
    files.add_part(
        [publication("a"), publication("b", unreachable=1)], [image("a", VECTORS[0]), image("b", VECTORS[1])]
    )
    manifest: dict[str, Any] = {"signature": SIGNATURE, "complete": False, "options": {}, "counts": {}}
    files.finish(files.gather({"a", "b"}), manifest)
    if lost:
        output.delete(f"images/date={DAY}/images.parquet")
    assert identifiers(files.begin()) == ([] if lost else ["a"])


def test_a_publication_that_was_deferred_twice_counts_once(output: Reading) -> None:
    files = written(output)
    files.add_part([publication("a")], [image("a", VECTORS[3])])
    publications, images = files.gather({"a", "c"})
    assert identifiers(publications) == ["a", "c"]
    assert len(set(images["publication"].to_pylist())) == 2
    assert images.num_rows in (2, 3)  # the images of the first part found
