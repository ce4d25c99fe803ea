"""An opened video: PyAV reads when its frames are shown, and decodes those that are wanted.

The packets are always read from the first on, each once: no container is trusted to seek. What need not be decoded is
left out, which is most of the work: whatever is before the last key frame that a wanted frame needs, and frames that no
other refers to.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from PIL import Image

from deployments.video import by_decord
from deployments.video.colour import picture
from deployments.video.shape import shown_width, turn
from deployments.video.sizes import keeps_size
from deployments.video.timeline import Entry, Stamp, Timeline, counted, presented

# No formats that refer to other files: FFmpeg would fetch what a playlist names.
FORMATS = "mov,matroska,avi,asf,flv,mpegts,mpeg,ogg,gif"
PROTOCOLS = "file"
# The duration in the header covers all streams and may be rounded: audio that ends later does not mean missing frames.
LENGTH_ACCURACY_S = 1.0
# Codecs that say of a frame whether any other refers to it. HEVC says it only of frames of the same temporal layer.
SAYS_UNREFERRED = ("h264", "mpeg1video", "mpeg2video", "mpeg4")
# FFmpeg's own decoders of these leave transparency out.
DECODERS_OF_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class Refused(Exception):
    """A video that cannot be read; `kind` names the error of `deployments.video.deployment`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind, self.text = kind, text


UNREADABLE = Refused(
    "VideoBroken", "None of the video's frames can be decoded: encode it again, for example as H.264 in MP4"
)


class Video:
    """An opened video.

    Attributes:
        timeline: when its frames are shown.
        complete: False once a part of the file has turned out to be missing or broken.
        reader: the library that decodes it, `decord` or `pyav`; empty until the first frame.
    """

    def __init__(self, path: str, threads: int, max_seconds: float, max_pixels: int, by: str = "auto") -> None:
        """Open the file and read the times of its frames; `by` is the setting VIDEO_READER.

        Raises:
            Refused: it has nothing to decode, is longer than `max_seconds`, or has frames of more than `max_pixels`.
        """
        self._path, self._threads, self._max_pixels = path, threads, max_pixels
        self.complete, self.reader = True, ""
        self._alpha = False
        self._open()
        self._refuse_longer(float(self._file.duration or 0) / 1e6, max_seconds)
        # AVI stores no presentation times, only the order of the frames: their times follow from counting them.
        self._counted = self._file.format.name == "avi" and not self._context.codec.intra_only
        alpha = self._stream.metadata.get("alpha_mode") == "1" and self._context.name in DECODERS_OF_ALPHA
        decord = by == "decord" and self._context.name == "h264" and self._aspect in (None, 0, 1)
        decord = decord and any(name in self._file.format.name.split(",") for name in by_decord.FORMATS)
        # Decoders that keep no limit get frames of one size, and decord no key frames but those that are IDR.
        self._one_size = self._anew = True
        self.timeline = self._scan(max_seconds, closely=alpha or decord)
        self._alpha = alpha and self._one_size
        self._decord = decord and self._one_size and self._anew
        self._jumps = not self._counted
        self._skips = self._context.name in SAYS_UNREFERRED and not self._counted

    def frames(self, wanted: Sequence[float]) -> Iterator[tuple[float, Image.Image]]:
        """Yield the frames at these ascending times of the timeline as they are shown, each once, with their times.

        A frame that cannot be decoded is replaced by the next one that can.

        Raises:
            Refused: a frame has more than `max_pixels`.
        """
        left, jumps = deque(self.timeline.nearest(wanted)), self._jumps
        if self._decord and self._first_is_plain():
            yield from self._by_decord(left)
        self.reader = self.reader or "pyav"
        if left:
            yield from self._pass(left)
        if left and jumps:  # a key frame was none, or a frame is elsewhere than its time says
            self._jumps = False
            yield from self._pass(left)
        if left:
            self.complete = False

    def _first_is_plain(self) -> bool:
        frame = next((frame for _, frame in self._decoded(deque([0]))), None)
        return frame is not None and by_decord.shows(frame)

    def _by_decord(self, wanted: deque[int]) -> Iterator[tuple[float, Image.Image]]:
        """Decode with decord as far as it can, and remove what was found from the left of `wanted`."""
        ticks = self.timeline.ticks
        numbers = deque(np.searchsorted(ticks, wanted).tolist())
        for number, image in by_decord.frames(self._path, self._threads, self.timeline.times, numbers):
            self.reader = "decord"
            wanted.popleft()
            yield float(self.timeline.times[number]), image

    def _open(self) -> None:
        """Open the file at its beginning."""
        options = {"format_whitelist": FORMATS, "protocol_whitelist": PROTOCOLS}
        most = {"max_pixels": str(self._max_pixels)}
        try:
            self._file = av.open(self._path, options=most, container_options=options, metadata_errors="replace")
        except av.FFmpegError as error:
            text = f"This is not a video that can be read ({error.strerror}): send MP4, MOV, MKV, WebM, AVI, WMV or FLV"
            raise Refused("VideoBroken", text) from error
        stream: Any = self._file.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic or stream.time_base is None:
            raise Refused("NoFrames", "The file has no video stream: send one that has pictures, and all of it")
        if stream.codec_context is None:
            raise UNREADABLE
        context = stream.codec_context
        self._stream, self._aspect = stream, stream.sample_aspect_ratio
        self._refuse_larger(context.width, context.height)
        if self._alpha:
            context = av.CodecContext.create(DECODERS_OF_ALPHA[context.name], "r")
        context.options = most
        context.thread_count, context.thread_type = self._threads, "AUTO"
        self._context, self._count = context, 0

    def _refuse_larger(self, width: int, height: int) -> None:
        """Raise Refused if a frame of this size, as stored, has too many pixels, as stored or as shown."""
        width = max(width, shown_width(width, self._aspect))
        if width * height > self._max_pixels:
            raise self._too_large(f"of {width} × {height} pixels")

    def _refuse_too_large(self, error: av.FFmpegError) -> None:
        """Raise Refused if FFmpeg refused a size: it then knows the size, or sets it to 0."""
        pixels = self._context.width * self._context.height
        if pixels > self._max_pixels or (isinstance(error, av.ArgumentError) and not pixels):
            raise self._too_large() from error

    def _too_large(self, frames: str = "that are broken or too large") -> Refused:
        most = f"at most {self._max_pixels / 1e6:g} megapixels are accepted"
        text = f"The video has frames {frames}; {most}: scale it down"
        return Refused("VideoTooLarge", text)

    @staticmethod
    def _refuse_longer(seconds: float, max_seconds: float) -> None:
        if seconds > max_seconds:
            text = f"The video lasts {seconds:.0f} s, at most {max_seconds:g} s are accepted: cut it"
            raise Refused("VideoTooLong", text)

    def _scan(self, max_seconds: float, closely: bool) -> Timeline:
        """Read the times of all packets without decoding them; with `closely`, what else they say of their frames."""
        stamps: list[Stamp] = []
        base = self._stream.time_base
        for number, packet in enumerate(self._packets()):
            if packet.is_corrupt:
                self.complete = False
            elif not packet.is_discard:
                length = max(packet.duration or 0, 0)
                stamps.append(Stamp(number, packet.pts, packet.dts, length, packet.is_keyframe))
                if closely:
                    self._look_into(packet)
                if packet.pts is not None and stamps[0].pts is not None:
                    self._refuse_longer(float((packet.pts - stamps[0].pts) * base), max_seconds)
        # Nor does an MPEG program stream of H.264, most of whose packets say nothing.
        self._counted = self._counted or (self._file.format.name == "mpeg" and any(one.pts is None for one in stamps))
        shown = counted(stamps) if self._counted else presented(stamps)
        if not shown:
            raise Refused("NoFrames", "The video has no frames: send one that has") if self.complete else UNREADABLE
        times = [time for time, _ in shown]
        self._refuse_longer(float((max(times) - min(times)) * base), max_seconds)
        timeline = Timeline.of(shown, base)
        if (self._file.duration or 0) / 1e6 - timeline.duration_s > LENGTH_ACCURACY_S:
            self.complete = False
        return timeline

    def _look_into(self, packet: Any) -> None:
        data, header, context = bytes(packet), self._context.extradata or b"", self._context
        same = not packet.has_sidedata("new_extradata") and keeps_size(
            context.name, header, (context.width, context.height), data
        )
        self._one_size = self._one_size and same
        self._anew = self._anew and (not packet.is_keyframe or by_decord.begins_anew(header, data))

    def _packets(self) -> Iterator[Any]:
        try:
            for packet in self._file.demux(self._stream):
                if packet.size:  # the last one is empty
                    yield packet
        except av.FFmpegError:  # the file is cut off
            self.complete = False

    def _pass(self, wanted: deque[int]) -> Iterator[tuple[float, Image.Image]]:
        """Decode the file once, and remove what was found from the left of `wanted`."""
        for tick, frame in self._decoded(wanted):
            if tick < wanted[0]:
                continue
            if tick > wanted[0]:
                self.complete = False
            image = self._shown(frame)
            if image is None:
                continue
            while wanted and wanted[0] <= tick:
                wanted.popleft()
            yield self.timeline.time(tick), image
            if not wanted:
                return

    def _decoded(self, wanted: deque[int]) -> Iterator[tuple[int, Any]]:
        """Yield frames with their ticks, among them those at `wanted`, whose first is looked at after each frame.

        Ends early, and jumps no more, if the first frame after a jump is not the key frame that was to be there.
        """
        self._open()
        exact = frozenset(wanted)
        entry = self._entry(wanted)
        landing = entry
        for number, packet in enumerate(chain(self._packets(), (None,))):
            if entry is not None and packet is not None and number < entry.packet:
                continue
            for tick, frame in self._decode(packet, exact):
                if landing is not None and tick >= landing.tick:
                    if tick > landing.tick or not frame.key_frame:
                        self._jumps = False
                        return
                    landing = None
                yield tick, frame
                ahead = self._entry(wanted)
                if ahead is not None and ahead.packet > number:
                    self._context.flush_buffers()
                    entry = landing = ahead
                    break

    def _entry(self, wanted: deque[int]) -> Entry | None:
        """The key frame from which the next wanted frame can be decoded; None: the first packet."""
        return self.timeline.entry(wanted[0]) if self._jumps else None

    def _decode(self, packet: Any, exact: frozenset[int]) -> list[tuple[int, Any]]:
        """The frames that the decoder gives for a packet, or at the end for None; a broken packet gives none."""
        if self._skips and packet is not None:
            wanted = packet.pts is None or packet.pts - self.timeline.start in exact
            self._context.skip_frame = "DEFAULT" if wanted else "NONREF"
        try:
            return [(self._tick(frame), frame) for frame in self._context.decode(packet)]
        except av.FFmpegError as error:
            self._refuse_too_large(error)
            self.complete = False
            return []

    def _tick(self, frame: Any) -> int:
        """When a frame is shown; -1 if it does not say so."""
        if not self._counted:
            return -1 if frame.pts is None else int(frame.pts) - self.timeline.start
        ticks = self.timeline.ticks
        self._count += 1
        return int(ticks[min(self._count, len(ticks)) - 1])

    def _shown(self, frame: Any) -> Image.Image | None:
        """A frame as it is shown; None if FFmpeg cannot convert its pixels."""
        self._refuse_larger(frame.width, frame.height)
        try:
            image = picture(frame)
        except av.FFmpegError:
            self.complete = False
            return None
        width = shown_width(image.width, self._aspect)
        if width != image.width:
            image = image.resize((width, image.height), Image.Resampling.BICUBIC)
        upright = turn(frame)
        return image if upright is None else image.transpose(upright)
