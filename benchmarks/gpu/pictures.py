"""The benchmark's photos as the ingress hands them to a deployment."""

from collections.abc import Iterator
from itertools import cycle

from configs.settings import load_settings
from deployments.pictures.decoding import decode
from deployments.pictures.inputs import Fitted
from deployments.pictures.pixels import Pixels
from deployments.specs import model_specs
from testbed import photos


def pictures(name: str, clip_size: int = 0) -> Iterator[Pixels]:
    """Photos (h, w, 3), RGB, as deployment `name` takes them, over and over; `clip_size`: the side of CLIP's input."""
    most = load_settings().limits.max_pixels
    takes = Fitted(clip_size) if name == "Clip" else model_specs()[name].takes(())
    return cycle([takes.of(decode(photo.data, most)) for photo in photos.load()])
