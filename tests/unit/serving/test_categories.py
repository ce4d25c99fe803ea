"""Categories from files: both shapes of JSON, CSV, and files that are refused."""

import contextlib

import pytest

from serve_app.http.errors import InvalidRequest, TooLarge
from serve_app.inputs.categories import parse_categories


@pytest.mark.parametrize(
    ("extension", "data", "expected"),
    [
        ("json", b'{"categories": ["an apple", "a dog"]}', ["an apple", "a dog"]),
        ("json", b'["an apple", " a dog ", "", "an apple"]', ["an apple", "a dog"]),
        ("json", '\ufeff["een ĳsje"]'.encode(), ["een ĳsje"]),
        ("csv", b"an apple,a dog,a cat", ["an apple", "a dog", "a cat"]),
        ("csv", b'an apple, "a dog, asleep"\r\n\r\na cat\n,,\n', ["an apple", "a dog, asleep", "a cat"]),
    ],
)
def test_categories_are_trimmed_and_deduplicated(extension: str, data: bytes, expected: list[str]) -> None:
    assert parse_categories("c." + extension, extension, data) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("an apple;a dog;a cat", ["an apple", "a dog", "a cat"]),
        ("\ufeffan apple;a dog\r\n", ["an apple", "a dog"]),
        ("an apple\ta dog\ta cat", ["an apple", "a dog", "a cat"]),
        ("an apple; a dog; a cat", ["an apple", "a dog", "a cat"]),
        ("an apple;\r\na dog;\r\na cat;\r\n", ["an apple", "a dog", "a cat"]),
        ("an apple;a dog;\na cat;;\n", ["an apple", "a dog", "a cat"]),
        ('"an apple";"a dog; asleep";"a ""cat"""', ["an apple", "a dog; asleep", 'a "cat"']),
        ('an apple; "a dog, asleep"; a cat', ["an apple", "a dog, asleep", "a cat"]),
        ('"an apple","a dog; asleep"', ["an apple", "a dog; asleep"]),
        ('"a;b;c","d;e;f"', ["a;b;c", "d;e;f"]),
        ('"a,b,c";"d,e,f"', ["a,b,c", "d,e,f"]),
        ("an apple,a dog; asleep,a cat", ["an apple", "a dog; asleep", "a cat"]),
        ("a dog; asleep,a cat", ["a dog; asleep", "a cat"]),
        ("a dog; asleep, a cat", ["a dog; asleep", "a cat"]),
        ("red; green; blue,a cat", ["red; green; blue", "a cat"]),
        ("a;b,c", ["a;b", "c"]),
        ("a dog, asleep;a cat", ["a dog, asleep", "a cat"]),
        ("a dog, asleep;a cat, awake;a cow", ["a dog, asleep", "a cat, awake", "a cow"]),
        ("a dog\na cat; asleep\na cow\n", ["a dog", "a cat; asleep", "a cow"]),
        ("a dog\na cat, asleep\na cow\n", ["a dog", "a cat", "asleep", "a cow"]),
        ("cats; dogs\nbirds; fish\n", ["cats", "dogs", "birds", "fish"]),
        ("cats;dogs\nbirds\n", ["cats", "dogs", "birds"]),
        ('5" pipe;6" pipe', ['5" pipe', '6" pipe']),
        ("sep=;\r\na, b;c\r\n", ["a, b", "c"]),
        ('"sep=|"\na;b|c,d\n', ["a;b", "c,d"]),
        ("one", ["one"]),
        ("a dog\ta cat, asleep\ta cow", ["a dog", "a cat, asleep", "a cow"]),
        ("a dog\ta cat; asleep", ["a dog", "a cat; asleep"]),
    ],
)
def test_the_delimiter_of_a_csv_is_found(text: str, expected: list[str]) -> None:
    assert parse_categories("c.csv", "csv", text.encode()) == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_are_counted_before_they_are_read(delimiter: str) -> None:
    with pytest.raises(TooLarge, match="more than 200,000 cells"):
        parse_categories("c.csv", "csv", (f"a{delimiter}" * 200_001).encode())


@pytest.mark.parametrize("text", ['"' * 1_000_000, 'a,"' * 60_000, '"a"' * 300_000, "x" * 8_000_000])
def test_a_strange_file_is_read_or_refused_at_once(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert parse_categories("c.csv", "csv", text.encode())


@pytest.mark.parametrize(
    ("extension", "data", "message"),
    [
        ("json", b"{", "Invalid json file, please check the syntax of c.json"),
        ("json", b"[" * 100_000, "Invalid json file"),
        ("json", b'{"labels": ["a"]}', "Invalid json file"),
        ("json", b'{"categories": "a"}', "Invalid json file"),
        ("json", b"[1, 2]", "Invalid json file"),
        ("json", b"\xff\xfe[", "Invalid encoding in file c.json, valid encodings are UTF-8 and US-ASCII"),
        ("csv", b"caf\xe9", "Invalid encoding in file c.csv"),
        ("csv", "an apple\ta dog".encode("utf-16"), "Invalid encoding in file c.csv"),
        ("csv", b" , ,\n", "No category found in file c.csv"),
        ("json", b"[]", "No category found in file c.json"),
    ],
)
def test_a_file_without_categories_says_what_is_wrong(extension: str, data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_categories("c." + extension, extension, data)
    assert refused.value.message.startswith(message)
