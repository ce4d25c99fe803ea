"""/process with doubles: an answer or a reason for every document, the two forms of content, and the job records."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr

from deployments.pictures.inputs import Reduced
from deployments.specs import model_specs
from deployments.work.deployment import MOST_JOBS, Job, Work
from serve_app.clients.client import SharedPicture
from serve_app.clients.models import Models
from serve_app.features.tagging import LATE, UNSUITABLE
from serve_app.http.errors import InvalidVideo, ModelUnavailable
from serve_app.inputs.documents import WRONG_TYPE
from testbed.paths import shared
from testbed.pictures.images import encoded
from testbed.replicas import replica_class
from tests.unit.serving.api import AnalyzerDouble, Doubles, client

PNG = encoded(Image.new("RGB", (40, 30), "teal"), "PNG")
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]
MP4 = b"\0\0\0\x18ftypmp42" + bytes(3)
NOT_BASE64 = "source.content: this is not base64 (RFC 4648): send the bytes of the file in base64"
LABELS = [{"label": "espresso", "probability": 0.75}, {"label": "cup", "probability": 0.125}]


def document(identity: Any = "a", data: bytes = PNG, kind: str = "png", **source: Any) -> dict[str, Any]:
    content = base64.b64encode(data).decode()
    return {
        "id": identity,
        "index": "i",
        "source": {"content": content, "file_type": kind, "embedded_depth": 0} | source,
    }


async def process(models: Models | None = None, body: Any = None, **settings: Any) -> httpx.Response:
    async with client(models=models, **settings) as api:
        return await api.post("/process", json=body)


async def reasons(*documents: Any, models: Models | None = None) -> list[dict[str, str]]:
    answer = await process(models, {"documents": [*documents]})
    assert answer.status_code == 200, answer.text
    return answer.json()["list_id_not_treated"]  # type: ignore[no-any-return]


async def test_the_earlier_service_s_own_request_is_answered_in_its_shape() -> None:
    request = shared("contract/D_request_example.json").read_bytes()
    expected = json.loads(shared("contract/D_response_labels.json").read_bytes())
    models = Doubles()
    async with client(models=models) as api:
        answer = await api.post("/process", content=request, headers={"Content-Type": "text/plain"})
    body, asked = answer.json(), json.loads(request)["documents"][0]
    assert (answer.status_code, body["status"], body["error"]) == (200, expected["status"], "")
    assert body.keys() == expected.keys() | {"memory_used", "ram_used"}
    assert body["data"] == [asked | {"source": asked["source"] | {"content": LABELS}}]
    assert body["data"][0].keys() == expected["data"][0].keys()
    assert body["data"][0]["source"].keys() == expected["data"][0]["source"].keys()
    assert models.tagger.told == [(8,)]


async def test_counts_have_the_shape_of_the_earlier_detector() -> None:
    expected = json.loads(shared("contract/D_response_objects.json").read_bytes())
    for prompt in ("OD", "<OD>"):
        body = (await process(body={"documents": [document()], "prompt": prompt})).json()
        assert body.keys() == expected.keys()
        assert body["data"][0]["source"]["content"] == [{"cup": 2}, {"table": 1}]
    assert 0 < float(body["memory_used"]) < 100
    assert float(body["ram_used"]) > 0


async def test_without_a_known_prompt_the_backend_decides() -> None:
    body = {"documents": [document()], "prompt": "what is this?"}
    assert (await process(body=body)).json()["data"][0]["source"]["content"] == LABELS
    counted = await process(body=body, tagger_backend="florence2")
    assert counted.json()["data"][0]["source"]["content"] == [{"cup": 2}, {"table": 1}]


async def test_a_video_gets_the_combined_answer_of_its_frames() -> None:
    models = Doubles()
    labels = await process(models, {"documents": [document("v", MP4, "MP4")], "num_labels": "3"})
    counts = await process(models, {"documents": [document("v", MP4, "MP4")], "prompt": "OD"})
    assert labels.json()["data"][0]["source"]["content"] == LABELS
    assert models.tagger.told == [(3,)]
    takes = model_specs()["Tagger"].takes(())
    assert isinstance(takes, Reduced)
    side = takes.least
    assert models.tagger.seen == [(len(MP4), side, side, 3)]
    assert counts.json()["data"][0]["source"]["content"] == [{"cup": 2}, {"table": 2}]  # as in the second frame


async def test_bad_documents_are_named_and_the_others_are_answered_in_their_order() -> None:
    documents = [
        document("first"),
        document("text", b"this is text"),
        document("half", PNG[:50]),
        document("empty", b""),
        document("type", kind="docx"),
        document("base64", content="@@@"),
        document("half a character", extra="\ud800"),
        document("\udfff", data=b"x"),
        document("deep", extra=DEEP),
        document("large", extra="x" * 1_000_001),
        document(True, data=b"x"),
        {"id": "bare"},
        "no document",
        {"source": {"content": "", "file_type": "gif"}},
        document(7, kind="", file_name="Photo.PNG"),
    ]
    content = json.dumps({"documents": documents})  # with \\ud800 unescaped
    async with client() as api:
        answer = (await api.post("/process", content=content)).json()
    assert [one["id"] for one in answer["data"]] == ["first", 7]
    cannot = "The document cannot be given back: it has no Unicode text, is nested too deeply or too large"
    no_file = "The document has no source.content: send the file there, in base64"
    assert answer["list_id_not_treated"] == [
        {"text": UNSUITABLE},
        {"half": UNSUITABLE},
        {"empty": UNSUITABLE},
        {"type": WRONG_TYPE},
        {"base64": NOT_BASE64},
        {"half a character": cannot},
        {"documents[7]": cannot},
        {"deep": cannot},
        {"large": cannot},
        {"documents[10]": UNSUITABLE},
        {"bare": no_file},
        {"documents[12]": no_file},
        {"documents[13]": UNSUITABLE},
    ]
    assert (answer["number_documents_treated"], answer["number_documents_non_treated"]) == (2, 13)
    assert answer["status"] == {"code": 200, "message": "Success"}


@pytest.mark.parametrize("depth", range(236, 260, 2))
async def test_a_document_of_any_depth_is_answered_or_named(depth: int) -> None:
    nested: Any = "end"
    for _ in range(depth):
        nested = [nested]
    answer = await process(body={"documents": [document("deep", extra=nested), document("flat")]})
    assert answer.status_code == 200
    assert answer.json()["data"][-1]["id"] == "flat"


async def test_a_video_that_cannot_be_read_is_named() -> None:
    models = Doubles()
    models.video.fails = InvalidVideo("no frames")
    assert await reasons(document("v", MP4, "mp4"), document(), models=models) == [{"v": UNSUITABLE}]


async def test_limits_are_a_document_s_own_reason() -> None:
    body = {"documents": [document("large", bytes(2_000_000)), document()]}
    answer = (await process(body=body, max_image_mb=1)).json()
    assert answer["list_id_not_treated"] == [{"large": "An image may have at most 1 MB: send a smaller one."}]
    assert answer["number_documents_treated"] == 1


class SlowWithWide(AnalyzerDouble):
    """Never answers for a picture that is wider than it is high."""

    async def analyze(self, picture: SharedPicture, *arguments: object) -> Any:
        if picture.width > picture.height:
            await asyncio.sleep(60)
        return await super().analyze(picture, *arguments)


def slow_with_wide() -> Doubles:
    models = Doubles()
    models.replace(SlowWithWide("Tagger", "tagger", figures=models.tagger.figures))
    return models


SQUARE = encoded(Image.new("RGB", (30, 30), "teal"), "PNG")


async def test_late_documents_are_left_out_and_named() -> None:
    body = {"documents": [document("quick", SQUARE), document("slow")]}
    answer = await process(slow_with_wide(), body, process_timeout_s=8)
    assert (answer.status_code, answer.json()["list_id_not_treated"]) == (200, [{"slow": LATE}])
    assert [one["id"] for one in answer.json()["data"]] == ["quick"]


async def test_a_request_whose_documents_are_all_late_times_out() -> None:
    models = slow_with_wide()
    answer = await process(models, {"documents": [document(), document("type", kind="docx")]}, process_timeout_s=1)
    assert (answer.status_code, answer.json()["status"]["code"]) == (504, 504)
    (job,) = await models.work.jobs()
    assert job.status == "failed"


async def test_the_upload_counts_towards_the_deadline() -> None:
    async def slowly() -> AsyncIterator[bytes]:
        body = json.dumps({"documents": [document("quick", SQUARE), document("slow")]}).encode()
        yield body[:50]
        await asyncio.sleep(1.5)
        yield body[50:]

    async with client(models=slow_with_wide(), process_timeout_s=8) as api:
        answer = await api.post("/process", content=slowly())
    assert (answer.status_code, answer.json()["list_id_not_treated"]) == (200, [{"slow": LATE}])


async def test_documents_run_in_parallel_and_leave_room_for_others() -> None:
    models, under_way, full = Doubles(), 0, asyncio.Event()

    async def hold() -> None:
        nonlocal under_way
        under_way += 1
        if under_way == 8:
            full.set()
        await full.wait()  # waits for ever if fewer than eight run in parallel
        under_way -= 1

    async with client(models=models, max_concurrent_pictures=4) as api:
        models.tagger.before = hold
        documents = [document(index) for index in range(48)]
        answer = await api.post("/process", json={"documents": documents})
        assert answer.json()["number_documents_treated"] == 48
        full.clear()
        under_way = -1_000
        many = asyncio.create_task(api.post("/process", json={"documents": documents}))
        while under_way < -992:
            await asyncio.sleep(0.01)
        data = base64.b64encode(PNG).decode()
        other = await api.post("/v1/caption", json={"image": {"data": data}})
        full.set()
        await many
    assert other.status_code == 200


async def test_an_unavailable_model_is_503_when_no_document_was_treated() -> None:
    models = Doubles()
    models.tagger.fails = ModelUnavailable("being replaced", retry_after_s=5)
    answer = await process(models, {"documents": [document(), document("b", kind="docx")]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["status"] == {"code": 503, "message": "being replaced"}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b'{"documents": [NaN]}', 400),
        (b'{"documents": [' + b"[]," * 200_000 + b"1]}", 413),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"documents": []}', 422),
        (b'{"documents": {}}', 422),
        (b'{"documents": ["a"], "num_labels": 0}', 422),
        (b'{"documents": ["a"], "num_labels": "1001"}', 422),
        (b'{"documents": ["a"], "num_classes": "many"}', 422),
        (b'{"documents": ["a"], "num_labels": 2.5}', 422),
        (b'{"documents": ["a"], "num_labels": true}', 422),
        (b'{"documents": ["a"], "num_labels": "5.0"}', 422),
        (b'{"documents": ["a"], "num_labels": "' + b"9" * 5000 + b'"}', 422),
        (b'{"documents": ["a"], "prompt": 7}', 422),
        (json.dumps({"documents": ["a"] * 1001}).encode(), 413),
    ],
    ids=lambda value: str(value[:40]) if isinstance(value, bytes) else str(value),
)
async def test_invalid_requests_get_an_error_in_the_family_s_shape(content: bytes, status: int) -> None:
    async with client() as api:
        answer = await api.post("/process", content=content)
    body = answer.json()
    assert (answer.status_code, body["status"]["code"]) == (status, status)
    assert body["error"] == body["status"]["message"]
    assert (body["data"], body["number_documents_treated"], body["list_id_not_treated"]) == ([], 0, [])


@pytest.mark.parametrize("name", ["num_labels", "num_classes"])
async def test_both_names_of_the_number_of_labels_are_accepted(name: str) -> None:
    models = Doubles()
    for value in ("12", 12, None):
        await process(models, {"documents": [document()], name: value})
    assert models.tagger.told == [(12,), (12,), (5,)]


async def test_every_error_has_the_family_s_shape() -> None:
    models = Doubles()
    models.tagger.fails = ModelUnavailable("being replaced", retry_after_s=5)
    body = {"documents": [document()]}
    async with client(models=models, api_key=SecretStr("key")) as api:
        refused = await api.post("/process", json=body)
        wrong = await api.get("/process", headers={"X-Api-Key": "key"})
        away = await api.post("/process", json=body, headers={"X-Api-Key": "key"})
    async with client(rate_limit_enabled=True, rate_limit_burst=1) as api:
        await api.post("/process", json=body)
        often = await api.post("/process", json=body)
    for answer, status in ((refused, 401), (wrong, 405), (away, 503), (often, 429)):
        shown = answer.json()
        assert (answer.status_code, shown["status"]["code"], shown["list_id_not_treated"]) == (status, status, [])
    assert (refused.json()["error"], refused.json()["detail"]["error"]) == ("unauthorized", "unauthorized")
    assert often.headers["Retry-After"]


async def test_health_routes() -> None:
    async with client() as api:
        assert (await api.get("/test")).json() == {"test endpoint is": "OK"}
        assert (await api.get("/health-check")).json() == {"message": "OK"}


async def test_the_job_records_show_the_newest_jobs_and_why_one_failed() -> None:
    models = Doubles()
    async with client(models=models) as api:
        for number in range(3):
            await api.post("/process", json={"documents": [document(), {}]}, headers={"X-Request-ID": f"job-{number}"})
        models.tagger.fails = ModelUnavailable("being replaced", retry_after_s=5)
        await api.post("/process", json={"documents": [document()]}, headers={"X-Request-ID": "bad"})
        status = (await api.get("/work/status")).json()
    assert status["running"] == 0
    assert [job["request_id"] for job in status["jobs"]] == ["bad", "job-2", "job-1"]  # the double remembers three
    failed, done = status["jobs"][:2]
    assert (failed["status"], failed["error"], failed["documents"]) == ("failed", "being replaced", 1)
    assert (done["status"], done["error"], done["treated"], done["not_treated"]) == ("done", "", 1, 1)
    assert done["started_at"] <= done["finished_at"]
    assert done["started_at"].endswith("+00:00")


async def test_a_job_record_that_cannot_be_stored_does_not_fail_the_request() -> None:
    models = Doubles()
    models.work.fails = ModelUnavailable("away", retry_after_s=5)
    async with client(models=models) as api:
        answer = await api.post("/process", json={"documents": [document()]})
        status = await api.get("/work/status")
    assert answer.json()["number_documents_treated"] == 1
    assert (status.status_code, status.json()["status"]["code"]) == (503, 503)


async def test_job_records_are_bounded_and_jobs_of_dead_replicas_end() -> None:
    work = replica_class(Work)()
    now = time.time()
    for number in range(MOST_JOBS + 5):
        await work.record(Job(str(number), "the same", 1, now, now + 60))
    await work.record(Job("lost", "the same", 1, now - 100, now - 50))
    jobs = await work.jobs()
    assert (len(jobs), jobs[0].id, jobs[-1].id) == (MOST_JOBS, "lost", "6")
    assert (jobs[0].status, jobs[1].status) == ("failed", "running")
    assert "send it again" in jobs[0].error
