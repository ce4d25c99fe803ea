"""Reading a clustering request row by row, the refusal of invalid ones, and the answer."""

import asyncio
import json
import math
import pickle
import threading
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from deployments.clustering import deployment as clusterer
from deployments.clustering.dbscan import Cancelled, dbscan
from deployments.clustering.deployment import (
    PROBE,
    Clusterer,
    ClusterRequest,
    ClusterResponse,
    parse,
    render,
)
from deployments.runtime.errors import InvalidClustering, ModelFailed
from testbed.replicas import replica_class

IDS = ["a", "b", "c"]
ROWS: list[Any] = [[1, 2.5], [-0.5e-3, 1e2], [0.1, -7]]


def request(**fields: Any) -> bytes:
    return json.dumps({"embeddings": ROWS, "image_ids": IDS} | fields).encode()


def refused(body: bytes, most: int = 10) -> list[dict[str, Any]]:
    with pytest.raises(InvalidClustering) as caught:
        parse(body, most)
    return caught.value.problems


def test_a_request_is_read_with_its_defaults() -> None:
    vectors = parse(request(), 3)
    assert vectors.embeddings.dtype == np.float64
    assert vectors.embeddings.tolist() == ROWS
    assert vectors.embeddings.flags.writeable
    assert vectors.request.image_ids == IDS
    assert (vectors.request.eps, vectors.request.min_samples) == (0.35, 2)


def test_every_double_arrives_as_it_was_sent() -> None:
    rows = np.random.default_rng(0).standard_normal((5, 100)) * 10.0 ** np.arange(-50, 50)
    vectors = parse(request(embeddings=rows.tolist(), image_ids=list("abcde")), 5)
    assert (vectors.embeddings == rows).all()


@pytest.mark.parametrize(
    "body",
    [
        b'{"image_ids":["a","b"],"embeddings":[[1,2],[3,4]],"eps":0.5,"min_samples":3}',
        b'{"eps":0.5,"min_samples":3,"embeddings":[[1,2],[3,4]],"image_ids":["a","b"]}',
        b' {\r\n"embeddings" :\t[\n[ 1 , 2\n] ,\t[3.0,4e0 ] ] ,\n"image_ids":["a","b"],"eps":0.5, "min_samples":3} \n',
        # Of a repeated key the last value counts, as is usual for JSON.
        b'{"embeddings":[[9]],"image_ids":["a","b"],"eps":0.5,"min_samples":3,"embeddings":[[1,2],[3,4]]}',
    ],
)
def test_order_and_spaces_do_not_matter(body: bytes) -> None:
    vectors = parse(body, 10)
    assert vectors.embeddings.tolist() == [[1, 2], [3, 4]]
    assert vectors.request.image_ids == ["a", "b"]
    assert (vectors.request.eps, vectors.request.min_samples) == (0.5, 3)


@pytest.mark.parametrize(
    "image_id", ["[[", "]", '"', "\\", '\\"', '"embeddings": [[1]]', "{", "é", "\U0001f30d", "\n", "", "\\\\"]
)
def test_an_id_may_be_any_string(image_id: str) -> None:
    for body in (
        request(image_ids=[image_id, "b", image_id]),
        json.dumps({"image_ids": [image_id, "b", image_id], "embeddings": ROWS}, ensure_ascii=False).encode(),
    ):
        vectors = parse(body, 10)
        assert vectors.request.image_ids == [image_id, "b", image_id]
        assert vectors.embeddings.tolist() == ROWS


@pytest.mark.parametrize(
    ("fields", "place", "kind"),
    [
        ({"embeddings": ROWS[:1], "image_ids": ["a"]}, ["image_ids"], "too_short"),
        ({"embeddings": ROWS[:1]}, ["embeddings"], "too_short"),
        ({"embeddings": []}, ["embeddings"], "too_short"),
        ({"embeddings": [[1]] * 11}, ["embeddings"], "too_long"),
        ({"embeddings": None}, ["embeddings"], "list_type"),
        ({"embeddings": "[[1],[2]]"}, ["embeddings"], "list_type"),
        ({"embeddings": {"0": [1]}}, ["embeddings"], "list_type"),
        ({"embeddings": [1, 2, 3]}, ["embeddings", 0], "list_type"),
        ({"embeddings": [[1], 2, [3]]}, ["embeddings", 1], "list_type"),
        ({"embeddings": [[1], None, [3]]}, ["embeddings", 1], "list_type"),
        ({"embeddings": [[1], {}, [3]]}, ["embeddings", 1], "list_type"),
        ({"embeddings": [[1], [[2]], [3]]}, ["embeddings", 1], "list_type"),
        ({"embeddings": [[1], ["]"], [3]]}, ["embeddings", 1], "list_type"),
        ({"embeddings": [[1], ["2"], [3]]}, ["embeddings", 1, 0], "finite_number"),
        ({"embeddings": [[1, 2], [3, True], [4, 5]]}, ["embeddings", 1, 1], "finite_number"),
        ({"embeddings": [[1, 2], [3, None], [4, 5]]}, ["embeddings", 1, 1], "finite_number"),
        ({"embeddings": [[1], [math.nan], [3]]}, ["embeddings", 1, 0], "finite_number"),
        ({"embeddings": [[1], [2], [-math.inf]]}, ["embeddings", 2, 0], "finite_number"),
        ({"embeddings": [[1], [2], [10**400]]}, ["embeddings", 2, 0], "finite_number"),
        ({"embeddings": [[1, 2], [1, 2, 3], [1, 2]]}, ["embeddings", 1], "length_mismatch"),
        ({"embeddings": [[1, 2], [0, 0.0], [1, 2]]}, ["embeddings", 1], "no_direction"),
        ({"embeddings": [[1, 2], [1e-200, 0], [1, 2]]}, ["embeddings", 1], "no_direction"),
        ({"embeddings": [[1, 2], [1e200, 0], [1, 2]]}, ["embeddings", 1], "no_direction"),
        ({"embeddings": [[], [], []]}, ["embeddings", 0], "no_direction"),
        ({"embeddings": [[], [1], [2]]}, ["embeddings", 0], "no_direction"),
        ({"image_ids": ["a", "b"]}, [], "length_mismatch"),
        ({"image_ids": ["a", "b", 3]}, ["image_ids", 2], "string_type"),
        ({"image_ids": None}, ["image_ids"], "list_type"),
        ({"eps": 0.009}, ["eps"], "greater_than_equal"),
        ({"eps": 2.1}, ["eps"], "less_than_equal"),
        ({"eps": math.nan}, [], "json_invalid"),
        ({"eps": True}, ["eps"], "value_error"),
        ({"min_samples": 10**4000}, [], "json_invalid"),
        ({"image_ids": ["a", "b", "\ud800"]}, [], "json_invalid"),
        ({"min_samples": 0}, ["min_samples"], "greater_than_equal"),
        ({"min_samples": 51}, ["min_samples"], "less_than_equal"),
        ({"min_samples": 1.5}, ["min_samples"], "int_from_float"),
        ({"more": 1}, ["more"], "extra_forbidden"),
        ({"more": {"embeddings": ROWS}}, ["more"], "extra_forbidden"),
    ],
)
def test_each_problem_is_reported_with_its_place(fields: dict[str, Any], place: list[Any], kind: str) -> None:
    problem = refused(request(**fields))[0]
    assert problem.keys() == {"loc", "msg", "type"}
    assert (problem["loc"], problem["type"]) == (["body", *place], kind)
    if len(place) > 1 and place[0] == "embeddings":
        assert problem["msg"].startswith("embeddings" + "".join(f"[{part}]" for part in place[1:]))
        assert ": " in problem["msg"]  # the message also says what to do


@pytest.mark.parametrize(
    ("body", "place", "kind"),
    [
        (b"", [], "json_invalid"),
        (b"\xff\xfe{}", [], "json_invalid"),
        (b"null", [], "model_type"),
        (b"[[1,2],[3,4]]", [], "model_type"),
        (b'{"image_ids":["a","b"]}', ["embeddings"], "missing"),
        (b'{"\\u0065mbeddings":[[1],[2]],"image_ids":["a","b"]}', ["embeddings"], "missing"),  # not spelt out
        (b'{"embeddings":[[1],[2]]}', ["image_ids"], "missing"),
        (b'{"embeddings":[[1],[2]],"image_ids":["a","b"]', [], "json_invalid"),
        (b'{"embeddings":[[1],[2]],"image_ids":["a","b', [], "json_invalid"),
        (b'{"embeddings":[[1],[2]] "image_ids":["a","b"]}', [], "json_invalid"),
        (b'{"embeddings":[[1],[2]]]}', [], "json_invalid"),
        (b'["embeddings":[[1],[2]],"image_ids",["a","b"]]', [], "json_invalid"),
        (b'{"embeddings":[[1],[2],],"image_ids":["a","b"]}', ["embeddings", 2], "list_type"),
        (b'{"embeddings":[[1],,[2]],"image_ids":["a","b"]}', ["embeddings", 1], "list_type"),
        (b'{"embeddings":[[1][2]],"image_ids":["a","b"]}', ["embeddings", 0], "list_type"),
        (b'{"embeddings":[[1],[2', ["embeddings", 1], "list_type"),
        (b'{"embeddings":[[1],[2]', ["embeddings", 1], "list_type"),
        (b'{"embeddings":[', ["embeddings", 0], "list_type"),
        (b'{"embeddings":[[1,],[2]],"image_ids":["a","b"]}', ["embeddings", 0], "list_type"),
        (b'{"embeddings":[[1 2],[2]],"image_ids":["a","b"]}', ["embeddings", 0], "list_type"),
        (b'{"embeddings":[[+1],[2]],"image_ids":["a","b"]}', ["embeddings", 0], "list_type"),
        (b'{"embeddings":[[01],[2]],"image_ids":["a","b"]}', ["embeddings", 0], "list_type"),
        (b'{"embeddings":[[1],[1e999]],"image_ids":["a","b"]}', ["embeddings", 1, 0], "finite_number"),
        (b'{"embeddings":[[1],[Infinity]],"image_ids":["a","b"]}', ["embeddings", 1, 0], "finite_number"),
    ],
)
def test_invalid_json_is_refused(body: bytes, place: list[Any], kind: str) -> None:
    problem = refused(body)[0]
    assert (problem["loc"], problem["type"]) == (["body", *place], kind)
    assert " at line " not in problem["msg"]


def test_a_few_problems_are_reported_at_once() -> None:
    problems = refused(request(embeddings=[[1, 2], [3], [None, 1], [4, 5], [6, 7, 8]]))
    assert [problem["loc"] for problem in problems] == [
        ["body", "embeddings", 1], ["body", "embeddings", 2, 0], ["body", "embeddings", 4]
    ]  # fmt: skip
    for fields in ({"embeddings": [[0]] * 50}, {"embeddings": [[None]] * 50}):
        assert len(refused(request(**({"image_ids": ["a"] * 50} | fields)), most=50)) == 10
    assert len(refused(request(**{f"more_{n}": 0 for n in range(50)}))) == 3  # there may be millions
    assert len(refused(request(image_ids=[1, 2, 3]))) == 1  # there may be 20,000


def test_a_large_invalid_body_is_refused_in_little_memory() -> None:
    """A body of 20 MB, whose objects would take many times that, is refused before the objects are built."""
    many = b"[" + b"0," * 10_000_000 + b"0]"
    bodies = {
        "field": b'{"more": ' + many + b"}",
        "ids": b'{"image_ids": ' + many + b"}",
        "row": b'{"embeddings": [' + many + b"]}",
        "key": b'{"embeddings": {"x": ' + many + b"}}",
        "quotes": b'{"' + b'\\"' * 5_000_000,
    }
    for name, body in bodies.items():
        tracemalloc.start()
        problems = refused(body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert problems[0]["type"] == ("list_type" if name == "row" else "too_long"), name
        assert peak < 2_000_000, name


def test_an_unclosed_string_is_scanned_once() -> None:
    """Scanned again from each of its quotes, it would take half a minute."""
    started = time.perf_counter()
    assert refused(b'{"' + b'\\"' * 150_000, most=1000)[0]["type"] == "json_invalid"
    assert time.perf_counter() - started < 5


def test_a_request_is_read_in_little_more_memory_than_its_array() -> None:
    rows = np.random.default_rng(0).standard_normal((1000, 256))
    body = request(embeddings=rows.tolist(), image_ids=[f"photo_{number}" for number in range(1000)])
    tracemalloc.start()
    try:
        vectors = parse(body, 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert vectors.embeddings.shape == (1000, 256)
    assert peak < 1.3 * rows.nbytes


def test_reading_stops_when_told() -> None:
    with pytest.raises(Cancelled):
        parse(request(), 10, stop=lambda: True)


def test_the_error_survives_pickling() -> None:
    sent = pickle.dumps(InvalidClustering([{"loc": ["body"], "msg": "row 3", "type": "x"}]))
    error = pickle.loads(sent)  # noqa: S301 - our own
    assert error.problems == [{"loc": ["body"], "msg": "row 3", "type": "x"}]
    assert str(error) == "row 3"


def test_the_answer() -> None:
    asked = ClusterRequest(embeddings=[[1.0]] * 5, image_ids=list("abcde"), eps=0.5, min_samples=3)
    answer = json.loads(render(asked, np.array([1, -1, 0, 1, -1]), 12.3456))
    assert ClusterResponse.model_validate(answer)
    assert answer == {
        "api_version": "1.0",
        "algorithm": "DBSCAN",
        "eps_used": 0.5,
        "min_samples_used": 3,
        "total_images": 5,
        "num_clusters": 2,
        "num_noise": 2,
        "assignments": [
            {"image_id": "a", "cluster_id": 1, "is_noise": False},
            {"image_id": "b", "cluster_id": -1, "is_noise": True},
            {"image_id": "c", "cluster_id": 0, "is_noise": False},
            {"image_id": "d", "cluster_id": 1, "is_noise": False},
            {"image_id": "e", "cluster_id": -1, "is_noise": True},
        ],
        "clusters": [
            {"cluster_id": 0, "size": 1, "image_ids": ["c"]},
            {"cluster_id": 1, "size": 2, "image_ids": ["a", "d"]},
        ],
        "processing_time_ms": 12.346,
    }


def test_the_answer_when_all_is_noise() -> None:
    asked = ClusterRequest(embeddings=[[1.0]] * 2, image_ids=["a", "b"])
    answer = json.loads(render(asked, np.array([-1, -1]), 1))
    assert (answer["num_clusters"], answer["num_noise"], answer["clusters"]) == (0, 2, [])


@pytest.fixture
def replica() -> Any:
    return replica_class(Clusterer)(100, 1)


def test_the_replica_starts_with_the_smallest_limit() -> None:
    assert replica_class(Clusterer)(2, 0)


async def test_a_request_goes_in_and_its_answer_comes_out(replica: Any) -> None:
    answer = json.loads(await replica.cluster(PROBE))
    assert [one["cluster_id"] for one in answer["assignments"]] == [0, 0]
    (status,) = await replica.status()
    assert (status.name, status.device, status.queue, status.items, status.batches) == ("clusterer", "cpu", 0, 1, 1)
    assert status.load_time_ms > 0


async def test_an_invalid_request_fails_only_its_caller(replica: Any) -> None:
    with pytest.raises(InvalidClustering, match="more than 100 embeddings"):
        await replica.cluster(request(embeddings=[[1]] * 101))
    assert await replica.cluster(PROBE)


class Held:
    """Replaces `dbscan`: waits until told to continue or to stop."""

    def __init__(self) -> None:
        self.started, self.stopped, self.go = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, embeddings: Any, *_: Any, stop: clusterer.Stop, **__: Any) -> Any:
        self.started.set()
        while not self.go.wait(0.001):
            if stop():
                self.stopped.set()
                raise Cancelled
        return np.zeros(len(embeddings), np.int64)


async def hold(replica: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Held, "asyncio.Task[bytes]"]:
    held = Held()
    monkeypatch.setattr(clusterer, "dbscan", held)
    task = asyncio.create_task(replica.cluster(PROBE))
    assert await asyncio.to_thread(held.started.wait, 5)
    return held, task


async def test_waiting_requests_are_counted(replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held, first = await hold(replica, monkeypatch)
    others = [asyncio.create_task(replica.cluster(PROBE)) for _ in range(2)]
    await asyncio.sleep(0)
    assert (await replica.status())[0].queue == 2
    held.go.set()
    assert len(await asyncio.gather(first, *others)) == 3
    assert (await replica.status())[0].queue == 0


async def test_nothing_is_computed_for_a_caller_that_left(replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held, first = await hold(replica, monkeypatch)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.to_thread(held.stopped.wait, 5)
    held.go.set()
    assert await replica.cluster(PROBE)


async def test_a_replica_that_broke_ends_and_one_that_only_failed_a_request_stays(
    replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, outcomes = list[Exception](), list[bool]()

    def broken(*arguments: Any, **options: Any) -> Any:
        if outcomes.pop(0):
            return dbscan(*arguments, **options)
        raise MemoryError

    monkeypatch.setattr(clusterer, "dbscan", broken)
    monkeypatch.setattr(clusterer, "end_process", left.append)
    for test_pass_works in (True, False):
        outcomes[:] = [False, test_pass_works]
        with pytest.raises(ModelFailed, match="MemoryError"):
            await replica.cluster(PROBE)
        assert outcomes == []
        assert bool(left) != test_pass_works
