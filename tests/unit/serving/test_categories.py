"""Categories from files: both shapes of JSON, CSV, and files that are refused."""

import pytest

from serve_app.http.errors import InvalidRequest
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
    ("extension", "data", "message"),
    [
        ("json", b"{", "Invalid json file, please check the syntax of c.json"),
        ("json", b"[" * 100_000, "Invalid json file"),
        ("json", b'{"labels": ["a"]}', "Invalid json file"),
        ("json", b'{"categories": "a"}', "Invalid json file"),
        ("json", b"[1, 2]", "Invalid json file"),
        ("json", b"\xff\xfe[", "Invalid encoding in file c.json, valid encodings are UTF-8 and US-ASCII"),
        ("csv", b"caf\xe9", "Invalid encoding in file c.csv"),
        ("csv", b" , ,\n", "No category found in file c.csv"),
        ("json", b"[]", "No category found in file c.json"),
    ],
)
def test_a_file_without_categories_says_what_is_wrong(extension: str, data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_categories("c." + extension, extension, data)
    assert refused.value.message.startswith(message)
