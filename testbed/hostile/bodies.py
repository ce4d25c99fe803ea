"""Bodies that cost a server much: large, deep, with many values or many problems, each up to the limits of its route."""

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

JSON = "application/json"
FORM = "multipart/form-data; boundary=x"
ONE_MB = 1_000_000
IMAGE_MB, BATCH_MB, FORM_MB = 50, 95, 495  # a little below the limits of the routes


@dataclass(frozen=True)
class Hostile:
    """One request: its route, its Content-Type, and what makes its body."""

    route: str
    kind: str
    body: Callable[[], bytes]


def part(name: str, filename: str, data: bytes) -> bytes:
    """A file's part of a form with the boundary `x`."""
    return b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n' % (
        name.encode(),
        filename.encode(),
        data,
    )


def filled(before: bytes, unit: bytes, after: bytes, megabytes: float) -> Callable[[], bytes]:
    """What makes a body of about this size, filled with `unit`."""
    return lambda: before + unit * int(megabytes * ONE_MB / len(unit)) + after


def hostile_bodies() -> dict[str, Hostile]:
    """The bodies by name."""
    mp4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"  # the start of a film, and nothing else

    def large_video() -> bytes:
        film = part("video", "a.mp4", mp4 + bytes(FORM_MB * ONE_MB))
        return film + part("categories", "c.csv", b"a,b") + b"--x--\r\n"

    tags, batch, process, vectors = "/v1/tags", "/v1/analyze/batch", "/process", "/v1/cluster"
    data = b'{"image":{"data":"'
    row = b"[" + b"0.5," * 1000 + b"1],"
    ids = b'],"image_ids":["' + b'","'.join([b"a" * 500] * 20_000) + b'"]}'
    keys = b",".join(b'"key%d":0' % number for number in range(199_000))
    found = {
        "many items": Hostile(batch, JSON, filled(b'{"images":[0', b",0", b"]}", 0.4)),
        "very many items": Hostile(batch, JSON, filled(b'{"images":[0', b",0", b"]}", BATCH_MB)),
        "many images": Hostile(batch, JSON, filled(b'{"images":[{}', b",{}", b"]}", 0.29)),
        "unknown keys": Hostile(tags, JSON, lambda: b'{"image":{' + keys + b"}}"),
        "very many keys": Hostile(tags, JSON, filled(b'{"image":{"a":0', b',"a":0', b"}}", IMAGE_MB)),
        "nested": Hostile(tags, JSON, filled(b'{"image":', b"[", b"}", 1)),
        "one text": Hostile(tags, JSON, filled(data, b"A", b'"}}', IMAGE_MB)),
        "escapes": Hostile(tags, JSON, filled(data, b"\\u0041", b'"}}', IMAGE_MB)),
        "escaped quotes": Hostile(tags, JSON, filled(data, b'\\"', b'"}}', IMAGE_MB)),
        "backslashes": Hostile(tags, JSON, filled(data, b"\\\\", b'"}}', IMAGE_MB)),
        "wide characters": Hostile(tags, JSON, filled(data, "😀".encode(), b'"}}', IMAGE_MB)),
        "short texts": Hostile("/v1/embeddings", JSON, filled(b'{"input":["a"', b',"ab"', b"]}", IMAGE_MB)),
        "long texts": Hostile("/v1/classify", JSON, filled(b'{"labels":["', b"x" * 5000 + b'","', b'"]}', IMAGE_MB)),
        "spaces": Hostile("/v1/analyze", JSON, filled(b"{", b" ", b"}", IMAGE_MB)),
        "long numbers": Hostile("/v1/caption", JSON, filled(b"[0", b"," + b"1" * 4000, b"]", IMAGE_MB)),
        "one number": Hostile("/v1/objects", JSON, filled(b'{"image":', b"1", b"}", IMAGE_MB)),
        "utf-16": Hostile("/v1/analyze/llm", JSON, lambda: ('{"image":"' + "A" * 25_000_000 + '"}').encode("utf-16")),
        "documents": Hostile(process, "text/plain", filled(b'{"documents":[0', b",0", b"]}", BATCH_MB)),
        "document": Hostile(
            process, JSON, filled(b'{"documents":[{"source":{"file_type":"png","content":"', b"A", b'"}}]}', BATCH_MB)
        ),
        "numbers": Hostile(vectors, JSON, filled(b'{"embeddings":[[1,2],[0', b",0", b"]]}", FORM_MB)),
        "vectors": Hostile(vectors, JSON, filled(b'{"embeddings":[', row, row[:-1] + ids, 75)),
        "keys of vectors": Hostile(vectors, JSON, filled(b'{"a":0', b',"a":0', b"}", 9)),
        "one file": Hostile("/classify", FORM, lambda: part("file", "a", bytes(49 * ONE_MB)) + b"--x--\r\n"),
        "ampersands": Hostile("/classify", "application/x-www-form-urlencoded", filled(b"", b"&", b"", IMAGE_MB)),
        "tiny parts": Hostile("/categorize", FORM, filled(b"", part("files", "a.png", b""), b"--x--\r\n", 100)),
        "endless header": Hostile("/categorize", FORM, filled(b"--x\r\nA: ", b"a", b"", 100)),
        "large form": Hostile(
            "/categorize", FORM, filled(b"", part("files", "a.png", bytes(ONE_MB)), b"--x--\r\n", FORM_MB)
        ),
        "line ends": Hostile("/image", FORM, filled(part("files", "a.png", b"")[:-2], b"\r\n-", b"", 100)),
        "large video": Hostile("/video", FORM, large_video),
    }
    for extension, unit in (("json", b'["a",'), ("csv", b"a,")):
        before = part("files", "a.png", b"x") + part("categories", f"c.{extension}", b"")[:-2]
        found[f"{extension} categories"] = Hostile("/categorize", FORM, filled(before, unit, b"\r\n--x--\r\n", 100))
    return found


class Witness:
    """Asks /health-check all the time while the `with` block runs, and looks at the memory of a process.

    Attributes:
        slowest_s: the longest answer, in seconds.
        grown_bytes: by how much the process grew at most: its private memory, without the pages of the object store.
        grown_resident_bytes: the same with the pages of files and of the object store that it touched.
    """

    def __init__(self, host: str, port: int, pid: int) -> None:
        self._process, self._host, self._port = psutil.Process(pid), host, port
        self._over, self._thread = threading.Event(), threading.Thread(target=self._watch)
        self.slowest_s, self.grown_bytes, self.grown_resident_bytes, self.asked = 0.0, 0, 0, 0

    def __enter__(self) -> "Witness":
        self._before = self._memory()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _memory(self) -> tuple[int, int]:
        memory = self._process.memory_info()
        return memory.rss - memory.shared, memory.rss

    def _watch(self) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        while not self._over.is_set():
            started = time.perf_counter()
            connection.request("GET", "/health-check")
            answer = connection.getresponse()
            answer.read()
            self.slowest_s = max(self.slowest_s, time.perf_counter() - started)
            if answer.status != 200:
                self.slowest_s = float("inf")
            private, resident = self._memory()
            self.grown_bytes = max(self.grown_bytes, private - self._before[0])
            self.grown_resident_bytes = max(self.grown_resident_bytes, resident - self._before[1])
            self.asked += 1
            time.sleep(0.01)
        connection.close()


def send(host: str, port: int, one: Hostile, body: bytes) -> tuple[int, bytes]:
    """Send a request; the status and body of its answer, also when it comes before the body is sent."""
    connection = http.client.HTTPConnection(host, port, timeout=120)
    try:
        connection.putrequest("POST", one.route)
        connection.putheader("Content-Type", one.kind)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            for start in range(0, len(body), 1 << 16):
                connection.send(body[start : start + (1 << 16)])
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
