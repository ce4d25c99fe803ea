"""The base class of all models, so that one kind of replica serves all of them. No Ray in here."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from deployments.runtime.weights import Weights

Item = TypeVar("Item")
Result = TypeVar("Result")


class Model(ABC, Generic[Item, Result]):
    """A loaded model.

    Attributes:
        parts: the weights that are loaded; several where one deployment serves several models.
        load_times_s: seconds to load and warm up each part.
        device_name: `cpu`, or the GPU's own name.
    """

    parts: tuple[Weights, ...]
    load_times_s: tuple[float, ...]
    device_name: str = "cpu"

    @abstractmethod
    def warm_up(self) -> None:
        """One pass on a blank picture; raises ModelFailed when the model or its device is broken."""

    @abstractmethod
    def results(self, items: list[Item]) -> Sequence[Result]:
        """The results of items, in their order.

        Raises:
            ModelFailed: the model or its device failed, or it gave values that are not finite.
        """
