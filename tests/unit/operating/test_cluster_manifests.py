"""cluster.yaml and the jobs' manifests: what KubeRay's schemas and controllers accept, and who may reach what."""

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from configs.project import PROJECT
from configs.settings import secrets as secret_variables
from jobs.analyze.analyses import schema
from jobs.koop.tables import IMAGES
from tests.unit.operating.cluster import (
    CLAIM,
    CLUSTER,
    DEPLOYMENTS,
    GROUPS,
    HEAD,
    PODS,
    POLICY,
    SERVED,
    SERVICE,
    container,
    environment,
    values,
)
from tests.unit.operating.kubernetes import manifests, problems

JOBS = sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "configs" / "jobs").glob("*.yaml"))


# KubeRay's schemas


@pytest.mark.parametrize("file", ["cluster.yaml", *JOBS])
def test_the_schemas_of_kuberay_accept_it(file: str) -> None:
    for manifest in manifests(file):
        assert problems(manifest) == [], manifest["kind"]


def broken(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    *parents, last = path.split("/")

    def change(manifest: dict[str, Any]) -> None:
        for key in parents:
            manifest = manifest[int(key) if isinstance(manifest, list) else key]
        manifest[last] = value

    return change


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("cluster.yaml", broken("spec/upgradeStrategy/clusterUpgradeOptions/maxSurgePercnt", 20)),
        ("cluster.yaml", broken("spec/rayClusterConfig/enableInTreeAutoscalling", True)),
        ("cluster.yaml", broken("spec/rayClusterConfig/authOptions/mode", "tokens")),
        ("cluster.yaml", broken("spec/rayClusterConfig/workerGroupSpecs/0/maxReplicas", "six")),
        ("cluster.yaml", broken("spec/rayClusterConfig/headGroupSpec/template/spec/containers/0/livenesProbe", {})),
        ("cluster.yaml", broken("metadata/label", {})),
        ("configs/jobs/ingest.yaml", broken("spec/submisionMode", "HTTPMode")),
        ("configs/jobs/ingest.yaml", broken("spec/clusterSelector", "panoptes")),
    ],
)
def test_a_misspelt_field_or_a_wrong_value_is_found(file: str, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = copy.deepcopy(manifests(file)[0])
    assert problems(manifest) == []
    change(manifest)
    assert len(problems(manifest)) == 1


@pytest.mark.parametrize(("manifest", "path"), [(CLAIM, "spec/accessMode"), (POLICY, "spec/ingress/0/port")])
def test_a_misspelt_field_of_kubernetes_own_kinds_is_found(manifest: dict[str, Any], path: str) -> None:
    misspelt = copy.deepcopy(manifest)
    broken(path, [])(misspelt)
    assert len(problems(misspelt)) == 1


# Rules of KubeRay's controllers that no schema states


def test_names_are_short_enough_for_the_services_made_of_them() -> None:
    jobs = [manifest["metadata"]["generateName"] + "xxxxx" for file in JOBS for manifest in manifests(file)]
    for name in [SERVICE["metadata"]["name"], *jobs]:
        assert len(name) <= 47
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)


def test_autoscaler_v2_restarts_no_pod() -> None:
    assert CLUSTER["enableInTreeAutoscaling"] is True
    assert CLUSTER["autoscalerOptions"]["version"] == "v2"
    assert {pod.get("restartPolicy", "Never") for pod in PODS.values()} == {"Never"}
    for group in GROUPS.values():
        assert 0 < group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_an_upgrade_is_incremental_and_its_two_clusters_share_no_state() -> None:
    strategy = SERVICE["spec"]["upgradeStrategy"]
    options = strategy["clusterUpgradeOptions"]
    assert strategy["type"] == "NewClusterWithIncrementalUpgrade"
    assert 0 < options["stepSizePercent"] <= options["maxSurgePercent"] <= 100
    assert options["intervalSeconds"] > 0
    assert options["gatewayClassName"]
    assert "externalStorageNamespace" not in CLUSTER["gcsFaultToleranceOptions"]


def test_what_needs_a_feature_gate_that_is_off_is_not_used() -> None:
    assert CLUSTER.keys().isdisjoint({"networkPolicy", "tlsOptions", "historyServerOptions"})


def test_authentication_is_said_and_ray_knows_it() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token", "secretName": "panoptes-ray-token"}
    found = re.search(r"^ray==(\S+)", (PROJECT / "requirements.lock").read_text(), re.M)
    assert found
    assert CLUSTER["rayVersion"] == found[1]


def test_the_head_has_no_work_and_the_variables_that_kuberay_sets_are_left_to_it() -> None:
    assert HEAD["rayStartParams"] == {"num-cpus": "0"}
    assert SERVICE["spec"]["excludeHeadPodFromServeSvc"] is True
    kuberays = {"REDIS_PASSWORD", "RAY_REDIS_ADDRESS", "REDIS_USERNAME", "RAY_enable_autoscaler_v2", "RAY_AUTH_TOKEN"}
    assert environment(PODS["head"]).keys().isdisjoint(kuberays)


@pytest.mark.parametrize("file", JOBS)
def test_a_job_is_submitted_to_the_cluster_of_the_moment(file: str) -> None:
    (job,) = manifests(file)
    spec = job["spec"]
    assert spec["clusterSelector"] == {"ray.io/cluster": "LIVE_CLUSTER"}
    assert f'sed "s/LIVE_CLUSTER/$cluster/" {file}' in (PROJECT / file).read_text()
    assert spec["entrypointNumCpus"] > 0  # the head has none
    assert spec["preRunningDeadlineSeconds"] > 0
    assert spec.keys().isdisjoint({"backoffLimit", "rayClusterSpec", "suspend", "shutdownAfterJobFinishes"})
    assert spec["submissionMode"] != "SidecarMode"


@pytest.mark.parametrize("file", JOBS)
def test_a_job_is_one_of_ours_and_takes_these_arguments(file: str) -> None:
    (job,) = manifests(file)
    entrypoint = re.fullmatch(r"python -m ([\w.]+) (.+)", job["spec"]["entrypoint"])
    assert entrypoint
    module, arguments = entrypoint.groups()
    asked = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
    taken = set(re.findall(r"--[\w-]+", asked.stdout))
    assert [option for option in re.findall(r"--[\w-]+", arguments) if option not in taken] == []


def test_the_clustering_reads_what_the_analysis_writes() -> None:
    (written,), (read,) = (
        re.findall(rf"--{option} (\S+)", manifests(f"configs/jobs/{name}.yaml")[0]["spec"]["entrypoint"])
        for name, option in (("analyze", "output"), ("cluster", "input"))
    )
    assert read == written
    named = re.findall(r"--(?:id|vector)-column (\S+)", manifests("configs/jobs/cluster.yaml")[0]["spec"]["entrypoint"])
    assert set(named) <= set(schema(["embedding"]).names) & set(IMAGES.names)


# Secrets and state


def test_secrets_are_named_and_never_written() -> None:
    variables = environment(PODS["head"])
    secrets = set(secret_variables()) | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert secrets <= variables.keys()
    for name in secrets:
        assert variables[name].keys() == {"name", "valueFrom"}
        assert variables[name]["valueFrom"]["secretKeyRef"]["key"] == name
    assert "secretKeyRef" in CLUSTER["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]
    for file in ["cluster.yaml", *JOBS]:
        assert [one["kind"] for one in manifests(file) if one["kind"] in {"Secret", "ConfigMap"}] == []
        # A password in a URL, outside a comment that shows the form.
        code = "\n".join(line.partition(" #")[0] for line in (PROJECT / file).read_text().splitlines())
        assert re.findall(r"://[^/\s]*:[^/\s]*@", code) == []


def test_state_lives_outside_the_pods() -> None:
    variables = environment(PODS["head"])
    assert "optional" not in variables["DATABASE_URL"]["valueFrom"]["secretKeyRef"]
    assert "optional" not in variables["API_KEY"]["valueFrom"]["secretKeyRef"]
    assert values()["STORE_URL"].startswith("s3://")
    for pod in PODS.values():
        mounts = {mount["mountPath"]: mount["name"] for mount in container(pod)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert set(mounts.values()) == volumes.keys()
        claim = volumes[mounts["/models"]]["persistentVolumeClaim"]["claimName"]
        assert claim == CLAIM["metadata"]["name"]
        assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"
        homes = [values()[name] for name in ("HF_HOME", "TORCH_HOME", "DEEPFACE_HOME")]
        assert all(home.startswith("/models/") for home in homes)
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]


# Safety


def test_no_pod_runs_as_root_and_none_may_become_more() -> None:
    for pod in PODS.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert container(pod)["securityContext"]["allowPrivilegeEscalation"] is False
        assert container(pod)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not any("hostPath" in volume for volume in pod["volumes"])
    assert CLUSTER["autoscalerOptions"]["securityContext"] == container(PODS["head"])["securityContext"]
    assert {name: pod.get("automountServiceAccountToken") for name, pod in PODS.items()} == {
        "head": None, "cpu": False, "gpu": False,
    }  # fmt: skip # the autoscaler on the head speaks to Kubernetes


def test_workers_leave_in_peace_and_are_probed() -> None:
    for name, pod in PODS.items():
        assert container(pod)["livenessProbe"]["httpGet"] == {"path": "/api/healthz", "port": 52365}
        if name != "head":
            assert container(pod)["lifecycle"]["preStop"]["exec"]["command"][-1] == "ray stop"
            assert container(pod)["readinessProbe"]["httpGet"] == {"path": "/-/healthz", "port": 8000}
            longest = max(one["graceful_shutdown_timeout_s"] for one in DEPLOYMENTS.values())
            assert pod["terminationGracePeriodSeconds"] > longest


def test_from_outside_only_the_serve_port_is_reached() -> None:
    spec = POLICY["spec"]
    for template in [HEAD["template"], *(group["template"] for group in GROUPS.values())]:
        assert spec["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert spec["policyTypes"] == ["Ingress"]
    open_to_all = [rule for rule in spec["ingress"] if "from" not in rule]
    assert [[port["port"] for port in rule["ports"]] for rule in open_to_all] == [[SERVED["http_options"]["port"]]]
    for rule in spec["ingress"]:
        peers = rule.get("from", [])
        if any("namespaceSelector" in peer for peer in peers):
            assert {port["port"] for port in rule["ports"]} <= {8265, 8080}
        assert all(peer.get("namespaceSelector", {"set"}) and peer.get("podSelector", {"set"}) for peer in peers)
