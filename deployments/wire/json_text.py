"""Parses the JSON of requests within bounds, so that no text occupies the interpreter for long or fills the memory.

`json.loads` holds the interpreter's lock until it is done: no other request is answered meanwhile. Strings of over
4 KB, which are nearly all of a large request because they hold files in base64, are therefore cut out of it and read
slice by slice. What remains, the outline, is small enough to be parsed at once.
"""

import codecs
import json
import math
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

SMALL = 1 << 16  # bytes of a body that is parsed at once, whatever it holds: a few milliseconds
MEDIUM = 4 << 20  # bytes of a body that is parsed at once if it has few values: a tenth of a second
STEP = 1 << 17  # bytes of a string that are unescaped in one step: about a millisecond
LONG = 1 << 12  # bytes of a string that is cut out
SLICE = 1 << 20  # bytes that are recoded in one step; also the longest string that may hold more than ASCII
MOST_OUTLINE = 8 << 20  # bytes beside the long strings
MOST_VALUES = 200_000
QUOTES_A_TURN = 2048  # about a millisecond
QUOTES_A_VALUE = 5  # a key and a value have four, and some may be escaped
MOST_DIGITS = 1000

NOT_UTF8 = "the text is not UTF-8: send JSON in UTF-8"
BACKSLASH = ord("\\")
_MARK = re.compile(rb"(?:\xef\xbb\xbf|\\u[fF][eE][fF]{2})+")
_COLON = re.compile(rb"[ \t\r\n]*+:")


class InvalidJson(ValueError):
    """A text is not JSON; `position` is that of the character where this was found, if it is known."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.position = position


class JsonTooLarge(ValueError):
    """A text has too many values or is too long in a place; the message says what to do."""


def parse_json(
    body: bytearray, most_values: int = MOST_VALUES, most_outline: int = MOST_OUTLINE, *, half_characters: bool = False
) -> Any:
    """The value of a JSON text in UTF-8, UTF-16 or UTF-32. Call it in a thread unless the text is SMALL.

    Args:
        body: the text; not to be used afterwards.
        most_values: the most values that it may have, about; lists and objects count as well.
        most_outline: the most bytes that it may have beside its long strings.
        half_characters: accept texts with lone surrogates, which UTF-8 cannot encode.

    Raises:
        InvalidJson: it is not JSON. NaN, Infinity, numbers that are infinite as floats and numbers of over
            MOST_DIGITS digits are not.
        JsonTooLarge: it is over one of the limits.
    """
    body = _as_utf8(body)
    if len(body) <= SMALL or (len(body) <= MEDIUM and _values(body) <= most_values):
        value = _load(body, _Numbers("", []))
    else:
        outline = _outline(body, most_values, most_outline)
        strings = [_read_string(body, *place) for place in outline.strings]
        value = _load(outline.text, _Numbers(outline.mark, strings))
    if not half_characters and _has_surrogates(body):
        _check_characters(value)
    return value


def _as_utf8(body: bytearray) -> bytearray:
    encoding = json.detect_encoding(body[:4])
    if encoding == "utf-8":
        return body
    if encoding == "utf-8-sig":
        del body[: len(codecs.BOM_UTF8)]
        return body
    decoder = codecs.getincrementaldecoder(encoding)()
    recoded = bytearray()
    try:
        for start in range(0, len(body), SLICE):
            piece = decoder.decode(body[start : start + SLICE], start + SLICE >= len(body))
            recoded += piece.encode()
    except UnicodeDecodeError:
        raise InvalidJson(f"the text is not {encoding.upper()}: send JSON in UTF-8") from None
    return recoded


@dataclass(frozen=True)
class _Numbers:
    """Hooks for the numbers of an outline. A number that begins with `mark` stands for one of its long strings."""

    mark: str
    strings: list[str]

    def real(self, text: str) -> float | str:
        if self.mark and text.startswith(self.mark):
            return self.strings[int(text[len(self.mark) :])]
        _check_digits(text)
        value = float(text)
        if math.isinf(value):
            raise InvalidJson("a number is too large for a 64-bit float: send a smaller one")
        return value

    @staticmethod
    def whole(text: str) -> int:
        _check_digits(text)
        return int(text)

    @staticmethod
    def constant(text: str) -> None:
        raise InvalidJson(f"{text} is not JSON: send null")


def _check_digits(text: str) -> None:
    if len(text) > MOST_DIGITS:
        raise InvalidJson(f"a number has more than {MOST_DIGITS:,} digits: send a shorter one")


def _load(text: bytearray, numbers: _Numbers) -> Any:
    try:
        return json.loads(
            text.decode(),
            parse_float=numbers.real,
            parse_int=numbers.whole,
            parse_constant=numbers.constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidJson(error.msg, None if numbers.strings else error.pos) from None
    except UnicodeDecodeError:
        raise InvalidJson(NOT_UTF8) from None
    except RecursionError:
        raise InvalidJson("the values are nested too deeply: send a flatter request") from None


def _has_surrogates(body: bytearray) -> bool:
    """Whether a body may have surrogates, looked for step by step: among backslashes the search is slow."""
    starts = range(0, len(body), STEP)
    return any(body.find(mark, at, at + STEP + 2) >= 0 for at in starts for mark in (b"\\ud", b"\\uD"))


def _check_characters(value: object) -> None:
    """Raise InvalidJson for a text with a lone surrogate, which JSON can write as an escape."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and not one.isascii():
            try:
                one.encode()
            except UnicodeEncodeError:
                raise InvalidJson("a text has half of a character (a lone surrogate): send Unicode text") from None


@dataclass(frozen=True)
class _Outline:
    """A body without its long strings: a number that begins with `mark` takes the place of each.

    `strings` are their places in the body: where each starts and ends, without its quotes.
    """

    text: bytearray
    mark: str
    strings: list[tuple[int, int]]


def _outline(body: bytearray, most_values: int, most_bytes: int) -> _Outline:
    """Cut the long strings out of a body; JsonTooLarge when the rest is too large or has too many values."""
    mark = f"0.{secrets.randbits(64):020d}e"
    text, structure, long = bytearray(), bytearray(), list[tuple[int, int]]()
    kept = position = 0
    for start, end in _strings(body, QUOTES_A_VALUE * most_values):
        _check_room(len(text) + start - kept, most_bytes)
        structure += body[position : start - 1]
        position = end + 1
        if end - start > LONG:
            if _COLON.match(body, position):
                raise JsonTooLarge(f"A key has more than {LONG:,} bytes: send a shorter one.")
            text += body[kept : start - 1] + f"{mark}{len(long)}".encode()
            long.append((start, end))
            kept = position
    _check_room(len(text) + len(body) - kept, most_bytes)
    structure += body[position:]
    if _values(structure) > most_values:
        raise JsonTooLarge(f"The request has more than {most_values:,} values: send less at once.")
    return _Outline(text + body[kept:], mark, long)


def _values(text: bytearray) -> int:
    """About how many values a JSON text has; more if its strings have commas or brackets."""
    return sum(map(text.count, (b",", b"[", b"{")))


def _check_room(size: int, most: int) -> None:
    if size > most:
        raise JsonTooLarge(f"The request has over {most:,} bytes beside its texts of over {LONG:,} bytes: send less.")


def _strings(body: bytearray, most_quotes: int) -> Iterator[tuple[int, int]]:
    """Where the strings of a body start and end, without their quotes.

    Raises:
        InvalidJson: the last string has no end.
        JsonTooLarge: the body has more quotes than that, the escaped ones included.
    """
    opening, quotes, turn = body.find(b'"'), 0, 0
    while opening >= 0:
        if quotes > turn:
            turn += QUOTES_A_TURN
            time.sleep(0)  # lets a waiting thread run, which would else wait for 5 ms each time
        closing = body.find(b'"', opening + 1)
        quotes += 2
        while closing >= 0 and body[closing - 1] == BACKSLASH and _backslashes(body, opening + 1, closing) % 2:
            closing = body.find(b'"', closing + 1)
            quotes += 1
            if quotes > most_quotes:
                break
            if quotes % QUOTES_A_TURN == 0:
                time.sleep(0)
        if closing < 0:
            raise InvalidJson("a string has no end", opening)
        if quotes > most_quotes:
            raise JsonTooLarge(f"The request has more than {most_quotes:,} quotes: send less at once.")
        yield opening + 1, closing
        opening = body.find(b'"', closing + 1)


def _backslashes(body: bytearray, start: int, end: int) -> int:
    """How many backslashes stand right before `end`, not counting any before `start`."""
    position, size = end, 16
    while position > start:
        window = body[max(start, position - size) : position]
        others = len(window.rstrip(b"\\"))
        position -= len(window) - others
        if others:
            break
        size = SLICE
    return end - position


def _read_string(body: bytearray, start: int, end: int) -> str:
    """The value of a string. One of over SLICE bytes is read slice by slice, and must be ASCII: a file in base64.

    A byte order mark at the start of such a file is left out: the text would take twice the memory with it.
    """
    if end - start <= SLICE:
        try:
            return _unescaped(body[start:end].decode())
        except UnicodeDecodeError:
            raise InvalidJson(NOT_UTF8) from None
    if mark := _MARK.match(body, start):
        start = mark.end()
    if body.find(b"\\", start, end) < 0:
        if np.frombuffer(body, np.uint8, end - start, start).min() < ord(" "):
            raise InvalidJson("a string has a control character: send it escaped")
        return _ascii(body, start, end)
    parts = []
    while start < end:
        time.sleep(0)
        stop = _between_escapes(body, start, min(start + STEP, end), end)
        parts.append(_unescaped(_ascii(body, start, stop)))
        start = stop
    if not all(part.isascii() for part in parts):
        raise _not_ascii()
    return "".join(parts)


def _between_escapes(body: bytearray, start: int, stop: int, end: int) -> int:
    """The last place up to `stop` that is not within an escape, which has at most six characters."""
    backslash = -1 if stop == end else body.rfind(b"\\", stop - 5, stop)
    if backslash < 0:
        return stop
    opens = _backslashes(body, start, backslash + 1) % 2
    return backslash if opens else backslash + 1


def _unescaped(text: str) -> str:
    try:
        return json.loads(f'"{text}"')  # type: ignore[no-any-return]
    except json.JSONDecodeError as error:
        raise InvalidJson(error.msg) from None


def _ascii(body: bytearray, start: int, end: int) -> str:
    try:
        with memoryview(body) as view, view[start:end] as part:
            return str(part, "ascii")
    except UnicodeDecodeError:
        raise _not_ascii() from None


def _not_ascii() -> JsonTooLarge:
    return JsonTooLarge(
        f"A text has more than {SLICE >> 20} MB: send a shorter one. Only files in base64 may be longer."
    )
