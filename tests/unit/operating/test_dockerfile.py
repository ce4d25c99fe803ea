"""The Dockerfile, checked without building it: what it names is compared with what exists."""

import fnmatch
import json
import re
import shlex
import tomllib

from configs.project import PROJECT
from tests.unit.operating.cluster import PODS, container, values

TEXT = (PROJECT / "Dockerfile").read_text()
# (instruction, the rest), with continued lines joined and comments left out.
INSTRUCTIONS = [
    (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()
    if line.strip()
]
LAST_STAGE = INSTRUCTIONS[max(i for i, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]
EXTRAS = next(
    shlex.split(rest)[0].partition("=")[2].split() for name, rest in INSTRUCTIONS if rest.startswith("EXTRAS")
)
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def rest_of(name: str) -> str:
    """The last instruction of this name in the stage that is shipped."""
    return [rest for known, rest in LAST_STAGE if known == name][-1]


def copied() -> list[str]:
    """What is copied from the project."""
    return [
        source
        for name, rest in INSTRUCTIONS
        if name == "COPY" and not rest.startswith("--from=")
        for source in rest.split()[:-1]
    ]


def test_it_has_stages_and_names_no_registry() -> None:
    images = [rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"]
    assert len(images) == 2
    # Docker Hub's own images have no host in their names; a host has a dot before the first slash.
    assert not [image for image in images if "." in image.partition("/")[0].partition(":")[0]]


def test_it_runs_as_nobody_special_with_a_home() -> None:
    user = rest_of("USER")
    assert int(user) > 0
    assert f"--create-home --uid {user} " in TEXT
    assert {pod["securityContext"]["runAsUser"] for pod in PODS.values()} == {int(user)}


def test_what_it_copies_is_there_and_not_ignored() -> None:
    sources = copied()
    assert [source for source in sources if not (PROJECT / source).exists()] == []
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert lines[1] == "*"
    assert allowed == set(sources)
    assert not any(fnmatch.fnmatch(secret, pattern) for secret in (".env", ".git", "data") for pattern in allowed)


def test_everything_that_an_installation_needs_is_copied() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    described = {project["project"]["readme"], *project["project"]["license-files"]}
    assert packages | described | {"hatch_build.py", "serve_config.yaml"} <= set(copied())


def test_its_extras_exist_and_are_all_but_the_developers() -> None:
    assert EXTRAS == ["everything"]
    meant = [name for one in DECLARED["everything"] for name in one.removeprefix("panoptes[").rstrip("]").split(",")]
    assert sorted(meant) == sorted(DECLARED.keys() - {"dev", "everything"})
    assert "--constraint requirements.lock" in TEXT


def test_weights_come_in_only_when_asked() -> None:
    assert re.search(r"^ARG WEIGHTS=none$", TEXT, re.MULTILINE)
    step = next(rest for name, rest in LAST_STAGE if name == "RUN" and "jobs.load_models" in rest)
    assert 'if [ "$WEIGHTS" != none ]; then' in step


def test_the_caches_are_where_the_cluster_mounts_its_volume() -> None:
    homes = dict(part.split("=", 1) for part in rest_of("ENV").split())
    names = ("HF_HOME", "TORCH_HOME", "DEEPFACE_HOME")
    assert [homes[name] for name in names] == [values()[name] for name in names]
    mounts = {mount["mountPath"] for mount in container(PODS["gpu"])["volumeMounts"]}
    assert mounts >= {"/" + homes[name].split("/")[1] for name in names}


def test_ray_is_as_patient_in_a_container_as_under_make() -> None:
    exported = dict(re.findall(r"^export (RAY_\w+) := (\d+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    said = dict(part.split("=", 1) for part in rest_of("ENV").split() if part.startswith("RAY_"))
    assert said == exported
    assert exported.keys() == {
        "RAY_health_check_failure_threshold",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S",
        "RAY_worker_register_timeout_seconds",
    }
    # On a cluster a node that is gone must be noticed, and others answer meanwhile.
    assert {name: values().get(name) for name in exported} == said | {"RAY_health_check_failure_threshold": None}


def test_it_says_how_it_is() -> None:
    command = json.loads(rest_of("HEALTHCHECK").partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "http://127.0.0.1:8000/readyz" in command[2]
    assert json.loads(rest_of("CMD"))[:2] == ["sh", "-c"]
    assert rest_of("EXPOSE") == "8000"
