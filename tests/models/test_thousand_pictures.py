"""Every format in every mode is to CLIP what the plain PNG of the same pixels is.

`python -m benchmarks.sections.pictures` asks it of a thousand pictures.
"""

import numpy as np
import pytest

from configs.registry import read_entry
from deployments.machine.devices import select
from deployments.models.clip.model import ClipModel
from deployments.models.clip.settings import ClipEntry
from deployments.models.clip.weights import choose_clip
from deployments.pictures.decoding import decode_picture
from deployments.pictures.inputs import Fitted
from testbed.pictures.colours import saved
from testbed.pictures.thousand import PAIRS, SIZES, Made, pictures

MAX_PIXELS = 1_000_000
FEW = (SIZES[4], SIZES[13], SIZES[20])
LOSSY = {"JPEG": 2.0, "HEIF": 2.0, "AVIF": 2.0}
LEAST_COSINE = 0.999


@pytest.fixture(scope="module")
def made() -> list[Made]:
    return list(pictures(FEW))


def test_there_are_a_thousand() -> None:
    assert len(PAIRS) * len(SIZES) >= 1000


def test_sizes_and_pixels_are_those_of_the_picture(made: list[Made]) -> None:
    for one in made:
        found = decode_picture(one.data, MAX_PIXELS)
        error = np.abs(np.asarray(found.image).astype(int) - np.asarray(one.seen)).mean()
        assert found.size == found.image.size == one.seen.size, one.name
        assert error <= LOSSY.get(one.name.split()[0], 0.6), one.name


def test_embeddings_are_those_of_the_plain_png(made: list[Made]) -> None:
    entry = read_entry("clip", ClipEntry)
    weights = choose_clip(entry, "openai/clip-vit-base-patch32", "bundled")
    model, size = ClipModel(weights, select(entry.dtype, 2, 0)), weights.image.size
    some = made[: len(PAIRS)]
    seen = [Fitted(size).of(decode_picture(one.data, MAX_PIXELS, size).image) for one in some]
    plain = [Fitted(size).of(decode_picture(saved(one.seen, "PNG"), MAX_PIXELS, size).image) for one in some]
    cosines = (model.encode_images(seen) * model.encode_images(plain)).sum(axis=1)
    worst = int(cosines.argmin())
    assert cosines.min() >= LEAST_COSINE, (some[worst].name, cosines.min())
