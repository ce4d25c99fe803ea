"""The Llm deployment: photographs assessed by a vision language model at its provider."""

import logging
import time

from ray import serve

from deployments.models.llm.assessment import LlmAnswer, LlmQuestion
from deployments.models.llm.engine import NO_KEY, LlmConfig, VisionLlm
from deployments.runtime.errors import LlmKeyMissing
from deployments.runtime.metrics import ModelMetrics
from deployments.runtime.worker import ModelStatus

logger = logging.getLogger("ray.serve.panoptes.llm")


@serve.deployment
class Llm:
    """One replica. It only waits for providers, so it serves many questions at a time."""

    def __init__(self, config: LlmConfig) -> None:
        started = time.perf_counter()
        # Importing LiteLLM takes seconds and 300 MB, so it is skipped when no provider is configured.
        self._llm = VisionLlm(config) if config.base_url or any(config.api_keys.values()) else None
        self._load_time_ms = (time.perf_counter() - started) * 1000
        self._metrics = ModelMetrics("llm")
        problem = self._llm.problem() if self._llm else NO_KEY
        logger.info("%s can be asked", config.model) if problem is None else logger.warning("%s", problem)

    async def analyze(self, question: LlmQuestion) -> LlmAnswer:
        """As `VisionLlm.analyze`."""
        if self._llm is None:
            raise LlmKeyMissing(NO_KEY)
        with self._metrics.batch(1):
            return await self._llm.analyze(question)

    async def status(self) -> tuple[ModelStatus, ...]:
        """The status of this replica: `items` counts its answers, `batches` its calls of providers."""
        questions, calls = (self._llm.questions, self._llm.calls) if self._llm else (0, 0)
        error = self._llm.problem() if self._llm else NO_KEY
        return (ModelStatus("llm", "provider", self._load_time_ms, 0, questions, calls, error),)

    async def check_health(self) -> None:
        """Always healthy: another replica would not repair a provider that fails."""
