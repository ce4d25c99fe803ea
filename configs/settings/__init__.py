"""Every setting of the application, in groups: `base` defines what a group is, `groups` those of no model.

The groups of the models lie beside the models, in `deployments/models/<name>/settings.py`. `loading` reads the values
from the environment, from `.env` and from the `args` of a Serve config.
"""

from configs.settings.base import MEGABYTE, Group, ModelGroup, PretrainedGroup, SettingsError
from configs.settings.loading import load_settings, settings_from
from configs.settings.settings import Settings, Variable, groups, secrets, variables

__all__ = [
    "MEGABYTE",
    "Group",
    "ModelGroup",
    "PretrainedGroup",
    "Settings",
    "SettingsError",
    "Variable",
    "groups",
    "load_settings",
    "secrets",
    "settings_from",
    "variables",
]
