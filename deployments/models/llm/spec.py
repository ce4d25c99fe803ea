"""The spec of the vision language model, importable without LiteLLM."""

from collections.abc import Mapping
from typing import Any

from configs.settings import Settings
from deployments.models.llm.settings import LlmSettings
from deployments.runtime.spec import Deployed, DeploymentSpec
from deployments.runtime.weights import Weights


def _weights(settings: Settings) -> tuple[Weights, ...]:
    model = settings.of(LlmSettings).model
    return (Weights("llm", "photo assessment by a vision language model", model, "provider"),)


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    from deployments.models.llm.engine import LlmConfig

    own = settings.of(LlmSettings)
    keys = {
        "anthropic": own.anthropic_api_key.get_secret_value(),
        "openai": own.openai_api_key.get_secret_value(),
        "gemini": own.gemini_api_key.get_secret_value(),
    }
    return (LlmConfig(own.model, own.fallbacks, keys, own.base_url, own.timeout_s),)


SPEC = DeploymentSpec(
    name="Llm",
    purpose="photo assessment by a vision language model at its provider",
    library="litellm",
    extra="llm",
    models=("llm",),
    weights=_weights,
    package="deployments.models.llm",
    arguments=_arguments,
)
