"""What a run is asked to do, and by which weights: whatever decides what a day's rows are."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.koop.search.query import Selection

Keep = Literal["maps", "maps-and-aerial"]


@dataclass(frozen=True)
class Asked:
    """Who classifies: the weights, whether they are the bundled ones, the side of their input, and the prompts.

    `prompts` are those of the three categories, in their order.
    """

    weights: str
    bundled: bool
    size: int
    prompts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Options:
    """What a run does with a day.

    Args:
        selection: which decisions it takes.
        keep: which pictures it keeps, of those that the map classifier's rule takes for a map or an aerial view.
        min_bytes: smaller files are not looked at.
        max_records: of each day the first so many decisions; None for all.
        max_pages: of each PDF the first so many pages.
        page_side: pixels of the shorter side of a drawn page.
        max_pixels: larger pictures are not looked at.
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
    """All of it as JSON knows it, for a manifest: two runs with the same make the same rows."""
    selection = vars(options.selection)
    return json.loads(json.dumps({**vars(options), "selection": selection, "classifier": vars(asked)}))  # type: ignore[no-any-return]


def signature(options: Options, asked: Asked) -> str:
    """A short digest of it."""
    return hashlib.sha256(json.dumps(stated(options, asked), sort_keys=True).encode()).hexdigest()[:16]


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What is different between two `stated`, in words."""
    found: list[str] = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new)
        elif old != new:
            found.append(name if name == "prompts" else f"{name} {old!r} → {new!r}")
    return found
