"""/process: tags many documents in parallel; each gets an answer, or the reason why it has none."""

import asyncio
import logging
import time
import uuid
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import psutil
from pydantic import JsonValue

from deployments.models.detector.answers import counts
from deployments.pictures.pixels import Pixels
from deployments.specs import model_specs
from deployments.video.containers import is_video
from deployments.work.deployment import Job
from serve_app.features.looking import look
from serve_app.http.errors import DeadlineExceeded, InvalidRequest, PanoptesError, TooLarge, Unavailable, Untreated
from serve_app.http.middleware import until
from serve_app.inputs.documents import document_name, open_document
from serve_app.schemas.tagger import Index_Response, ProcessRequest
from serve_app.services import Services, counted, gather_bounded

if TYPE_CHECKING:
    from deployments.pictures.inputs import Reduced

logger = logging.getLogger("ray.serve.panoptes.tagging")

OBJECT_PROMPTS = frozenset({"OD", "<OD>"})

# The message of the earlier tagger, on which its clients depend.
UNSUITABLE = "No Image/Video suitable for tagging analysis "
LATE = "No answer in time: try again, or send fewer documents at once"

SHARE = 0.95  # of a request's time, for its documents; the rest is for the answer
LONGEST_ID = 128  # characters of a request's id that are recorded


class Tagging:
    """One request of /process."""

    def __init__(self, services: Services, request: ProcessRequest) -> None:
        """TooLarge for too many documents, ModelDisabled when the model is switched off."""
        self._services, self._request = services, request
        if len(request.documents) > services.settings.limits.max_files:
            raise TooLarge(f"At most {services.settings.limits.max_files} documents at once: send several requests.")
        asked = (request.prompt or "").strip() in OBJECT_PROMPTS
        self._counts = asked or services.settings.tagging.backend == "florence2"
        self._spec = model_specs()["Detector" if self._counts else "Tagger"]
        services.models[self._spec.name].announce()
        self._side = cast("Reduced", self._spec.takes(())).least
        self._until = until(SHARE)
        self._failures: list[PanoptesError] = []

    async def answer(self, request_id: str) -> Index_Response:
        """Treat the documents, and keep a record of the job.

        Raises:
            Unavailable, DeadlineExceeded: no document was treated, and at least one failed for this reason.
        """
        now = time.time()
        deadline = now + self._services.settings.tagging.timeout_s
        job = Job(uuid.uuid4().hex, request_id[:LONGEST_ID], len(self._request.documents), now, deadline)
        ended = replace(job, status="failed", error="The client went away, or its time was over.")
        try:
            await self._record(job)
            answer = await self._treat_all()
            treated, others = answer.number_documents_treated, answer.number_documents_non_treated
            ended = replace(job, status="done", treated=treated, not_treated=others)
        except PanoptesError as error:
            ended = replace(ended, error=error.message)
            raise
        except Exception:
            ended = replace(ended, error="Something broke here: see the logs.")
            raise
        finally:
            await self._record(replace(ended, finished_at=time.time()))
        return answer

    async def _record(self, job: Job) -> None:
        """Record a job's state. Without the record the documents are still answered."""
        if not self._services.models.work.enabled:
            return
        try:
            await self._services.models.work.record(job)
        except Unavailable as error:
            logger.warning("The job %s is not recorded: %s", job.id, error.message)

    async def _treat_all(self) -> Index_Response:
        numbered = list(enumerate(self._request.documents))
        outcomes = await gather_bounded(numbered, self._treat, len(numbered))
        treated = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        reasons = [
            {document_name(document, number): outcome}
            for (number, document), outcome in zip(numbered, outcomes, strict=True)
            if isinstance(outcome, str)
        ]
        if self._failures and not treated:
            raise self._failures[0]
        memory = psutil.virtual_memory()
        return Index_Response(
            status={"code": 200, "message": "Success"},
            data=treated,
            number_documents_treated=len(treated),
            number_documents_non_treated=len(reasons),
            list_id_not_treated=reasons,
            memory_used=f"{memory.percent:g}",
            ram_used=f"{memory.used / 1e9:.2f}",
        )

    async def _treat(self, numbered: tuple[int, Any]) -> dict[str, Any] | str:
        """A document with its new content, or why it is left out; its failure does not affect the others."""
        try:
            async with asyncio.timeout_at(self._until), self._services.documents, counted("/process"):
                return await self._treated(numbered[1])
        except TimeoutError:
            self._failures.append(DeadlineExceeded(f"{LATE}."))
            return LATE
        except Untreated as reason:
            return reason.message
        except InvalidRequest as error:  # the file is not the image or video that it claims to be
            logger.info("A document cannot be read: %s", error.message)
            return UNSUITABLE
        except PanoptesError as error:
            if isinstance(error, Unavailable):
                self._failures.append(error)
            return error.message
        except Exception as error:
            logger.exception("A document failed")
            return f"Something broke here ({type(error).__name__}): report it with the X-Request-ID"

    async def _treated(self, document: Any) -> dict[str, Any]:
        opened = await asyncio.to_thread(open_document, document)
        data = opened.data
        if not is_video(data):
            content = await self._image(data)
        else:
            most = self._services.settings.video
            if len(data) > most.max_bytes:
                raise TooLarge(f"A video may have at most {most.max_mb:g} MB: send a smaller one.")
            async with self._services.videos:
                content = await self._video(data)
        return opened.answered(content)

    async def _image(self, data: bytes) -> list[JsonValue]:
        if self._counts:
            return _counted(counts((await look(self._services, self._spec, data)).value))
        return [vars(tag) for tag in (await look(self._services, self._spec, data, self._request.num_labels)).value]

    async def _video(self, data: bytes) -> list[JsonValue]:
        models = self._services.models
        models.video.announce()
        frames = await self._frames(data)
        if not self._counts:
            return [vars(tag) for tag in await models.tagger.analyze_frames(frames, self._request.num_labels)]
        most: dict[str, int] = {}
        for found in await models.detector.analyze_frames(frames):
            most |= {label: max(count, most.get(label, 0)) for label, count in counts(found).items()}
        return _counted(most)

    async def _frames(self, data: bytes) -> Pixels:
        """Frames (n, h, w, 3), spread evenly over a video, in the size of the model's input."""
        video, settings = self._services.models.video, self._services.settings
        batches = video.frames(
            await video.put(data), settings.video.step_s, settings.tagging.video_frames, self._side, crop=False
        )
        async with aclosing(batches):
            return np.concatenate([batch.pixels async for batch in batches])


def _counted(found: dict[str, int]) -> list[JsonValue]:
    return [{label: found[label]} for label in sorted(found)]
