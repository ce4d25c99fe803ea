"""The ingress's clients of deployments: their state, their weights, and calls with pictures."""

import asyncio
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np
from ray.serve.handle import DeploymentHandle

from deployments.pictures.pixels import Pixels
from deployments.runtime.calls import INGRESS, LARGEST_VALUE, Failure, call, failure_of, in_object_store
from deployments.runtime.spec import Deployed, DeploymentSpec
from deployments.runtime.worker import ModelStatus
from serve_app.clients.calls import answer
from serve_app.clients.remembered import Known, Remembered
from serve_app.clients.replicas import running_replicas
from serve_app.http import errors
from serve_app.http.middleware import weights_used

# The longest wait of a request for a call that it can do without.
SIDE_CALL_S = 3.0
# How long a report waits for Serve, and then for all models at once. On a machine without a free core the rest of
# /health may take as long again, and it is to answer within 3 s.
SERVE_PATIENCE_S, MODEL_PATIENCE_S = 0.5, 1.0
STATUS_FRESH_S = 1.0
# A deployment whose calls end like this is busy: it has a replica, which has not got round to the answer.
BUSY = frozenset({Failure.BUSY, Failure.LATE})

Statuses = tuple[ModelStatus, ...]
Value = TypeVar("Value")


@dataclass(frozen=True)
class ModelState:
    """The state of a deployment's models for /health and /v1/models, in their order.

    Attributes:
        statuses: as the deployment gave them, now or `age_s` ago; None where it never did, or is away.
        replicas: how many take requests.
        error: why `statuses` is not of now; None where it is.
        busy: whether the deployment runs and only has not answered in time.
        age_s: seconds since `statuses` was given; None without.
    """

    statuses: Statuses | None
    replicas: int
    error: str | None
    busy: bool = False
    age_s: float | None = None

    @property
    def loaded(self) -> bool:
        """Whether the models have been loaded and are served, at once or after a wait."""
        return self.statuses is not None or (self.busy and self.replicas > 0)


class ModelClient:
    """The ingress's client of a deployment.

    Attributes:
        spec: the deployment's spec.
        models: the weights that it serves; empty when it is switched off.
    """

    def __init__(self, spec: DeploymentSpec, deployed: Deployed | None) -> None:
        """`deployed`: None when it is switched off."""
        self.spec = spec
        self.models = deployed.models if deployed else ()
        self._handle = deployed.handle if deployed else None
        self._by_value = deployed.handle.options(_by_reference=False) if deployed else None
        self._status: Remembered[Statuses] = Remembered(self._ask_status, STATUS_FRESH_S)

    @property
    def deployment(self) -> str:
        """Its name in the Serve config."""
        return self.spec.name

    @property
    def enabled(self) -> bool:
        """Whether it is switched on."""
        return bool(self.models)

    def announce(self) -> None:
        """Add these models to the response's weights header; ModelDisabled when they are switched off."""
        if not self.enabled:
            raise errors.ModelDisabled(f"{self._off}: ask the operator to enable it.")
        weights_used.get().update(f"{model.name}={model.id}" for model in self.models if model.has_weights)

    async def state(self) -> ModelState:
        """The models' state, in less than 3 s even when they do not answer."""
        if self._handle is None:
            return ModelState(None, 0, self._off)
        counts = await running_replicas.get(SERVE_PATIENCE_S)
        if counts.error is None and not (counts.value or {}).get(self.deployment):
            return ModelState(None, 0, f"no replica is running yet: see the logs of the deployment {self.deployment}")
        return self._judged(counts, await self._status.get(MODEL_PATIENCE_S))

    def _judged(self, counts: Known[dict[str, int]], status: Known[Statuses]) -> ModelState:
        replicas = (counts.value or {}).get(self.deployment, 0)
        if status.error is None:
            return ModelState(status.value, max(1, replicas), None, age_s=status.age_s)
        why = f"does not answer ({type(status.error).__name__})"
        if failure_of(status.error) not in BUSY:
            return ModelState(None, replicas, why)
        if status.age_s is not None:
            why += f"; its last status is {status.age_s:.0f} s old"
        return ModelState(status.value, replicas, why, busy=True, age_s=status.age_s)

    async def _ask_status(self) -> Statuses:
        handle = cast("DeploymentHandle[Any]", self._handle)
        # With a second replica the first one's end is no news about the models.
        statuses: Statuses = await call(self.deployment, handle.status.remote, INGRESS)
        return statuses

    @property
    def _off(self) -> str:
        return f"{self.deployment} is switched off here ({self.spec.switch}=false)"

    def _use(self, bytes_sent: int = 0) -> DeploymentHandle[Any]:
        """The handle for arguments of this size; ModelDisabled as `announce`."""
        self.announce()
        return cast("DeploymentHandle[Any]", self._handle if bytes_sent > LARGEST_VALUE else self._by_value)


class SharedPicture:
    """A decoded image for several models, put into the object store once.

    Attributes:
        width, height: of `pixels`, (h, w, 3) uint8, RGB, upright.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.nbytes = pixels.nbytes
        self.height, self.width = pixels.shape[:2]
        self._pixels: Any = pixels
        self._putting = asyncio.Lock()

    async def hand_over(self) -> Any:
        """The argument for calls of deployments, as `in_object_store` returns it."""
        async with self._putting:
            if isinstance(self._pixels, np.ndarray):
                self._pixels = await asyncio.to_thread(in_object_store, self._pixels)
        return self._pixels


class AnalyzerClient(ModelClient, Generic[Value]):
    """A model that looks at one picture."""

    async def analyze(self, picture: SharedPicture, *arguments: object) -> Value:
        """The model's answer on the picture; `arguments` of the deployment's `analyze` after the picture."""
        handle, pixels = self._use(picture.nbytes), await picture.hand_over()
        return await answer(self.deployment, lambda: handle.analyze.remote(pixels, *arguments))


class FramesClient(AnalyzerClient[Value]):
    """A model that looks at the frames of videos, too."""

    async def analyze_frames(self, frames: Pixels, *arguments: object) -> Any:
        """The model's answer on a video's frames (n, h, w, 3), from the deployment's `analyze_frames`."""
        handle, pixels = self._use(frames.nbytes), await asyncio.to_thread(in_object_store, frames)
        return await answer(self.deployment, lambda: handle.analyze_frames.remote(pixels, *arguments))
