"""The settings of a process, read from the environment, from `.env` and from the `args` of a Serve config.

The environment takes precedence over `.env`, and `.env` over the Serve config. An empty variable counts as not set.
Invalid values are refused here, before any model loads.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from configs.project import PROJECT
from configs.settings.base import Group, SettingsError
from configs.settings.settings import Settings, groups, secrets, variables

ENV_FILE = PROJECT / ".env"


def load_settings(arguments: Mapping[str, Any] | None = None) -> Settings:
    """The settings of this process.

    Args:
        arguments: the `args` of the application in its Serve config: settings by the names of their variables in lower
            case; the environment takes precedence.

    Raises:
        SettingsError: an unknown name in `arguments` or `.env`, an invalid value, or a secret in `arguments`.
    """
    arguments = arguments or {}
    for name in arguments:
        if name.upper() in secrets():
            raise SettingsError(
                f"Cannot start: {name.upper()} must come from the environment or .env: Serve logs its args"
            )
    known = {variable.name.lower() for variable in variables()}
    environment = {name: value for name, value in _set(os.environ).items() if name in known}
    return settings_from({**arguments, **_set(dotenv_values(ENV_FILE, encoding="utf-8")), **environment})


def settings_from(values: Mapping[str, Any]) -> Settings:
    """The settings with these values, by the names of their variables in lower case; the others at their defaults.

    Neither the environment nor `.env` is read.

    Raises:
        SettingsError: an unknown name or an invalid value; the message lists all of them and shows no value.
    """
    left = dict(values)
    made: dict[str, Group] = {}
    wrong: list[str] = []
    for group, kind in groups().items():
        names = {one.field: one.name for one in variables() if one.group == group}
        mine = {field: left.pop(name.lower()) for field, name in names.items() if name.lower() in left}
        try:
            made[group] = kind.model_validate(mine)
        except ValidationError as invalid:
            wrong += _reasons(invalid, names)
    wrong += [f"{name.upper()} is not a setting of Panoptes" for name in left]
    if wrong:
        raise SettingsError("Cannot start: " + "; ".join(wrong))
    of_no_model = {name: made.pop(name) for name in Settings.model_fields if name != "models"}
    return Settings.model_validate({**of_no_model, "models": tuple(made.values())})


def _set(variables: Mapping[str, str | None]) -> dict[str, str]:
    return {name.lower(): value for name, value in variables.items() if value}


def _reasons(invalid: ValidationError, names: Mapping[str, str]) -> Iterator[str]:
    for error in invalid.errors(include_url=False):
        reason = error["msg"].removeprefix("Value error, ")
        if error["loc"]:
            field, *rest = (str(part) for part in error["loc"])
            yield f"{'.'.join([names[field], *rest])}: {reason}"
        else:
            yield reason
