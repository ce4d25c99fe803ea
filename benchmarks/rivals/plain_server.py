"""A FastAPI server as the earlier services were written, for comparison only.

One process; a request decodes its photo, tokenises and encodes all fifteen prompts and runs one image through the
model, all on the event loop, so that other requests wait.
"""

import argparse
from itertools import islice
from pathlib import Path

import uvicorn
from fastapi import FastAPI, UploadFile

from benchmarks.rivals.clip import PROMPTS, OpenClip


def create_app(clip: OpenClip) -> FastAPI:
    """The application around a loaded model."""
    app = FastAPI()
    texts = [prompt for prompts in PROMPTS.values() for prompt in prompts]

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.post("/classify")
    async def classify(file: UploadFile) -> dict[str, float]:
        image = clip.decode(await file.read()).unsqueeze(0)
        per_prompt = iter(clip.probabilities(image, clip.embed_texts(texts))[0].tolist())
        return {name: sum(islice(per_prompt, len(prompts))) for name, prompts in PROMPTS.items()}

    return app


def main() -> None:
    """Serve on the loopback interface."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvicorn.run(create_app(OpenClip(options.weights)), host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
