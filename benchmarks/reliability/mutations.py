"""Requests that are wrong in one or two places: what strangers, broken clients and attackers send.

Every request starts as a good one of a route. `mutated` changes its JSON, its form, its bytes, its headers, its target
or its method; the same generator of random numbers gives the same requests.
"""

import copy
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

BOUNDARY = "panoptes-fuzz"
JSON = "application/json"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "TRACE", "PROPFIND")

ODD_TEXTS = (
    "", " ", "\0", "\ud800", "\udfff\ud800", "null", "-1", "1e999", "../../../../etc/passwd", "a" * 20_000,
    "é" * 3_000,     "%00%0a%0d", "{{7*7}}", "{}{}{0}{a.b}", "'; DROP TABLE images; --",
    "<script>alert(1)</script>", "\u202e\u0000\ufeff",
    "data:image/png;base64,", "data:,", "http://127.0.0.1:1/", "http://[::1", "file:///etc/passwd", "http://\u2603/",
    "http://0x7f000001/", "//", "gopher://a", "==", "AAAA", "iVBORw0KGgo=",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, 2**31, 2**63, -(2**64), 10**400, 10**5_000, 1e308, float("nan"), float("inf"),
    [], {}, [[]], [None], {"": None}, {"url": "x", "data": "y"}, [{}] * 3, [0] * 5_000, ["a"] * 5_000, *ODD_TEXTS,
)  # fmt: skip
ODD_HEADERS = (
    ("Content-Type", ""), ("Content-Type", "text/plain"), ("Content-Type", "application/x-www-form-urlencoded"),
    ("Content-Type", "multipart/form-data"), ("Content-Type", "multipart/form-data; boundary="),
    ("Content-Type", "multipart/form-data; boundary=" + "b" * 5_000), ("Content-Type", "\xff\xfe"),
    ("Content-Type", "application/json; charset=utf-16"),
    ("Content-Type", "application/json; charset=no-such"), ("Content-Type", ";;;==,"),
    ("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Content-Encoding", "nothing, gzip"),
    ("X-Request-ID", "\xe9\xff"), ("X-Request-ID", "a" * 6_000), ("X-Request-ID", ""), ("X-Request-ID", "a\tb"),
    ("Accept", "image/*"), ("Accept", "application/x-ndjson"), ("Accept", ";q=,"), ("Accept", "\xff"),
    ("Host", "evil.example"), ("Host", ""), ("Host", "localhost:99999"), ("Host", "[::1"), ("Host", "\xff"),
    ("Origin", "https://evil.example"), ("Origin", "null"), ("Origin", "\xff"), ("Sec-Fetch-Site", "cross-site"),
    ("Authorization", "Bearer"), ("Authorization", "Basic \xff"), ("X-Api-Key", "\xff" * 100),
    ("X-Forwarded-For", "1.2.3.4, \xff, ::::"), ("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Host", "evil.example/"),
    ("If-None-Match", '"' * 50), ("Range", "bytes=9-1"), ("Upgrade", "websocket"), ("Expect", "a-miracle"),
    ("Cookie", "a=" + "b" * 3_000), ("traceparent", "00-zz-zz-01"), ("Access-Control-Request-Method", "DELETE"),
)  # fmt: skip
ODD_ENDS = (
    "/", "//", "/..", "/%2e%2e/%2e%2e/etc/passwd", "%00", "%ff%fe", "?", "?a[]=1&a[b]=2", "?k=NaN&limit=-1",
    "?cursor=%00", "?" + "x=1&" * 2_000, "?details=maybe", "?q=%ed%a0%80&k=0", "?min_score=inf", "/1/2/3/4", ";a=b",
    "?limit=" + "9" * 5_000,
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A part of a form; without a file name it is a plain field."""

    name: str
    data: bytes
    filename: str | None = None


@dataclass(frozen=True)
class Wrong:
    """A request as it is sent: `body` are the bytes, `headers` replace those that the client would send itself."""

    method: str
    target: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def with_header(self, name: str, value: str) -> "Wrong":
        """The request with this header instead of another of its name."""
        others = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=(*others, (name, value)))


@dataclass(frozen=True)
class Good:
    """A good request of a route: with JSON (`value`), with a form (`parts`), or with neither."""

    method: str
    target: str
    value: Any = None
    parts: tuple[Part, ...] = ()


def mutated(good: Good, rng: random.Random) -> Wrong:
    """The request, wrong in its content and perhaps in its envelope too."""
    made = _with_content(good, rng)
    for _ in range(rng.choice((0, 0, 1, 2))):
        made = rng.choice(ENVELOPES)(made, rng)
    return made


def _with_content(good: Good, rng: random.Random) -> Wrong:
    if good.parts:
        body, content_type = encoded_form(_odd_parts(list(good.parts), rng)), FORM
    elif good.value is not None:
        # Surrogates are sent as escapes; Python's own NaN and Infinity as they are
        body, content_type = _dumped(_odd_json(copy.deepcopy(good.value), rng)), JSON
    else:
        return Wrong(good.method, good.target)
    if rng.random() < 0.25:
        body = odd_bytes(body, rng)
    return Wrong(good.method, good.target, body, (("Content-Type", content_type),))


def _dumped(value: Any) -> bytes:
    """JSON of a value, also of integers with more digits than `str` converts."""
    if isinstance(value, dict):
        return b"{" + b",".join(_dumped(str(key)) + b":" + _dumped(one) for key, one in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(_dumped, value)) + b"]"
    if isinstance(value, int) and not isinstance(value, bool) and value > 10**4_000:
        return b"1" + b"0" * 5_000
    return json.dumps(value).encode()


def _odd_json(value: Any, rng: random.Random) -> Any:
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed(value, rng)
    return value


def _odd_value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(ODD_VALUES))  # a later change must not change the list above


def _changed(value: Any, rng: random.Random) -> Any:
    """Change one place: replace, remove, add or repeat a value."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        return _odd_value(rng)
    key: Any = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    change = rng.random()
    if change < 0.45:
        value[key] = _changed(value[key], rng)
    elif change < 0.7:
        value[key] = _odd_value(rng)
    elif change < 0.8:
        del value[key]
    elif isinstance(value, dict):
        value[rng.choice(("x", "__class__", "id", "url", "data", "image_id", "", "\ud83d"))] = _odd_value(rng)
    else:
        value.extend(value[:1] * rng.choice((1, 30, 3_000)))
    return value


def _odd_parts(parts: list[Part], rng: random.Random) -> list[Part]:
    chosen = rng.randrange(len(parts))
    part, change = parts[chosen], rng.random()
    if change < 0.5:
        parts[chosen] = replace(part, data=odd_bytes(part.data, rng))
    elif change < 0.7:
        parts[chosen] = replace(part, filename=rng.choice((*ODD_TEXTS, "a.exe", "a.JPEG", 'a".jpg', "a\r\nb: c.png")))
    elif change < 0.8:
        parts[chosen] = replace(part, name=rng.choice(ODD_TEXTS))
    elif change < 0.9:
        del parts[chosen]
    else:
        parts += [part] * rng.choice((1, 3, 40))
    return parts


def encoded_form(parts: list[Part]) -> bytes:
    """The body of a multipart form; its content type is FORM."""
    body = bytearray()
    for part in parts:
        filename = "" if part.filename is None else f'; filename="{part.filename}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part.name}"{filename}\r\n\r\n'
        body += head.encode("utf-8", "surrogatepass") + part.data + b"\r\n"
    return bytes(body + f"--{BOUNDARY}--\r\n".encode())


def odd_bytes(data: bytes, rng: random.Random) -> bytes:
    """The bytes with some of them changed, cut off, repeated, or in another encoding."""
    if not data:
        return rng.randbytes(rng.choice((1, 9, 1_000)))
    start, length = rng.randrange(len(data)), rng.choice((1, 4, 100, 5_000))
    change = rng.random()
    if change < 0.4:
        noise = bytearray(data)
        for _ in range(rng.choice((1, 3, 30))):
            noise[rng.randrange(len(noise))] = rng.randrange(256)
        return bytes(noise)
    if change < 0.6:
        return data[:start]
    if change < 0.75:
        return data[:start] + data[start + length :]
    if change < 0.9:
        return data[:start] + data[start : start + length] * 2 + data[start:]
    return rng.choice(
        (b"\xef\xbb\xbf" + data, data.decode("latin-1").encode("utf-16"), b"\xff" * 50, b"\x1f\x8b" + data)
    )


def _odd_header(request: Wrong, rng: random.Random) -> Wrong:
    return request.with_header(*rng.choice(ODD_HEADERS))


def _odd_target(request: Wrong, rng: random.Random) -> Wrong:
    if rng.random() < 0.7:
        return replace(request, target=request.target + rng.choice(ODD_ENDS))
    place = rng.randrange(1, len(request.target) + 1)
    return replace(request, target=request.target[:place] + rng.choice(string.printable[:94]) + request.target[place:])


def _odd_method(request: Wrong, rng: random.Random) -> Wrong:
    return replace(request, method=rng.choice(METHODS))


ENVELOPES: tuple[Callable[[Wrong, random.Random], Wrong], ...] = (_odd_header, _odd_header, _odd_target, _odd_method)
