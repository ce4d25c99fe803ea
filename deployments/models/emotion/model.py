"""Emotion: the faces of a picture and what they express, through DeepFace (Serengil and Ozpinar 2021)."""

import os
import time
from typing import Any

import cv2
import numpy as np

from deployments.models.emotion.answers import Face
from deployments.pictures.pixels import Pixels
from deployments.runtime import verified
from deployments.runtime.errors import ModelFailed, WeightsNotFound
from deployments.runtime.model import Model
from deployments.runtime.weights import FileWeights, deepface_home
from deployments.wire.foreign import foreign

SMALLEST_FACE = 24  # pixels: what the smallest window of OpenCV's cascades covers


class EmotionModel(Model[Pixels, list[Face]]):
    """DeepFace on its onnx engine, with one face detector."""

    def __init__(self, weights: FileWeights, detector: str, threads: int, max_side: int) -> None:
        """Load and warm up. Pictures with a side of more than `max_side` pixels are scaled down before detection.

        Raises:
            WeightsNotFound: a file of the network or of the detector is neither on the disk nor downloadable.
        """
        started = time.perf_counter()
        self._weights, self._detector, self._threads, self._max_side = weights, detector, threads, max_side
        cv2.setNumThreads(threads)
        os.environ["DEEPFACE_BACKEND_ENGINE"] = "onnx"  # read when DeepFace is imported
        remedy = (
            "Put the file into $DEEPFACE_HOME/.deepface/weights, which must be writable, allow its download, or set "
            "WEIGHTS=bundled with DEEPFACE_DETECTOR=opencv."
        )
        try:
            from deepface import DeepFace
            from deepface.commons import weight_utils
            from deepface.models.demography.onnx import Emotion as network  # noqa: N813
            from deepface.modules.exceptions import FaceNotDetected

            self._deepface: Any = DeepFace
            self._no_face: type[Exception] = FaceNotDetected
            # DeepFace's own session uses every core and reads only the file in DEEPFACE_HOME.
            network.build_session = self._session
            weight_utils.download_weights_if_necessary = _fetch  # for the face detectors
            DeepFace.build_model(task="facial_attribute", model_name="Emotion")
            self.warm_up()
        except WeightsNotFound as error:
            raise WeightsNotFound(f"{weights.id} or the face detector {detector!r}: {error}. {remedy}") from error
        except (ValueError, OSError) as error:
            raise WeightsNotFound(
                f"{weights.id} or the face detector {detector!r} cannot be loaded ({foreign(error)}). {remedy}"
            ) from error
        self.parts, self.load_times_s = (weights,), (time.perf_counter() - started,)

    def warm_up(self) -> None:
        """Run the face detector and the network once; raises when either is broken."""
        self.faces(np.zeros((64, 64, 3), np.uint8))
        self._analyze(np.zeros((64, 64, 3), np.uint8), "skip")

    def results(self, items: list[Pixels]) -> list[list[Face]]:
        """The faces of images, one by one."""
        return [self.faces(image) for image in items]

    def faces(self, image: Pixels) -> list[Face]:
        """The faces of an RGB image (h, w, 3) of 0–255, regions in its pixels; an empty list when there is none.

        Raises:
            ModelFailed: the detector failed, or a score is not finite.
        """
        height, width = image.shape[:2]
        if min(height, width) < SMALLEST_FACE:
            return []
        scale = min(1.0, self._max_side / max(height, width))
        size = (max(SMALLEST_FACE, round(width * scale)), max(SMALLEST_FACE, round(height * scale)))
        small = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        try:
            found = self._analyze(np.ascontiguousarray(small[:, :, ::-1]), self._detector)
        except self._no_face:
            return []
        except cv2.error as error:
            raise ModelFailed(f"OpenCV failed: {foreign(error)}") from error
        return [_face(entry, scale) for entry in found]

    def _session(self, **_: Any) -> Any:
        """The network's session. Replaces DeepFace's own, with its arguments."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self._weights.read(), options, providers=["CPUExecutionProvider"])

    def _analyze(self, bgr: Any, detector: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._deepface.analyze(
            bgr, actions=("emotion",), detector_backend=detector, silent=True
        )
        return found


def _fetch(file_name: str, source_url: str | list[str], compress_type: str | None = None) -> str:
    """The path of a detector's file, downloaded if missing. Replaces DeepFace's function, with its arguments."""
    if compress_type is not None:
        raise ValueError(f"{file_name} would be unpacked from {compress_type}")
    url = source_url if isinstance(source_url, str) else source_url[0]
    return str(verified.fetch(url, deepface_home() / ".deepface" / "weights" / file_name, None))


def _face(entry: dict[str, Any], scale: float) -> Face:
    scores = {name: float(score) for name, score in entry["emotion"].items()}
    if not np.isfinite(list(scores.values())).all():
        raise ModelFailed("the emotion network gave a score that is not finite")
    region = {side: round(entry["region"][side] / scale) for side in ("x", "y", "w", "h")}
    # Haar cascades give an unbounded weight, which DeepFace returns as the confidence.
    confidence = min(1.0, max(0.0, float(entry["face_confidence"])))
    return Face(str(entry["dominant_emotion"]), scores, confidence, region)
