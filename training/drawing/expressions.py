"""What faces do to show an emotion, after the action units of the Facial Action Coding System.

FACS (Ekman and Friesen 1978) says which muscles raise, lower or stretch which part of a face. The expressions here are
those of its textbook, far clearer than people's. Lengths are in half a face's width.
"""

from dataclasses import dataclass, fields
from typing import Literal

from training.drawing.chance import Rng, between

Emotion = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
# In DeepFace's order
EMOTIONS: tuple[Emotion, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class Expression:
    """What the muscles of a face do; with all values 0 it is at rest.

    Attributes:
        inner, outer: the brow's inner and outer end raised (negative: lowered).
        knit: brows drawn together.
        wide: upper lids raised (1: staring; negative: closing, -1: shut).
        squint: lower lids and cheeks raised, 0–1.
        corners: mouth corners pulled up (negative: down).
        stretch: mouth wider (negative: narrower), as a share of its width.
        drop: jaw dropped, the height of the open mouth.
        bare: teeth shown, 0–1.
        press: lips pressed thin, 0–1.
        sneer: upper lip raised and nose wrinkled, 0–1.
        folds: furrows from nose to mouth corners, 0–1.
        frown: upright furrows between the brows, 0–1.
    """

    inner: float = 0
    outer: float = 0
    knit: float = 0
    wide: float = 0
    squint: float = 0
    corners: float = 0
    stretch: float = 0
    drop: float = 0
    bare: float = 0
    press: float = 0
    sneer: float = 0
    folds: float = 0
    frown: float = 0


# Two ways to show each emotion; a face shows one of them or anything in between
EXPRESSIONS: dict[Emotion, tuple[Expression, Expression]] = {
    # AU 4 brows lowered, 5 upper lids raised, 7 lids tight, 23 lips tight, or 25 teeth bared
    "angry": (
        Expression(inner=-0.15, outer=0.1, knit=0.09, wide=-0.15, squint=0.5, stretch=-0.12, press=1, frown=1),
        Expression(inner=-0.17, outer=0.12, knit=0.09, wide=0.1, squint=0.6, drop=0.22, bare=1, frown=1, corners=-0.05),
    ),
    # AU 9 nose wrinkled, 10 upper lip raised, 15 corners lowered, 17 chin raised, cheeks up
    "disgust": (
        Expression(inner=-0.1, outer=-0.04, wide=-0.5, squint=0.8, corners=-0.12, sneer=0.9, folds=0.8),
        Expression(inner=-0.12, outer=-0.06, wide=-0.6, squint=1, corners=-0.16, sneer=1, folds=1, drop=0.12, bare=0.5),
    ),
    # AU 1+2+4 brows raised and drawn together, 5 lids raised, 20 mouth stretched, 25 open
    "fear": (
        Expression(inner=0.22, outer=0.04, knit=0.07, wide=0.8, stretch=0.3, drop=0.13, corners=-0.08, bare=0.5),
        Expression(inner=0.27, outer=0.06, knit=0.08, wide=1, stretch=0.4, drop=0.2, corners=-0.12, bare=1),
    ),
    # AU 6 cheeks raised, 12 corners pulled up
    "happy": (
        Expression(wide=-0.1, squint=0.5, corners=0.2, stretch=0.2, folds=0.6),
        Expression(wide=-0.15, squint=0.8, corners=0.24, stretch=0.3, folds=0.8, drop=0.26, bare=1, outer=0.03),
    ),
    # AU 1 inner brows raised, 4 drawn together, 15 corners lowered, lids drooping
    "sad": (
        Expression(inner=0.16, outer=-0.1, knit=0.04, wide=-0.35, corners=-0.2, stretch=-0.1),
        Expression(inner=0.22, outer=-0.14, knit=0.05, wide=-0.5, corners=-0.27, stretch=-0.05, press=0.3),
    ),
    # AU 1+2 brows raised, 5 lids raised, 26/27 jaw dropped
    "surprise": (
        Expression(inner=0.2, outer=0.2, wide=0.7, stretch=-0.35, drop=0.4),
        Expression(inner=0.27, outer=0.26, wide=1, stretch=-0.3, drop=0.52),
    ),
    "neutral": (Expression(), Expression(wide=-0.1, press=0.15, corners=0.02)),
}


def expression(rng: Rng, emotion: Emotion) -> Expression:
    """A random way to show an emotion: between the two of EXPRESSIONS, stronger or weaker, with a little noise."""
    first, second = EXPRESSIONS[emotion]
    share, strength = between(rng, 0, 1), between(rng, 0.8, 1.15)
    values = {}
    for field in fields(Expression):
        a, b = getattr(first, field.name), getattr(second, field.name)
        values[field.name] = (a + (b - a) * share) * strength + rng.normal(0, 0.012)
    for name in ("squint", "drop", "bare", "press", "sneer", "folds", "frown"):
        values[name] = min(1.0, max(0.0, values[name]))
    return Expression(**values)
