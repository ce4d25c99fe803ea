"""The map classifier's prompts, as this service is configured."""

from configs.settings import Settings
from deployments.models.clip.settings import ClipSettings


def prompt_set(settings: Settings) -> str:
    """The prompt set of configs/prompts.yaml that is served."""
    return settings.of(ClipSettings).prompt_set
