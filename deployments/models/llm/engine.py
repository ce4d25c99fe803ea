"""Photo assessment by a vision language model at its provider, called through LiteLLM. No Ray in here."""

import asyncio
import logging
import math
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from deployments.models.llm.assessment import (
    REPAIR,
    LlmAnswer,
    LlmPhotoAnalysis,
    LlmQuestion,
    first_message,
    parse,
    schema,
)
from deployments.models.llm.openai_client import CompletionClient
from deployments.models.llm.settings import LLM_PROVIDERS
from deployments.runtime.errors import LlmAnswerInvalid, LlmKeyMissing, LlmModelUnknown, LlmProviderFailed
from deployments.wire.foreign import foreign

logger = logging.getLogger("ray.serve.panoptes.llm")

# The supported providers and the environment variables of their keys. LiteLLM knows many more, but some of them are
# addresses of this machine or its network, which a client must not be able to choose.
KEY_VARIABLES = {provider: f"{provider.upper()}_API_KEY" for provider in LLM_PROVIDERS}

NO_KEY = f"No provider can be asked: set one of {', '.join(KEY_VARIABLES.values())}, or LLM_BASE_URL"

# Each segment begins with a letter or digit: a name becomes part of the provider's URL, and `..` would leave its path.
MODEL_NAME = re.compile(r"[a-z0-9][\w.:@-]*(/[a-z0-9][\w.:@-]*)*", re.ASCII | re.IGNORECASE)
LONGEST_MODEL_NAME = 200

LONGEST_ANSWER = 20_000  # characters of an answer that are read: more than 2,000 tokens
LONGEST_WAIT_S = 3600

# The prefixes that litellm puts before a provider's message, often several.
LITELLM_NAMES = re.compile(r"^((litellm\.)?\w+(Error|Exception|Timeout)(: | - ))*")

# Read by litellm while it is imported: no lists from the network, no `.env` of the working directory, no advertising in
# error messages.
LITELLM_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_DISABLE_BUG_REPORT_LINK": "True",
}
# These loggers write requests, some with headers or URLs that may contain a key.
TALKATIVE = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "openai._base_client", "httpx")


@dataclass(frozen=True)
class LlmConfig:
    """The operator's configuration. Models have LiteLLM's names: `provider/name`, or a well-known name alone.

    `api_keys` is by provider (`KEY_VARIABLES`). `base_url` replaces OpenAI's own address for `openai/…` models, which
    then need no key; `timeout_s` is for one call of a provider, from its start to the last byte of the answer.
    """

    model: str
    fallbacks: tuple[str, ...] = ()
    api_keys: dict[str, str] = field(default_factory=dict, repr=False)
    base_url: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True)
class _Model:
    provider: str
    name: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}"


@dataclass(frozen=True)
class _Reply:
    text: str
    refusal: str | None
    model: str
    tokens: int
    cut_off: bool


class VisionLlm:
    """Asks the chosen model and, when its provider fails, the configured fallbacks in order.

    Attributes:
        questions: how many questions were answered.
        calls: how many calls of providers were made.
    """

    def __init__(self, config: LlmConfig) -> None:
        """Import litellm, which takes seconds.

        Raises:
            LlmModelUnknown: a configured model has no supported provider.
        """
        self._config = config
        self._litellm = _import_litellm()
        self._default, *self._fallbacks = [self._resolve(model) for model in (config.model, *config.fallbacks)]
        self._client = self._openai_client()
        self.questions = self.calls = 0

    async def analyze(self, question: LlmQuestion) -> LlmAnswer:
        """Assess one photograph.

        Raises:
            LlmModelUnknown: the question's model has no supported provider; nothing was sent.
            LlmKeyMissing: the chosen model's provider has no key; nothing was sent.
            LlmProviderFailed: the chosen model failed, and so did every fallback that has a key.
            LlmAnswerInvalid: the model's answer was invalid, and so was its repaired answer.
        """
        started = time.perf_counter()
        chosen = self._resolve(question.model) if question.model else self._default
        if problem := self._missing_key(chosen):
            raise LlmKeyMissing(problem)
        tokens: list[int] = []
        failures: list[LlmProviderFailed] = []
        for model in dict.fromkeys((chosen, *filter(self._key, self._fallbacks))):
            try:
                analysis, model_used = await self._ask(model, question, tokens)
            except LlmProviderFailed as failure:
                logger.warning("%s", failure)
                failures.append(failure)
            else:
                self.questions += 1
                milliseconds = round((time.perf_counter() - started) * 1000)
                return LlmAnswer(analysis, model_used, sum(tokens), milliseconds)
        waits = [failure.retry_after_s for failure in failures if failure.retry_after_s is not None]
        raise LlmProviderFailed("; ".join(map(str, failures)), min(waits, default=None))

    async def _ask(self, model: _Model, question: LlmQuestion, tokens: list[int]) -> tuple[LlmPhotoAnalysis, str]:
        """The analysis and the model that made it, after at most one repair; each call appends to `tokens`."""
        response_format, in_words = self._response_format(model)
        messages = [first_message(question, in_words)]
        reply = await self._call(model, messages, response_format, question.max_tokens)
        tokens.append(reply.tokens)
        if reply.refusal:
            raise LlmAnswerInvalid(f"the model refuses to answer: {reply.refusal}")
        try:
            return parse(reply.text, reply.cut_off), reply.model
        except LlmAnswerInvalid as invalid:
            problems = invalid.problems
        logger.info("%s has to repair its answer: %s", model, problems)
        # Some providers refuse an empty turn.
        messages.append({"role": "assistant", "content": reply.text or "(no answer)"})
        messages.append({"role": "user", "content": REPAIR.format(problems=problems)})
        reply = await self._call(model, messages, response_format, question.max_tokens)
        tokens.append(reply.tokens)
        return parse(reply.text, reply.cut_off), reply.model

    async def _call(
        self, model: _Model, messages: list[dict[str, Any]], response_format: dict[str, Any] | None, max_tokens: int
    ) -> _Reply:
        self.calls += 1
        try:
            async with asyncio.timeout(self._config.timeout_s):
                response = await self._litellm.acompletion(
                    model=str(model),
                    messages=messages,
                    response_format=response_format,
                    max_tokens=max_tokens,
                    api_key=self._key(model),
                    client=self._client if model.provider == "openai" else None,
                    # This class chooses the fallbacks, and the client decides whether to wait.
                    num_retries=0,
                    max_retries=0,
                    drop_params=True,
                )
            choice = response.choices[0]
            text, refusal = choice.message.content, (choice.message.provider_specific_fields or {}).get("refusal")
        except TimeoutError:
            failure = LlmProviderFailed(f"{model} timed out: no answer within {self._config.timeout_s:g} s")
        except Exception as error:
            failure = self._failure(model, error)
        else:
            used = getattr(response, "usage", None)
            return _Reply(
                text[:LONGEST_ANSWER] if isinstance(text, str) else "",
                foreign(refusal) if isinstance(refusal, str) and refusal else None,
                _model_used(response.model) or str(model),
                getattr(used, "total_tokens", None) or 0,
                choice.finish_reason == "length",
            )
        # Raised outside the `except`: litellm's error holds the request and would be chained to ours as its context.
        raise failure

    def _openai_client(self) -> Any:
        """OpenAI's client, for its own address or the configured server."""
        openai: Any = import_module("openai")
        return openai.AsyncOpenAI(
            api_key=self._key(_Model("openai", "")) or "none",
            base_url=self._config.base_url or None,
            max_retries=0,
            http_client=CompletionClient(follow_redirects=True, timeout=self._config.timeout_s),
        )

    def _failure(self, model: _Model, error: Exception) -> LlmProviderFailed:
        status = getattr(error, "status_code", None)
        if status in (401, 403):
            # The provider's message may repeat the key or parts of it.
            return LlmProviderFailed(
                f"{model} refused to answer ({status}): check {KEY_VARIABLES[model.provider]} and what it may use"
            )
        words = LITELLM_NAMES.sub("", str(getattr(error, "message", error)))
        for key in sorted(self._config.api_keys.values(), key=len, reverse=True):
            words = words.replace(key, "[key]") if key else words
        reason = " ".join(str(part) for part in (type(error).__name__, status) if part is not None)
        return LlmProviderFailed(f"{model} failed ({reason}): {foreign(words)}", _retry_after_s(error))

    def _resolve(self, model: str) -> _Model:
        provider, slash, name = model.partition("/")
        if not slash:
            provider, name = "", model
        if len(model) <= LONGEST_MODEL_NAME and MODEL_NAME.fullmatch(name):
            if not slash:
                with suppress(Exception):  # litellm raises for a model that it does not know
                    provider = self._litellm.get_llm_provider(name)[1]
            if provider in KEY_VARIABLES:
                return _Model(provider, name)
        known = ", ".join(f"{provider}/…" for provider in KEY_VARIABLES)
        raise LlmModelUnknown(f"There is no provider for the model {model[:LONGEST_MODEL_NAME]!r}: use one of {known}")

    def problem(self) -> str | None:
        """Why the configured model cannot be asked; None when it can."""
        return self._missing_key(self._default)

    def _missing_key(self, model: _Model) -> str | None:
        if self._key(model):
            return None
        variable = KEY_VARIABLES[model.provider]
        return f"There is no key for {model.provider} here: set {variable} or choose another model"

    def _key(self, model: _Model) -> str:
        key = self._config.api_keys.get(model.provider, "")
        # A self-hosted server may need no key, but OpenAI's client requires one.
        return key or ("none" if model.provider == "openai" and self._config.base_url else "")

    def _response_format(self, model: _Model) -> tuple[dict[str, Any] | None, bool]:
        """The response format to request, and whether the prompt has to contain the schema."""
        if self._litellm.supports_response_schema(model=model.name, custom_llm_provider=model.provider):
            named = {"name": "photo_analysis", "schema": schema(), "strict": True}
            return {"type": "json_schema", "json_schema": named}, False
        # OpenAI-compatible servers have a JSON mode; for other providers litellm would imitate it with a tool.
        return ({"type": "json_object"} if model.provider == "openai" else None), True


def _import_litellm() -> Any:
    """Import LiteLLM without its network access at import, its prints, its logs and its telemetry."""
    os.environ.update(LITELLM_ENVIRONMENT)
    litellm: Any = import_module("litellm")
    litellm.suppress_debug_info = litellm.turn_off_message_logging = litellm.drop_params = True
    litellm.telemetry = litellm.set_verbose = False
    # Plain httpx, whose client is closed when a call is cancelled.
    litellm.disable_aiohttp_transport = True
    for name in TALKATIVE:
        logging.getLogger(name).disabled = True
    return litellm


def _model_used(name: Any) -> str | None:
    """The model that a provider says it used; None if that is no name."""
    named = isinstance(name, str) and len(name) <= LONGEST_MODEL_NAME and MODEL_NAME.fullmatch(name)
    return name if named else None


def _retry_after_s(error: Exception) -> int | None:
    """A provider's Retry-After in whole seconds, clipped to 1–3,600; None without a valid one."""
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
    try:
        return min(max(math.ceil(float(headers["retry-after"])), 1), LONGEST_WAIT_S)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
