"""The benchmark's photos as the ingress hands them to a deployment."""

from collections.abc import Iterator
from itertools import cycle

from configs.settings import load_settings
from deployments.pictures.decoding import decode, reduced
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import CAPTIONER_LEAST, TAGGER_LEAST, fit
from testbed import photos


def pictures(name: str, clip_size: int = 0) -> Iterator[Pixels]:
    """Photos (h, w, 3), RGB, as deployment `name` takes them, over and over; `clip_size`: the side of CLIP's input."""
    most = load_settings().max_pixels
    images = [decode(photo.data, most) for photo in photos.load()]
    if name == "Clip":
        return cycle([fit(image, clip_size) for image in images])
    least = TAGGER_LEAST if name == "Tagger" else CAPTIONER_LEAST
    return cycle([reduced(image, least, crop=name == "Tagger") for image in images])
