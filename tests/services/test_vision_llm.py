"""The LLM engine against a double of its provider: its requests, how it reads answers, and what it never reveals."""

import asyncio
import io
import logging
import pickle
import re
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from deployments.models.llm.assessment import LlmPhotoAnalysis, LlmQuestion, find_object
from deployments.models.llm.deployment import Llm
from deployments.models.llm.engine import TALKATIVE, LlmConfig, VisionLlm
from deployments.runtime.errors import LlmAnswerInvalid, LlmKeyMissing, LlmModelUnknown, LlmProviderFailed
from testbed.doubles.llm import ANALYSIS, RETRY_AFTER_S, TOKENS, LlmServer
from testbed.processes import free_port
from testbed.replicas import replica_class

pytestmark = pytest.mark.skipif(find_spec("litellm") is None, reason="litellm is not installed: pip install litellm")

KEY = "a-key-0123456789-of-no-known-form"  # litellm hides those that look like a known provider's


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "orange").save(buffer, "JPEG")
    return buffer.getvalue()


JPEG = jpeg()


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer() as server:
        yield server


@pytest.fixture(autouse=True)
async def _clients_closed() -> AsyncIterator[None]:
    yield
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

    await close_litellm_async_clients()  # type: ignore[no-untyped-call]


def config(server: LlmServer, model: str = "openai/good", **changes: Any) -> LlmConfig:
    return LlmConfig(**({"model": model, "api_keys": {"openai": KEY}, "base_url": server.url} | changes))


def engine(server: LlmServer, model: str = "openai/good", **changes: Any) -> VisionLlm:
    return VisionLlm(config(server, model, **changes))


async def test_a_photograph_is_assessed(server: LlmServer) -> None:
    answer = await engine(server).analyze(LlmQuestion(JPEG))
    assert answer.analysis == LlmPhotoAnalysis(**ANALYSIS)
    assert (answer.model_used, answer.tokens_used) == ("good-2026-01-31", TOKENS)
    assert 0 < answer.processing_ms < 60_000
    (request,) = server.requests
    assert request.image == JPEG
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["max_tokens"] == 500
    assert "English" in request.prompt
    assert all(name in request.prompt for name in LlmPhotoAnalysis.model_fields)


async def test_the_provider_is_asked_for_the_schema(server: LlmServer) -> None:
    await engine(server).analyze(LlmQuestion(JPEG, model="gpt-4o"))
    named = server.requests[0].body["response_format"]["json_schema"]
    assert named["strict"]
    assert set(named["schema"]["properties"]) == set(named["schema"]["required"]) == set(LlmPhotoAnalysis.model_fields)
    assert "JSON schema" not in server.requests[0].prompt


async def test_a_model_without_schema_support_gets_the_schema_in_the_prompt(server: LlmServer) -> None:
    await engine(server).analyze(LlmQuestion(JPEG, prompt="Judge this."))
    assert server.requests[0].body["response_format"] == {"type": "json_object"}
    assert server.requests[0].prompt.startswith("Judge this.\n\n")
    assert '"additionalProperties": false' in server.requests[0].prompt


async def test_language_prompt_and_length_are_the_callers(server: LlmServer) -> None:
    llm = engine(server)
    await llm.analyze(LlmQuestion(JPEG, max_tokens=1234, language="Spanish"))
    await llm.analyze(LlmQuestion(JPEG, model="openai/gpt-4o", prompt="Juzga esta foto {así}."))
    await llm.analyze(LlmQuestion(JPEG, model="openai/gpt-4o", prompt="Judge this.", language="Dutch"))
    ours, theirs, both = server.requests
    assert "Write every text in Spanish" in ours.prompt
    assert ours.body["max_tokens"] == 1234
    assert theirs.prompt == "Juzga esta foto {así}."
    assert both.prompt == "Judge this.\n\nWrite every text in Dutch."


@pytest.mark.parametrize("name", ["fenced", "prose"])
async def test_an_answer_is_found_in_its_wrapping(server: LlmServer, name: str) -> None:
    answer = await engine(server, f"openai/{name}").analyze(LlmQuestion(JPEG))
    assert answer.analysis == LlmPhotoAnalysis(**ANALYSIS)
    assert len(server.requests) == 1


async def test_a_content_in_parts_is_one_text(server: LlmServer) -> None:
    answer = await engine(server, "openai/parts").analyze(LlmQuestion(JPEG))
    assert answer.analysis == LlmPhotoAnalysis(**ANALYSIS)
    assert len(server.requests) == 1


async def test_a_refusal_is_passed_on_and_not_asked_again(server: LlmServer) -> None:
    with pytest.raises(LlmAnswerInvalid, match=r"refuses to answer: I cannot look at people\.$"):
        await engine(server, "openai/refusing").analyze(LlmQuestion(JPEG))
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["odd-parts", "null", "object"])
async def test_an_answer_without_text_is_repaired_or_unparsable(server: LlmServer, name: str) -> None:
    with pytest.raises(LlmAnswerInvalid, match="there is no JSON object in it"):
        await engine(server, f"openai/{name}").analyze(LlmQuestion(JPEG))
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["choiceless", "page", "torn", "garbled"])
async def test_an_answer_that_is_no_completion_is_named_in_our_words(server: LlmServer, name: str) -> None:
    with pytest.raises(LlmProviderFailed, match="its answer is no chat completion") as failed:
        await engine(server, f"openai/{name}").analyze(LlmQuestion(JPEG))
    assert not re.search(r"Traceback|/srv|html|line \d|\.py", str(failed.value))


async def test_a_server_s_own_words_are_filtered(server: LlmServer) -> None:
    with pytest.raises(LlmProviderFailed) as failed:
        await engine(server, "openai/spilling").analyze(LlmQuestion(JPEG))
    assert str(failed.value).endswith("The server says: cannot open [path]")


async def test_a_wrong_answer_is_repaired_once(server: LlmServer) -> None:
    llm = engine(server, "openai/repairable")
    answer = await llm.analyze(LlmQuestion(JPEG))
    assert answer.analysis == LlmPhotoAnalysis(**ANALYSIS)
    assert answer.tokens_used == 2 * TOKENS
    assert (llm.questions, llm.calls) == (1, 2)
    _first, repair = server.requests
    assert repair.image == JPEG
    _question, wrong, problems = repair.body["messages"]
    assert wrong["role"] == "assistant"
    assert "very good" in wrong["content"]
    assert "overall_score: Input should be a valid number" in problems["content"]
    assert "highlights: Input should be a valid list" in problems["content"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("hopeless", "overall_score: "), ("mute", "no JSON object"), ("cut-off", "it was cut off at max_tokens")],
)
async def test_an_answer_that_is_wrong_twice_is_an_error(server: LlmServer, name: str, problem: str) -> None:
    with pytest.raises(LlmAnswerInvalid, match=f"^LLM response parsing failed: .*{problem}"):
        await engine(server, f"openai/{name}", fallbacks=("openai/good",)).analyze(LlmQuestion(JPEG))
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["silent", "slow"])
async def test_a_provider_that_takes_too_long_times_out(server: LlmServer, name: str) -> None:
    started = time.monotonic()
    with pytest.raises(LlmProviderFailed, match=f"openai/{name} timed out: no answer within 0.5 s"):
        await engine(server, f"openai/{name}", timeout_s=0.5).analyze(LlmQuestion(JPEG))
    assert time.monotonic() - started < 5


async def test_a_rate_limited_answer_says_when_to_retry(server: LlmServer) -> None:
    with pytest.raises(LlmProviderFailed, match="429") as failed:
        await engine(server, "openai/limited", fallbacks=("openai/broken",)).analyze(LlmQuestion(JPEG))
    assert failed.value.retry_after_s == RETRY_AFTER_S
    assert "openai/limited failed (RateLimitError 429): The server says: something went wrong" in str(failed.value)
    assert [request.body["model"] for request in server.requests] == ["limited", "broken"]  # each was asked once


@pytest.mark.parametrize("name", ["broken", "unknown", "garbled", "forbidden"])
async def test_a_provider_that_fails_is_an_error(server: LlmServer, name: str) -> None:
    with pytest.raises(LlmProviderFailed, match=f"openai/{name} ") as failed:
        await engine(server, f"openai/{name}").analyze(LlmQuestion(JPEG))
    assert failed.value.retry_after_s is None
    assert len(server.requests) == 1


async def test_an_unreachable_provider_is_an_error() -> None:
    llm = VisionLlm(LlmConfig("openai/good", base_url=f"http://127.0.0.1:{free_port()}/v1"))
    with pytest.raises(LlmProviderFailed, match="openai/good failed"):
        await llm.analyze(LlmQuestion(JPEG))


async def test_fallbacks_are_asked_in_their_order(server: LlmServer) -> None:
    # Without a key there is nothing to ask Anthropic with, and no model is asked twice.
    fallbacks = ("anthropic/claude-opus-4-6", "openai/limited", "openai/good", "openai/fenced")
    answer = await engine(server, "openai/limited", fallbacks=fallbacks).analyze(LlmQuestion(JPEG))
    assert answer.model_used == "good-2026-01-31"
    assert [request.body["model"] for request in server.requests] == ["limited", "good"]


async def test_a_repair_that_fails_also_falls_back(server: LlmServer) -> None:
    answer = await engine(server, "openai/repair-broken", fallbacks=("openai/good",)).analyze(LlmQuestion(JPEG))
    assert (answer.model_used, answer.tokens_used) == ("good-2026-01-31", 2 * TOKENS)


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-opus-4-6", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-pro", "GEMINI_API_KEY"),
        ("gpt-4o", "OPENAI_API_KEY"),
    ],
)
async def test_without_a_key_nothing_is_sent(server: LlmServer, model: str, variable: str) -> None:
    llm = VisionLlm(LlmConfig("openai/good", fallbacks=("openai/good",)))
    with pytest.raises(LlmKeyMissing, match=variable):
        await llm.analyze(LlmQuestion(JPEG, model=model))
    assert llm.calls == 0


async def test_a_server_of_ones_own_needs_no_key(server: LlmServer) -> None:
    await engine(server, api_keys={}).analyze(LlmQuestion(JPEG))
    assert KEY not in server.requests[0].headers["authorization"]


NOT_MODELS = ["nobody/model", "ollama/llava", "a-model-of-nobody", "openai/", "", "gemini/../../x", "openai/x?y"]


@pytest.mark.parametrize("model", [*NOT_MODELS, "openai/" + "x" * 500])
async def test_a_model_without_a_provider_is_refused(server: LlmServer, model: str) -> None:
    llm = engine(server)
    if model:
        with pytest.raises(LlmModelUnknown, match="anthropic/…, openai/…, gemini/…"):
            await llm.analyze(LlmQuestion(JPEG, model=model))
    with pytest.raises(LlmModelUnknown):
        engine(server, model)
    assert llm.calls == 0


@pytest.mark.parametrize("name", ["leaky", "forbidden", "hopeless", "good"])
async def test_the_key_is_never_revealed(
    server: LlmServer, name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = config(server, f"openai/{name}")
    llm = VisionLlm(settings)
    for logger in ("", *logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger)
    told = [repr(settings), str(settings), repr(llm)]
    (outcome,) = await asyncio.gather(llm.analyze(LlmQuestion(JPEG)), return_exceptions=True)
    told += [str(outcome), repr(outcome), str(vars(outcome)), str(pickle.dumps(outcome))]
    if isinstance(outcome, BaseException):
        assert outcome.__context__ is None
        told += traceback.format_exception(outcome)
    await asyncio.sleep(0.2)  # litellm logs from a thread
    told += [str(vars(record)) for record in caplog.records]
    told += capfd.readouterr()
    assert KEY in server.requests[0].headers["authorization"]
    assert not [text for text in told if KEY in text]
    assert not {record.name for record in caplog.records} & set(TALKATIVE)


async def test_a_cancelled_caller_cancels_the_call(server: LlmServer) -> None:
    asked = asyncio.create_task(engine(server, "openai/slow", fallbacks=("openai/good",)).analyze(LlmQuestion(JPEG)))
    while not server.requests:
        await asyncio.sleep(0.02)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await asyncio.to_thread(server.cut.wait, 5)
    assert len(server.requests) == 1


async def test_a_replica_without_any_key_says_what_to_set() -> None:
    replica: Any = replica_class(Llm)(LlmConfig("anthropic/claude-opus-4-6"))
    (status,) = await replica.status()
    assert "ANTHROPIC_API_KEY" in status.error
    with pytest.raises(LlmKeyMissing, match="LLM_BASE_URL"):
        await replica.analyze(LlmQuestion(JPEG))


async def test_a_replica_reports_its_state(server: LlmServer) -> None:
    replica: Any = replica_class(Llm)(config(server, "openai/repairable"))
    await replica.analyze(LlmQuestion(JPEG))
    (status,) = await replica.status()
    assert (status.name, status.device, status.items, status.batches) == ("llm", "provider", 1, 2)
    await replica.check_health()


@pytest.mark.parametrize(
    "error",
    [LlmProviderFailed("failed", 7), LlmAnswerInvalid("no"), LlmKeyMissing("set it"), LlmModelUnknown("which?")],
)
def test_errors_can_be_pickled(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ('For {example}: {"a": 1}, but rather {"a": [1, {"b": 2}]}.', {"a": [1, {"b": 2}]}),
        ("nothing", None),
        ("{" * 20_000, None),
        ('{"a":' * 4000, None),
        ("[1]", None),
    ],
)
def test_json_is_found_in_the_text(text: str, found: Any) -> None:
    assert find_object(text) == found


def test_longer_answers_are_truncated() -> None:
    analysis = LlmPhotoAnalysis(**ANALYSIS | {"overall_score": 7.26, "issues": list("abcdefg")})
    assert (analysis.overall_score, analysis.issues) == (7.3, list("abcde"))


@pytest.mark.parametrize("score", [0.9, 10.1, float("nan"), "8", True, None])
def test_a_score_is_a_number_from_one_to_ten(score: Any) -> None:
    with pytest.raises(ValidationError, match="overall_score"):
        LlmPhotoAnalysis(**ANALYSIS | {"overall_score": score})
