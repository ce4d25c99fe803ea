"""The JSON of requests: the same values as `json.loads` gives, within bounds on what a text may cost."""

import json
import threading
import time
from typing import Any

import pytest

from deployments.wire.json_text import LONG, MOST_OUTLINE, MOST_VALUES, SLICE, InvalidJson, JsonTooLarge, parse_json

TEXT = 'a"b\\c/d\u20acé😀\n' * 3000  # over LONG, with escapes
FILE = "QUJD/+" * (SLICE // 2)  # over SLICE, as base64


@pytest.mark.parametrize(
    "value",
    [
        {"a": TEXT, "b": [TEXT, 1, -2.5e3, None, True], "c": {"d": TEXT}},
        [FILE, FILE],
        TEXT,
        ["", "\\", '"', '\\"', "\\" * 5001, '"' * 5001, "x" * 70_000],
        {"k": ["x" * LONG, "x" * (LONG + 1)], "n": list(range(20_000))},
        [0.1, 1e300, 12345678901234567890, "😀"],
    ],
    ids=["escapes", "files", "text", "quotes", "lengths", "numbers"],
)
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_values_are_those_of_json_loads(value: Any, ascii_only: bool, encoding: str) -> None:
    for indent in (None, 1):
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
        assert parse_json(bytearray(text.encode(encoding))) == value


@pytest.mark.parametrize("escaped", ["\\/", "\\u002B", "\\r\\n", "\\\\", "\\u0041\\\\", '\\"'])
def test_a_file_in_base64_may_be_written_with_escapes(escaped: str) -> None:
    """Escapes of every length fall on every border between two slices."""
    for shift in range(7):
        text = '"' + "A" * shift + (escaped * 3 + "BC") * (2 * SLICE // (3 * len(escaped) + 2)) + '"'
        assert parse_json(bytearray(text.encode())) == json.loads(text)


def test_a_number_of_the_client_cannot_stand_for_a_text() -> None:
    assert parse_json(bytearray(b'["%s", 0.1e0, 0.00000000000000000000e0]' % (b"x" * 70_000)))[1:] == [0.1, 0.0]


PADDING = b'"' + b"x" * 70_000 + b'"'


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1,]",
        b"{'a':1}",
        b'"\xff"',
        b'"a\nb"',
        b'"abc',
        b"nul",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"[1e999]",
        b"[-1e999]",
        b"1" * 5000,
        b"-" + b"1" * 5000,
        b"0." + b"1" * 5000,
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'["\\ud800"]',
        b'["\\udc00\\ud800"]',
        b'{"\\udfff": 1}',
        b'["\\u12"]',
        b"\xff\xfe\x00",
        b"\x00\x00\x00",
    ],
)
def test_what_is_not_json_is_refused_alone_and_beside_a_long_text(text: bytes) -> None:
    for body in (text, b"[" + PADDING + b"," + text + b"]"):
        with pytest.raises(InvalidJson):
            parse_json(bytearray(body))


def test_half_a_character_is_accepted_only_where_it_is_asked_for() -> None:
    assert parse_json(bytearray(b'["\\ud800"]'), half_characters=True) == ["\ud800"]
    assert parse_json(bytearray(b'["\\ud83d\\ude00", "\\\\ud800"]')) == ["😀", "\\ud800"]


@pytest.mark.parametrize(
    "body",
    [
        b"[0" + b",0" * MOST_VALUES + b"]",
        b"[" + b"{}," * MOST_VALUES + b"{}]",
        b'["' + b'","' * MOST_VALUES + b'"]',
        b"[" * 300_000,
        b" " * (MOST_OUTLINE + 1),
        b"[" + b"1" * (MOST_OUTLINE + 1) + b"]",
        b'"' * 5_000_000,
        b'"' + b'\\"' * 3_000_000 + b'"',
        b'{"' + b"k" * 5_000_000 + b'": 1}',
        b'"' + "é".encode() * 3 * SLICE + b'"',
        b'"' + b"\\u00e9" * SLICE + b'"',
    ],
    ids=[
        "numbers",
        "objects",
        "texts",
        "depth",
        "spaces",
        "digits",
        "quotes",
        "escaped",
        "key",
        "wide",
        "wide escapes",
    ],
)
def test_a_text_over_the_limits_is_refused(body: bytes) -> None:
    with pytest.raises(JsonTooLarge, match=r"send (less|a shorter one)"):
        parse_json(bytearray(body))


def test_commas_in_texts_are_no_values() -> None:
    text = [", [ {" * 700] * 200
    assert parse_json(bytearray(json.dumps(text).encode())) == text


@pytest.mark.parametrize(
    "body",
    [
        b'"' + b"A" * 50_000_000 + b'"',
        b'"' + b"\\u0041" * 8_000_000 + b'"',
        b'"' + b"\\\\" * 25_000_000 + b'"',
        b'["' + b'","'.join([b"1" * 5000] * 10_000) + b'"]',
        b"[" + b",".join([b"1" * 990] * 8000) + b"]",
        b"{" + b",".join(b'"%d":0' % number for number in range(190_000)) + b"}",
    ],
    ids=["text", "escapes", "backslashes", "texts", "numbers", "keys"],
)
def test_other_threads_run_while_a_large_text_is_parsed(body: bytes) -> None:
    """`json.loads` would hold the interpreter's lock for all of a text."""
    ticks, over = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not over.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    text = bytearray(body)
    thread.start()
    before, started = ticks, time.perf_counter()
    parse_json(text)
    seconds, ran = time.perf_counter() - started, ticks - before
    over.set()
    thread.join()
    assert ran >= min(2, seconds / 0.25)  # in every quarter of a second, also on a busy machine
