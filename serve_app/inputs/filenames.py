"""The names of a form's parts and of their files, as browsers, command lines and libraries write them."""

import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

# Of the names in a form. Others can give names that cannot be returned, such as halves of characters.
CHARSETS = frozenset(
    {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252", "cp1252"}
)

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
    message = Message()
    message["Content-Disposition"] = header.decode("latin-1")
    plain, extended = dict[str, str](), dict[str, str]()
    for key, value in message.get_params([], "Content-Disposition")[1:]:
        if not isinstance(value, tuple):
            plain[key] = _unescaped(_decoded(value.encode("latin-1"), charset))
            continue
        own = (value[0] or "utf-8").lower()
        text = _decoded(value[2].encode("latin-1"), own)
        if own in CHARSETS and text:
            extended[key] = text
        else:
            plain.setdefault(key, text)
    named = plain | extended
    file = named.get("filename")
    return Disposition(named.get("name"), None if file is None else _FOLDER_OF_WINDOWS.sub("", file))


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
