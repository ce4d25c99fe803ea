"""The deployment behind POST /v1/cluster: it parses the request's body, clusters the vectors and renders the answer.

20,000 vectors of 512 numbers are 200 MB of JSON. As Python objects they would take 330 MB more, so they are cut out of
the body and read row by row into one array; pydantic validates the rest of the body.
"""

import logging
import re
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from ray import serve

from configs.threads import threads_for
from deployments.clustering.components import Indices
from deployments.clustering.dbscan import Cancelled, Floats, dbscan, has_direction, row_lengths
from deployments.clustering.spec import CLUSTERER
from deployments.runtime.batching import Batcher
from deployments.runtime.errors import InvalidClustering, ModelFailed, Problem
from deployments.runtime.metrics import ModelMetrics
from deployments.runtime.replica import end_process
from deployments.runtime.worker import ModelStatus
from deployments.wire.json_text import InvalidJson, JsonTooLarge, parse_json
from deployments.wire.requests import Real, RequestModel, Whole

logger = logging.getLogger("ray.serve.panoptes.clusterer")

MOST_PROBLEMS = 10
PROBE = b'{"embeddings": [[1, 0], [1, 0.1]], "image_ids": ["a", "b"]}'

# Limits on the text that is parsed into Python objects: one vector, and everything beside the vectors.
LONGEST_ROW = 1 << 20  # bytes
BYTES_AN_ID = 512
BYTES_BESIDE = 4096
VALUES_AN_ID = 2
VALUES_BESIDE = 1000

Stop = Callable[[], bool]

_EXAMPLE_IDS: list[JsonValue] = ["photo_001", "photo_002", "photo_003"]


class ClusterRequest(RequestModel):
    """Vectors, their ids in the same order, and how dense a cluster is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "embeddings": [[0.021, -0.014, 0.043], [0.019, -0.012, 0.041], [0.95, 0.31, -0.02]],
                    "image_ids": _EXAMPLE_IDS,
                    "eps": 0.35,
                    "min_samples": 2,
                }
            ]
        },
    )

    embeddings: list[list[float]] = Field(
        min_length=2, description="One vector per image, all of one length and from one model; need not be normalised."
    )
    image_ids: list[str] = Field(
        min_length=2, fail_fast=True, description="The id of each vector, in the same order; returned unchanged."
    )
    eps: Real = Field(0.35, ge=0.01, le=2.0, description="Images up to this cosine distance apart are neighbours.")
    min_samples: Whole = Field(
        2, ge=1, le=50, description="An image with at least this many neighbours, itself included, is a core point."
    )


class ClusterAssignment(BaseModel):
    image_id: str
    cluster_id: int = Field(description="From 0 on; −1 for an image that is in no cluster.")
    is_noise: bool = Field(description="Whether cluster_id is −1.")


class ClusterSummary(BaseModel):
    cluster_id: int
    size: int = Field(description="How many images are in the cluster.")
    image_ids: list[str] = Field(description="The ids of its images, in the order of the request.")


class ClusterResponse(BaseModel):
    """Which image is in which cluster. Clusters are numbered in the order of their first core points in the request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "api_version": "1.0",
                    "algorithm": "DBSCAN",
                    "eps_used": 0.35,
                    "min_samples_used": 2,
                    "total_images": 3,
                    "num_clusters": 1,
                    "num_noise": 1,
                    "assignments": [
                        {"image_id": "photo_001", "cluster_id": 0, "is_noise": False},
                        {"image_id": "photo_002", "cluster_id": 0, "is_noise": False},
                        {"image_id": "photo_003", "cluster_id": -1, "is_noise": True},
                    ],
                    "clusters": [{"cluster_id": 0, "size": 2, "image_ids": _EXAMPLE_IDS[:2]}],
                    "processing_time_ms": 1.25,
                }
            ]
        }
    )

    api_version: str = "1.0"
    algorithm: str = "DBSCAN"
    eps_used: float
    min_samples_used: int
    total_images: int
    num_clusters: int = Field(description="How many clusters there are, noise not counted.")
    num_noise: int = Field(description="How many images are in no cluster.")
    assignments: list[ClusterAssignment] = Field(description="One per image, in the order of the request.")
    clusters: list[ClusterSummary] = Field(description="All clusters, ordered by their number.")
    processing_time_ms: float = Field(description="Time to parse and cluster the vectors, without time in the queue.")


@dataclass(frozen=True)
class Vectors:
    """A parsed request: the embeddings are (n, d) here, and `request` holds everything else."""

    request: ClusterRequest
    embeddings: Floats


@serve.deployment
class Clusterer:
    """Clusters the vectors of one request at a time, in a thread of its own."""

    def __init__(self, most: int, threads: int) -> None:
        """Accept up to `most` vectors per request and compute with `threads` threads; 0 means all cores, at most 8."""
        started = time.perf_counter()
        self._most, self._threads = most, threads_for(threads)
        self._metrics = ModelMetrics(CLUSTERER.id)
        self._batcher: Batcher[_Job, bytes] = Batcher(lambda jobs: [self._compute(job) for job in jobs], 1)
        self._cluster(PROBE)
        self._load_time_ms = (time.perf_counter() - started) * 1000

    async def cluster(self, *pieces: bytes | NDArray[np.uint8]) -> bytes:
        """Cluster the vectors of a request: the JSON of a ClusterRequest, in pieces -> the JSON of a ClusterResponse.

        Raises:
            InvalidClustering: the request is not valid.
            ModelFailed: the computation failed, for example for lack of memory.
        """
        gone = threading.Event()
        try:
            (answer,) = await self._batcher.submit([_Job(pieces, gone.is_set)])
        finally:
            gone.set()  # stops the computation when the caller has been cancelled
        return answer

    async def status(self) -> tuple[ModelStatus, ...]:
        """The status of this replica, also while it computes. Its items are requests, one per batch."""
        batcher = self._batcher
        return (
            ModelStatus(CLUSTERER.name, "cpu", self._load_time_ms, batcher.waiting, batcher.items, batcher.batches),
        )

    def _compute(self, job: "_Job") -> bytes:
        try:
            with self._metrics.batch(1):
                return self._cluster(b"".join(cast("tuple[bytes, ...]", job.pieces)), job.is_gone)
        except (InvalidClustering, Cancelled):
            raise
        except Exception as error:
            logger.exception("a clustering failed")
            self._leave_if_broken()
            raise ModelFailed(f"the clustering failed: {type(error).__name__}") from error

    def _leave_if_broken(self) -> None:
        try:
            self._cluster(PROBE)
        except Exception as error:  # whatever it is: two vectors cannot be clustered here
            end_process(error)

    def _cluster(self, body: bytes, stop: Stop | None = None) -> bytes:
        started = time.perf_counter()
        vectors = parse(body, self._most, stop)
        request = vectors.request
        labels = dbscan(
            vectors.embeddings, request.eps, request.min_samples, threads=self._threads, overwrite=True, stop=stop
        )
        return render(request, labels, (time.perf_counter() - started) * 1000)


@dataclass(frozen=True)
class _Job:
    pieces: tuple[bytes | NDArray[np.uint8], ...]
    is_gone: Stop


def parse(body: bytes, most: int, stop: Stop | None = None) -> Vectors:
    """Parse a request of 2 to `most` vectors. Takes 8 bytes per number beside the body.

    Raises:
        InvalidClustering: the request is not valid.
        Cancelled: `stop`, which is called before each vector, returned True.
    """
    rest, rows = _cut(body, most, stop)
    try:
        values = parse_json(bytearray(rest), VALUES_AN_ID * most + VALUES_BESIDE, _room(most))
        request = ClusterRequest.model_validate(values)
    except InvalidJson as error:
        raise InvalidClustering([_problem("json_invalid", f"Invalid JSON: {error}")]) from error
    except JsonTooLarge as error:
        raise InvalidClustering([_problem("too_long", str(error))]) from error
    except ValidationError as error:
        raise InvalidClustering(_problems(error)) from error
    if rows is None:
        raise InvalidClustering([_problem("missing", "Field required", "embeddings")])
    if rows.count < 2:
        raise InvalidClustering([_problem("too_short", f"{rows.count} embeddings: send at least 2", "embeddings")])
    if rows.count != len(request.image_ids):
        message = f"{rows.count} embeddings and {len(request.image_ids)} image_ids: send one id for each embedding"
        raise InvalidClustering([_problem("length_mismatch", message)])
    embeddings: Floats = np.frombuffer(rows.numbers, np.float64).reshape(rows.count, -1)
    if lost := np.flatnonzero(~has_direction(row_lengths(embeddings)))[:MOST_PROBLEMS].tolist():
        raise InvalidClustering([_no_direction(row) for row in lost])
    return Vectors(request, embeddings)


def render(request: ClusterRequest, labels: Indices, milliseconds: float) -> bytes:
    """The JSON of the answer, from the labels (n,) that `dbscan` returned."""
    numbers: list[int] = labels.tolist()
    members: list[list[str]] = [[] for _ in range(max(numbers, default=-1) + 1)]
    for image_id, number in zip(request.image_ids, numbers, strict=True):
        if number >= 0:
            members[number].append(image_id)
    response = ClusterResponse(
        eps_used=request.eps,
        min_samples_used=request.min_samples,
        total_images=len(numbers),
        num_clusters=len(members),
        num_noise=numbers.count(-1),
        assignments=[
            ClusterAssignment(image_id=image_id, cluster_id=number, is_noise=number < 0)
            for image_id, number in zip(request.image_ids, numbers, strict=True)
        ],
        clusters=[
            ClusterSummary(cluster_id=number, size=len(image_ids), image_ids=image_ids)
            for number, image_ids in enumerate(members)
        ],
        processing_time_ms=round(milliseconds, 3),
    )
    return response.model_dump_json().encode()


# The key of an array `embeddings`, any other string, or an unclosed quote, which ends the search. A key inside another
# object is treated like the one on top, because a request with such an object is refused anyway.
_TOKEN = re.compile(
    rb'(?P<key>"embeddings"[ \t\r\n]*+:[ \t\r\n]*+(?=\[))|"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?P<open>")', re.DOTALL
)
_PLACEHOLDER = b"[[],[]]"  # passes validation in place of the embeddings

_OPENED = re.compile(rb"[ \t\r\n]*+\[")
_CLOSED = re.compile(rb"[ \t\r\n]*+\]")
_AFTER_ROW = re.compile(rb"[ \t\r\n]*+(?:,|(?P<last>\]))")
_NUMBERS = TypeAdapter(
    Annotated[list[Annotated[float, Field(strict=True, allow_inf_nan=False)]], Field(fail_fast=True)]
)


@dataclass(frozen=True)
class _Rows:
    """`count` rows, one after the other in `numbers`; the rest of the body starts at `end`."""

    numbers: "array[float]"
    count: int
    end: int


def _room(most: int) -> int:
    """How many bytes a request of so many vectors may have beside them."""
    return most * BYTES_AN_ID + BYTES_BESIDE


def _cut(body: bytes, most: int, stop: Stop | None) -> tuple[bytes, _Rows | None]:
    """The body with a placeholder for its embeddings, and the embeddings; None if it has no such array."""
    room = _room(most)
    kept: list[bytes] = []
    rows: _Rows | None = None
    position = kept_to = cut = 0
    while (token := _TOKEN.search(body, position, cut + room)) and not token["open"]:
        position = token.end()
        if token["key"]:
            rows = _read_rows(body, position, most, stop)
            kept += [body[kept_to:position], _PLACEHOLDER]
            cut += rows.end - position
            position = kept_to = rows.end
    if len(body) - cut > room:
        raise InvalidClustering([_problem("too_long", f"over {room} bytes beside the embeddings: send shorter ids")])
    return b"".join([*kept, body[kept_to:]]), rows


def _read_rows(body: bytes, position: int, most: int, stop: Stop | None) -> _Rows:
    """Read the array of arrays of numbers whose bracket opens at `position`."""
    numbers = array("d")
    problems: list[Problem] = []
    count = width = 0
    position += 1
    last = _CLOSED.match(body, position)
    while not last:
        if stop and stop():
            raise Cancelled
        if count == most:
            raise InvalidClustering([_problem("too_long", f"more than {most} embeddings: send fewer", "embeddings")])
        opened, end = _OPENED.match(body, position), body.find(b"]", position, position + LONGEST_ROW) + 1
        after = _AFTER_ROW.match(body, end)
        # A list of numbers ends at the first bracket. If this row does not, the start of the next one is unknown.
        if not (opened and end and after):
            raise InvalidClustering([*problems, _no_list(count)])
        try:
            row = _read_row(body[opened.end() - 1 : end], count, width)
        except InvalidClustering as error:
            problems += error.problems
            if len(problems) == MOST_PROBLEMS:
                break
        else:
            width = len(row)
            numbers.fromlist(row)
        count, position, last = count + 1, after.end(), after if after["last"] else None
    if problems or not last:
        raise InvalidClustering(problems)
    return _Rows(numbers, count, last.end())


def _read_row(text: bytes, number: int, width: int) -> list[float]:
    """Read row `number`.

    Raises:
        InvalidClustering: it does not have `width` numbers, or has none if `width` is 0 (the first row).
    """
    try:
        row = _NUMBERS.validate_json(text)
    except ValidationError as error:
        *_, place = _problems(error)[0]["loc"]
        if not isinstance(place, int):
            raise InvalidClustering([_no_list(number)]) from error
        message = f"embeddings[{number}][{place}] is not a finite number: send numbers alone"
        raise InvalidClustering([_problem("finite_number", message, "embeddings", number, place)]) from error
    if not row:
        raise InvalidClustering([_no_direction(number)])
    if width and len(row) != width:
        message = f"embeddings[{number}] has {len(row)} numbers, others have {width}: send vectors of one length"
        raise InvalidClustering([_problem("length_mismatch", message, "embeddings", number)])
    return row


def _problem(kind: str, message: str, *place: str | int) -> Problem:
    return {"loc": ["body", *place], "msg": message, "type": kind}


def _no_list(number: int) -> Problem:
    message = (
        f"embeddings[{number}] is not a list of numbers, or over {LONGEST_ROW} bytes: send one list for each image"
    )
    return _problem("list_type", message, "embeddings", number)


def _no_direction(number: int) -> Problem:
    message = f"embeddings[{number}] has no direction, its length is 0 or not a usable number: leave it out"
    return _problem("no_direction", message, "embeddings", number)


def _problems(error: ValidationError) -> list[Problem]:
    errors = error.errors(include_url=False, include_context=False, include_input=False)[:MOST_PROBLEMS]
    # Positions in a message are cut off: they refer to the shortened JSON, not to the body.
    return [_problem(one["type"], one["msg"].partition(" at line ")[0], *one["loc"]) for one in errors]
