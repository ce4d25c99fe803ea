"""What a process must know to open a catalogue. Read without its libraries."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CatalogueConfig:
    """Where a catalogue is, and how often an image is tried."""

    database_url: str = field(repr=False)
    store_url: str
    max_attempts: int
