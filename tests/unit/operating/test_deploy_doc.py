"""docs/deploy.md: its links lead somewhere, its secrets are those of cluster.yaml, its costs follow from what was measured."""

import re

import pytest

from configs.project import PROJECT
from tests.unit.operating.cluster import CLUSTER, PODS, environment

DOC = (PROJECT / "docs" / "deploy.md").read_text()
RESULTS = (PROJECT / "benchmarks" / "RESULTS.md").read_text()
COSTS = re.findall(r"^\| (.+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) P \| ([\d.]+) \|$", DOC, re.MULTILINE)


def test_every_link_leads_to_a_file() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", DOC)]
    assert links
    assert [link for link in links if not (PROJECT / "docs" / link).exists()] == []


def test_every_secret_that_a_pod_needs_is_made() -> None:
    needed = {
        (reference["name"], reference["key"])
        for variable in environment(PODS["head"]).values()
        if (reference := variable.get("valueFrom", {}).get("secretKeyRef")) and not reference.get("optional")
    }
    needed.add((CLUSTER["authOptions"]["secretName"], "auth_token"))
    password = CLUSTER["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]["secretKeyRef"]
    needed.add((password["name"], password["key"]))
    joined = re.sub(r"\\\n\s*", "", DOC)
    made = {
        (name, key)
        for name, rest in re.findall(r"^kubectl create secret generic (\S+) (.*)$", joined, re.MULTILINE)
        for key in re.findall(r"--from-literal=(\w+)=", rest)
    }
    assert made == needed


def test_there_are_costs() -> None:
    assert len(COSTS) == 4


@pytest.mark.parametrize(("work", "rate", "hours", "factor", "example"), COSTS)
def test_a_cost_follows_from_a_measured_rate(work: str, rate: str, hours: str, factor: str, example: str) -> None:
    measured = [float(number) for number in re.findall(r"(?<= )\d+\.\d+(?= )", RESULTS)]
    decimals = len(rate.partition(".")[2])
    assert float(rate) in [round(number, decimals) for number in measured], work
    assert float(hours) == float(factor) == pytest.approx(1e6 / 3600 / float(rate), rel=0.004)
    assert float(example) == pytest.approx(0.10 * float(hours), rel=0.004)
