"""The Serve config in cluster.yaml: where it comes from, what Ray and the application make of it, and whether it fits."""

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from configs import serving
from configs.project import PROJECT
from configs.serving import cluster_config, read_config, write_cluster
from configs.settings import SettingsError, load_settings, loading, variables
from tests.unit.operating.cluster import DEPLOYMENTS, GROUPS, PODS, SERVED, container, environment, values

SOURCE = read_config(serving.SOURCE)
POOL = "panoptes/pool"
# What Ray, Hugging Face, torch, DeepFace, botocore and uvicorn read.
OTHERS_VARIABLES = {
    "HF_HOME", "TORCH_HOME", "DEEPFACE_HOME", "RAY_SERVE_ENABLE_HA_PROXY", "RAY_ROTATION_MAX_BYTES",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S", "RAY_worker_register_timeout_seconds",
    "RAY_ROTATION_BACKUP_COUNT", "RAY_USAGE_STATS_ENABLED", "FORWARDED_ALLOW_IPS", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S",
}  # fmt: skip


# Its sources


def test_it_is_what_its_sources_mean() -> None:
    message = "run `python -m configs --cluster cluster.yaml`"
    assert cluster_config() == SERVED, message


def test_the_command_writes_the_file_as_it_is(tmp_path: Path) -> None:
    written = tmp_path / "cluster.yaml"
    whole = (PROJECT / "cluster.yaml").read_text()
    written.write_text(whole.replace("weights: hub", "weights: auto"))
    subprocess.run([sys.executable, "-m", "configs", "--cluster", written], check=True, capture_output=True)
    assert written.read_text() == whole


def test_a_manifest_without_a_place_for_it_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("kind: RayService\nspec: {}\n")
    with pytest.raises(SettingsError, match="one block"):
        write_cluster(other)
    assert other.read_text() == "kind: RayService\nspec: {}\n"


def test_ray_accepts_it() -> None:
    assert ServeDeploySchema.model_validate(SERVED).http_options.host == "0.0.0.0"


def test_it_names_nothing_that_the_laptop_has_not() -> None:
    changes = yaml.safe_load(serving.CLUSTER_SOURCE.read_text())
    everyone, *named = changes["applications"][0]["deployments"]
    laptop = {one["name"]: one for one in SOURCE["applications"][0]["deployments"]}
    assert list(DEPLOYMENTS) == list(laptop)
    assert [name for name in laptop if name in {one["name"] for one in named}] == [one["name"] for one in named]
    model = laptop["Blur"]
    assert everyone["name"] == "*"
    assert set(unknown(everyone, model, "")) == {"/max_surge_percent", "/ray_actor_options/label_selector"}
    only_here = {place.rpartition("/")[2] for one in named for place in unknown(one, laptop[one["name"]], "")}
    assert only_here == {"max_surge_percent", "label_selector"}


def unknown(changes: Any, source: Any, place: str) -> Iterator[str]:
    """The places of `changes` that `source` does not have."""
    if isinstance(changes, list):
        changes, source = ({one["name"]: one for one in each} for each in (changes, source))
    if not isinstance(changes, dict):
        return
    for key, value in changes.items():
        if key in source:
            yield from unknown(value, source[key], f"{place}/{key}")
        else:
            yield f"{place}/{key}"


def test_a_deployment_that_the_laptop_has_not_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = tmp_path / "serve_cluster.yaml"
    changes.write_text("applications: [{name: panoptes, deployments: [{name: Clipp}]}]")
    monkeypatch.setattr(serving, "CLUSTER_SOURCE", changes)
    with pytest.raises(SettingsError, match="Clipp"):
        cluster_config()


def test_a_switch_in_the_arguments_leaves_its_deployment_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = tmp_path / "serve_cluster.yaml"
    changes.write_text("applications: [{name: panoptes, args: {quality_enabled: false}}]")
    monkeypatch.setattr(serving, "CLUSTER_SOURCE", changes)
    monkeypatch.setenv("BLUR_ENABLED", "false")  # of this machine
    left = {one["name"] for one in cluster_config()["applications"][0]["deployments"]}
    assert DEPLOYMENTS.keys() - left == {"Quality"}


# The settings


def test_every_variable_is_known_and_no_value_is_impossible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "ENV_FILE", tmp_path / ".env")
    ours = environment(PODS["head"]).keys() - OTHERS_VARIABLES
    known = {one.name for one in variables()}
    assert ours <= known
    for name in known:
        monkeypatch.delenv(name, raising=False)
    for name, value in values().items():
        monkeypatch.setenv(name, value)
    settings = load_settings(SERVED["applications"][0]["args"])
    assert settings.service.weights == "hub"
    ours_s = max(settings.ingress.request_timeout_s, settings.video.timeout_s, settings.tagging.timeout_s)
    assert SERVED["http_options"]["request_timeout_s"] > ours_s
    for name, deployment in DEPLOYMENTS.items():
        batch = settings.flat().get(f"{name}_MAX_BATCH".upper(), 0)
        assert deployment["max_ongoing_requests"] >= 2 * batch, name
    assert DEPLOYMENTS["Ingress"]["max_ongoing_requests"] > settings.ingress.max_concurrent_requests


def test_every_pod_has_the_same_variables_each_once() -> None:
    for pod in PODS.values():
        assert container(pod)["env"] == container(PODS["head"])["env"]
        assert len(environment(pod)) == len(container(pod)["env"])


# Room


def bytes_of(quantity: str) -> float:
    parts = re.fullmatch(r"(\d+)([KMGT]i)?", quantity)
    assert parts, quantity
    number, unit = parts.groups()
    return int(number) * 1024.0 ** ("KMGT".index(unit[0]) + 1 if unit else 0)


def test_the_object_store_fits_into_shared_memory_and_that_into_the_pod() -> None:
    for name, pod in PODS.items():
        memory = bytes_of(container(pod)["resources"]["limits"]["memory"])
        shm = next(bytes_of(one["emptyDir"]["sizeLimit"]) for one in pod["volumes"] if one["name"] == "shared-mem")
        assert 0.3 * memory < shm < 0.5 * memory, name  # Ray's object store takes 30 %, or leaves /dev/shm


@pytest.mark.parametrize("name", PODS)
def test_a_pod_asks_for_what_it_may_use(name: str) -> None:
    resources = container(PODS[name])["resources"]
    for kind in ("cpu", "memory"):
        assert resources["requests"][kind] == resources["limits"][kind]
    gpus = {which: resources[which].get("nvidia.com/gpu", 0) for which in ("requests", "limits")}
    assert gpus == dict.fromkeys(gpus, int(name == "gpu"))


def pool(deployment: dict[str, Any]) -> str:
    return str(deployment["ray_actor_options"]["label_selector"][POOL])


def test_every_deployment_has_a_pool_and_the_gpus_are_for_what_uses_them() -> None:
    assert {name: group["labels"][POOL] for name, group in GROUPS.items()} == {name: name for name in GROUPS}
    for name, deployment in DEPLOYMENTS.items():
        assert pool(deployment) == ("gpu" if deployment["ray_actor_options"].get("num_gpus") else "cpu"), name


def packed(replicas: list[tuple[float, float]], cpus: float, gpus: float) -> int:
    """How many nodes hold these (CPUs, GPUs), each put where it fits first, the largest first."""
    nodes: list[list[float]] = []
    for needed_cpus, needed_gpus in sorted(replicas, reverse=True):
        for node in nodes:
            if node[0] >= needed_cpus - 1e-9 and node[1] >= needed_gpus - 1e-9:
                break
        else:
            node = [cpus, gpus]
            nodes.append(node)
        node[0] -= needed_cpus
        node[1] -= needed_gpus
    return len(nodes)


@pytest.mark.parametrize("bound", ["min", "max"])
@pytest.mark.parametrize("group", GROUPS)
def test_the_replicas_fit_into_their_group(group: str, bound: str) -> None:
    replicas = [
        (one["ray_actor_options"]["num_cpus"], one["ray_actor_options"].get("num_gpus", 0.0))
        for one in DEPLOYMENTS.values()
        if pool(one) == group
        for _ in range(one["autoscaling_config"][f"{bound}_replicas"])
    ]
    limits = container(PODS[group])["resources"]["limits"]
    needed = packed(replicas, float(limits["cpu"]), float(limits.get("nvidia.com/gpu", 0)))
    # At the most there is a node for what an update starts before it stops the old, or for a job.
    assert needed + (bound == "max") <= GROUPS[group][f"{bound}Replicas"]


def test_one_set_of_models_leaves_room_on_its_gpu_for_their_contexts() -> None:
    fractions = [one["ray_actor_options"].get("num_gpus", 0) for one in DEPLOYMENTS.values()]
    assert 0.5 < sum(fractions) <= 0.9 + 1e-9
    assert sum(1 for fraction in fractions if fraction) == 5


def test_a_replica_has_as_many_threads_as_cpus() -> None:
    threads = {name: int(value) for name, value in values().items() if name.endswith("_THREADS")}
    configurable = {name for name in DEPLOYMENTS if f"{name}_THREADS".upper() in {one.name for one in variables()}}
    assert threads.keys() == {f"{name}_THREADS".upper() for name in configurable}
    for name in configurable:
        assert threads[f"{name}_THREADS".upper()] == math.ceil(DEPLOYMENTS[name]["ray_actor_options"]["num_cpus"])
