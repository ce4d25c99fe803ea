"""The names of a form's parts and of their files, as browsers, command lines and libraries write them."""

import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

# Of the names in a form. Others can give names that cannot be returned, such as halves of characters.
CHARSETS = frozenset(
    {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252", "cp1252"}
)

# A value in quotation marks ends where another parameter begins: not every client escapes those in the name.
_PARAMETER = re.compile(
    rb';\s*+(?P<key>[^\s=;"]++)\s*+=\s*+(?:"(?P<quoted>(?:\\.|[^"\\])*+)"(?=\s*+(?:;|\Z))|(?P<plain>[^;]*+))', re.DOTALL
)
_BACKSLASHED = re.compile(rb'\\(["\\])')
_ENCODED_WORDS = re.compile(r"\s*+(?:=\?[^?\s]++\?[bq]\?[^?]*+\?=\s*+)++", re.IGNORECASE)
_FOLDER_OF_WINDOWS = re.compile(r"^(?:[a-z]:[\\/]|\\)(?:.*[\\/])?", re.IGNORECASE | re.DOTALL)
ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}  # all that browsers escape, by the HTML standard


@dataclass(frozen=True)
class Disposition:
    """What a part says of itself: the `field` of the form and the name of its `file`, None where it says nothing."""

    field: str | None
    file: str | None


def read_disposition(header: bytes, charset: str) -> Disposition:
    """Read the Content-Disposition of a part of a form, whose charset is one of CHARSETS.

    The name of a file may be raw in UTF-8, in the form's charset or in Latin-1, with escapes of browsers (`%22`) or
    with backslashes, in encoded words (`=?utf-8?B?…?=`), or extended (`filename*=UTF-8''…`), which is preferred.
    Of a path of Windows the last part is taken; other paths are kept, since they tell files apart.
    """
    plain, extended = dict[str, str](), dict[str, str]()
    for found in _PARAMETER.finditer(header):
        key, value = found["key"].lower().decode("latin-1"), _unquoted(found)
        if not key.endswith("*"):
            plain[key] = _unescaped(_decoded(value, charset))
            continue
        key, (own, text) = key[:-1], _extended(value)
        if own in CHARSETS and text:
            extended[key] = _decoded(text, own)
        else:
            plain.setdefault(key, _decoded(text, charset))
    named = plain | extended
    file = named.get("filename")
    return Disposition(named.get("name"), None if file is None else _FOLDER_OF_WINDOWS.sub("", file))


def _unquoted(found: re.Match[bytes]) -> bytes:
    value: bytes = found["plain"].strip() if found["quoted"] is None else found["quoted"]
    if value[:1] == value[-1:] == b'"' and len(value) > 1:  # with quotation marks in the name, not escaped
        value = value[1:-1]
    return _BACKSLASHED.sub(rb"\1", value)


def _extended(value: bytes) -> tuple[str, bytes]:
    """The charset and the bytes of an extended value, which may lack the charset."""
    charset, *language_and_text = value.split(b"'", 2)
    if len(language_and_text) != 2:
        return "utf-8", unquote_to_bytes(value)
    return charset.decode("latin-1").lower(), unquote_to_bytes(language_and_text[1])


def _unescaped(name: str) -> str:
    if _ENCODED_WORDS.fullmatch(name):
        return _of_encoded_words(name)
    for escape, character in ESCAPES.items():
        name = name.replace(escape, character)
    return name


def _of_encoded_words(name: str) -> str:
    """The text of encoded words (RFC 2047), which .NET writes; the same words if their charset is none of ours."""
    try:
        words = [(text, str(charset).partition("*")[0]) for text, charset in decode_header(name)]
    except HeaderParseError:
        return name
    if not all(isinstance(text, bytes) and charset in CHARSETS for text, charset in words):
        return name
    return "".join(_decoded(text, charset) for text, charset in words)


def _decoded(text: bytes, charset: str) -> str:
    """The text in this charset, else in UTF-8, else in Latin-1, in which any bytes are one."""
    for name in (charset if charset in CHARSETS else "utf-8", "utf-8"):
        try:
            return text.decode(name)
        except UnicodeDecodeError:
            continue
    return text.decode("latin-1")
