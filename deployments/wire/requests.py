"""The base of all models that JSON requests are validated by."""

from functools import cache
from itertools import islice
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, model_validator

MOST_UNKNOWN = 3


class RequestModel(BaseModel):
    """A model of a request: an optional field that is null is left out, and only a few unknown fields are reported.

    A body can hold 200,000 unknown fields, and pydantic would build a problem for each.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _fields(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        known = _names(cls)
        sent = {name: value[name] for name in known if name in value}
        kept = {name: given for name, given in sent.items() if given is not None or known[name]}
        unknown = islice((name for name in value if name not in known), MOST_UNKNOWN)
        return kept | {name: value[name] for name in unknown}


@cache
def _names(model: type[BaseModel]) -> dict[str, bool]:
    """The names that a model's fields have in JSON, each with whether the field is required."""
    names: dict[str, bool] = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        names |= {str(choice): field.is_required() for choice in choices}
    return names


def _not_a_boolean(value: object) -> object:
    """Return the value unchanged; ValueError for true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("send a number, not true or false")
    return value


Whole = Annotated[int, BeforeValidator(_not_a_boolean)]
Real = Annotated[float, BeforeValidator(_not_a_boolean)]
