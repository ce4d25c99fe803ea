"""The best frame of a video for each category: CLIP scores a stream of frames, and only the best are decoded again."""

import asyncio
import base64
from contextlib import aclosing
from dataclasses import dataclass
from mmap import mmap

import numpy as np

from configs.prompts import load_prompts
from deployments.models.clip.zero_shot import softmax
from deployments.video.containers import is_video
from serve_app.http.errors import InvalidVideo
from serve_app.inputs.categories import category_lengths
from serve_app.services import Services, counted

# The longest side of a frame in the answer, in pixels.
LONGEST_SIDE = 1920


@dataclass(frozen=True)
class BestFrame:
    """`timestamp_s` from the first frame, `score` the category's probability among all, `image` the JPEG in base64."""

    timestamp_s: float
    score: float
    image: str

    @property
    def filename(self) -> str:
        return f"frame_{self.timestamp_s:010.3f}s.jpg"


async def best_frames(services: Services, data: bytes | mmap, categories: list[str]) -> dict[str, BestFrame]:
    """The frame that fits each category best.

    Raises:
        InvalidVideo, VideoTooLarge: it is no video, cannot be decoded, has no frames, or is too long.
        InvalidPrompt: a category is too long for CLIP.
    """
    services.models.video.announce()
    if not is_video(data):
        raise InvalidVideo("The file is not a video: send one in MP4.")
    settings, template = services.settings, load_prompts().template
    classes = [[template.format(category)] for category in categories]
    logits = np.full(len(categories), -np.inf)
    times, scores = np.zeros(len(categories)), np.zeros(len(categories))
    size = services.clip.weights.image.size
    async with counted("/video"):
        with category_lengths():  # before anything is decoded
            await services.clip.embed_texts([prompt for prompts in classes for prompt in prompts])
        video = await services.models.video.put(data)
        frames = services.models.video.frames(video, settings.video.step_s, settings.video.max_frames, size)
        async with aclosing(frames):
            async for batch in frames:
                found = await services.clip.score(batch.pixels, classes)
                for time_s, row in zip(batch.times_s, found, strict=True):
                    better = row > logits
                    logits[better], times[better], scores[better] = row[better], time_s, softmax(row)[better]
        moments = sorted(set(times.tolist()))
        jpegs = await services.models.video.frame_jpegs(video, moments, LONGEST_SIDE)
        images = await asyncio.to_thread(lambda: [base64.b64encode(jpeg).decode() for jpeg in jpegs])
    image_at = dict(zip(moments, images, strict=True))
    return {
        category: BestFrame(time_s, score, image_at[time_s])
        for category, time_s, score in zip(categories, times.tolist(), scores.tolist(), strict=True)
    }
