"""What a process must know to open a catalogue. Importable without the catalogue's libraries."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CatalogueConfig:
    """The database and the store of a catalogue, and the largest number of attempts per image."""

    database_url: str = field(repr=False)
    store_url: str
    max_attempts: int
