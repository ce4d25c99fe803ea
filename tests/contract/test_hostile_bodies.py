"""While one client sends a hostile body, others are answered, and no replica grows by much or is replaced."""

import pytest

from testbed.application import Application
from testbed.hostile.bodies import Witness, hostile_bodies, send

MOST_GROWTH = 300_000_000
MOST_WAIT_S = 3.0  # a quarter of a second on an idle machine; all models run beside this one
BODIES = hostile_bodies()


@pytest.mark.parametrize(
    "name",
    ["many items", "unknown keys", "one text", "escapes", "document", "large form", "numbers", "keys of vectors"],
)
def test_others_are_answered_beside_a_hostile_body(panoptes: Application, name: str) -> None:
    host, port = panoptes.url.removeprefix("http://").split(":")
    replicas = panoptes.replicas("Ingress")
    clusterers = panoptes.replicas("Clusterer")
    with Witness(host, int(port), replicas[0]) as witness:
        status, answer = send(host, int(port), BODIES[name], BODIES[name].body())
    assert 200 <= status < 500, answer[:1000]
    assert witness.slowest_s < MOST_WAIT_S
    assert witness.grown_bytes < MOST_GROWTH
    assert panoptes.replicas("Ingress") == replicas
    assert panoptes.replicas("Clusterer") == clusterers
