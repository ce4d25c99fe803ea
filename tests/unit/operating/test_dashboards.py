"""The dashboard and the alerts ask for metrics that exist, and every alert says what to do."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from configs.project import PROJECT

RAY = Path(ray.__file__).parent
DASHBOARD = json.loads((PROJECT / "configs/dashboards/panoptes.json").read_text())
ALERTS = yaml.safe_load((PROJECT / "configs/dashboards/alerts.yaml").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
GUIDE = (PROJECT / "docs/operations.md").read_text()

# What Prometheus gets for each kind of metric.
SUFFIXES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_count", "_sum")}
KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool", "group_left", "group_right"}
OURS, SERVE = ("serve_app", "deployments"), ("serve",)
# Ray's own metrics of nodes are declared here; those of its C++ parts are known from its own dashboards.
REPORTER, PANELS = "dashboard/modules/reporter/reporter_agent.py", "dashboard/modules/metrics/dashboards"


def exported(folder: Path) -> Iterator[str]:
    """The names that Prometheus sees of the metrics that a file, or a folder's, declare."""
    for file in [folder] if folder.is_file() else folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            kind = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and kind in SUFFIXES and (name := declared_name(node)):
                yield from (f"ray_{name.removesuffix(suffix)}{suffix}" for suffix in SUFFIXES[kind])


def declared_name(call: ast.Call) -> str | None:
    """The name that a metric is declared under; what Serve fills in is the protocol, of which we use HTTP."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
    match [*call.args, *named]:
        case [ast.Constant(value=str(name)), *_]:
            return name
        case [ast.JoinedStr(values=parts), *_]:
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "http" for part in parts)
    return None


@cache
def known() -> frozenset[str]:
    """Every metric that may be asked for."""
    places = [*(PROJECT / name for name in OURS), *(RAY / name for name in SERVE), RAY / REPORTER]
    declared = {name for place in places for name in exported(place)}
    shown = {name for file in (RAY / PANELS).glob("*.py") for name in re.findall(r"\b(ray_\w+)\{", file.read_text())}
    return frozenset(declared | {name for name in shown if not name.startswith("ray_serve_")})


def metrics_of(expression: str) -> set[str]:
    """The metrics in a PromQL expression: what is neither a label, a function, a keyword, a number nor a duration."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\boffset\s+\w+", " ", bare)
    return {name for name in re.findall(r"\b[a-zA-Z_]\w*\b(?!\s*\()", bare) if name not in KEYWORDS}


def panels() -> list[dict[str, Any]]:
    """The panels that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Everything that is asked of Prometheus."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    variables = re.findall(r"label_values\((\w+), \w+\)", json.dumps(DASHBOARD["templating"]))
    return [*shown, *variables, *(rule["expr"] for rule in RULES)]


def test_every_metric_that_is_asked_for_exists() -> None:
    asked = {expression: metrics_of(expression) for expression in expressions()}
    assert all(asked.values())
    assert {expression: names - known() for expression, names in asked.items() if names - known()} == {}


@pytest.mark.parametrize(
    "misspelt",
    [
        "sum by (route) (rate(ray_serve_num_http_request_total[5m]))",
        "sum(rate(ray_serve_num_http_requests[5m]))",
        'max(ray_panoptes_catalogue_image{state="ready"}) > 1',
        "histogram_quantile(0.9, sum by (le) (rate(ray_panoptes_decode_seconds[5m])))",
        "serve_deployment_queued_queries > 0",
        "ray_node_gram_use / (ray_node_gram_used + ray_node_gram_available)",
    ],
)
def test_a_misspelt_metric_is_found(misspelt: str) -> None:
    assert metrics_of(misspelt) - known()


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    ours = {re.sub(r"_(bucket|count|sum|total)$", "", name) for place in OURS for name in exported(PROJECT / place)}
    shown = {metric for panel in panels() for target in panel["targets"] for metric in metrics_of(target["expr"])}
    assert ours - {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in shown} == set()


def test_a_grafana_can_read_the_dashboard() -> None:
    assert DASHBOARD["schemaVersion"] >= 39  # Grafana 11
    kinds = {variable["name"]: variable["type"] for variable in DASHBOARD["templating"]["list"]}
    assert kinds["datasource"] == "datasource"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert {variable for target in panel["targets"] for variable in re.findall(r"\$(\w+)", target["expr"])} <= {
            *kinds,
            "__rate_interval",
        }, panel["title"]


def test_no_two_panels_lie_on_each_other() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_every_alert_says_what_to_do_and_where_more_is_written() -> None:
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)}
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action", "runbook_url"}, rule["alert"]
        file, _, place = rule["annotations"]["runbook_url"].partition("#")
        assert (file, place) == ("docs/operations.md", anchor(rule["alert"]))
        assert place in headings, f"docs/operations.md has no heading {rule['alert']}"


def test_the_guide_s_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", GUIDE)
    assert links
    assert [link for link in links if "://" not in link and not (PROJECT / "docs" / link).exists()] == []


def anchor(heading: str) -> str:
    """A heading's place as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
