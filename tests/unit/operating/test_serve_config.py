"""serve_config.yaml is what Ray understands, and says everything on purpose."""

from pathlib import Path

import yaml
from ray.serve._private import constants
from ray.serve._private.constants import REPLICA_HEALTH_CHECK_UNHEALTHY_THRESHOLD as UNHEALTHY_AFTER
from ray.serve._private.utils import call_function_from_import_path
from ray.serve.schema import ServeDeploySchema

from configs.project import PROJECT
from configs.serving import SOURCE, read_config
from configs.settings import load_settings
from deployments.catalogue.worker import Pace
from deployments.models.clip.settings import ClipSettings
from deployments.specs import all_specs
from serve_app.http.proxy import ProxyGuard

CONFIG = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())

SAID_ON_PURPOSE = {
    "autoscaling_config",
    "max_ongoing_requests",
    "max_queued_requests",
    "graceful_shutdown_timeout_s",
    "health_check_period_s",
    "health_check_timeout_s",
    "ray_actor_options",
    "backpressure_config",
}


def test_ray_accepts_it() -> None:
    schema = ServeDeploySchema.model_validate(CONFIG)
    assert [application.import_path for application in schema.applications] == ["serve_app.app:build"]


def test_serve_s_http_servers_get_our_hook() -> None:
    hook = CONFIG["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"]
    assert [one.cls for one in call_function_from_import_path(hook)] == [ProxyGuard]


def test_what_is_repeated_by_an_anchor_can_be_changed_alone() -> None:
    read = read_config(SOURCE)
    assert read == CONFIG
    first, second, *_ = read["applications"][0]["deployments"][1:]
    second["backpressure_config"]["status_code"] = 429
    assert first["backpressure_config"]["status_code"] == 503


def test_every_deployment_says_everything() -> None:
    deployments = CONFIG["applications"][0]["deployments"]
    assert {deployment["name"] for deployment in deployments} == {"Ingress", *all_specs()}
    for deployment in deployments:
        assert deployment.keys() >= SAID_ON_PURPOSE, deployment["name"]
        assert deployment["autoscaling_config"].keys() >= {"min_replicas", "max_replicas", "target_ongoing_requests"}
        assert deployment["max_queued_requests"] > 0


def test_a_full_batch_fits_into_a_replica() -> None:
    clip = next(entry for entry in CONFIG["applications"][0]["deployments"] if entry["name"] == "Clip")
    # One batch computes while the next gathers.
    assert clip["max_ongoing_requests"] >= 2 * load_settings({}).of(ClipSettings).max_batch


def test_what_a_hanging_model_held_is_asked_again_before_the_deadline() -> None:
    deadline = load_settings({}).ingress.request_timeout_s
    for deployment in CONFIG["applications"][0]["deployments"]:
        name, grace = deployment["name"], deployment["graceful_shutdown_timeout_s"]
        if name == "Ingress":
            assert grace > deadline  # nobody asks its requests again
        elif name not in {"Llm", "Video"}:  # which is not asked again, and whose health check takes longer
            found = deployment["health_check_period_s"] + UNHEALTHY_AFTER * deployment["health_check_timeout_s"]
            assert found + grace < deadline, name


def test_a_worker_of_the_catalogue_gives_back_what_it_has_before_it_is_killed() -> None:
    worker = next(entry for entry in CONFIG["applications"][0]["deployments"] if entry["name"] == "Cataloguer")
    assert worker["graceful_shutdown_timeout_s"] > Pace().drain_s + worker["graceful_shutdown_wait_loop_s"] + 2


def test_it_answers_this_machine_alone_and_later_than_our_own_deadline() -> None:
    assert CONFIG["http_options"]["host"] == "127.0.0.1"
    settings = load_settings({})
    ours = max(settings.ingress.request_timeout_s, settings.video.timeout_s, settings.tagging.timeout_s)
    assert CONFIG["http_options"]["request_timeout_s"] > ours


def test_the_environment_of_serve_s_own_processes_is_read_by_serve() -> None:
    variables = CONFIG["controller_options"]["runtime_env"]["env_vars"]
    source = Path(constants.__file__).read_text()
    assert [name for name in variables if name.startswith("RAY_SERVE_") and f'"{name}"' not in source] == []
    found = float(variables["RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S"]) * constants.PROXY_HEALTH_CHECK_UNHEALTHY_THRESHOLD
    assert found <= 3
    assert float(variables["RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S"]) > 10  # Serve's default


def test_its_arguments_are_settings() -> None:
    assert load_settings(CONFIG["applications"][0]["args"]).service.weights == "auto"


def test_two_cores_have_room_for_everything() -> None:
    deployments = CONFIG["applications"][0]["deployments"]
    cpus = sum(one["ray_actor_options"]["num_cpus"] * one["autoscaling_config"]["max_replicas"] for one in deployments)
    assert cpus <= 1.9
