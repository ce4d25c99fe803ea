"""Blur is the value that OpenCV computes, and its normalised form does not depend on the resolution."""

import cv2
import numpy as np
import pytest
from PIL import Image

from deployments.models.blur.deployment import Blur
from deployments.models.blur.model import laplacian_variance, measure
from testbed.paths import SAMPLES
from testbed.replicas import replica_class


def china() -> Image.Image:
    return Image.open(SAMPLES / "china.jpg").convert("RGB")


@pytest.mark.parametrize("rows", [1, 2, 511, 512, 513, 1023, 1100])
def test_strips_give_the_result_of_the_whole_picture(rows: int) -> None:
    grey = np.random.default_rng(rows).integers(0, 256, (rows, 37), np.uint8)
    assert laplacian_variance(grey) == pytest.approx(cv2.Laplacian(grey, cv2.CV_64F).var(), rel=1e-9, abs=1e-9)


def test_it_is_the_laplacian_of_the_grey_picture() -> None:
    pixels = np.asarray(china())
    expected = cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
    assert measure(pixels).variance == pytest.approx(expected)


def test_the_normalised_value_does_not_depend_on_the_resolution() -> None:
    photo = china().resize((2560, 1708), Image.Resampling.LANCZOS)
    half = photo.resize((1280, 854), Image.Resampling.BOX)
    large, small = measure(np.asarray(photo)), measure(np.asarray(half))
    assert small.normalized_variance == pytest.approx(large.normalized_variance, rel=0.1)
    assert abs(small.variance / large.variance - 1) > 0.5


def test_blurring_lowers_both() -> None:
    pixels = np.asarray(china())
    sharp, blurred = measure(pixels), measure(np.asarray(cv2.GaussianBlur(pixels, (0, 0), 3), np.uint8))
    assert blurred.variance < sharp.variance / 5
    assert blurred.normalized_variance < sharp.normalized_variance / 5


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (3, 2)])
def test_the_smallest_pictures(shape: tuple[int, int]) -> None:
    assert measure(np.zeros((*shape, 3), np.uint8)).variance == 0


async def test_the_replica_accepts_a_read_only_picture() -> None:
    pixels = np.asarray(china())
    pixels.flags.writeable = False  # read-only, as from the object store
    replica = replica_class(Blur)(1)
    assert await replica.analyze(pixels) == measure(pixels)
    (status,) = await replica.status()
    assert (status.name, status.items) == ("blur", 1)
    await replica.check_health()
