"""The images that wait to be processed. The row is the job: leased, retried, and given up with its reason."""

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
    """How often an image is tried, at least once, and the seconds between.

    After the n-th attempt it waits `first_delay_s` × 2ⁿ⁻¹, at most `longest_delay_s`, of which a random half to the
    whole, so that images that failed together do not come back together.
    """

    max_attempts: int = 5
    first_delay_s: float = 2.0
    longest_delay_s: float = 300.0

    def delay_s(self, attempt: int) -> float:
        """Seconds until the next attempt after the `attempt`-th, which counts from 1."""
        whole = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 64))
        return whole * random.uniform(0.5, 1.0)


class Queue:
    """What a worker does with it. Every operation may raise CatalogueUnavailable.

    A lease counts as an attempt when it is given, so an image that kills its workers is given up too. Until its end,
    and after it while nobody else has taken the image, its holder may finish; nobody else ever may. The clocks of
    machines that share a catalogue must agree to well within the length of a lease.
    """

    def __init__(
        self, database: Database, store: Store, retries: Retries | None = None, clock: Clock = utc_now
    ) -> None:
        self._database, self._clock = database, clock
        self._content = Content(database, store)
        self._retries = retries or Retries()

    async def lease(self, worker: str, count: int, seconds: float) -> list[Lease]:
        """At most `count` images that are due, those that wait longest first; none when none is.

        Args:
            worker: a name for it, shown to operators.
            count: most images.
            seconds: how long they are this worker's; `extend` adds to that.
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
        """Keep an image for `seconds` from now; LeaseLost when it is no longer this lease's."""
        until = self._clock() + timedelta(seconds=seconds)
        async with self._database.writing() as session:
            await self._change(session, lease, _held(lease).values(due_at=until))
        return Lease(lease.image_id, lease.sha256, lease.holder, lease.attempt, until)

    async def complete(self, lease: Lease, result: Result) -> None:
        """The image is processed, with what was found.

        Raises:
            LeaseLost: another worker has it, or nobody any more; nothing is written.
            InvalidVector: nothing is written.
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
        """An attempt failed: the image is due again later, or failed for good.

        Args:
            lease: the attempt.
            reason: shown to users, cut to 1,000 characters.
            retry_after_s: do not try again sooner, whatever the back-off says.
            final: do not try again at all; without it that is so after the last attempt.

        Returns:
            Whether it will be tried again.

        Raises:
            LeaseLost.
        """
        again = not final and lease.attempt < self._retries.max_attempts
        now = self._clock()
        delay_s = max(self._retries.delay_s(lease.attempt), retry_after_s or 0.0)
        outcome = {"due_at": now + timedelta(seconds=delay_s)} if again else {"status": "failed", "processed_at": now}
        change = _held(lease).values(error=printable(reason, LONGEST_REASON), leased_by=None, **outcome)
        await self._end(lease, change)
        return again

    async def release(self, lease: Lease, delay_s: float = 0.0) -> None:
        """Give an image back that was not really tried, because the worker stops or a model is away; LeaseLost.

        It is due again after `delay_s`, and the attempt does not count.
        """
        due_at = self._clock() + timedelta(seconds=delay_s)
        back = _held(lease).values(leased_by=None, due_at=due_at, attempts=ImageRow.attempts - 1)
        await self._end(lease, back)

    async def backlog(self) -> Backlog:
        """How much there is to do, and how much was given up."""
        failed = ImageRow.status == "failed"
        ready = ~failed & (ImageRow.due_at <= self._clock())
        leased = ~failed & ~ready & ImageRow.leased_by.is_not(None)
        counts = (func.coalesce(func.sum(case((state, 1))), 0) for state in (ready, leased, failed))
        query = select(func.count(), *counts).where(ImageRow.status.in_(("processing", "failed")))
        async with self._database.reading() as session:
            total, of_ready, of_leased, of_failed = (await session.execute(query)).one()
        return Backlog(of_ready, of_leased, total - of_ready - of_leased - of_failed, of_failed)

    async def _give_up(self, session: AsyncSession) -> None:
        """Images whose last worker ended without a word are failed."""
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
        """End a lease with a change of its image, and store what was found; LeaseLost."""
        try:
            async with self._database.writing() as session:
                await self._change(session, lease, change)
                await vectors.write(self._database, session, lease.image_id, embeddings or {})
        except LeaseLost:
            # The image may have been deleted before its thumbnails were stored: then they are nobody's.
            await self._content.collect(lease.sha256)
            raise

    async def _change(self, session: AsyncSession, lease: Lease, change: Update) -> None:
        if await session.scalar(change.returning(ImageRow.id)) is None:
            raise LeaseLost(f"Image {lease.image_id} is no longer held by {lease.holder}.")


def _held(lease: Lease) -> Update:
    """A change of the image, if the lease still holds it."""
    return (
        update(ImageRow)
        .where(ImageRow.id == lease.image_id, ImageRow.status == "processing", ImageRow.leased_by == lease.holder)
        .execution_options(synchronize_session=False)
    )
