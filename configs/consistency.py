"""What must hold between the settings and the Serve config that runs them: timeouts, concurrency, shares of a GPU.

`python -m configs` and `make serve` check serve_config.yaml, `python -m configs --cluster` what it writes into a
RayService. `build` in `serve_app/app.py` gets only the `args` of a Serve config: it reads the `http_options` of the
running Serve and checks the timeouts only.

Two limits refuse requests to a replica of the ingress. Above MAX_CONCURRENT_REQUESTS the replica answers with our own
error; above `max_ongoing_requests` Serve refuses, which costs less work. On one machine, where models and ingress share
the cores, Serve should refuse first, but either order works. On a cluster our error must come first, because it says
more; this is checked.
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
        source: the file that the message names.
        load: makes the settings of an application from its `args`.
        on_cluster: whether the models have cores of their own.

    Raises:
        SettingsError: one line that lists every contradiction, with both values and what to change.
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
    """Serve's timeout must be longer than our own deadlines, whose error messages say more."""
    values = settings.flat()
    for name in TIMEOUTS:
        if limit and values[name] >= limit:
            yield (
                f"http_options.request_timeout_s of {source} is {limit:g} and {name} is {values[name]:g}: "
                "raise the former above the latter, or lower the latter"
            )


def _batches(deployments: Deployments, source: str, settings: Settings) -> Iterator[str]:
    """A batch has at most as many items as its replica has ongoing requests."""
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
    """Ray assigns a fraction of one GPU, or whole GPUs."""
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
