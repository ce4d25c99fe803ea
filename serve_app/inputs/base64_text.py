"""The one reader of files in base64, for every route that takes them: plain, or as a `data:` URI."""

import base64
import re
from collections.abc import Iterator

SLICE = 1 << 20  # characters that are decoded in one step
LONGEST_HEADER = 4096  # characters of a data: URI before its comma
BYTE_ORDER_MARK = "\ufeff"
# What percent-encoding makes of base64. All else of an escape is a letter or a digit, which no program escapes.
ESCAPES = {
    "%" + write(f"{ord(character):02x}"): character for character in "+/=-_ \t\r\n" for write in (str.upper, str.lower)
}

_DATA = re.compile(r"[\s\ufeff]*+data\s*+:", re.IGNORECASE)
# A comma in quotation marks, as in `name="a,b.jpg"`, does not end the header.
_HEADER = re.compile(r'(?:"[^"]*+"|[^,])*+,')


class NotBase64(ValueError):
    """A text is not base64; the message says what to send."""

    def __init__(self, message: str = "this is not base64 (RFC 4648): send the bytes of the file in base64") -> None:
        super().__init__(message)


def is_data_uri(text: str) -> bool:
    """Whether a text is a `data:` URI, in any case, after any blanks."""
    return _DATA.match(text) is not None


def decode_base64(text: str) -> bytes:
    """The bytes of a file in base64, slice by slice: a text may have 67 MB.

    It may be a `data:` URI. Blanks, line ends, byte order marks and missing or superfluous padding do not matter, both
    alphabets (`+/` and `-_`) are read, and so are percent-encoded characters (`%2B`).

    Raises:
        NotBase64: it is something else, or a `data:` URI of another encoding.
    """
    parts, rest, ended = list[bytes](), "", False
    for piece in _slices(text, _start(text)):
        digits = piece.rstrip("=")
        if "=" in digits or (ended and digits):
            raise NotBase64
        ended = ended or digits != piece
        digits = rest + digits
        whole = len(digits) // 4 * 4
        parts.append(_decoded(digits[:whole]))
        rest = digits[whole:]
    parts.append(_decoded(rest + "=" * (-len(rest) % 4)))
    return b"".join(parts)


def _start(text: str) -> int:
    """Where the base64 of a text begins."""
    scheme = _DATA.match(text)
    if scheme is None:
        return 0
    header = _HEADER.match(text, scheme.end(), scheme.end() + LONGEST_HEADER)
    attributes = header[0][:-1].split(";") if header else []
    if header is None or "base64" not in {attribute.strip().lower() for attribute in attributes}:
        raise NotBase64("this data: URI is not base64: send data:image/jpeg;base64,… with the bytes of the file")
    return header.end()


def _slices(text: str, start: int) -> Iterator[str]:
    """The characters of a text from `start`, without blanks and percent-encoding."""
    while start < len(text):
        stop = start + SLICE
        escape = text.find("%", stop - 2, stop)  # it would be cut in two
        stop = stop if escape < 0 or stop >= len(text) else escape
        piece = text[start:stop]
        if "%" in piece:
            for escaped, character in ESCAPES.items():
                piece = piece.replace(escaped, character)
        yield "".join(piece.replace(BYTE_ORDER_MARK, "").split())
        start = stop


def _decoded(digits: str) -> bytes:
    try:
        return base64.b64decode(digits.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        raise NotBase64 from None
