"""The one place where deployments are bound together: `serve run serve_config.yaml` calls `build`.

The specs say which deployments there are. Only the modules of enabled deployments are imported: a disabled one needs
neither its library nor its extra.
"""

import logging
from importlib.util import find_spec
from typing import Any

from ray.serve import Application

from configs import tracing
from configs.consistency import check_bound
from configs.settings import Settings, SettingsError, load_settings
from deployments.runtime.spec import Deployed, DeploymentSpec
from deployments.specs import all_specs
from serve_app.ingress import Ingress
from serve_app.running import exposure, request_timeout_s

logger = logging.getLogger("ray.serve.panoptes")


def build(args: dict[str, Any]) -> Application:
    """Bind the application.

    Args:
        args: settings by their names in lower case, as in `.env.example`; the environment takes precedence.

    Raises:
        SettingsError: a setting is unknown or invalid, contradicts the running Serve, or needs an extra that is not
            installed.
    """
    settings = load_settings(args)
    tracing.check()
    check_bound(settings, request_timeout_s())
    if warning := exposure():
        logger.warning(warning)
    deployed: dict[str, Deployed] = {}
    for spec in all_specs().values():
        if settings.is_enabled(spec.name):
            deployed[spec.name] = _bind(spec, settings, deployed)
    return Ingress.bind(settings, deployed)  # type: ignore[no-any-return,attr-defined]


def _bind(spec: DeploymentSpec, settings: Settings, deployed: dict[str, Deployed]) -> Deployed:
    if find_spec(spec.library) is None:
        raise SettingsError(
            f"Cannot start: {spec.name} needs the extra {spec.extra!r} (`uv pip install -e '.[{spec.extra}]'` in the "
            f"project's folder); {spec.switch}=false runs without."
        )
    weights = spec.weights(settings)
    asked = {name: one for name, one in deployed.items() if spec.asks(all_specs()[name])}
    return Deployed(spec.deployment().bind(*spec.arguments(settings, weights, asked)), weights)
