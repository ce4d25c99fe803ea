"""A FastAPI server that analyses photos as the earlier service did, for comparison only.

One process; a request runs the analysers one after another on the event loop, and decodes its photo for each.
"""

import argparse
import base64
import io
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image

from benchmarks.rivals.clip import OpenClip


class Measures:
    """pyiqa's three measures, loaded as its users load them, except that the backbone is not downloaded."""

    def __init__(self, torch_home: Path) -> None:
        os.environ["TORCH_HOME"] = str(torch_home)
        import timm

        create = timm.create_model
        timm.create_model = lambda *args, **options: create(*args, **{**options, "pretrained": False})
        import pyiqa

        self._metrics = {name: pyiqa.create_metric(name, device="cpu") for name in ("brisque", "nima-koniq", "nima")}

    def measure(self, image: Image.Image) -> dict[str, float]:
        tensor = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
        return {name: float(metric(tensor)) for name, metric in self._metrics.items()}


def create_app(clip: OpenClip, measures: Measures) -> FastAPI:
    """The application around loaded models."""
    app = FastAPI()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/v1/analyze")
    async def analyze(body: dict[str, Any]) -> dict[str, Any]:
        data = base64.b64decode(body["image"]["data"])
        grey: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        result: dict[str, Any] = {"blur": float(cv2.Laplacian(grey, cv2.CV_64F).var())}
        result["quality"] = measures.measure(Image.open(io.BytesIO(data)).convert("RGB"))
        result["embedding"] = clip.embed_image(clip.decode(data).unsqueeze(0))[0].tolist()
        return result

    return app


def main() -> None:
    """Serve on the loopback interface."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--torch-home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    app = create_app(OpenClip(options.weights), Measures(options.torch_home))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
