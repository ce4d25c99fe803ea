"""What the specs of transformers' models share."""

from configs.registry import PretrainedEntry, read_entry
from configs.settings import PretrainedGroup, Settings
from deployments.runtime.weights import PretrainedWeights, Weights, choose_pretrained


def entry_of(group: type[PretrainedGroup]) -> PretrainedEntry:
    """The model's entry in models.yaml."""
    return read_entry(group.name, PretrainedEntry)


def choose(settings: Settings, group: type[PretrainedGroup]) -> tuple[Weights, ...]:
    """The weights that are served with these settings."""
    model, policy = settings.of(group).model_name, settings.service.weights
    return (choose_pretrained(group.name, entry_of(group), model, policy),)


def replica_arguments(
    settings: Settings, group: type[PretrainedGroup], weights: tuple[Weights, ...]
) -> tuple[PretrainedWeights, dict[str, str], int, int]:
    """Weights, types by device, CPU threads and images of a batch: the first arguments of the deployments."""
    own, entry = settings.of(group), entry_of(group)
    [chosen] = weights
    assert isinstance(chosen, PretrainedWeights)  # noqa: S101 - `choose` made them
    return chosen, entry.dtype, entry.threads if own.threads is None else own.threads, own.max_batch
