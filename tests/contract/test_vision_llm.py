"""POST /v1/analyze/llm over HTTP, with a double of the provider."""

import json

import httpx
import pytest

from testbed.application import Application
from testbed.doubles.images import ImageServer
from testbed.doubles.llm import ANALYSIS, RETRY_AFTER_S, LlmServer
from testbed.pictures.images import png_header
from tests.contract.asking import ask_llm
from tests.contract.conftest import PROVIDER_KEY
from tests.contract.pictures import JPEG, inline


def test_a_vision_model_is_asked(api: httpx.Client, llm_server: LlmServer, image_server: ImageServer) -> None:
    answer = ask_llm(api, "good", ref_id="r1", language="Dutch")
    image_server.files["photo.jpg"] = JPEG
    assert answer.status_code == 200, answer.text
    assert answer.json()["analysis"]["overall_score"] == ANALYSIS["overall_score"]
    assert (answer.json()["ref_id"], answer.json()["error"]) == ("r1", None)
    assert "Dutch" in llm_server.requests[-1].prompt
    private = f"{image_server.url}/file/photo.jpg"
    by_address = api.post("/v1/analyze/llm", json={"image_url": private, "model": "openai/good"})
    assert by_address.status_code == 200, by_address.text
    assert private not in json.dumps(llm_server.requests[-1].body)


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("fenced", 200, None),
        ("prose", 200, None),
        ("repairable", 200, None),
        ("hopeless", 422, "llm_unparsable"),
        ("broken", 502, "llm_failed"),
    ],
)
def test_each_behaviour_of_a_vision_model_has_its_status(
    api: httpx.Client, model: str, status: int, code: str | None
) -> None:
    answer = ask_llm(api, model)
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text


def test_a_provider_that_is_busy_says_when_to_come_back(api: httpx.Client) -> None:
    answer = ask_llm(api, "limited")
    assert (answer.status_code, answer.headers["Retry-After"]) == (502, str(RETRY_AFTER_S))


def test_a_provider_without_a_key_is_503_and_an_unknown_one_422(api: httpx.Client) -> None:
    body = {"image": inline(JPEG)["data"]}
    keyless = api.post("/v1/analyze/llm", json=body | {"model": "anthropic/claude-opus-4-6"})
    unknown = api.post("/v1/analyze/llm", json=body | {"model": "nobody/nothing"})
    assert (keyless.status_code, keyless.json()["error"]) == (503, "llm_without_key")
    assert "ANTHROPIC_API_KEY" in keyless.json()["message"]
    assert (unknown.status_code, unknown.json()["error"]) == (422, "llm_unknown")


def test_the_key_of_a_provider_is_never_shown(panoptes: Application, api: httpx.Client) -> None:
    for model in ("good", "leaky", "forbidden", "broken"):
        assert PROVIDER_KEY not in ask_llm(api, model).text
    logs = [panoptes.log_path, *(panoptes.ray_folder / "session_latest" / "logs").rglob("*")]
    leaks = [log.name for log in logs if log.is_file() and PROVIDER_KEY.encode() in log.read_bytes()]
    assert leaks == []


@pytest.mark.parametrize("body", [{}, {"image": "@@@"}, {"image": "", "image_url": "http://x"}])
def test_invalid_vision_requests_are_refused(api: httpx.Client, body: dict[str, str]) -> None:
    assert api.post("/v1/analyze/llm", json=body).status_code in {400, 422}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"this is text", 400),
        (JPEG[: len(JPEG) // 2], 400),
        (png_header(20_000, 7_501), 413),
        (b"\xff\xd8\xff" + bytes(60_000_000), 413),
    ],
    ids=["empty", "text", "truncated", "bomb", "60 MB"],
)
def test_files_that_are_not_images_are_not_sent_to_a_vision_model(
    api: httpx.Client, llm_server: LlmServer, data: bytes, status: int
) -> None:
    asked = len(llm_server.requests)
    answer = api.post("/v1/analyze/llm", json={"image": inline(data)["data"]})
    assert answer.status_code == status
    assert len(llm_server.requests) == asked


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("http://localhost/", "url_refused"),
        ("http://169.254.169.254/latest/meta-data/", "url_refused"),
        ("{server}/redirect/http://10.0.0.1/a.jpg", "url_refused"),
        ("{server}/endless", "payload_too_large"),
        ("{server}/hang", "fetch_timeout"),
    ],
)
def test_images_from_forbidden_addresses_are_not_sent_to_a_vision_model(
    api: httpx.Client, image_server: ImageServer, path: str, code: str
) -> None:
    answer = api.post("/v1/analyze/llm", json={"image_url": path.format(server=image_server.url)})
    assert answer.json()["error"] == code
