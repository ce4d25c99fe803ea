"""What must hold between the settings and the Serve config that runs them: timeouts, concurrency, shares of a GPU.

`python -m configs` and `make serve` check serve_config.yaml, `python -m configs --cluster` what it writes into a
RayService. `build` in `serve_app/app.py` is told nothing of a Serve config but its `args`: it asks the running Serve
for its `http_options`, and checks the timeouts alone.

A replica of the ingress answers up to `max_ongoing_requests` by itself, from MAX_CONCURRENT_REQUESTS on with our own
error; beyond it Serve refuses, for less work. On one machine, where models and ingress share the cores, Serve is to
refuse first, and a lower MAX_CONCURRENT_REQUESTS only refuses sooner: both directions work. On a cluster our error,
which says more, must come first, and that is checked.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from configs.settings import Settings, SettingsError, load_settings

TIMEOUTS = ("REQUEST_TIMEOUT_S", "VIDEO_TIMEOUT_S", "PROCESS_TIMEOUT_S")
Deployments = Mapping[str, Mapping[str, Any]]


def check(
    config: Mapping[str, Any],
    source: str,
    load: Callable[[Mapping[str, Any] | None], Settings] = load_settings,
    *,
    on_cluster: bool = False,
) -> None:
    """Refuse a Serve config that contradicts the settings, or itself.

    Args:
        config: the Serve config as a mapping.
        source: the file in which people change it.
        load: the settings of an application, by its `args`.
        on_cluster: whether the models have cores of their own.

    Raises:
        SettingsError: one line that says every contradiction, with both values and what to change.
    """
    wrong: list[str] = []
    for application in config["applications"]:
        settings = load(application.get("args"))
        deployments = {one["name"]: one for one in application.get("deployments", [])}
        wrong += _timeouts(config.get("http_options", {}).get("request_timeout_s"), source, settings)
        wrong += _batches(deployments, source, settings)
        wrong += _targets(deployments, source)
        wrong += _gpus(deployments, source)
        if on_cluster:
            wrong += _front(deployments, source, settings)
    _refuse(wrong)


def check_bound(settings: Settings, request_timeout_s: float | None) -> None:
    """Check what is known when the application is bound.

    Args:
        settings: those of the application.
        request_timeout_s: `http_options.request_timeout_s` of the Serve that binds it; None without one.

    Raises:
        SettingsError: as `check`.
    """
    _refuse(list(_timeouts(request_timeout_s, "the running Serve", settings)))


def _timeouts(limit: float | None, source: str, settings: Settings) -> Iterator[str]:
    """Serve must not cut off a request whose own deadline, with an answer that says more, is still to come."""
    values = settings.flat()
    for name in TIMEOUTS:
        if limit and values[name] >= limit:
            yield (
                f"http_options.request_timeout_s of {source} is {limit:g} and {name} is {values[name]:g}: "
                "raise the former above the latter, or lower the latter"
            )


def _batches(deployments: Deployments, source: str, settings: Settings) -> Iterator[str]:
    """A batch is gathered from the requests that a replica holds."""
    values = settings.flat()
    for name, deployment in deployments.items():
        variable, held = f"{name}_MAX_BATCH".upper(), deployment.get("max_ongoing_requests")
        if held is not None and values.get(variable, 0) > held:
            yield (
                f"max_ongoing_requests of {name} in {source} is {held} and {variable} is {values[variable]}, a batch "
                "that no replica can fill: raise the former to twice the latter, or lower the latter"
            )


def _targets(deployments: Deployments, source: str) -> Iterator[str]:
    for name, deployment in deployments.items():
        target = deployment.get("autoscaling_config", {}).get("target_ongoing_requests")
        held = deployment.get("max_ongoing_requests")
        if target is not None and held is not None and target > held:
            yield (
                f"max_ongoing_requests of {name} in {source} is {held} and its target_ongoing_requests is {target}, "
                "a load at which no replica is ever added: lower the latter to the former"
            )


def _gpus(deployments: Deployments, source: str) -> Iterator[str]:
    """Ray shares out one GPU, or gives whole ones."""
    for name, deployment in deployments.items():
        share = deployment.get("ray_actor_options", {}).get("num_gpus", 0)
        if share < 0 or (share > 1 and share != int(share)):
            yield f"num_gpus of {name} in {source} is {share:g}: it must be a share from 0 to 1, or a whole number"


def _front(deployments: Deployments, source: str, settings: Settings) -> Iterator[str]:
    held = deployments.get("Ingress", {}).get("max_ongoing_requests")
    most = settings.ingress.max_concurrent_requests
    if held is not None and held <= most:
        yield (
            f"max_ongoing_requests of Ingress in {source} is {held} and MAX_CONCURRENT_REQUESTS is {most}: "
            "raise the former above the latter, or lower the latter"
        )


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise SettingsError("Cannot start: " + "; ".join(wrong))
