"""/process: many documents side by side, each with its own answer or its own reason."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from pydantic import JsonValue

from deployments.work import Job
from serve_app.descriptions import DETECTOR_SIDE, TAGGER_SIDE, ask, counts
from serve_app.errors import InvalidRequest, PanoptesError, TooLarge, Unavailable
from serve_app.schemas.common import decode_base64
from serve_app.schemas.tagger import IndexResponse, ProcessRequest
from serve_app.services import Services, counted, gather_bounded

logger = logging.getLogger("ray.serve.panoptes.tagging")

IMAGE_TYPES = frozenset({"jpg", "jpeg", "jfif", "png", "gif", "bmp", "tif", "tiff", "webp"})
VIDEO_TYPES = frozenset({"mp4", "mov", "avi", "wmv", "flv", "webm"})
OBJECT_PROMPTS = frozenset({"OD", "<OD>"})

# As the clients of the earlier tagger know them.
WRONG_TYPE = "File type not valid"
UNSUITABLE = "No Image/Video suitable for tagging analysis "
LATE = "No answer in time: send fewer documents at once"

SHARE = 0.95  # of a request's time, for its documents: what is there by then is still answered


class Untreated(Exception):
    """A document that is left out; the message is its reason."""


@dataclass
class Outcome:
    """What became of the documents, in their order: the treated ones, and the reasons of the others."""

    treated: list[JsonValue] = field(default_factory=list)
    reasons: list[dict[str, str]] = field(default_factory=list)


class Tagging:
    """One request of /process."""

    def __init__(self, services: Services, request: ProcessRequest) -> None:
        """TooLarge for too many documents, ModelDisabled when what has to answer is switched off."""
        self._services, self._request = services, request
        if len(request.documents) > services.settings.max_files:
            raise TooLarge(f"At most {services.settings.max_files} documents at once: send several requests.")
        asked = (request.prompt or "").strip() in OBJECT_PROMPTS
        self._counts = asked or services.settings.tagger_backend == "florence2"
        (services.models.detector if self._counts else services.models.tagger).announce()
        self._until = asyncio.get_running_loop().time() + SHARE * services.settings.process_timeout_s
        self._unavailable: list[Unavailable] = []

    async def answer(self) -> IndexResponse:
        """Treat the documents.

        Raises:
            Unavailable: the model could not answer for a single one of them.
        """
        numbered = list(enumerate(self._request.documents))
        contents = await gather_bounded(numbered, self._treat, 2 * self._services.settings.max_concurrent_pictures)
        outcome = Outcome()
        for (number, document), content in zip(numbered, contents, strict=True):
            if isinstance(content, str):
                outcome.reasons.append({_name(document, number): content})
            else:
                outcome.treated.append({**document, "source": {**document["source"], "content": content}})
        if self._unavailable and not outcome.treated:
            raise self._unavailable[0]
        memory = psutil.virtual_memory()
        return IndexResponse(
            status={"code": 200, "message": "Success"},
            data=outcome.treated,
            number_documents_treated=len(outcome.treated),
            number_documents_non_treated=len(outcome.reasons),
            list_id_not_treated=outcome.reasons,
            memory_used=f"{memory.percent:g}",
            ram_used=f"{memory.used / 1e9:.2f}",
        )

    async def _treat(self, numbered: tuple[int, Any]) -> list[JsonValue] | str:
        """The new content of a document, or why it is left out: a document never takes the others with it."""
        try:
            async with asyncio.timeout_at(self._until), counted("/process"):
                return await self._content(numbered[1])
        except TimeoutError:
            return LATE
        except Untreated as reason:
            return str(reason)
        except InvalidRequest as error:  # of what claims to be an image or a video
            logger.info("A document cannot be read: %s", error.message)
            return UNSUITABLE
        except PanoptesError as error:
            if isinstance(error, Unavailable):
                self._unavailable.append(error)
            return error.message
        except Exception as error:
            logger.exception("A document failed")
            return f"Something broke here ({type(error).__name__}): report it with the X-Request-ID"

    async def _content(self, document: Any) -> list[JsonValue]:
        data = await _file(document)
        if not _is_video(data):
            return await self._image(data)
        if len(data) > self._services.settings.max_video_bytes:
            raise TooLarge(f"A video may have at most {self._services.settings.max_video_mb:g} MB: send a smaller one.")
        return await self._video(data)

    async def _image(self, data: bytes) -> list[JsonValue]:
        models = self._services.models
        if self._counts:
            found, _ = await ask(self._services, models.detector, data, DETECTOR_SIDE)
            return _counted(counts(found))
        tags, _ = await ask(self._services, models.tagger, data, TAGGER_SIDE, self._request.num_labels)
        return [vars(tag) for tag in tags]

    async def _video(self, data: bytes) -> list[JsonValue]:
        models = self._services.models
        models.video.announce()
        async with self._services.pictures:
            if self._counts:
                seen = await models.detector.analyze_frames(await self._frames(data, DETECTOR_SIDE))
                most: dict[str, int] = {}
                for found in seen:
                    most |= {label: max(count, most.get(label, 0)) for label, count in counts(found).items()}
                return _counted(most)
            frames = await self._frames(data, TAGGER_SIDE)
            return [vars(tag) for tag in await models.tagger.analyze_frames(frames, self._request.num_labels)]

    async def _frames(self, data: bytes, side: int) -> NDArray[np.uint8]:
        """Frames (n, h, w, 3), spread evenly over a video."""
        video, settings = self._services.models.video, self._services.settings
        batches = video.frames(
            await video.put(data), settings.video_step_s, settings.process_video_frames, side, crop=False
        )
        async with aclosing(batches):
            return np.concatenate([batch.pixels async for batch in batches])


async def _file(document: Any) -> bytes:
    """The file in a document; Untreated when there is none of a type that is known."""
    source = document.get("source") if isinstance(document, dict) else None
    content = source.get("content") if isinstance(source, dict) else None
    if not isinstance(source, dict) or not isinstance(content, str):
        raise Untreated("The document has no source.content: send the file there, in base64")
    kind = str(source.get("file_type") or source.get("file_name") or "").rpartition(".")[2].strip().lower()
    if kind not in IMAGE_TYPES | VIDEO_TYPES:
        raise Untreated(WRONG_TYPE)
    try:
        return await asyncio.to_thread(decode_base64, content)
    except ValueError:
        raise Untreated(UNSUITABLE) from None


def _is_video(data: bytes) -> bool:
    """Whether a file begins as the containers of videos do: judged by its bytes, as images are."""
    head = data[:16]
    return (
        head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # MP4, MOV
        or head.startswith((b"\x1a\x45\xdf\xa3", b"FLV", b"\x30\x26\xb2\x75"))  # WebM, FLV, WMV
        or (head[:4] == b"RIFF" and head[8:11] == b"AVI")
    )


def _counted(found: dict[str, int]) -> list[JsonValue]:
    return [{label: found[label]} for label in sorted(found)]


def _name(document: Any, number: int) -> str:
    """What a document is reported by: its id, or its place in the request when it has none."""
    identity = document.get("id") if isinstance(document, dict) else None
    return str(identity) if isinstance(identity, str | int) else f"documents[{number}]"


@asynccontextmanager
async def recorded(services: Services, identity: str, documents: int) -> AsyncIterator[list[IndexResponse]]:
    """Keep a record of a job; its answer is put into the list that this gives."""
    now, answers = time.time(), list[IndexResponse]()
    job = Job(identity, documents, now, now + services.settings.process_timeout_s)
    await _record(services, job)
    ended = replace(job, status="failed", error="The client went away, or its time was over.")
    try:
        yield answers
        treated, others = answers[0].number_documents_treated, answers[0].number_documents_non_treated
        ended = replace(job, status="done", treated=treated, not_treated=others)
    except PanoptesError as problem:
        ended = replace(ended, error=problem.message)
        raise
    except Exception:
        ended = replace(ended, error="Something broke here: see the logs.")
        raise
    finally:
        await _record(services, replace(ended, finished_at=time.time()))


async def _record(services: Services, job: Job) -> None:
    """Remember how a job is. A record that cannot be kept costs no document its answer."""
    if not services.models.work.enabled:
        return
    try:
        await services.models.work.record(job)
    except Unavailable as error:
        logger.warning("The job %s is not recorded: %s", job.id, error.message)
