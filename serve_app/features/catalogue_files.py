"""Responses with files of the catalogue: streamed, with an ETag, and safe to open in a browser."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from deployments.catalogue.errors import ContentMissing
from deployments.catalogue.records import Image
from deployments.catalogue.store.base import MISSING, Store, ThumbnailSize, jpeg_key, original_key, thumbnail_key
from deployments.pictures.formats import BY_NAME
from serve_app.http.links import has_current
from serve_app.services import Services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deployments.catalogue.opened import OpenCatalogue

# Every browser shows these, and hardly one names them in its Accept header.
SHOWN_BY_ALL = {"JPEG", "PNG"}
LONGEST_JPEG = 65_500  # pixels on a side that libjpeg writes

# Ids are never reused and files never change: clients may cache them, shared proxies may not.
CACHED = "private, max-age=3600"
# The files are untrusted: a browser must show them as the pictures they are and run nothing in them.
HARMLESS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


async def original_response(request: Request, store: Store, image: Image) -> Response:
    """The uploaded file, or 304; ContentMissing when the store has lost it."""
    kind = BY_NAME[image.facts.format].media_type
    headers = _named(image.filename)
    return await _response(request, store, original_key(image.sha256), f'"{image.sha256}"', kind, headers)


async def jpeg_response(request: Request, services: Services, opened: "OpenCatalogue", image: Image) -> Response:
    """The picture of an uploaded file as an upright JPEG of its full size, or 304; as `original_response`.

    It is made when it is first asked for, and kept.
    """
    key, etag = jpeg_key(image.sha256), f'"{image.sha256}-jpeg"'
    if not has_current(request, etag) and await opened.store.size(key) is None:
        async with services.pictures:
            data = await opened.store.get(original_key(image.sha256))
            jpeg = await services.decoder.jpeg(data, LONGEST_JPEG)
        await opened.catalogue.keep_jpeg(image, jpeg)
    headers = _named(f"{image.filename.rpartition('.')[0] or image.filename}.jpg")
    return await _response(request, opened.store, key, etag, "image/jpeg", headers)


async def thumbnail_response(request: Request, store: Store, image: Image, size: ThumbnailSize) -> Response:
    """A thumbnail, or 304; as `original_response`."""
    etag = f'"{image.sha256}-{size}"'
    return await _response(request, store, thumbnail_key(image.sha256, size), etag, "image/jpeg", {})


def _named(filename: str) -> dict[str, str]:
    return {"Content-Disposition": f"inline; filename*=UTF-8''{quote(filename, safe='')}"}


async def _response(
    request: Request, store: Store, key: str, etag: str, kind: str, headers: "Mapping[str, str]"
) -> Response:
    cached = {"ETag": etag, "Cache-Control": CACHED}
    if has_current(request, etag):
        return Response(status_code=304, headers=cached)
    size = await store.size(key)
    if size is None:
        raise ContentMissing(MISSING)
    every = {**cached, **HARMLESS, **headers}
    if (path := store.path(key)) is not None:
        return FileResponse(path, headers=every, media_type=kind)
    # The first part is read before the response starts, so that an unavailable store can still give an error status.
    parts = store.stream(key, end=size)
    first = await anext(parts, b"")
    return StreamingResponse(_joined(first, parts), headers={**every, "Content-Length": str(size)}, media_type=kind)


async def _joined(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part
