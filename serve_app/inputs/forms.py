"""The door for multipart forms: how every route that takes files gets them, within bounds."""

import errno
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from deployments.wire.foreign import foreign
from serve_app.http.errors import InvalidRequest, OutOfSpace, TooLarge

SPOOLED = 128 * 1024  # bytes of a file that is kept in memory
# Of the names in a form. Others can give names that cannot be returned, such as halves of characters.
CHARSETS = frozenset(
    {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252", "cp1252"}
)
MOST_FIELDS = 10  # beside the files

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


class _Parser(MultiPartParser):
    """Starlette's parser. Files are spooled to disk early: a request may have a thousand."""

    spool_max_size = SPOOLED


@asynccontextmanager
async def open_form(request: Request, most_files: int) -> AsyncIterator[FormData]:
    """The multipart form of a request, empty if its body is none. Large files lie on disk until the form is closed.

    Raises:
        InvalidRequest: the form cannot be parsed or has more than MOST_FIELDS fields.
        TooLarge: it has more files than `most_files`.
        OutOfSpace: the disk is full.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        yield FormData()
        return
    if (charset := options.get(b"charset", b"utf-8").decode("latin-1").lower()) not in CHARSETS:
        raise InvalidRequest(f"The form's charset is {charset[:100]!r}: send it in UTF-8.")
    async with aclosing(request.stream()) as stream:
        form = await _parsed(_Parser(request.headers, stream, max_files=most_files, max_fields=MOST_FIELDS), most_files)
    try:
        yield form
    finally:
        await form.close()


async def _parsed(parser: MultiPartParser, most_files: int) -> FormData:
    try:
        return await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise TooLarge(f"At most {most_files} files at once: send several requests.") from error
        raise InvalidRequest(f"The form cannot be read: {foreign(error.message)}") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OutOfSpace("The disk for uploads is full: try again later.", retry_after_s=60) from error
        raise
