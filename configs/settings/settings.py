"""The settings: their groups, and the environment variable of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic.fields import FieldInfo

from configs.project import PROJECT
from configs.registry import entry_names
from configs.settings.base import Group, ModelGroup
from configs.settings.groups import (
    Analysis,
    Catalogue,
    Clustering,
    Fetch,
    Ingress,
    Limits,
    RateLimit,
    Security,
    Service,
    Tagging,
    Video,
    Work,
)

Model = TypeVar("Model", bound=ModelGroup)
MODELS = PROJECT / "deployments" / "models"


class Settings(BaseModel):
    """Every setting; `models` has a group for each model, `of` finds one of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: Service
    models: tuple[ModelGroup, ...]
    analysis: Analysis
    tagging: Tagging
    work: Work
    video: Video
    clustering: Clustering
    catalogue: Catalogue
    security: Security
    rate_limit: RateLimit
    limits: Limits
    fetch: Fetch
    ingress: Ingress

    def of(self, group: type[Model]) -> Model:
        """The settings of a model, by their class."""
        (found,) = (one for one in self.models if isinstance(one, group))
        return found

    def flat(self) -> dict[str, Any]:
        """The values by the names of their environment variables."""
        by_name: dict[str, Group] = {name: getattr(self, name) for name in Settings.model_fields if name != "models"}
        by_name |= {model.name: model for model in self.models}
        return {variable.name: getattr(by_name[variable.group], variable.field) for variable in variables()}

    def is_enabled(self, deployment: str) -> bool:
        """Whether a deployment is switched on, by its name: `<NAME>_ENABLED`. The ingress has no switch."""
        return bool(self.flat().get(f"{deployment}_ENABLED".upper(), True))


@dataclass(frozen=True)
class Variable:
    """An environment variable, and the field of a group that it sets."""

    name: str
    group: str
    field: str
    info: FieldInfo

    @property
    def default(self) -> Any:
        return self.info.get_default()

    @property
    def is_secret(self) -> bool:
        return self.info.annotation is SecretStr


@cache
def groups() -> dict[str, type[Group]]:
    """The class of every group by the group's name, in the order of `.env.example`."""
    found: dict[str, type[Group]] = {}
    for name, field in Settings.model_fields.items():
        if name == "models":
            found |= {group.name: group for group in _model_groups()}
        elif isinstance(field.annotation, type):
            found[name] = field.annotation
    return found


@cache
def variables() -> tuple[Variable, ...]:
    """Every setting, group by group."""
    return tuple(
        Variable(info.alias or f"{name}_{field}".upper(), name, field, info)
        for name, group in groups().items()
        for field, info in group.model_fields.items()
    )


@cache
def secrets() -> frozenset[str]:
    """The variables whose values must not be shown."""
    return frozenset(variable.name for variable in variables() if variable.is_secret)


def _model_groups() -> Iterator[type[ModelGroup]]:
    """The group of each model's folder, in the order of models.yaml, then those of models that have no entry there.

    The folders are searched for, not imported by name: this package must not depend on `deployments`, and a new model
    needs no change here.
    """
    names = {path.parent.name for path in MODELS.glob("*/settings.py")}
    for name in [*(name for name in entry_names() if name in names), *sorted(names - set(entry_names()))]:
        module = import_module(f"deployments.models.{name}.settings")
        (group,) = (one for one in vars(module).values() if _is_group_of(one, module.__name__))
        yield group


def _is_group_of(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, ModelGroup) and value.__module__ == module
