"""The documents of /process: where their file lies, what they say that it is, and by what name they are reported.

They may be hits of Elasticsearch, whose fields are `_id` and `_source`.
"""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

from serve_app.http.errors import Untreated
from serve_app.inputs.base64_text import NotBase64, decode_base64

PICTURES = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "png", "apng", "gif", "bmp", "dib", "tif", "tiff", "webp"}
    | {"heic", "heif", "hif", "avif", "jxl", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "image"}
)
VIDEOS = frozenset(
    {"mp4", "m4v", "mov", "qt", "avi", "divx", "wmv", "asf", "flv", "f4v", "webm", "mkv", "mpg", "mpeg", "mpe", "vob"}
    | {"ts", "mts", "m2ts", "3gp", "3g2", "ogv", "ogg", "video"}
)
NO_TYPE = frozenset({"", "octet-stream", "binary", "unknown"})  # says nothing of what a file is
LONGEST_EXTENSION = 10
_AROUND_PATH = re.compile(r"^[a-z][\w+.-]*+://[^/?#]*+|[?#].*", re.IGNORECASE | re.DOTALL)  # in a URI

WRONG_TYPE = "File type not valid"  # the message of the earlier tagger, on which its clients depend

LARGEST_ECHO = 1_000_000  # bytes of a document without its file, all of which is returned


@dataclass(frozen=True)
class Document:
    """The `data` of a document's file, and the `others` of its fields; the file lay in the field `source`."""

    data: bytes
    others: dict[str, Any]
    source: str

    def answered(self, content: list[JsonValue]) -> dict[str, Any]:
        """The document with this in place of its file."""
        return {**self.others, self.source: {**self.others[self.source], "content": content}}


def open_document(document: Any) -> Document:
    """Take a document apart.

    Raises:
        Untreated: it has no file in base64, says that the file is neither a picture nor a video, or cannot be returned.
    """
    field, source = _source(document)
    others = {**document, field: {key: value for key, value in source.items() if key != "content"}}
    if (kind := _stated_type(source)) and kind not in PICTURES | VIDEOS:
        raise Untreated(WRONG_TYPE)
    if not _can_be_said(others):
        raise Untreated("The document cannot be given back: it has no Unicode text, is nested too deeply or too large")
    try:
        return Document(decode_base64(source["content"]), others, field)
    except NotBase64 as error:
        raise Untreated(f"source.content: {error}") from None


def document_name(document: Any, number: int) -> str:
    """The key that reports a document: its id, or its position in the request when it has no usable id."""
    if isinstance(document, dict):
        for identity in (document.get("id"), document.get("_id")):
            if isinstance(identity, str | int) and not isinstance(identity, bool) and _can_be_said(identity):
                return str(identity)
    return f"documents[{number}]"


def _source(document: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(document, dict):
        for field in ("source", "_source"):
            source = document.get(field)
            if isinstance(source, dict) and isinstance(source.get("content"), str):
                return field, source
    raise Untreated("The document has no source.content: send the file there, in base64")


def _stated_type(source: dict[str, Any]) -> str:
    """What a document says of its file, such as `jpeg` or `video`; empty if it says nothing."""
    others = source.get("fs")
    fs = others if isinstance(others, dict) else {}
    names = (source.get("file_name"), fs.get("filename"), _AROUND_PATH.sub("", str(fs.get("uri"))))
    stated = (_of_type(source.get("file_type")), *map(_of_name, names))
    return next((kind for kind in stated if kind not in NO_TYPE), "")


def _of_type(stated: Any) -> str:
    """`jpeg` of `jpeg`, `.JPEG` and `a.jpeg`; of a media type `image`, `video`, or what stands behind its slash."""
    text = stated.partition(";")[0].strip().lower() if isinstance(stated, str) else ""
    kind, slash, subtype = text.partition("/")
    if slash:
        return kind if kind in {"image", "video"} else subtype
    return text.rpartition(".")[2]


def _of_name(name: Any) -> str:
    """The extension of a name or path; empty if it has none."""
    last = name.replace("\\", "/").rpartition("/")[2] if isinstance(name, str) else ""
    extension = last.rpartition(".")[2].strip().lower() if "." in last else ""
    usable = len(extension) <= LONGEST_EXTENSION and extension.isalnum() and not extension.isdecimal()
    return extension if usable else ""


def _can_be_said(value: Any) -> bool:
    """Whether a part of a request can be returned: JSON allows lone surrogates, which UTF-8 cannot encode."""
    try:
        return len(to_json([[[[value]]]])) <= LARGEST_ECHO  # the answer nests it further
    except (PydanticSerializationError, RecursionError):
        return False
