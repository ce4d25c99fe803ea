"""Faces as DeepFace cuts them out and shows them to its emotion network."""

import os
import tempfile
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.pictures.pixels import Pixels
from training.drawing.chance import Rng, between
from training.drawing.faces import Face
from training.emotion.network import SIDE

Grey = NDArray[np.float32]


@cache
def deepface_modules() -> Any:
    """DeepFace's modules. Import DeepFace only here.

    When it is imported it reads the environment, chooses its engine and makes a folder for its weights.
    """
    os.environ.setdefault("DEEPFACE_HOME", tempfile.gettempdir())
    os.environ.setdefault("DEEPFACE_BACKEND_ENGINE", "onnx")
    from deepface import modules
    from deepface.modules import demography, detection, preprocessing  # noqa: F401 - attributes of `modules`

    return modules


def bgr(face: Face) -> Pixels:
    """The picture of a face as DeepFace takes it: uint8 (h, w, 3), BGR."""
    return np.ascontiguousarray(np.asarray(face.image)[:, :, ::-1])


def as_seen(face: NDArray[np.floating]) -> Grey:
    """A face that was cut out, BGR (h, w, 3), 0–1, as the network takes it: grey (SIDE, SIDE, 1)."""
    square = deepface_modules().preprocessing.resize_image(img=face, target_size=(224, 224))[0]
    return np.asarray(cv2.resize(cv2.cvtColor(square, cv2.COLOR_BGR2GRAY), (SIDE, SIDE)), np.float32)[..., None]


def detected(face: Face) -> Grey | None:
    """The widest face that DeepFace's OpenCV detector finds, turned so that its eyes are level; None without one."""
    found = deepface_modules().detection.extract_faces(
        bgr(face), detector_backend="opencv", enforce_detection=False, color_face="bgr"
    )
    found = [one for one in found if one["confidence"] > 0]
    if not found:
        return None
    return as_seen(max(found, key=lambda one: one["facial_area"]["w"])["face"])


def loose(rng: Rng, face: Face) -> Grey:
    """The drawn square around the face, made up to 14 % larger or smaller and shifted by up to 7 % of its side."""
    left, top, right, bottom = face.box
    half = (right - left) / 2 * between(rng, 0.86, 1.14)
    x, y = (left + right) / 2 + half * between(rng, -0.14, 0.14), (top + bottom) / 2 + half * between(rng, -0.14, 0.14)
    return as_seen(_cut(face, x, y, half))


def drawn_square(face: Face) -> Pixels:
    """The drawn square around the face, uint8 (h, w, 3), BGR."""
    left, top, right, bottom = face.box
    return (_cut(face, (left + right) / 2, (top + bottom) / 2, (right - left) / 2) * 255).round().astype(np.uint8)


def _cut(face: Face, x: float, y: float, half: float) -> NDArray[np.float32]:
    square = face.image.crop((round(x - half), round(y - half), round(x + half), round(y + half)))
    return np.ascontiguousarray(np.asarray(square, np.float32)[:, :, ::-1] / 255)
