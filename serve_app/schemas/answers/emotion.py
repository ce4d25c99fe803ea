"""Faces and their emotions on the wire."""

from pydantic import BaseModel, Field, JsonValue

from serve_app.schemas.answers.view import Answered, AnswerView, Rendered

HAPPY: dict[str, JsonValue] = {
    "angry": 0.8, "disgust": 0.0, "fear": 0.1, "happy": 92.1, "sad": 1.3, "surprise": 0.3, "neutral": 5.4,
}  # fmt: skip


class EmotionEntry(BaseModel):
    dominant_emotion: str
    scores: dict[str, float] = Field(description="Score of each emotion, 0–100; the scores sum to 100.")
    face_confidence: float = Field(description="Confidence of the face detector, 0–1.")
    region: dict[str, int] = Field(description="x, y, w, h of the face in pixels of the upright image.")


class EmotionResult(BaseModel):
    faces_detected: int
    faces: list[EmotionEntry]


def render(answered: Answered) -> Rendered:
    """The result's `emotion`; nothing for a picture without a face."""
    entries = [
        EmotionEntry(
            dominant_emotion=face.dominant_emotion,
            scores=face.scores,
            face_confidence=face.confidence,
            region=face.region,
        )
        for face in answered.value
    ]
    return Rendered({"emotion": EmotionResult(faces_detected=len(entries), faces=entries)} if entries else {})


VIEW = AnswerView(
    results={"emotion": (EmotionResult, "Also null when no face was found.")},
    render=render,
    examples={
        "emotion": {
            "faces_detected": 1,
            "faces": [
                {
                    "dominant_emotion": "happy",
                    "scores": HAPPY,
                    "face_confidence": 0.97,
                    "region": {"x": 120, "y": 45, "w": 210, "h": 215},
                }
            ],
        }
    },
)
