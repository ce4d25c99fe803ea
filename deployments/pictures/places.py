"""Places in a picture, of faces and of lines of text, in pixels of the original."""

from typing import Any, Protocol, Self, runtime_checkable


@runtime_checkable
class Placed(Protocol):
    """A part of an answer that says where something is, in pixels of the picture that the model got."""

    def scaled(self, factor: float) -> Self:
        """The same in a picture `factor` times as large."""
        ...


def in_original(answer: Any, factor: float) -> Any:
    """A model's answer, with its places in pixels of the original.

    Args:
        answer: what the deployment's `analyze` returned about a picture.
        factor: pixels of the original for each pixel of that picture; a very large JPEG is decoded at half its size.
    """
    if factor == 1 or not isinstance(answer, list):
        return answer
    return [one.scaled(factor) if isinstance(one, Placed) else one for one in answer]
