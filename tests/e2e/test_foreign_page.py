"""A page on another port of this machine, in a real browser: it can neither upload, delete nor read, unless it is named."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from testbed.doubles.loopback import LoopbackServer, QuietHandler
from testbed.processes import within
from tests.e2e.served import Served, serving
from tests.e2e.test_page import picture

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# Each resolves to what the page could learn, and never rejects.
ATTEMPTS = """
const [url, done] = [arguments[0], arguments[arguments.length - 1]];
const form = () => {
  const made = new FormData();
  made.append("file", new Blob([Uint8Array.from(atob(arguments[1]), (each) => each.charCodeAt(0))]), "foreign.png");
  return made;
};
const tried = async (attempt) => {
  try {
    return await attempt();
  } catch (error) {
    return String(error);
  }
};
const embedded = () => new Promise((told) => {
  const image = new Image();
  image.onload = () => told(`${image.naturalWidth} pixels`);
  image.onerror = () => told("not shown");
  image.crossOrigin = "anonymous"; // asked as a read, so that a page may be named for it
  image.src = url + "api/images/1/file";
});
(async () => done({
  upload: await tried(async () => (await fetch(url + "api/images", { method: "POST", body: form() })).status),
  blind: await tried(async () => (await fetch(url + "api/images", { method: "POST", body: form(), mode: "no-cors" })).type),
  plain: await tried(async () => (await fetch(url + "v1/cluster", { method: "POST", body: "{}", mode: "no-cors" })).type),
  read: await tried(async () => (await (await fetch(url + "api/images", { headers: { "X-Api-Key": "" } })).json()).length),
  embed: await embedded(),
  remove: await tried(async () => (await fetch(url + "api/images/1", { method: "DELETE" })).status),
}))();
"""


class _Page(QuietHandler):
    def do_GET(self) -> None:  # noqa: N802 (the name that http.server calls)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title>")


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of a page that is not ours."""
    with LoopbackServer("127.0.0.1", _Page) as server:
        yield server.address


@contextmanager
def with_one_picture(folder: Path, **settings: Any) -> Iterator[tuple[Served, httpx.Client]]:
    with serving(folder, **settings) as served, httpx.Client(base_url=served.url) as here:
        assert here.post("/api/images", files={"file": ("ours.png", picture("red"))}).status_code == 202
        yield served, here


def attempts(browser: "Chrome", origin: str, served: Served) -> dict[str, Any]:
    browser.get(origin)
    browser.set_script_timeout(60)
    found: dict[str, Any] = browser.execute_async_script(
        ATTEMPTS, served.url, base64.b64encode(picture("blue")).decode()
    )
    return found


def test_a_foreign_page_can_neither_upload_delete_nor_read(chromium: "Chrome", folder: Path, elsewhere: str) -> None:
    with with_one_picture(folder) as (served, here):
        found = attempts(chromium, elsewhere, served)
        for refused in ("upload", "blind", "plain", "read", "remove"):
            assert found[refused] == "TypeError: Failed to fetch", refused
        assert found["embed"] == "not shown"
        assert [image["filename"] for image in here.get("/api/images").json()] == ["ours.png"]


def test_a_form_of_a_foreign_page_uploads_nothing(
    chromium: "Chrome", folder: Path, elsewhere: str, tmp_path: Path
) -> None:
    (tmp_path / "foreign.png").write_bytes(picture("blue"))
    with with_one_picture(folder) as (served, here):
        chromium.get(elsewhere)
        chromium.execute_script(
            "document.body.innerHTML = `<form method=post enctype=multipart/form-data action='${arguments[0]}api/images'>"
            "<input type=file name=file><button>Win a prize</button></form>`",
            served.url,
        )
        chromium.find_element("css selector", "input").send_keys(str(tmp_path / "foreign.png"))
        chromium.find_element("css selector", "button").click()
        assert within(30, lambda: "CORS_ORIGINS" in chromium.page_source)
        assert [image["filename"] for image in here.get("/api/images").json()] == ["ours.png"]


def test_a_name_that_was_rebound_to_this_machine_reads_nothing(chromium: "Chrome", folder: Path) -> None:
    with with_one_picture(folder) as (served, here):
        chromium.get(served.url.replace("127.0.0.1", "rebound.example") + "api/images")
        assert "ALLOWED_HOSTS" in chromium.find_element("css selector", "body").text
        chromium.get(served.url.replace("127.0.0.1", "panoptes.localhost"))
        assert chromium.title == "Panoptes"
        assert len(here.get("/api/images").json()) == 1


def test_a_page_that_cors_origins_names_can_do_all(chromium: "Chrome", folder: Path, elsewhere: str) -> None:
    with with_one_picture(folder, cors_origins=elsewhere) as (served, here):
        found = attempts(chromium, elsewhere, served)
        assert (found["upload"], found["remove"]) == (202, 204)
        assert found["read"] >= 2
        assert found["embed"] == "400 pixels"
        assert "ours.png" not in [image["filename"] for image in here.get("/api/images").json()]
