"""The door for multipart forms: how every route that takes files gets them, within bounds.

No file that was sent is left out in silence: one under another name than those of the route is the form's `problem`.
Texts under other names are ignored, because upload libraries send such facts beside a file.
"""

import codecs
import errno
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Set
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from deployments.wire.foreign import foreign
from serve_app.http.errors import InvalidRequest, OutOfSpace, TooLarge
from serve_app.inputs.filenames import CHARSETS, read_disposition

SPOOLED = 128 * 1024  # bytes of a file that is kept in memory
MOST_FIELDS = 10  # beside the files
TEXT_READ = 1024  # bytes by which a text is told from a file
LONGEST_NAME = 100  # characters of a name that a message repeats

KINDS_OF_FILES = ("image/", "video/", "application/octet-stream")  # of a part that may have no name

# The fields of a route's form, each with other names under which clients send the same.
Fields = Mapping[str, Set[str]]

_INDEX = re.compile(r"\[\w*\]$")  # `files[]` and `files[0]` are `files`

# A form with one `file`, for a route's `openapi_extra`.
ONE_FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@dataclass(frozen=True)
class Form:
    """What a form holds.

    Attributes:
        files: those of each of the route's fields, in order.
        texts: the fields that hold a text, which is no file.
        problem: what to do about a file that is in none of the route's fields; None if there is no such file.
    """

    files: Mapping[str, list[UploadFile]]
    texts: Set[str] = frozenset()
    problem: str | None = None

    def one(self, name: str) -> UploadFile | None:
        """The file of a field, None if there is none; InvalidRequest if there are several."""
        files = self.files[name]
        if len(files) > 1:
            raise InvalidRequest(f'{len(files)} files were sent as "{name}": send one.')
        return files[0] if files else None


def text_sent(name: str) -> str:
    """What to do about a text in place of a file."""
    return f'The part "{name}" holds a text, not a file: curl -F {name}=@FILE sends a file.'


@asynccontextmanager
async def open_form(request: Request, most_files: int, fields: Fields) -> AsyncIterator[Form]:
    """The multipart form of a request, empty if its body is none. Large files lie on disk until the form is closed.

    Raises:
        InvalidRequest: the form cannot be parsed or has more than MOST_FIELDS fields.
        TooLarge: it has more files than `most_files` in the route's fields.
        OutOfSpace: the disk is full.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        yield Form({name: [] for name in fields})
        return
    if (charset := options.get(b"charset", b"utf-8").decode("latin-1").lower()) not in CHARSETS:
        raise InvalidRequest(f"The form's charset is {charset[:100]!r}: send it in UTF-8.")
    async with aclosing(request.stream()) as stream:
        parts = await _parsed(_Parser(request.headers, stream, fields, charset, most_files + MOST_FIELDS), most_files)
    try:
        form = await _by_field(parts, fields)
        if sum(map(len, form.files.values())) > most_files:
            raise _too_many(most_files)
        yield form
    finally:
        await parts.close()


class _Parser(MultiPartParser):
    """Starlette's parser, but for the parts' names. Files are spooled to disk early: a request may have a thousand."""

    spool_max_size = SPOOLED

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], fields: Fields, charset: str, most_files: int
    ) -> None:
        super().__init__(headers, stream, max_files=most_files, max_fields=MOST_FIELDS)
        self._fields, self._names_in = fields, charset

    def on_headers_finished(self) -> None:
        part = self._current_part
        said = read_disposition(part.content_disposition or b"", self._names_in)
        if said.field is None:
            raise MultiPartException('The Content-Disposition header field "name" must be provided.')
        kind = Headers(raw=part.item_headers).get("content-type", "").lower()
        is_file = said.file is not None or kind.startswith(KINDS_OF_FILES) or _field(said.field, self._fields)
        # Starlette, which reads names in another way, gets others here. They are replaced at once.
        part.content_disposition = b'form-data; name="x"; filename="x"' if is_file else b'form-data; name="x"'
        super().on_headers_finished()
        part.field_name = said.field
        if part.file is not None:
            part.file.filename = said.file or ""


async def _parsed(parser: MultiPartParser, most_files: int) -> FormData:
    try:
        return await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise _too_many(most_files) from error
        raise InvalidRequest(f"The form cannot be read: {foreign(error.message)}") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OutOfSpace("The disk for uploads is full: try again later.", retry_after_s=60) from error
        raise


def _too_many(most_files: int) -> TooLarge:
    return TooLarge(f"At most {most_files} files at once: send several requests.")


async def _by_field(parts: FormData, fields: Fields) -> Form:
    files: dict[str, list[UploadFile]] = {name: [] for name in fields}
    texts, problem = set[str](), None
    for name, part in parts.multi_items():
        if not _may_be_a_file(part):
            continue
        if not isinstance(part, UploadFile) or (known := _field(name, fields)) is None:
            taken = " and ".join(f'"{one}"' for one in fields)
            problem = problem or f'The part "{name[:LONGEST_NAME]}" is not taken here: send {taken}.'
        elif not part.filename and await _is_text(part):
            texts.add(known)
        else:
            files[known].append(part)
    return Form(files, texts, problem)


def _may_be_a_file(part: UploadFile | str) -> bool:
    """Whether a part is not just a fact beside the files, nor an input that was left empty in a browser."""
    return "\0" in part if isinstance(part, str) else bool(part.filename or part.size)


def _field(name: str, fields: Fields) -> str | None:
    """The field of the route that a part's name means."""
    plain = _INDEX.sub("", name.strip().lower())
    return next((known for known, others in fields.items() if plain == known or plain in others), None)


async def _is_text(part: UploadFile) -> bool:
    """Whether a part begins as a text; no picture and no film does."""
    head = await part.read(TEXT_READ)
    await part.seek(0)
    try:
        codecs.utf_8_decode(head)  # its last character may be cut
    except UnicodeDecodeError:
        return False
    return b"\0" not in head
