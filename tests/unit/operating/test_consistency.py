"""Contradictions between the settings and a Serve config are refused in one line."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from configs.consistency import check, check_bound
from configs.project import PROJECT
from configs.serving import SOURCE, cluster_config, read_config, write_cluster, write_enabled
from configs.settings import SettingsError, loading, settings_from, variables
from serve_app import running
from serve_app.app import build


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "ENV_FILE", tmp_path / ".env")
    for variable in variables():
        monkeypatch.delenv(variable.name, raising=False)


def changed(name: str, **values: Any) -> dict[str, Any]:
    """serve_config.yaml with other values of one deployment; a mapping is merged."""
    config = read_config(SOURCE)
    (deployment,) = (one for one in config["applications"][0]["deployments"] if one["name"] == name)
    for key, value in values.items():
        deployment[key] = deployment[key] | value if isinstance(value, dict) else value
    return config


def refusal(config: dict[str, Any], **settings: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        check(config, SOURCE.name, lambda _: settings_from(settings))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_files_of_the_project_contradict_nothing() -> None:
    check(read_config(SOURCE), SOURCE.name, lambda args: settings_from(args or {}))
    check(cluster_config(), "cluster.yaml", lambda args: settings_from(args or {}), on_cluster=True)


@pytest.mark.parametrize("name", ["REQUEST_TIMEOUT_S", "VIDEO_TIMEOUT_S", "PROCESS_TIMEOUT_S"])
@pytest.mark.parametrize("seconds", [330, 400])
def test_a_timeout_that_serve_cuts_off_is_refused(name: str, seconds: int) -> None:
    assert refusal(read_config(SOURCE), **{name.lower(): seconds}) == (
        f"Cannot start: http_options.request_timeout_s of serve_config.yaml is 330 and {name} is {seconds}: "
        "raise the former above the latter, or lower the latter"
    )


def test_without_a_timeout_of_serve_nothing_is_cut_off() -> None:
    config = read_config(SOURCE)
    del config["http_options"]
    check(config, SOURCE.name, lambda _: settings_from({"request_timeout_s": 3600}))


@pytest.mark.parametrize("name", ["Clip", "Tagger", "Captioner", "Detector"])
def test_a_batch_that_no_replica_can_fill_is_refused(name: str) -> None:
    config, batch = changed(name, max_ongoing_requests=8, autoscaling_config={"target_ongoing_requests": 8}), 9
    said = refusal(config, **{f"{name}_max_batch".lower(): batch})
    assert f"max_ongoing_requests of {name} in serve_config.yaml is 8 and {name.upper()}_MAX_BATCH is 9" in said
    check(
        config,
        SOURCE.name,
        lambda _: settings_from(
            dict.fromkeys(("clip_max_batch", "tagger_max_batch", "captioner_max_batch", "detector_max_batch"), 8)
        ),
    )


def test_a_load_that_a_replica_never_reaches_is_refused_as_a_target() -> None:
    said = refusal(changed("Blur", autoscaling_config={"target_ongoing_requests": 17}))
    assert "max_ongoing_requests of Blur in serve_config.yaml is 16 and its target_ongoing_requests is 17" in said


@pytest.mark.parametrize("share", [1.5, -0.1])
def test_an_impossible_share_of_a_gpu_is_refused(share: float) -> None:
    said = refusal(changed("Clip", ray_actor_options={"num_gpus": share}))
    assert f"num_gpus of Clip in serve_config.yaml is {share}" in said


@pytest.mark.parametrize("share", [0, 0.2, 1, 2])
def test_a_share_of_a_gpu_or_whole_ones_are_accepted(share: float) -> None:
    check(changed("Clip", ray_actor_options={"num_gpus": share}), SOURCE.name)


def test_on_a_cluster_our_own_answer_comes_before_serve_s() -> None:
    settings = settings_from({"max_concurrent_requests": 256})
    with pytest.raises(SettingsError, match="max_ongoing_requests of Ingress in x is 256 and MAX_CONCURRENT_REQUESTS"):
        check(cluster_config(), "x", lambda _: settings, on_cluster=True)
    check(read_config(SOURCE), "x", lambda _: settings)  # on one machine Serve's is to come first


def test_every_contradiction_is_said_at_once() -> None:
    said = refusal(changed("Clip", ray_actor_options={"num_gpus": 1.5}), clip_max_batch=200, video_timeout_s=500)
    assert [part in said for part in ("num_gpus", "CLIP_MAX_BATCH", "VIDEO_TIMEOUT_S")] == [True] * 3


def test_the_command_exits_2_with_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUEST_TIMEOUT_S", "400")
    refused = subprocess.run([sys.executable, "-m", "configs"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "is 330 and REQUEST_TIMEOUT_S is 400" in refused.stderr


def test_what_is_switched_off_contradicts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLIP_MAX_BATCH", "200")
    with pytest.raises(SettingsError, match="CLIP_MAX_BATCH"):
        write_enabled(SOURCE, tmp_path / "serve_config.yaml")
    assert not (tmp_path / "serve_config.yaml").exists()
    monkeypatch.setenv("CLIP_ENABLED", "false")
    write_enabled(SOURCE, tmp_path / "serve_config.yaml")
    assert "&" not in (tmp_path / "serve_config.yaml").read_text()


def test_a_cluster_is_checked_by_the_variables_of_its_pods(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUEST_TIMEOUT_S", "400")  # of this machine
    manifest, text = tmp_path / "cluster.yaml", (PROJECT / "cluster.yaml").read_text()
    manifest.write_text(text)
    write_cluster(manifest)
    assert manifest.read_text() == text
    impossible = text.replace('{name: CLIP_MAX_BATCH, value: "64"}', '{name: CLIP_MAX_BATCH, value: "512"}')
    assert impossible != text
    manifest.write_text(impossible)
    with pytest.raises(SettingsError, match=r"max_ongoing_requests of Clip .* is 256 and CLIP_MAX_BATCH is 512"):
        write_cluster(manifest)
    assert manifest.read_text() == impossible


def test_the_application_is_not_bound_to_a_serve_that_cuts_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.app.request_timeout_s", lambda: 90.0)
    with pytest.raises(SettingsError, match=r"of the running Serve is 90 and VIDEO_TIMEOUT_S is 300"):
        build({})
    check_bound(settings_from({}), 330)
    check_bound(settings_from({}), None)


def test_the_running_serve_is_asked_for_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    assert running.request_timeout_s() is None  # there is none
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    client = SimpleNamespace(http_config=SimpleNamespace(request_timeout_s=90.0))
    monkeypatch.setattr(running, "_get_global_client", lambda raise_if_no_controller_running: client)
    assert running.request_timeout_s() == 90
    monkeypatch.setattr(running, "_get_global_client", lambda raise_if_no_controller_running: None)
    assert running.request_timeout_s() is None
