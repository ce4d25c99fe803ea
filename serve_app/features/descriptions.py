"""From what a model saw to what the wire says of it, and one picture on its way to one model."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from deployments.models.detector.answers import FoundObject
from deployments.models.tagger.answers import Tag
from deployments.pictures.preprocessing import CAPTIONER_LEAST, DETECTOR_LEAST, TAGGER_LEAST
from serve_app.clients.handles import AnalyzerClient, SharedPicture, Value
from serve_app.schemas.pictures import DetectedObject, TagScore
from serve_app.services import Services


@dataclass(frozen=True)
class Answered(Generic[Value]):
    """A model's word on an image, and the size of the upright image in pixels."""

    value: Value
    width: int
    height: int


async def ask_tagger(services: Services, data: bytes, count: int) -> Answered[list[Tag]]:
    """The labels of an image. TooLarge, EmptyFile, InvalidImage or ImageTooLarge for one that cannot be."""
    return await _ask(services, services.models.tagger, data, TAGGER_LEAST, count)


async def ask_captioner(services: Services, data: bytes) -> Answered[str]:
    """The sentence for an image; raises as `ask_tagger`."""
    return await _ask(services, services.models.captioner, data, CAPTIONER_LEAST)


async def ask_detector(services: Services, data: bytes) -> Answered[list[FoundObject]]:
    """The things in an image; raises as `ask_tagger`."""
    return await _ask(services, services.models.detector, data, DETECTOR_LEAST)


async def _ask(
    services: Services, client: AnalyzerClient[Value], data: bytes, least: int, *arguments: object
) -> Answered[Value]:
    services.check_size(len(data))
    # Held for the decoding alone, when the image is large: a slow model must not keep the others' pictures waiting.
    async with services.pictures:
        image = await services.decoder.reduced(data, least, crop=client is services.models.tagger)
    return Answered(await client.analyze(SharedPicture(image.pixels), *arguments), image.width, image.height)


def tag_scores(tags: Iterable[Tag]) -> list[TagScore]:
    """Labels with their probabilities."""
    return [TagScore(label=tag.label, probability=tag.probability) for tag in tags]


def detected(found: Iterable[FoundObject], width: int, height: int) -> list[DetectedObject]:
    """Things with their boxes in pixels of an image of this size."""
    return [DetectedObject(label=thing.label, region=_region(thing, width, height)) for thing in found]


def counts(found: Iterable[FoundObject]) -> dict[str, int]:
    """How many things there are of each label, by label."""
    return dict(sorted(Counter(thing.label for thing in found).items()))


def _region(thing: FoundObject, width: int, height: int) -> dict[str, int]:
    left, top, right, bottom = thing.box
    x, y = round(left * width), round(top * height)
    return {"x": x, "y": y, "w": round(right * width) - x, "h": round(bottom * height) - y}
