"""The columns of Emotion in a job's table."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from deployments.models.emotion.answers import Face
from deployments.runtime.columns import Columns

FACE = pa.struct(
    [
        ("emotion", pa.string()),
        ("scores", pa.map_(pa.string(), pa.float64())),
        ("confidence", pa.float64()),
        *((side, pa.int32()) for side in "xywh"),
    ]
)


def _values(faces: Sequence[Face]) -> dict[str, Any]:
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


COLUMNS = {"emotion": Columns((pa.field("emotion_faces", pa.list_(FACE)),), _values)}
