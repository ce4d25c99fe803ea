"""What models.yaml says of Video."""

from pydantic import Field

from configs.registry import Entry


class VideoEntry(Entry):
    """Video has no weights; `threads` for each of the `parallel` videos that a replica reads side by side."""

    threads: int = Field(ge=1)
    parallel: int = Field(ge=1)
