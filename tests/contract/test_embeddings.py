"""POST /v1/embeddings with the official client, POST /v1/classify, GET /v1/models."""

import base64
import io
from collections.abc import Iterator

import httpx
import numpy as np
import open_clip
import openai
import pytest
import torch
from PIL import Image

from configs.project import PROJECT
from configs.registry import read_entry
from deployments.models.clip.settings import ClipEntry
from testbed.application import Application
from testbed.doubles.images import ImageServer
from testbed.paths import SAMPLES

CHINA, FLOWER = ((SAMPLES / name).read_bytes() for name in ("china.jpg", "flower.jpg"))


def data_uri(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


@pytest.fixture
def client(panoptes: Application) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{panoptes.url}/v1", api_key="unused") as opened:
        yield opened


def test_texts_as_floats_and_as_base64_are_the_same_vectors(client: openai.OpenAI) -> None:
    texts = ["a street map", "a page of text", "a street map"]
    floats = client.embeddings.create(model="clip", input=texts, encoding_format="float")
    packed = client.embeddings.create(model="clip", input=texts, encoding_format="base64")
    default = client.embeddings.create(model="clip", input=texts)
    vectors = np.array([item.embedding for item in floats.data])
    assert vectors.shape == (3, 512)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert (vectors[0] == vectors[2]).all()
    assert not np.allclose(vectors[0], vectors[1], atol=0.01)
    assert [item.index for item in floats.data] == [0, 1, 2]
    assert floats.model == "bundled/clip-scenes-v1"
    assert floats.usage.prompt_tokens == 5 + 6 + 5
    assert isinstance(packed.data[0].embedding, str)
    unpacked = np.array([np.frombuffer(base64.b64decode(str(item.embedding)), "<f4") for item in packed.data])
    assert unpacked == pytest.approx(vectors, abs=1e-6)
    assert np.array([item.embedding for item in default.data]) == pytest.approx(vectors, abs=1e-6)


def test_images_by_uri_and_url_and_as_content_parts(client: openai.OpenAI, image_server: ImageServer) -> None:
    image_server.files["china.jpg"] = CHINA
    sources = [data_uri(CHINA), f"{image_server.url}/file/china.jpg", data_uri(FLOWER)]
    by_modality = client.embeddings.create(
        model="bundled/clip-scenes-v1", input=sources, encoding_format="float", extra_body={"modality": "image"}
    )
    first, fetched, other = (np.array(item.embedding) for item in by_modality.data)
    assert first == pytest.approx(fetched, abs=1e-5)
    assert first @ other < 0.99
    parts = [{"type": "image_url", "image_url": {"url": sources[0]}}, {"type": "text", "text": "a street map"}]
    mixed = client.embeddings.create(model="clip", input="", encoding_format="float", extra_body={"input": parts})
    assert np.array(mixed.data[0].embedding) == pytest.approx(first, abs=1e-5)
    text = client.embeddings.create(model="clip", input="a street map", encoding_format="float")
    assert np.array(mixed.data[1].embedding) == pytest.approx(np.array(text.data[0].embedding), abs=1e-6)


def test_an_image_gets_the_vector_that_open_clip_itself_gives_it(client: openai.OpenAI) -> None:
    folder = PROJECT / read_entry("clip", ClipEntry).bundled.directory
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}", require_pretrained=True)
    with torch.inference_mode():
        photo = transform(Image.open(io.BytesIO(CHINA)).convert("RGB"))
        expected = model.eval().encode_image(photo[None], normalize=True)[0].numpy()
    answer = client.embeddings.create(
        model="clip", input=data_uri(CHINA), encoding_format="float", extra_body={"modality": "image"}
    )
    assert np.array(answer.data[0].embedding) == pytest.approx(expected, abs=1e-4)


def test_errors_reach_the_official_client(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.embeddings.create(model="text-embedding-3-small", input="a")
    assert "text-embedding-3-small" in unknown.value.response.json()["message"]
    with pytest.raises(openai.BadRequestError) as too_long:
        client.embeddings.create(model="clip", input="word " * 78)
    assert "at most 77 tokens" in too_long.value.response.json()["message"]


def test_the_official_client_lists_the_models(client: openai.OpenAI) -> None:
    model = client.models.list().data[0]
    assert (model.id, model.object) == ("bundled/clip-scenes-v1", "model")
    facts = model.model_dump()
    assert (facts["name"], facts["source"], facts["replicas"], facts["device"]) == ("clip", "bundled", 1, "cpu")
    assert facts["queue"] == 0
    assert facts["error"] is None


def test_classification_by_own_labels(api: httpx.Client, image_server: ImageServer) -> None:
    image_server.files["flower.jpg"] = FLOWER
    labels = ["a street map", "a flower", "a flower"]
    by_url = {"url": f"{image_server.url}/file/flower.jpg", "image_id": "f1"}
    by_data = {"data": base64.b64encode(FLOWER).decode()}
    bodies = [api.post("/v1/classify", json={"image": image, "labels": labels}).json() for image in (by_url, by_data)]
    assert bodies[0]["labels"] == bodies[1]["labels"]
    body = bodies[0]
    assert (body["model"], body["image_id"]) == ("bundled/clip-scenes-v1", "f1")
    assert (body["width_px"], body["height_px"]) == (640, 427)
    assert {entry["label"] for entry in body["labels"]} == {"a street map", "a flower"}
    scores = [entry["score"] for entry in body["labels"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-4)
