"""The ingress's client of the vision language model."""

from deployments.models.llm.assessment import LlmAnswer, LlmQuestion
from deployments.runtime.calls import INGRESS_ONCE
from serve_app.clients.calls import answer
from serve_app.clients.client import ModelClient
from serve_app.http.middleware import weights_used


class LlmClient(ModelClient):
    """The vision language model."""

    async def analyze(self, question: LlmQuestion) -> LlmAnswer:
        """Ask the model; LlmFailed, LlmUnparsable, LlmUnknown or LlmWithoutKey when there is no answer."""
        handle = self._use(len(question.jpeg))
        said: LlmAnswer = await answer(self.deployment, lambda: handle.analyze.remote(question), INGRESS_ONCE)
        weights_used.get().add(f"llm={said.model_used}")
        return said
