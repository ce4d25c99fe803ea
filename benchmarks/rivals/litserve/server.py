"""The same model on LitServe, as its documentation and its source advise: what an engineer might choose instead.

Batches of up to 32, decoding in `decode_request`, text embeddings computed once in `setup`, responses over its faster
queue. LitServe decodes a batch photo by photo in the worker; here `decode_request` starts the decoding in a thread pool
and `batch` collects it, so that the second core decodes too (8–10 % faster in `benchmarks.rivals.raw`).
"""

import argparse
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import litserve  # type: ignore[import-not-found]  # lives in its own environment
import torch
from fastapi import Request

from benchmarks.rivals.clip import MAX_BATCH, PROMPTS, THREADS, OpenClip

# Seconds for which a batch waits to fill. A single request waits too: at 1 client p50 was about 40 ms higher with 0.05.
# At 32 clients 0.01, 0.05 and decoding without the pool made no visible difference (10 s runs on 2 noisy cores, where
# the same setting gave 11 to 20 images/s), so the value was chosen for the single request.
BATCH_TIMEOUT = 0.01


class ClipAPI(litserve.LitAPI):  # type: ignore[misc]
    """POST /classify, multipart `file`."""

    def __init__(self, weights: Path) -> None:
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT, api_path="/classify")
        self._weights = weights

    def setup(self, device: str) -> None:
        """Load the model in the worker; the device is always the CPU."""
        self._clip = OpenClip(self._weights)
        self._texts = self._clip.embed_classes()
        self._pool = ThreadPoolExecutor(THREADS)

    def decode_request(self, request: Request) -> Future[torch.Tensor]:
        """Start decoding. LitServe passes the parsed form here and no request."""
        return self._pool.submit(self._clip.decode, request["file"].file.read())

    def batch(self, inputs: list[Future[torch.Tensor]]) -> torch.Tensor:
        """Wait for the decoded photos of a batch."""
        return torch.stack([decoded.result() for decoded in inputs])

    def predict(self, x: torch.Tensor) -> list[list[float]]:
        """One forward pass."""
        probabilities: list[list[float]] = self._clip.probabilities(x, self._texts).tolist()
        return probabilities

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        """One row for each request."""
        return output

    def encode_response(self, output: list[float]) -> dict[str, float]:
        """Probabilities by category."""
        return dict(zip(PROMPTS, output, strict=True))


def main() -> None:
    """Serve on the loopback interface with one worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    server = litserve.LitServer(ClipAPI(options.weights), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=options.port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
