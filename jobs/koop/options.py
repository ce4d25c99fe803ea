"""The options of a run and the weights that classify: everything that the rows of a day depend on."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.koop.search.query import Selection

Keep = Literal["maps", "maps-and-aerial"]


@dataclass(frozen=True)
class Asked:
    """The classifier of a run: its weights, whether they are bundled, the side of their input, and the prompts.

    `prompts` holds the prompts of each of the three categories, in the order of the categories.
    """

    weights: str
    bundled: bool
    size: int
    prompts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Options:
    """How a run processes a day.

    Args:
        selection: which decisions are taken.
        keep: which of the pictures that are classified as a map or an aerial view are kept.
        min_bytes: smaller files are not classified.
        max_records: how many decisions of each day are taken; None for all.
        max_pages: how many pages of each PDF are classified.
        page_side: the shorter side of a rendered page, in pixels.
        max_pixels: larger pictures are not classified.
    """

    selection: Selection = field(default_factory=Selection)
    keep: Keep = "maps-and-aerial"
    min_bytes: int = 0
    max_records: int | None = None
    max_pages: int = 500
    page_side: int = 448
    max_pixels: int = 100_000_000

    def keeps(self, category: str, is_map_or_aerial: bool) -> bool:
        """Whether a picture with this decision is kept."""
        return is_map_or_aerial and (self.keep != "maps" or category == "maps")


def stated(options: Options, asked: Asked) -> dict[str, Any]:
    """Options and classifier as JSON values, for a manifest. Runs for which they are equal make equal rows."""
    selection = vars(options.selection)
    return json.loads(json.dumps({**vars(options), "selection": selection, "classifier": vars(asked)}))  # type: ignore[no-any-return]


def signature(options: Options, asked: Asked) -> str:
    """A short digest of `stated`."""
    return hashlib.sha256(json.dumps(stated(options, asked), sort_keys=True).encode()).hexdigest()[:16]


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The differences between two results of `stated`, as texts."""
    found: list[str] = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new)
        elif old != new:
            found.append(name if name == "prompts" else f"{name} {old!r} → {new!r}")
    return found
