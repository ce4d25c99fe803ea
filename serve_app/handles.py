"""Calls into the deployments: what they raise becomes our errors, what they used becomes the weights header."""

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from deployments.clip import ModelStatus, TextEmbeddings
from deployments.errors import ModelError, PromptTooLong
from deployments.weights import ClipWeights
from serve_app.errors import InvalidPrompt, ModelDisabled, ModelUnavailable, Overloaded
from serve_app.middleware import weights_used

STATUS_TIMEOUT_S = 3.0
# An argument goes into the message itself, which costs less than the object store, up to half of gRPC's limit.
LARGEST_VALUE = 2 * 1024 * 1024
REPLICAS_REMEMBERED_S = 2.0

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)


@dataclass(frozen=True)
class ModelState:
    """What /health and /v1/models say of a model. `status` is None when it does not answer; `error` then says why."""

    status: ModelStatus | None
    replicas: int
    error: str | None


class ClipClient:
    """The ingress's view of the CLIP deployment; pixels are (n, size, size, 3) uint8 that `Decoder.fit` made."""

    def __init__(self, handle: DeploymentHandle[Any] | None, weights: ClipWeights | None) -> None:
        self._handle, self._weights = handle, weights
        self._by_value = handle.options(_by_reference=False) if handle else None
        self._replicas = 0
        self._replicas_at = -REPLICAS_REMEMBERED_S

    @property
    def enabled(self) -> bool:
        return self._handle is not None

    @property
    def weights(self) -> ClipWeights:
        """The weights that are served; ModelDisabled when CLIP is switched off."""
        if self._weights is None:
            raise ModelDisabled("CLIP is switched off here (CLIP_ENABLED=false): ask the operator to enable it.")
        return self._weights

    async def embed_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, size, size, 3) -> (n, d), L2-normalised."""
        return await _answer(self._use(pixels).embed_images.remote(pixels))

    async def embed_texts(self, texts: list[str]) -> TextEmbeddings:
        """Embed texts; InvalidPrompt for one that does not fit."""
        return await _answer(self._use().embed_texts.remote(texts))

    async def score(self, pixels: NDArray[np.uint8], classes: list[list[str]]) -> NDArray[np.float32]:
        """(n images, k classes) logits; a class is the list of its prompts. InvalidPrompt for one that does not fit."""
        return await _answer(self._use(pixels).score.remote(pixels, classes))

    async def state(self) -> ModelState:
        """How the model is, within a few seconds even when it is not there."""
        if self._handle is None:
            return ModelState(None, 0, "switched off (CLIP_ENABLED=false)")
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                replicas = await self._count_replicas()
                if not replicas:
                    return ModelState(None, 0, "no replica is running yet: see the logs of the deployment Clip")
                return ModelState(await self._handle.status.remote(), replicas, None)
        except (TimeoutError, RayError, BackPressureError, DeploymentUnavailableError) as error:
            return ModelState(None, self._replicas, f"does not answer ({type(error).__name__})")

    def _use(self, pixels: NDArray[np.uint8] | None = None) -> DeploymentHandle[Any]:
        weights_used.get().add(f"clip={self.weights.id}")
        assert self._handle is not None and self._by_value is not None  # noqa: S101, PT018 - they come together
        if pixels is not None and pixels.nbytes > LARGEST_VALUE:
            return self._handle
        return self._by_value

    async def _count_replicas(self) -> int:
        if time.monotonic() - self._replicas_at > REPLICAS_REMEMBERED_S:
            self._replicas = await asyncio.to_thread(running_replicas, "Clip")
            self._replicas_at = time.monotonic()
        return self._replicas


def running_replicas(deployment: str) -> int:
    """Replicas of a deployment of this application that take requests."""
    applications = serve.status().applications
    application = applications.get(serve.get_replica_context().app_name)
    overview = application.deployments.get(deployment) if application else None
    states = overview.replica_states if overview else {}
    return sum(count for state, count in states.items() if state == "RUNNING")


class Call(Protocol[Value_co]):
    """What a handle's `remote` gives."""

    def __await__(self) -> Generator[Any, Any, Value_co]: ...
    def cancel(self) -> None: ...


async def _answer(call: Call[Value]) -> Value:
    try:
        return await call
    except asyncio.CancelledError:
        # A call that went by reference is not cancelled with its caller: the model would compute for nobody.
        call.cancel()
        raise
    except PromptTooLong as error:
        # Ray hands the model's error over inside its own, which prints a stack trace.
        raise InvalidPrompt(f"{getattr(error, 'cause', error)}.") from error
    except BackPressureError as error:
        raise Overloaded("Too many requests wait for this model: try again.", retry_after_s=1) from error
    except (ModelError, RayActorError, DeploymentUnavailableError) as error:
        raise ModelUnavailable("The model failed or is being replaced: try again.", retry_after_s=5) from error
