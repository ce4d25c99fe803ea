"""A worker of the catalogue: retries, models that are away, leases, and how it ends."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from PIL import Image

from deployments.catalogue.deployment import Cataloguer
from deployments.catalogue.errors import CatalogueUnavailable, StoreUnavailable
from deployments.catalogue.opened import CatalogueOpener
from deployments.catalogue.preparing import prepare
from deployments.catalogue.records import Backlog, Facts
from deployments.catalogue.scaling import BACKLOG, by_backlog
from deployments.catalogue.store.base import Store
from deployments.catalogue.worker import UNAVAILABLE_DELAY_S, DescriptionFailed, ModelsUnavailable, Pace
from testbed.pictures.images import encoded
from testbed.replicas import replica_class
from tests.unit.catalogue.in_process import RED, WANTED, Eyes, config, finished, located, uploaded, working
from tests.unit.serving.api import client


async def test_a_failed_attempt_is_made_again(tmp_path: Path) -> None:
    eyes = Eyes(DescriptionFailed("Captioner failed (ModelFailed)."))
    async with client(**located(tmp_path)) as api, working(tmp_path, eyes):
        answer = await finished(api, await uploaded(api, RED))
    assert (answer.json()["status"], answer.json()["reason"], eyes.looked) == ("processed", None, 2)


async def test_an_image_that_never_succeeds_is_given_up_with_its_reason(tmp_path: Path) -> None:
    eyes = Eyes(*(DescriptionFailed(f"attempt {number}") for number in (1, 2)))
    async with client(**located(tmp_path)) as api, working(tmp_path, eyes):
        answer = await finished(api, await uploaded(api, RED))
    assert (answer.status_code, answer.json()["reason"], eyes.looked) == (400, "attempt 2", 2)


async def test_a_model_that_is_away_costs_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert UNAVAILABLE_DELAY_S > 1
    monkeypatch.setattr("deployments.catalogue.worker.UNAVAILABLE_DELAY_S", 0.05)
    eyes = Eyes(*(ModelsUnavailable("Captioner is not there.") for _ in range(5)))
    async with client(**located(tmp_path)) as api, working(tmp_path, eyes, max_attempts=1):
        answer = await finished(api, await uploaded(api, RED))
    assert (answer.json()["status"], eyes.looked) == ("processed", 6)


async def test_a_file_that_cannot_be_decoded_is_not_tried_again(tmp_path: Path) -> None:
    opener = CatalogueOpener(config(tmp_path))
    image = await (await opener.get()).catalogue.add("a.png", b"no picture", Facts("PNG", 1, 1))
    await opener.close()
    eyes = Eyes()
    async with client(**located(tmp_path)) as api, working(tmp_path, eyes):
        answer = await finished(api, image.id)
    assert (answer.status_code, eyes.looked) == (400, 0)
    assert "not an image" in answer.json()["reason"]


async def test_a_lease_lasts_as_long_as_the_work(tmp_path: Path) -> None:
    eyes = Eyes()
    eyes.wait.clear()

    def due_at() -> str:
        with closing(sqlite3.connect(tmp_path / "catalogue.db")) as database:
            (due,) = database.execute("SELECT due_at FROM images").fetchone()
        return str(due)

    async with client(**located(tmp_path)) as api, working(tmp_path, eyes, pace=Pace(lease_s=3, poll_s=0.02)):
        image_id = await uploaded(api, RED)
        while not eyes.looked:
            await asyncio.sleep(0.01)
        leased_until = due_at()
        while due_at() == leased_until:
            await asyncio.sleep(0.02)
        eyes.wait.set()
        answer = await finished(api, image_id)
    assert (answer.json()["status"], eyes.looked) == ("processed", 1)


async def test_a_worker_that_stops_finishes_what_it_has(tmp_path: Path) -> None:
    eyes = Eyes()
    eyes.wait.clear()
    async with client(**located(tmp_path)) as api:
        async with working(tmp_path, eyes) as worker:
            image_id = await uploaded(api, RED)
            while not eyes.looked:
                await asyncio.sleep(0.01)
            worker.stop()
            eyes.wait.set()
        assert (await api.get(f"/api/images/{image_id}")).json()["status"] == "processed"


async def test_what_a_stopping_worker_cannot_finish_is_due_at_once(tmp_path: Path) -> None:
    slow = Eyes()
    slow.wait.clear()
    async with client(**located(tmp_path)) as api:
        async with working(tmp_path, slow, pace=Pace(lease_s=60, poll_s=0.02, drain_s=0.05), max_attempts=1):
            image_id = await uploaded(api, RED)
            while not slow.looked:
                await asyncio.sleep(0.01)
        async with working(tmp_path, Eyes(), max_attempts=1):
            answer = await finished(api, image_id)
    assert answer.json()["status"] == "processed"


async def test_an_image_that_is_deleted_meanwhile_leaves_nothing(tmp_path: Path) -> None:
    eyes = Eyes()
    eyes.wait.clear()
    async with client(**located(tmp_path)) as api:
        async with working(tmp_path, eyes):
            image_id = await uploaded(api, RED)
            while not eyes.looked:
                await asyncio.sleep(0.01)
            assert (await api.delete(f"/api/images/{image_id}")).status_code == 204
            eyes.wait.set()
        assert (await api.get("/api/images")).json() == []
    assert not [path for path in (tmp_path / "pictures").rglob("*") if path.is_file()]


async def test_an_image_that_is_deleted_while_its_thumbnails_are_stored_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_stored, deleted = asyncio.Event(), asyncio.Event()
    put = Store.put

    async def failing_halfway(store: Store, key: str, data: bytes) -> None:
        if key.endswith("-small.jpg"):
            half_stored.set()
            await deleted.wait()
            raise StoreUnavailable("gone")
        await put(store, key, data)

    monkeypatch.setattr(Store, "put", failing_halfway)
    async with client(**located(tmp_path)) as api, working(tmp_path, Eyes()):
        image_id = await uploaded(api, RED)
        await half_stored.wait()
        assert [path for path in (tmp_path / "pictures" / "thumbnails").rglob("*") if path.is_file()]
        assert (await api.delete(f"/api/images/{image_id}")).status_code == 204
        deleted.set()
    assert not [path for path in (tmp_path / "pictures").rglob("*") if path.is_file()]


async def test_a_worker_whose_database_is_away_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.catalogue.worker.UNAVAILABLE_DELAY_S", 3600)
    (tmp_path / "folder").write_text("a file where the folder should be")
    async with asyncio.timeout(10), working(tmp_path / "folder", Eyes()) as worker:
        with pytest.raises(CatalogueUnavailable):
            await worker.backlog()


async def test_many_workers_process_each_image_once(tmp_path: Path) -> None:
    eyes = Eyes()
    async with (
        client(**located(tmp_path)) as api,
        working(tmp_path, eyes),
        working(tmp_path, eyes),
        working(tmp_path, eyes),
    ):
        ids = [await uploaded(api, encoded(Image.new("RGB", (8, 8), (each, 0, 0)), "PNG")) for each in range(20)]
        for image_id in ids:
            assert (await finished(api, image_id)).json()["status"] == "processed"
    assert eyes.looked == 20


def test_only_what_is_asked_is_prepared() -> None:
    data = encoded(Image.new("RGB", (3000, 2000), "teal"), "JPEG")
    nothing = prepare(data, replace(WANTED, models={}, max_pixels=10_000_000))
    assert nothing.inputs == {}
    assert set(nothing.thumbnails) == {"small", "medium"}
    everything = prepare(data, replace(WANTED, max_pixels=10_000_000))
    assert set(everything.inputs) == {"Clip", "Captioner", "Tagger"}
    assert everything.inputs["Clip"].shape == (32, 32, 3)
    assert min(everything.inputs["Captioner"].shape[:2]) >= 750


async def test_an_upload_is_opened_once_by_the_ingress_and_once_by_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    data = encoded(Image.new("RGB", (1200, 800), "teal"), "JPEG", exif=exif)
    counting = mock.Mock(side_effect=Image.open)
    monkeypatch.setattr(Image, "open", counting)
    async with client(**located(tmp_path)) as api:
        image_id = await uploaded(api, data)
        by_ingress = counting.call_count
        async with working(tmp_path, Eyes()):
            metadata = (await finished(api, image_id)).json()["data"]["metadata"]
    assert metadata == {"Make": "a maker", "format": "JPEG", "width": 1200, "height": 800, "size_bytes": len(data)}
    assert (by_ingress, counting.call_count) == (1, 2)


@pytest.mark.parametrize(
    ("reported", "replicas"), [({}, 2), ({"a": 0.0}, 1), ({"a": 17.0, "b": 16.0}, 2), ({"a": 1000.0}, 3)]
)
def test_workers_are_as_many_as_the_backlog_asks_for(reported: dict[str, float], replicas: int) -> None:
    context = SimpleNamespace(
        aggregated_metrics={BACKLOG: reported} if reported else None,
        target_num_replicas=2,
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=3,
    )
    assert by_backlog(context) == (replicas, {})


async def test_what_waits_or_failed_is_measured_for_all_states() -> None:
    measured: dict[str, float] = {}

    async def backlog() -> Backlog:
        return Backlog(ready=5, leased=4, delayed=3, failed=2)

    def measure(images: float, tags: dict[str, str]) -> None:
        measured[tags["state"]] = images

    replica: Any = SimpleNamespace(_worker=SimpleNamespace(backlog=backlog), _images=SimpleNamespace(set=measure))
    assert await replica_class(Cataloguer).record_autoscaling_stats(replica) == {BACKLOG: 9.0}
    assert measured == {"ready": 5, "leased": 4, "delayed": 3, "failed": 2}
