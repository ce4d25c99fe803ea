"""Thousands of wrong requests to every route: none may get a 500, and every one must get an answer.

An answer is faulty if it is a 500, if it does not come in time, or if it is an error whose body is not JSON.
"""

import base64
import contextlib
import json
import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.client import HTTPException, HTTPResponse
from itertools import count
from urllib.parse import urlsplit

from benchmarks.reliability.mutations import Good, Part, Wrong, mutated
from serve_app.schemas.answers import views
from testbed import photos
from testbed.application import Application
from testbed.pictures.images import encoded, two_halves
from testbed.processes import free_port

CLIENTS = 4
HANGS_S = 75.0  # longer than every deadline of an image's route
VIDEO_S = 320.0  # the deadline of /video and a little more
ENVIRONMENT = {"WEIGHTS": "bundled", "RATE_LIMIT_ENABLED": "false", "API_KEY": ""}
NOT_HTTP = (
    b"Invalid HTTP request received."  # uvicorn's answer to what cannot be parsed as HTTP, before any of our code
)
SHOWN = 20  # faulty answers that are reported in full


@dataclass
class Fuzzed:
    """What became of the requests.

    Attributes:
        statuses: number of answers by status.
        faults: the requests with a faulty answer, each with what was wrong.
        slowest_s: the longest time of an answer.
        alive: whether a good request was answered afterwards.
    """

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    alive: bool = False


def fuzz(requests: int, seed: int) -> Fuzzed:
    """Start the whole application and send it so many wrong requests, the same for the same seed."""
    with Application(free_port(), ENVIRONMENT) as panoptes:
        return attack(panoptes.url, requests, seed)


def attack(url: str, requests: int, seed: int) -> Fuzzed:
    """Send a running application so many wrong requests from CLIENTS clients."""
    seen, turn, lock = Fuzzed(), count(), threading.Lock()
    known = good_requests()

    def client() -> None:
        while (number := next(turn)) < requests:
            rng = random.Random(f"{seed}-{number}")
            request = mutated(known[number % len(known)], rng)
            status, seconds, fault = send(url, request)
            with lock:
                seen.sent += 1
                seen.statuses[status] += 1
                seen.slowest_s = max(seen.slowest_s, seconds)
                if fault:
                    seen.faults.append(f"request {number}: {fault}: {described(request)}")

    with ThreadPoolExecutor(CLIENTS) as pool:
        for running in [pool.submit(client) for _ in range(CLIENTS)]:
            running.result()
    seen.alive = send(url, Wrong("GET", "/health"))[0] == 200
    return seen


def send(url: str, request: Wrong) -> tuple[int, float, str]:
    """Send one request. Returns its status (0 without an answer), its seconds and what is faulty about its answer."""
    parts = urlsplit(url)
    started = time.perf_counter()
    limit_s = VIDEO_S if request.target.startswith("/video") else HANGS_S
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=limit_s) as connection:
            # The server may refuse a request before it has read all of it: its answer is there to be read.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(_encoded(request, parts.netloc))
            response = HTTPResponse(connection, method=request.method)
            response.begin()
            body = response.read()
    except TimeoutError:
        return 0, time.perf_counter() - started, "no answer in time"
    except (OSError, HTTPException) as error:
        return 0, time.perf_counter() - started, f"no answer ({type(error).__name__})"
    return response.status, time.perf_counter() - started, _fault(request, response, body)


def _encoded(request: Wrong, host: str) -> bytes:
    """The request on the wire; http.client refuses targets and headers that only a broken client sends."""
    lines = [f"{request.method} {request.target.replace(' ', '%20')} HTTP/1.1", "Connection: close"]
    if "host" not in {name.lower() for name, _ in request.headers}:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body is not None:
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (request.body or b"")


def _fault(request: Wrong, response: HTTPResponse, body: bytes) -> str:
    if response.status == 500:
        return f"500: {body[:300]!r}"
    if response.status < 400 or request.method == "HEAD" or body == NOT_HTTP:
        return ""
    try:
        json.loads(body)
    except ValueError:
        return f"{response.status} that is not JSON: {body[:100]!r}"
    return ""


def described(request: Wrong) -> str:
    """The request on one line, long parts shortened."""
    headers = ", ".join(f"{name}: {value[:60]!r}" for name, value in request.headers)
    return f"{request.method} {request.target[:120]} [{headers}] {(request.body or b'')[:300]!r}"


def good_requests() -> list[Good]:
    """A good request of every route that takes input."""
    picture = encoded(two_halves(), "PNG")
    image = {"data": base64.b64encode(picture).decode(), "image_id": "a"}
    photo = Part("file", photos.load()[0].data, "photo.jpg")
    small = Part("files", picture, "small.png")
    names = Part("categories", b'{"categories": ["a map", "a cat"]}', "categories.json")
    table = Part("categories", b"a map,a cat\nheart", "categories.csv")
    document = {"id": "1", "source": {"content": image["data"], "file_name": "a.png", "file_type": "png"}}
    vectors = {"embeddings": [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], "image_ids": ["a", "b", "c"], "eps": 0.3}
    uri = f"data:image/png;base64,{image['data']}"
    linked = {"type": "image_url", "image_url": {"url": uri}}
    return [
        Good("POST", "/classify", parts=(photo,)),
        Good("POST", "/categorize", parts=(small, names)),
        Good("POST", "/image", parts=(small, table)),
        Good("POST", "/video", parts=(Part("video", b"\0\0\0\x18ftypmp42" + bytes(500), "film.mp4"), names)),
        Good("POST", "/v1/analyze", {"image": image, "run_emotion": False, "run_quality": False}),
        Good("POST", "/v1/analyze/batch", {"images": [image, image], "run_blur": True, "run_quality": False}),
        Good("POST", "/v1/analyze/llm", {"image": image["data"], "max_tokens": 200, "language": "English"}),
        Good("POST", "/v1/cluster", vectors),
        Good("POST", "/process", {"documents": [document], "num_labels": 3}),
        Good("POST", "/v1/embeddings", {"model": "clip", "input": ["a map", "a cat"], "encoding_format": "base64"}),
        Good("POST", "/v1/embeddings", {"model": "clip", "modality": "image", "input": uri}),
        Good("POST", "/v1/embeddings", {"input": [{"type": "text", "text": "a"}, linked]}),
        Good("POST", "/v1/classify", {"image": image, "labels": ["a map", "a cat"], "template": "a photo of {}"}),
        *(Good("POST", f"/v1{one.route.path}", {"image": image}) for one in views().values() if one.route),
        Good("POST", "/api/images", parts=(replace(small, name="file"),)),
        Good("POST", "/api/images/search", parts=(replace(small, name="file"),)),
        Good("GET", "/api/images/search?q=cat&k=3"),
        Good("GET", "/api/images?limit=3&order=newest&status=processed"),
        Good("GET", "/api/images/1/thumbnails/small"),
        Good("DELETE", "/api/images/999999"),
        Good("GET", "/v1/models"),
        Good("GET", "/work/status"),
    ]
