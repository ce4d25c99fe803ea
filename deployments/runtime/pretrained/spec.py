"""The spec of a model that transformers loads: all of them are chosen, built and loaded in the same way."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar, cast

from configs.registry import PretrainedEntry, read_entry
from configs.settings import PretrainedGroup, Settings
from deployments.pictures.inputs import Reduced
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import PretrainedWeights, Weights, choose_pretrained

Own = TypeVar("Own", bound=PretrainedGroup)


def pretrained_spec(
    group: type[Own],
    *,
    purpose: str,
    takes: Reduced,
    analyses: tuple[AnalysisSpec, ...],
    options: Callable[[Own], tuple[Any, ...]] = lambda own: (),
    catalogue: bool = False,
) -> ModelSpec:
    """The spec of the model whose settings are `group`, and whose folder has the group's name.

    Args:
        purpose, analyses, catalogue: as in ModelSpec.
        takes: what it is given of a picture: larger than any checkpoint's input, as scaling twice costs quality.
        options: makes the arguments of the model's class after weights and device, from its settings.
    """
    name, package = group.name.capitalize(), f"deployments.models.{group.name}"

    def entry() -> PretrainedEntry:
        return read_entry(group.name, PretrainedEntry)

    def weights(settings: Settings) -> tuple[Weights, ...]:
        model, policy = settings.of(group).model_name, settings.service.weights
        return (choose_pretrained(group.name, entry(), model, policy),)

    def arguments(settings: Settings, chosen: tuple[Weights, ...], _: Mapping[str, Deployed]) -> tuple[Any, ...]:
        own = settings.of(group)
        threads = entry().threads if own.threads is None else own.threads
        return chosen[0], entry().dtype, threads, own.max_batch, *options(own)

    def load(settings: Settings, chosen: tuple[Weights, ...]) -> Any:
        from deployments.machine.devices import select

        model = getattr(import_module(f"{package}.model"), f"{name}Model")
        return model(cast("PretrainedWeights", chosen[0]), select(entry().dtype, 0, 0), *options(settings.of(group)))

    return ModelSpec(
        name=name,
        purpose=purpose,
        package=package,
        library="transformers",
        extra="transformers",
        models=(group.name,),
        weights=weights,
        arguments=arguments,
        load=load,
        takes=lambda _: takes,
        analyses=analyses,
        catalogue=catalogue,
    )
