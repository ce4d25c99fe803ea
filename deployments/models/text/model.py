"""Text through RapidOCR on ONNX Runtime: PP-OCRv6 finds lines, turns upside-down ones and reads them.

The networks know Latin letters with the accents of most European languages, and Chinese and Japanese.
"""

import math
import os
import time
from dataclasses import replace
from statistics import mean
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from configs.threads import threads_for
from deployments.models.text.answers import Quadrilateral, TextLine
from deployments.models.text.reading_order import down, in_reading_order
from deployments.pictures.pixels import Pixels
from deployments.runtime.errors import ModelFailed, WeightsNotFound
from deployments.runtime.model import Model
from deployments.runtime.weights import PackagedWeights
from deployments.wire.foreign import foreign

PROOF = "Panoptes"
SMALLEST_SIDE = 8  # pixels: a smaller picture has no legible text
# A picture whose shorter side has fewer pixels is enlarged where `max_side` allows. The detector needs 64.
NORMAL_SIDE, LEAST_SIDE = 736, 64
# A picture higher than this many times its width, such as a screenshot of a whole page, is read in windows: scaled
# down as a whole, its letters would be too small. Windows overlap, so that every line is complete in one of them.
HIGHEST_RATIO = 3
WINDOW_RATIO, OVERLAP_RATIO = 2.0, 0.5


class Window(NamedTuple):
    """Rows `top` to `bottom` of a picture. A line belongs to the window if its middle is from `first` to `last`."""

    top: int
    bottom: int
    first: float
    last: float


class TextModel(Model[Pixels, list[TextLine]]):
    """The three networks on the CPU."""

    def __init__(self, weights: PackagedWeights, threads: int, min_confidence: float, max_side: int) -> None:
        """Load and warm up.

        Args:
            weights: the files `detection`, `orientation` and `recognition`.
            threads: CPU threads; 0 for all cores, at most 8.
            min_confidence: 0–1; lines that are read with less confidence are left out.
            max_side: longest side in pixels at which text is looked for.

        Raises:
            WeightsNotFound: a file is missing from `weights` or cannot be loaded.
        """
        started = time.perf_counter()
        self._max_side = max_side
        # Read when ONNX Runtime is imported, which would send telemetry otherwise.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        from rapidocr import RapidOCR

        try:
            self._read: Any = RapidOCR(
                params={
                    # Only files that are named here are loaded; others would be downloaded.
                    "Det.model_path": weights.files["detection"],
                    "Cls.model_path": weights.files["orientation"],
                    "Rec.model_path": weights.files["recognition"],
                    "Global.text_score": min_confidence,
                    # Pictures arrive scaled: the detector would enlarge a long one's short side without a limit.
                    "Det.limit_type": "max",
                    "Det.limit_side_len": max_side,
                    "Global.max_side_len": max_side,
                    "Global.log_level": "error",
                    "EngineConfig.onnxruntime.intra_op_num_threads": threads_for(threads),
                    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                }
            )
            self.warm_up()
        except (ModelFailed, KeyError, ValueError) as error:
            raise WeightsNotFound(
                f"{weights.id} cannot be loaded ({foreign(error)}): reinstall the extra 'text'"
            ) from error
        self.parts, self.load_times_s = (weights,), (time.perf_counter() - started,)

    def warm_up(self) -> None:
        """Read a drawn word."""
        image = Image.new("RGB", (320, 80), "white")
        ImageDraw.Draw(image).text((20, 15), PROOF, fill="black", font=ImageFont.load_default(40))
        if not self.lines(np.asarray(image)):
            raise ModelFailed("a drawn word is not read")

    def results(self, items: list[Pixels]) -> list[list[TextLine]]:
        """The lines of images, one by one."""
        return [self.lines(image) for image in items]

    def lines(self, image: Pixels) -> list[TextLine]:
        """The lines of an RGB image (h, w, 3) of 0–255, in reading order; corners in its pixels.

        Raises:
            ModelFailed: a network failed, or gave a confidence that is not a number.
        """
        height, width = image.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            return []
        return in_reading_order([line for window in _windows(height, width) for line in self._within(image, window)])

    def _within(self, image: Pixels, window: Window) -> list[TextLine]:
        """The lines that belong to the window, with corners in the whole image's pixels."""
        lines = self._found(image[window.top : window.bottom])
        moved = [replace(line, quadrilateral=_moved(line.quadrilateral, window.top)) for line in lines]
        return [line for line in moved if window.first <= mean(down(line)) < window.last]

    def _found(self, image: Pixels) -> list[TextLine]:
        small, scale = _scaled(image, self._max_side)
        try:
            found = self._read(np.ascontiguousarray(small[:, :, ::-1]))
        except Exception as error:  # ONNX Runtime and RapidOCR raise whatever a broken network makes them raise
            raise ModelFailed(f"reading text failed: {foreign(error)}") from error
        if found.txts is None:
            return []
        if not all(map(math.isfinite, found.scores)):
            raise ModelFailed("a network gave a confidence that is not a number")
        parts = zip(found.txts, found.scores, found.boxes, strict=True)
        height, width = image.shape[:2]
        return [TextLine(text, float(score), _corners(box / scale, (width, height))) for text, score, box in parts]


def _scaled(image: Pixels, max_side: int) -> tuple[Pixels, float]:
    """The image as the detector takes it, and its scale: small letters enlarged, the longest side at most `max_side`.

    A side of fewer than LEAST_SIDE pixels is filled up with the image's last row or column.
    """
    height, width = image.shape[:2]
    scale = min(max(1.0, NORMAL_SIDE / min(height, width)), max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    missing = [(0, max(0, LEAST_SIDE - side)) for side in small.shape[:2]]
    return np.pad(small, [*missing, (0, 0)], mode="edge"), scale


def _windows(height: int, width: int) -> list[Window]:
    if height <= HIGHEST_RATIO * width or width < LEAST_SIDE:
        return [Window(0, height, -math.inf, math.inf)]
    size, half = round(WINDOW_RATIO * width), round(OVERLAP_RATIO * width / 2)
    tops = [*list(range(0, height - size, size - 2 * half)), height - size]
    ends = [top + size - half for top in tops[:-1]]
    return [
        Window(top, top + size, first, last)
        for top, first, last in zip(tops, [-math.inf, *ends], [*ends, math.inf], strict=True)
    ]


def _corners(box: Any, size: tuple[int, int]) -> Quadrilateral:
    """The corners of a box, to a hundredth of a pixel; a box may reach into the margin that `_scaled` adds."""
    one, two, three, four = ((x, y) for x, y in np.clip(box, 0, size).astype(float).round(2).tolist())
    return one, two, three, four


def _moved(corners: Quadrilateral, rows: int) -> Quadrilateral:
    one, two, three, four = ((x, y + rows) for x, y in corners)
    return one, two, three, four
