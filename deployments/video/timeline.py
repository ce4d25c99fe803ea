"""When the frames of a video are shown, as its packets say without being decoded."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

SAME_S = 1e-6  # seconds; moments closer than this are equal


@dataclass(frozen=True)
class Stamp:
    """What the packet `number` of a file says, in ticks: when its frame is shown and decoded, and for how long."""

    number: int
    pts: int | None
    dts: int | None
    duration: int
    key: bool


@dataclass(frozen=True, order=True)
class Entry:
    """A key frame, from which decoding can begin: the tick at which it is shown, and the number of its packet."""

    tick: int
    packet: int


@dataclass(frozen=True)
class Timeline:
    """When the frames are shown.

    Attributes:
        ticks: of all frames, from 0, ascending, each once; a tick is `base` seconds.
        start: what the file calls tick 0.
        entries: the key frames, ascending; none if the packets do not say when they are shown.
        duration_s: from the first frame to the end of the last.
    """

    ticks: NDArray[np.int64]
    base: Fraction
    start: int
    entries: tuple[Entry, ...]
    duration_s: float

    @classmethod
    def of(cls, shown: Sequence[tuple[int, Stamp]], base: Fraction) -> "Timeline":
        """The timeline of these packets, each with the time at which its frame is shown; there is at least one."""
        start = min(time for time, _ in shown)
        ticks = np.unique(np.array([time - start for time, _ in shown]))
        entries = sorted(Entry(time - start, stamp.number) for time, stamp in shown if stamp.key and time == stamp.pts)
        end = max(time + stamp.duration for time, stamp in shown)
        return cls(ticks, base, start, tuple(entries), float((end - start) * base))

    @property
    def times(self) -> NDArray[np.float64]:
        """The times of all frames in seconds from the first."""
        return self.ticks.astype(np.float64) * float(self.base)

    def time(self, tick: int) -> float:
        """The time of a frame in seconds from the first."""
        return tick * float(self.base)

    def sample(self, step_s: float, most: int) -> tuple[list[float], float]:
        """The times of the frames shown at each step, and the step, which is widened if they would exceed `most`."""
        times = self.times
        last = float(times[-1])
        if last / step_s + SAME_S >= most:
            step_s = last / (most - 1) if most > 1 else self.duration_s
        moments = np.arange(min(most, int(last / step_s + SAME_S) + 1)) * step_s
        seen = np.searchsorted(times, moments + SAME_S, side="right") - 1
        return times[np.unique(seen)].tolist(), step_s

    def nearest(self, moments: Sequence[float]) -> list[int]:
        """The tick of the frame nearest to each moment in seconds."""
        times = self.times
        return [int(self.ticks[np.abs(times - moment).argmin()]) for moment in moments]

    def entry(self, tick: int) -> Entry | None:
        """The last key frame that is shown at `tick` or before; None if there is none."""
        number = bisect_right(self.entries, tick, key=lambda entry: entry.tick)
        return self.entries[number - 1] if number else None


def presented(stamps: Sequence[Stamp]) -> list[tuple[int, Stamp]]:
    """The packets that say when their frame is shown, with that time."""
    return [(stamp.pts, stamp) for stamp in stamps if stamp.pts is not None]


def counted(stamps: Sequence[Stamp]) -> list[tuple[int, Stamp]]:
    """The packets with the times at which they are decoded; one that does not say it follows the one before it.

    As many frames are shown as are decoded, at the same times but in another order.
    """
    timed: list[tuple[int, Stamp]] = []
    following = 0
    for stamp in stamps:
        time = following if stamp.dts is None else stamp.dts
        timed.append((time, stamp))
        following = time + stamp.duration
    return timed
