"""POST /v1/cluster over HTTP: the labels of scikit-learn, and requests that are refused."""

import json

import httpx
import pytest
from sklearn.cluster import DBSCAN

from tests.contract.asking import blobs


def test_clusters_are_those_of_scikit_learn(api: httpx.Client) -> None:
    vectors = blobs(600)
    ids = [f"photo_{index}" for index in range(len(vectors))]
    body = {"embeddings": vectors.tolist(), "image_ids": ids, "eps": 0.12, "min_samples": 4}
    answer = api.post("/v1/cluster", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    labels = DBSCAN(eps=0.12, min_samples=4, metric="cosine").fit(vectors).labels_.tolist()
    assert [one["cluster_id"] for one in found["assignments"]] == labels
    assert [one["image_id"] for one in found["assignments"]] == ids
    assert (found["algorithm"], found["eps_used"], found["min_samples_used"]) == ("DBSCAN", 0.12, 4)
    assert (found["total_images"], found["num_noise"]) == (600, labels.count(-1))
    assert found["num_clusters"] == len(found["clusters"]) == max(labels) + 1 > 1
    assert sum(cluster["size"] for cluster in found["clusters"]) + found["num_noise"] == 600


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"embeddings": [[1, 0], [0, 1]]}',
        b'{"embeddings": [[1, 0], [0, 1]], "image_ids": ["a"]}',
        b'{"embeddings": [[1, 0]], "image_ids": ["a"]}',
        b'{"embeddings": [[1, 0], [1]], "image_ids": ["a", "b"]}',
        b'{"embeddings": [[1, 0], [NaN, 1]], "image_ids": ["a", "b"]}',
        b'{"embeddings": [[1, 0], [1e999, 1]], "image_ids": ["a", "b"]}',
        b'{"embeddings": [[1, 0], [0, 0]], "image_ids": ["a", "b"]}',
        b'{"embeddings": [[], []], "image_ids": ["a", "b"]}',
        b'{"embeddings": [[1, 0], ["x", 1]], "image_ids": ["a", "b"]}',
        b'{"embeddings": [[1, 0], [0, 1]], "image_ids": ["a", "b"], "eps": 0}',
        b'{"embeddings": [[1, 0], [0, 1]], "image_ids": ["a", "b"], "min_samples": 51}',
        json.dumps({"embeddings": [[1]] * 20_001, "image_ids": ["a"] * 20_001}).encode(),
    ],
    ids=lambda body: body[:60].decode(),
)
def test_invalid_requests_are_refused(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/v1/cluster", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error"), answer.text
    assert answer.json()["detail"][0].keys() >= {"loc", "msg", "type"}
