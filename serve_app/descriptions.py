"""From what a model saw to what the wire says of it, and one picture on its way to one model."""

from collections import Counter
from collections.abc import Iterable

from deployments.tags import FoundObject, Tag
from serve_app.handles import AnalyzerClient, Picture, Value
from serve_app.images import Decoded
from serve_app.schemas.pictures import DetectedObject, TagScore
from serve_app.services import Services

# What each model looks at, in pixels: the largest input of a checkpoint that is known.
TAGGER_SIDE = CAPTIONER_SIDE = 384
DETECTOR_SIDE = 768


async def ask(
    services: Services, client: AnalyzerClient[Value], data: bytes, side: int, *arguments: object
) -> tuple[Value, Decoded]:
    """Decode an image and have one model look at it: its word, and the image.

    Raises:
        ModelDisabled: it is switched off.
        TooLarge, EmptyFile, InvalidImage, ImageTooLarge: of the image.
    """
    client.announce()
    services.check_size(data)
    async with services.pictures:
        image = await services.decoder.reduced(data, side)
        return await client.analyze(Picture(image.pixels), *arguments), image


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
