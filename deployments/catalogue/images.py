"""The images of the catalogue: adding, listing, counting and deleting. For their processing, see `queue.py`."""

import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import delete, func, select

from deployments.catalogue.clock import Clock, utc_now
from deployments.catalogue.errors import CatalogueError, ImageNotFound, InvalidCursor
from deployments.catalogue.records import Facts, Image, Order, Page, Stats, Status
from deployments.catalogue.sql.database import Database
from deployments.catalogue.sql.tables import ImageRow
from deployments.catalogue.sql.texts import clean_name
from deployments.catalogue.store.base import Store, jpeg_key
from deployments.catalogue.store.content import Content
from deployments.models.tagger.answers import Tag

MOST_LISTED = 1_000
# The largest id in an integer column of PostgreSQL; SQLite allows more.
LARGEST_ID = 2**31 - 1


class Catalogue:
    """The images. All operations may raise CatalogueUnavailable, and those that touch files StoreUnavailable."""

    def __init__(self, database: Database, store: Store, clock: Clock = utc_now) -> None:
        self._database, self._store, self._clock = database, store, clock
        self._content = Content(database, store)

    async def add(self, filename: str | None, data: bytes, facts: Facts) -> Image:
        """Add an image that has been checked. When this returns, it is stored durably and queued for processing.

        Args:
            filename: the client's name for the file, which `clean_name` cleans.
            data: the file.
            facts: the facts in its header.

        Raises:
            StoreFull: there is no room for the file or its row, and no image was added.
        """
        sha256 = await self._content.keep(data)
        now = self._clock()
        row = ImageRow(
            filename=clean_name(filename),
            status="processing",
            sha256=sha256,
            size_bytes=len(data),
            format=facts.format,
            width=facts.width,
            height=facts.height,
            exif={},
            tags=[],
            created_at=now,
            attempts=0,
            due_at=now,
        )
        async with self._database.writing() as session:
            await self._content.hold(session, sha256, len(data))
            session.add(row)
            await session.flush()
        try:
            await self._content.restore(sha256, data)
        except CatalogueError:
            with suppress(CatalogueError):  # what is said is why the file could not be kept
                await self.delete(row.id)
            raise
        return _image(row)

    async def keep_jpeg(self, image: Image, jpeg: bytes) -> None:
        """Store the JPEG that is shown where the image's file cannot be. It is removed with the file.

        Raises:
            ImageNotFound: the image has been deleted meanwhile.
            StoreFull: there is no room.
        """
        await self._store.put(jpeg_key(image.sha256), jpeg)
        try:
            await self.get(image.id)
        except ImageNotFound:
            await self._content.collect(image.sha256)
            raise

    async def get(self, image_id: int) -> Image:
        """The image with this id.

        Raises:
            ImageNotFound: there is none.
        """
        found = await self.find([image_id])
        if not found:
            raise ImageNotFound(f"Image {image_id} is not in the catalogue.")
        return found[0]

    async def find(self, image_ids: Sequence[int]) -> list[Image]:
        """The images with these ids, at most 1,000, in the given order. Ids without an image are left out."""
        possible = [each for each in image_ids if 0 < each <= LARGEST_ID]
        async with self._database.reading() as session:
            rows = await session.scalars(select(ImageRow).where(ImageRow.id.in_(possible)))
            images = {row.id: _image(row) for row in rows}
        return [images[each] for each in possible if each in images]

    async def list(
        self,
        *,
        limit: int = MOST_LISTED,
        cursor: str | None = None,
        status: Status | None = None,
        order: Order = "oldest",
    ) -> Page:
        """One page of the images, ordered by id.

        Args:
            limit: the largest number of images, 1–1,000.
            cursor: the `next_cursor` of the previous page. Images that are added or deleted between two pages do not
                cause others to be repeated or skipped.
            status: list only images with this status.
            order: `oldest` or `newest` first.

        Raises:
            InvalidCursor: the cursor is not from a list in this order.
        """
        query = select(ImageRow)
        if status is not None:
            query = query.where(ImageRow.status == status)
        if cursor is not None:
            last = _read_cursor(cursor, order)
            query = query.where(ImageRow.id > last if order == "oldest" else ImageRow.id < last)
        query = query.order_by(ImageRow.id if order == "oldest" else ImageRow.id.desc()).limit(limit + 1)
        async with self._database.reading() as session:
            images = [_image(row) for row in await session.scalars(query)]
        more = len(images) > limit
        return Page(images[:limit], _cursor(images[limit - 1].id, order) if more else None)

    async def stats(self) -> Stats:
        """Counts and the mean processing time, computed in the database."""
        query = select(ImageRow.status, func.count(), func.avg(ImageRow.processing_time_s)).group_by(ImageRow.status)
        async with self._database.reading() as session:
            counted = {status: (count, mean) for status, count, mean in await session.execute(query)}
        none = (0, None)
        return Stats(
            processed=counted.get("processed", none)[0],
            failed=counted.get("failed", none)[0],
            processing=counted.get("processing", none)[0],
            average_processing_time_s=counted.get("processed", none)[1] or 0.0,
        )

    async def delete(self, image_id: int) -> None:
        """Delete an image with its vectors, and its file unless another image shares it.

        Raises:
            ImageNotFound: there is no such image.
            StoreUnavailable: the image is deleted, but its file is not; `tidy` removes it later.
        """
        if not 0 < image_id <= LARGEST_ID:
            raise ImageNotFound(f"Image {image_id} is not in the catalogue.")
        async with self._database.writing() as session:
            remove = delete(ImageRow).where(ImageRow.id == image_id).returning(ImageRow.sha256)
            sha256 = await session.scalar(remove)
        if sha256 is None:
            raise ImageNotFound(f"Image {image_id} is not in the catalogue.")
        await self._content.collect(sha256)

    async def tidy(self) -> int:
        """Finish deletions that were interrupted before the file was removed, and return their number."""
        abandoned = await self._content.abandoned()
        for sha256 in abandoned:
            await self._content.collect(sha256)
        return len(abandoned)


def _image(row: ImageRow) -> Image:
    return Image(
        id=row.id,
        filename=row.filename,
        status=row.status,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        facts=Facts(row.format, row.width, row.height),
        created_at=row.created_at,
        processed_at=row.processed_at,
        processing_time_s=row.processing_time_s,
        exif=row.exif,
        caption=row.caption,
        tags=tuple(Tag(**tag) for tag in row.tags),
        error=row.error,
        attempts=row.attempts,
    )


def _cursor(image_id: int, order: Order) -> str:
    return base64.urlsafe_b64encode(f"{order}:{image_id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str, order: Order) -> int:
    """The id after which the page starts."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        of, _, number = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition(":")
        last = int(number)
    except (binascii.Error, ValueError):
        of, last = "", 0
    if of != order or not 0 < last <= LARGEST_ID:
        raise InvalidCursor("This cursor is not of this list: begin without one.")
    return last
