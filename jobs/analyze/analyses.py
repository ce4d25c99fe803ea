"""What can be asked of an image: which deployment answers, what it is given, and the columns that it fills."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from configs.prompts import CATEGORIES
from deployments.models.blur.answers import BlurMeasures
from deployments.models.clip.map_rule import decide
from deployments.models.detector.answers import FoundObject
from deployments.models.emotion.answers import Face
from deployments.models.quality.answers import QualityMeasures
from deployments.models.tagger.answers import Tag
from deployments.pictures.preprocessing import CAPTIONER_LEAST, DETECTOR_LEAST, TAGGER_LEAST
from deployments.runtime.weights import Weights

TAGS = 5
DEFAULT = ("blur", "quality", "embedding")

Values = dict[str, Any]


@dataclass(frozen=True)
class Analysis:
    """One analysis of a picture.

    Attributes:
        deployment: who answers.
        fields: the columns, beside `<name>_weights` and `<name>_bundled`.
        values: from the deployment's answer to the columns' values.
        least: the picture may be reduced until neither side is shorter than this; None: it is wanted whole, or CLIP
            gets what it wants to see.
        arguments: of the call, after the picture.
    """

    deployment: str
    fields: tuple[pa.Field, ...]
    values: Callable[[Any], Values]
    least: int | None = None
    arguments: tuple[object, ...] = ()


def _blur(figures: BlurMeasures) -> Values:
    return {"blur_variance": figures.variance, "blur_normalized_variance": figures.normalized_variance}


def _quality(figures: QualityMeasures) -> Values:
    return {f"quality_{name}": value for name, value in asdict(figures).items()}


def _emotion(faces: Sequence[Face]) -> Values:
    return {
        "emotion_faces": [
            {
                "emotion": face.dominant_emotion,
                "scores": list(face.scores.items()),
                "confidence": face.confidence,
                **face.region,
            }
            for face in faces
        ]
    }


def _tags(tags: Sequence[Tag]) -> Values:
    return {"tags": [asdict(tag) for tag in tags]}


def _caption(text: str) -> Values:
    return {"caption": text}


def _objects(found: Sequence[FoundObject]) -> Values:
    sides = ("left", "top", "right", "bottom")
    return {"objects": [{"label": one.label, **dict(zip(sides, one.box, strict=True))} for one in found]}


def _embedding(vector: Any) -> Values:
    return {"embedding": vector}


def _classification(probabilities: list[float]) -> Values:
    decision = decide(probabilities)
    return {
        "classification": decision.category,
        "classification_confidence": decision.confidence,
        "is_map_or_aerial": decision.is_map_or_aerial,
        **{f"probability_{name}": value for name, value in decision.probabilities.items()},
    }


def _doubles(*names: str) -> tuple[pa.Field, ...]:
    return tuple(pa.field(name, pa.float64()) for name in names)


_FACE = pa.struct(
    [
        ("emotion", pa.string()),
        ("scores", pa.map_(pa.string(), pa.float64())),
        ("confidence", pa.float64()),
        *((side, pa.int32()) for side in "xywh"),
    ]
)
_BOX = pa.struct([("label", pa.string()), *((side, pa.float64()) for side in ("left", "top", "right", "bottom"))])
_TAG = pa.struct([("label", pa.string()), ("probability", pa.float64())])

ANALYSES = {
    "blur": Analysis("Blur", _doubles("blur_variance", "blur_normalized_variance"), _blur),
    "quality": Analysis("Quality", _doubles("quality_brisque", "quality_technical", "quality_aesthetic"), _quality),
    "embedding": Analysis("Clip", (pa.field("embedding", pa.list_(pa.float32())),), _embedding),
    "emotion": Analysis("Emotion", (pa.field("emotion_faces", pa.list_(_FACE)),), _emotion),
    "tags": Analysis("Tagger", (pa.field("tags", pa.list_(_TAG)),), _tags, TAGGER_LEAST, (TAGS,)),
    "caption": Analysis("Captioner", (pa.field("caption", pa.string()),), _caption, CAPTIONER_LEAST),
    "objects": Analysis("Detector", (pa.field("objects", pa.list_(_BOX)),), _objects, DETECTOR_LEAST),
    "classification": Analysis(
        "Clip",
        (
            pa.field("classification", pa.string()),
            *_doubles("classification_confidence"),
            pa.field("is_map_or_aerial", pa.bool_()),
            *_doubles(*(f"probability_{category}" for category in CATEGORIES)),
        ),
        _classification,
    ),
}

# `image_id` is the path: under this name every job's table of images says which one a row is of.
FILE_FIELDS = (
    pa.field("image_id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("sha256", pa.string()),
    pa.field("bytes", pa.int64(), nullable=False),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("format", pa.string()),
    pa.field("error", pa.string()),
)


@dataclass(frozen=True)
class Served:
    """The weights behind an analysis: the ids of all of them, and whether any are the bundled ones."""

    weights: str
    bundled: bool


def served(models: Sequence[Weights]) -> Served:
    """What answers with these weights."""
    return Served(" + ".join(model.id for model in models), any(model.source == "bundled" for model in models))


def schema(analyses: Sequence[str]) -> pa.Schema:
    """The columns of a table of images."""
    fields = list(FILE_FIELDS)
    for name in analyses:
        fields += ANALYSES[name].fields
        fields += [pa.field(f"{name}_weights", pa.string()), pa.field(f"{name}_bundled", pa.bool_())]
    return pa.schema(fields)


def stamps(served_by: dict[str, Served]) -> Values:
    """`<name>_weights` and `<name>_bundled` of every analysis."""
    values: Values = {}
    for name, one in served_by.items():
        values |= {f"{name}_weights": one.weights, f"{name}_bundled": one.bundled}
    return values
