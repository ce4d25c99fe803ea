"""The catalogue while its processes are killed: each upload is processed exactly once and is found again."""

import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image
from sqlalchemy import create_engine, text

from deployments.catalogue.sql.database import database_url
from testbed.application import Application
from testbed.doubles.postgres import PostgresServer
from testbed.pictures.images import encoded
from tests.contract.asking import finished, statistics, upload
from tests.contract.conftest import ON_POSTGRES, Catalogued
from training.clip.evaluation import labelled_scenes

UPLOADS, CLIENTS = 200, 4
KILLED = ("Cataloguer", "Ingress", "Captioner")
# Limited, because on a slow machine each new process would be killed before it has done anything.
KILLS = 15
# Seconds between two kills: long enough for the process that replaces the killed one to do some work.
PAUSES = (2.0, 6.0)
READY_S, PROCESSED_S = 240, 420


class Killer:
    """Kills random processes of an application, and counts the kills by deployment. As a context it stops at the end."""

    def __init__(self, panoptes: Application, application: str) -> None:
        self.killed: Counter[str] = Counter()
        self._panoptes, self._application = panoptes, application
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        chance = random.Random(11)
        while self.killed.total() < KILLS:
            time.sleep(chance.uniform(*PAUSES))
            deployment = KILLED[self.killed.total() % len(KILLED)]
            if found := self._panoptes.replicas(deployment, self._application):
                os.kill(chance.choice(found), signal.SIGKILL)
                self.killed[deployment] += 1


def accepted(catalogue: httpx.Client, picture: Image.Image, name: str) -> tuple[int, int]:
    """Upload a picture until it is accepted; return its id and the number of tries that were not answered with 202."""
    data = encoded(picture, "PNG")
    deadline, refused = time.monotonic() + READY_S, 0
    while True:
        try:
            answer = catalogue.post("/api/images", files={"file": (name, data)})
            if answer.status_code == 202:
                return int(answer.json()["image_id"]), refused
            assert answer.status_code in {500, 502, 503, 504}, answer.text
        except httpx.TransportError:
            pass  # the ingress was killed while it answered
        refused += 1
        assert time.monotonic() < deadline, "no upload is accepted any more"
        time.sleep(0.5)


def test_no_upload_is_lost_when_processes_are_killed_and_search_finds_a_street_map(
    panoptes: Application, catalogued: Catalogued, catalogue: httpx.Client
) -> None:
    before = statistics(catalogue)
    scenes = list(labelled_scenes(UPLOADS, seed=3))
    with Killer(panoptes, catalogued.name) as killer, ThreadPoolExecutor(CLIENTS) as pool:
        uploads = list(pool.map(lambda scene: accepted(catalogue, scene.image, f"{scene.label}.png"), scenes))
    ids = [image_id for image_id, _ in uploads]
    assert len(set(ids)) == UPLOADS
    assert killer.killed.keys() == set(KILLED)
    everything = wait_until_processed(catalogue, before["total_images"])
    # An upload whose connection broke may still have been stored: its image is processed like any other.
    assert set(ids) <= set(everything)
    assert len(everything) <= UPLOADS + sum(refused for _, refused in uploads)
    for image_id in ids:
        body = finished(catalogue, image_id)
        assert (body["status"], body["error"]) == ("processed", None)
        assert body["data"]["caption"]
        assert catalogue.get(body["thumbnails"]["small"]).status_code == 200
    assert done_once(catalogued, everything)
    found = catalogue.get("/api/images/search", params={"q": "a street map", "k": 10}).json()["results"]
    assert [hit["filename"] for hit in found] == ["a street map.png"] * 10
    assert [hit["score"] for hit in found] == sorted((hit["score"] for hit in found), reverse=True)
    with ThreadPoolExecutor(CLIENTS) as pool:
        deleted = list(pool.map(lambda image_id: catalogue.delete(f"/api/images/{image_id}").status_code, everything))
    assert set(deleted) == {204}
    assert statistics(catalogue) == before


def wait_until_processed(catalogue: httpx.Client, older: int) -> list[int]:
    """The ids of all images except the `older` oldest, once none is being processed and none has failed."""
    deadline = time.monotonic() + PROCESSED_S
    while under_way(catalogue):
        assert time.monotonic() < deadline, "images are still under way"
        time.sleep(0.5)
    return sorted(listed(catalogue))[older:]


def under_way(catalogue: httpx.Client) -> bool:
    """Whether images are still being processed; True also when the ingress does not answer because it was just killed."""
    try:
        answer = catalogue.get("/api/stats")
    except httpx.TransportError:
        return True
    return answer.status_code != 200 or answer.json()["images"]["processing_images"] > 0


def listed(catalogue: httpx.Client) -> list[int]:
    """Every image's id, read page by page."""
    ids: list[int] = []
    url: str | None = "/api/images?limit=100"
    while url:
        answer = catalogue.get(url)
        ids += [image["id"] for image in answer.json()]
        url = answer.links.get("next", {}).get("url")
    return ids


def done_once(catalogued: Catalogued, ids: list[int]) -> bool:
    """Whether the database has one vector for each image and no lease."""
    url = database_url(catalogued.database_url)
    engine = create_engine(url.set(drivername=url.drivername.removesuffix("+aiosqlite")))
    with engine.connect() as connection:
        vectors = Counter(connection.scalars(text("SELECT image_id FROM vectors")))
        leases = connection.scalar(text("SELECT count(*) FROM images WHERE leased_by IS NOT NULL"))
    engine.dispose()
    return leases == 0 and all(vectors[image_id] == 1 for image_id in ids)


@pytest.mark.parametrize("catalogued", [ON_POSTGRES], indirect=True)  # a SQLite file is always available
def test_an_unavailable_database_is_reported_and_works_again_without_a_restart(
    catalogue: httpx.Client, postgres: PostgresServer
) -> None:
    before = statistics(catalogue)
    picture = encoded(Image.new("RGB", (8, 8)), "PNG")
    postgres.stop()
    try:
        for answer in (
            catalogue.get("/api/images"),
            catalogue.get("/api/stats"),
            catalogue.post("/api/images", files={"file": ("a.png", picture)}),
        ):
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) > 0
    finally:
        postgres.start()
    deadline, in_a_row = time.monotonic() + READY_S, 0
    while in_a_row < 10:  # each of the two ingress replicas reconnects on its own
        in_a_row = in_a_row + 1 if catalogue.get("/api/stats").status_code == 200 else 0
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert statistics(catalogue) == before
    image_id = upload(catalogue, picture)
    assert finished(catalogue, image_id)["status"] == "processed"
    assert catalogue.delete(f"/api/images/{image_id}").status_code == 204
