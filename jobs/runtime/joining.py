"""Join the Ray cluster that runs here. Ray Serve is not imported."""

import logging

import ray
from ray.exceptions import AuthenticationError, RayError

from deployments.wire.foreign import foreign
from jobs.runtime.errors import JobRefused

START = "Start it with `make serve`, or `serve run serve_config.yaml`, and run this again when /readyz answers 200."


def join() -> None:
    """Join the Ray cluster that runs here, without its log output.

    Raises:
        JobRefused: there is none, or it asks for a token.
    """
    if ray.is_initialized():
        return
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except AuthenticationError as error:
        raise JobRefused(
            "The Ray cluster here asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
            "RAY_AUTH_TOKEN_PATH where ~/.ray/auth_token is not the cluster's."
        ) from error
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise JobRefused(f"No Ray cluster answers here: is Panoptes running? {START} [{foreign(error)}]") from error
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
