"""The queue of images to be processed. The row of an image is its job: it is leased, retried, or given up."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Update, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from deployments.catalogue.clock import Clock, utc_now
from deployments.catalogue.errors import LeaseLost
from deployments.catalogue.records import Backlog, Lease, Result
from deployments.catalogue.search import vectors
from deployments.catalogue.sql.database import Database
from deployments.catalogue.sql.tables import ImageRow
from deployments.catalogue.sql.texts import printable
from deployments.catalogue.store.base import Store
from deployments.catalogue.store.content import Content

LONGEST_REASON = 1_000


@dataclass(frozen=True)
class Retries:
    """How often an image is tried, at least once, and the delays between attempts in seconds.

    The delay after the n-th attempt is `first_delay_s` × 2ⁿ⁻¹, at most `longest_delay_s`, times a random factor of
    0.5–1, so that images that failed together are not retried together.
    """

    max_attempts: int = 5
    first_delay_s: float = 2.0
    longest_delay_s: float = 300.0

    def delay_s(self, attempt: int) -> float:
        """The delay in seconds after attempt number `attempt`, counted from 1."""
        whole = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 64))
        return whole * random.uniform(0.5, 1.0)


class Queue:
    """The operations of a worker on the queue. All of them may raise CatalogueUnavailable.

    Leasing an image counts as an attempt, so that an image that kills its workers is given up too. Only the holder of a
    lease may finish its image, even after the end of the lease, until another worker has leased the image. The clocks
    of machines that share a catalogue must agree to well within the length of a lease.
    """

    def __init__(
        self, database: Database, store: Store, retries: Retries | None = None, clock: Clock = utc_now
    ) -> None:
        self._database, self._clock = database, clock
        self._content = Content(database, store)
        self._retries = retries or Retries()

    async def lease(self, worker: str, count: int, seconds: float) -> list[Lease]:
        """Lease up to `count` images that are due, those that have waited longest first.

        Args:
            worker: the name of the worker, shown to operators.
            count: the largest number of images.
            seconds: how long the worker holds an image before another may take it; `extend` prolongs this.
        """
        now = self._clock()
        until, holder = now + timedelta(seconds=seconds), f"{worker}/{uuid.uuid4().hex}"
        due = (
            select(ImageRow.id)
            .where(ImageRow.status == "processing", ImageRow.due_at <= now)
            .order_by(ImageRow.due_at, ImageRow.id)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        async with self._database.writing() as session:
            await self._give_up(session)
            ids = (await session.scalars(due)).all()
            if not ids:
                return []
            take = (
                update(ImageRow)
                .where(ImageRow.id.in_(ids))
                .values(leased_by=holder, due_at=until, attempts=ImageRow.attempts + 1)
                .returning(ImageRow.id, ImageRow.sha256, ImageRow.attempts)
                .execution_options(synchronize_session=False)
            )
            rows = await session.execute(take)
            taken = {image_id: Lease(image_id, sha256, holder, attempt, until) for image_id, sha256, attempt in rows}
        return [taken[image_id] for image_id in ids]

    async def extend(self, lease: Lease, seconds: float) -> Lease:
        """Prolong a lease to `seconds` from now.

        Raises:
            LeaseLost: it no longer holds the image.
        """
        until = self._clock() + timedelta(seconds=seconds)
        async with self._database.writing() as session:
            await self._change(session, lease, _held(lease).values(due_at=until))
        return Lease(lease.image_id, lease.sha256, lease.holder, lease.attempt, until)

    async def complete(self, lease: Lease, result: Result) -> None:
        """Mark the image as processed, and store its results.

        Raises:
            LeaseLost: the lease no longer holds the image; nothing is written.
            InvalidVector: a vector is invalid; nothing is written.
        """
        found = _held(lease).values(
            status="processed",
            processed_at=self._clock(),
            processing_time_s=result.processing_time_s,
            exif=dict(result.exif),
            caption=None if result.caption is None else printable(result.caption),
            tags=[asdict(tag) for tag in result.tags],
            error=None,
            leased_by=None,
        )
        await self._end(lease, found, result.vectors)

    async def fail(self, lease: Lease, reason: str, *, retry_after_s: float | None = None, final: bool = False) -> bool:
        """Record a failed attempt: the image becomes due again later, or fails for good after the last attempt.

        Args:
            lease: the attempt.
            reason: why it failed, shown to users; cut to 1,000 characters.
            retry_after_s: the shortest delay before the next attempt.
            final: do not try again.

        Returns:
            Whether the image will be tried again.

        Raises:
            LeaseLost: the lease no longer holds the image.
        """
        again = not final and lease.attempt < self._retries.max_attempts
        now = self._clock()
        delay_s = max(self._retries.delay_s(lease.attempt), retry_after_s or 0.0)
        outcome = {"due_at": now + timedelta(seconds=delay_s)} if again else {"status": "failed", "processed_at": now}
        change = _held(lease).values(error=printable(reason, LONGEST_REASON), leased_by=None, **outcome)
        await self._end(lease, change)
        return again

    async def release(self, lease: Lease, delay_s: float = 0.0) -> None:
        """Return an image without counting the attempt, because the worker stops or a model does not answer.

        The image is due again after `delay_s`.

        Raises:
            LeaseLost: the lease no longer holds the image.
        """
        due_at = self._clock() + timedelta(seconds=delay_s)
        back = _held(lease).values(leased_by=None, due_at=due_at, attempts=ImageRow.attempts - 1)
        await self._end(lease, back)

    async def backlog(self) -> Backlog:
        """The numbers of images that are not finished, by their state, and of those that failed."""
        failed = ImageRow.status == "failed"
        ready = ~failed & (ImageRow.due_at <= self._clock())
        leased = ~failed & ~ready & ImageRow.leased_by.is_not(None)
        counts = (func.coalesce(func.sum(case((state, 1))), 0) for state in (ready, leased, failed))
        query = select(func.count(), *counts).where(ImageRow.status.in_(("processing", "failed")))
        async with self._database.reading() as session:
            total, of_ready, of_leased, of_failed = (await session.execute(query)).one()
        return Backlog(of_ready, of_leased, total - of_ready - of_leased - of_failed, of_failed)

    async def _give_up(self, session: AsyncSession) -> None:
        """Fail images whose worker disappeared during their last attempt."""
        now = self._clock()
        hopeless = (
            select(ImageRow.id)
            .where(
                ImageRow.status == "processing",
                ImageRow.due_at <= now,
                ImageRow.attempts >= self._retries.max_attempts,
            )
            .with_for_update(skip_locked=True)
        )
        ids = (await session.scalars(hopeless)).all()
        if ids:
            reason = f"Given up after {self._retries.max_attempts} attempts: in the last one the worker ended."
            await session.execute(
                update(ImageRow)
                .where(ImageRow.id.in_(ids))
                .values(status="failed", processed_at=now, leased_by=None, error=reason)
                .execution_options(synchronize_session=False)
            )

    async def _end(
        self, lease: Lease, change: Update, embeddings: Mapping[str, NDArray[np.float32]] | None = None
    ) -> None:
        """End a lease by changing its image, and store its embeddings.

        Raises:
            LeaseLost: the lease no longer holds the image; nothing is written.
        """
        try:
            async with self._database.writing() as session:
                await self._change(session, lease, change)
                await vectors.write(self._database, session, lease.image_id, embeddings or {})
        except LeaseLost:
            # If the image was deleted before its thumbnails were stored, they would stay in the store forever.
            await self._content.collect(lease.sha256)
            raise

    async def _change(self, session: AsyncSession, lease: Lease, change: Update) -> None:
        if await session.scalar(change.returning(ImageRow.id)) is None:
            raise LeaseLost(f"Image {lease.image_id} is no longer held by {lease.holder}.")


def _held(lease: Lease) -> Update:
    """An update of the image that applies only while the lease holds it."""
    return (
        update(ImageRow)
        .where(ImageRow.id == lease.image_id, ImageRow.status == "processing", ImageRow.leased_by == lease.holder)
        .execution_options(synchronize_session=False)
    )
