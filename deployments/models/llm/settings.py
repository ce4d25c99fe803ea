"""The settings of the vision language models."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from configs.settings.base import ModelGroup
from configs.types import Key, Names

LLM_PROVIDERS = ("anthropic", "openai", "gemini")


def _llm(value: str) -> str:
    provider, slash, name = value.partition("/")
    if not (slash and name) or provider not in LLM_PROVIDERS:
        raise ValueError(f"must be one of {', '.join(f'{known}/…' for known in LLM_PROVIDERS)}")
    return value


def _llms(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_llm(model) for model in value)


def _http(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("must be http(s)://HOST…")
    if parts.username or parts.password:
        raise ValueError("must carry no password: OPENAI_API_KEY is sent to it")
    return value


class LlmSettings(ModelGroup):
    """Vision language models"""

    name = "llm"

    enabled: bool = Field(True, description="Off: no Llm deployment, /v1/analyze/llm answers 503.")
    model: Annotated[str, AfterValidator(_llm)] = Field(
        "anthropic/claude-opus-4-6", description="LiteLLM's name of the vision model asked by default."
    )
    fallbacks: Annotated[Names, AfterValidator(_llms)] = Field(
        (), description="Models asked in turn when the provider of the first one fails."
    )
    timeout_s: float = Field(
        20,
        gt=0,
        le=600,
        description="Seconds for one call of a provider; a repair and each fallback are further calls.",
    )
    base_url: Annotated[str, AfterValidator(_http)] = Field(
        "", description="OpenAI-compatible server that answers for openai/… models."
    )
    anthropic_api_key: Key = Field(SecretStr(""), alias="ANTHROPIC_API_KEY", description="Key for anthropic/… models.")
    openai_api_key: Key = Field(SecretStr(""), alias="OPENAI_API_KEY", description="Key for openai/… models.")
    gemini_api_key: Key = Field(SecretStr(""), alias="GEMINI_API_KEY", description="Key for gemini/… models.")
