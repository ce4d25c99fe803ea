"""Family D over HTTP: the served models on drawn scenes and videos, batches, bad documents, the job records."""

import base64
import json
import os
import signal
import time
from collections import Counter
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from testbed.application import Application
from testbed.doubles.videos import audio_only, coloured, slideshow
from testbed.paths import shared
from testbed.pictures.images import encoded, png_header
from testbed.processes import within
from tests.contract.pictures import JPEG, UNUSUAL
from training.clip.evaluation import labelled_scenes
from training.scenes import fresh_arrangements

UNSUITABLE = "No Image/Video suitable for tagging analysis "
SCENES = {scene.label: encoded(scene.image, "PNG") for scene in labelled_scenes(12, 9) if scene.label}


def document(identity: str, data: bytes, kind: str = "png") -> dict[str, Any]:
    return {"id": identity, "source": {"content": base64.b64encode(data).decode(), "file_type": kind}}


def process(api: httpx.Client, documents: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    answer = api.post("/process", json={"documents": documents} | more, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def counted(content: list[dict[str, int]]) -> dict[str, int]:
    return {label: count for entry in content for label, count in entry.items()}


def test_a_request_of_the_earlier_service_gets_an_answer_in_its_shape(api: httpx.Client) -> None:
    request = json.loads(shared("contract/D_request_example.json").read_bytes())
    expected = json.loads(shared("contract/D_response_labels.json").read_bytes())
    body = api.post("/process", content=json.dumps(request), headers={"Content-Type": "text/plain"}).json()
    (treated,), (asked,) = body["data"], request["documents"]
    assert treated == asked | {"source": asked["source"] | {"content": treated["source"]["content"]}}
    labels = treated["source"]["content"]
    assert [one.keys() for one in labels] == [one.keys() for one in expected["data"][0]["source"]["content"]]
    assert len(labels) == request["num_labels"]
    assert body.keys() >= expected.keys()


def test_labels_are_right_and_descending(api: httpx.Client) -> None:
    wanted = {"a street map": "street map", "a traffic sign": "traffic sign", "a page of text": "page of text"}
    documents = [document(label, SCENES[label]) for label in wanted]
    for one in process(api, documents, num_labels=3)["data"]:
        labels = one["source"]["content"]
        assert labels[0]["label"] == wanted[one["id"]]
        assert [tag["probability"] for tag in labels] == sorted((t["probability"] for t in labels), reverse=True)


def test_counts_are_those_of_the_drawn_objects(api: httpx.Client) -> None:
    drawn = list(fresh_arrangements(15, 4))
    documents = [document(str(index), encoded(one.image, "PNG")) for index, one in enumerate(drawn)]
    found = [counted(one["source"]["content"]) for one in process(api, documents, prompt="<OD>")["data"]]
    right = [Counter(thing.name for thing in one.things) == counts for one, counts in zip(drawn, found, strict=True)]
    assert sum(right) >= 11


def test_a_video_has_the_labels_of_all_its_frames(api: httpx.Client) -> None:
    shown = [Image.open(BytesIO(SCENES[label])) for label in ("a street map", "a traffic sign")]
    video = slideshow(shown, seconds_each=3)
    (one,) = process(api, [document("v", video, "mp4")], num_labels=2)["data"]
    labels = {tag["label"]: tag["probability"] for tag in one["source"]["content"]}
    assert labels.keys() == {"street map", "traffic sign"}
    assert 0.25 < min(labels.values()) <= max(labels.values()) < 0.75


def test_a_video_s_counts_are_the_largest_of_any_frame(api: httpx.Client) -> None:
    drawn = [next(fresh_arrangements(1, seed)) for seed in range(3)]
    video = slideshow([one.image for one in drawn], seconds_each=2)
    (one,) = process(api, [document("v", video, "webm")], prompt="OD")["data"]
    seen = [
        counted(entry["source"]["content"])
        for entry in process(
            api, [document("f", encoded(one.image.resize((320, 240)), "PNG")) for one in drawn], prompt="OD"
        )["data"]
    ]
    expected = {label: max(counts.get(label, 0) for counts in seen) for counts in seen for label in counts}
    shown = counted(one["source"]["content"])
    assert len(expected.items() & shown.items()) >= len(expected) - 1  # a codec may lose one


@pytest.mark.parametrize("video", [audio_only(), coloured(2)[:600], coloured(0)], ids=["audio", "cut off", "no frames"])
def test_a_video_that_cannot_be_read_is_named(api: httpx.Client, video: bytes) -> None:
    body = process(api, [document("bad", video, "mp4"), document("good", JPEG, "JPG")])
    assert body["list_id_not_treated"] == [{"bad": UNSUITABLE}]
    assert [one["id"] for one in body["data"]] == ["good"]


def test_bad_documents_and_unusual_ones_beside_each_other(api: httpx.Client) -> None:
    good = [document(name, data, "tiff") for name, data in UNUSUAL.items()]
    bad = [
        document("text", b"this is text"),
        document("empty", b""),
        document("half", JPEG[: len(JPEG) // 2]),
        document("type", JPEG, "pdf"),
        document("bomb", png_header(20_000, 7_501)),
        {"id": "bare"},
    ]
    body = process(api, [*bad, *good])
    assert [one["id"] for one in body["data"]] == list(UNUSUAL)
    reasons = {name: reason for entry in body["list_id_not_treated"] for name, reason in entry.items()}
    assert reasons.keys() == {one["id"] for one in bad}
    assert reasons["text"] == reasons["empty"] == reasons["half"] == UNSUITABLE
    assert reasons["type"] == "File type not valid"
    assert "megapixels" in reasons["bomb"]


def test_fifty_documents_run_in_batches(api: httpx.Client) -> None:
    def figures() -> tuple[int, int]:
        models = {model["name"]: model for model in api.get("/v1/models").json()["data"]}
        return models["tagger"]["items"], models["tagger"]["batches"]

    before = figures()
    body = process(api, [document(str(index), JPEG, "jpg") for index in range(50)])
    assert [one["id"] for one in body["data"]] == [str(index) for index in range(50)]
    assert within(10, lambda: figures()[0] - before[0] == 50)  # a model's figures are up to a second old
    assert figures()[1] - before[1] < 40


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"documents": []}', b'{"documents": [1], "num_labels": 0}'])
def test_invalid_requests_get_an_error_in_the_family_s_shape(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/process", content=body)
    assert answer.status_code in {400, 422}
    assert answer.json()["status"]["code"] == answer.status_code
    assert answer.json()["error"]


def test_too_many_bytes_get_an_error_in_the_family_s_shape(api: httpx.Client) -> None:
    answer = api.post("/process", content=b" " * 101_000_000)
    assert (answer.status_code, answer.json()["status"]["code"]) == (413, 413)


def test_the_record_of_jobs(api: httpx.Client) -> None:
    headers = {"X-Request-ID": "the-job-of-this-test"}
    body = {"documents": [document("a", JPEG, "jpg"), {}]}
    assert api.post("/process", json=body, headers=headers).status_code == 200
    status = api.get("/work/status").json()
    job = status["jobs"][0]
    assert (job["request_id"], job["status"], job["treated"], job["not_treated"]) == (
        headers["X-Request-ID"],
        "done",
        1,
        1,
    )
    assert len(status["jobs"]) <= 1000


def test_a_killed_tagger_comes_back_and_other_models_keep_answering(panoptes: Application, api: httpx.Client) -> None:
    killed = panoptes.replicas("Tagger")[0]
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while True:
        answer = api.post("/process", json={"documents": [document("a", JPEG, "jpg")]})
        assert api.post("/process", json={"documents": [document("a", JPEG, "jpg")], "prompt": "OD"}).status_code == 200
        if answer.status_code == 200:
            break
        assert (answer.status_code, answer.json()["status"]["code"]) == (503, 503)
        assert answer.headers["Retry-After"]
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert answer.json()["number_documents_treated"] == 1
    assert panoptes.replicas("Tagger")[0] != killed
