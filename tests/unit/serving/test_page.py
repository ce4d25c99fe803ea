"""The web page: what it may load, what it does load, and the JSON that programs get instead."""

import re

import pytest
from pydantic import SecretStr

from serve_app.clients.models import Models
from serve_app.http.security import PUBLIC_ROUTES
from serve_app.page.pages import ASSET_ROUTES, ASSETS, FOLDER, HOME
from tests.unit.serving.api import client

FILES = sorted(FOLDER.iterdir())
# URLs that only name a format; nothing loads them.
NAMESPACES = {"http://www.w3.org/2000/svg"}


async def test_its_content_security_policy_allows_only_its_own_files() -> None:
    async with client() as api:
        page = await api.get("/", headers={"Accept": "text/html"})
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Vary"] == "Accept"


def test_no_script_or_style_is_inline() -> None:
    assert all(' src="page/' in tag for tag in re.findall(r"<script[^>]*>", HOME))
    assert re.findall(r"<script[^>]*>([^<]*)</script>", HOME) == [""]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", HOME)


def test_no_script_reads_text_as_markup() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc"
    for file in FILES:
        assert not re.search(forbidden, file.read_text(encoding="utf-8")), file.name


def test_no_file_names_another_host() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}[^\s\"'>]*", text)) <= NAMESPACES, file.name


def test_every_file_that_it_loads_exists() -> None:
    named = set(re.findall(r'(?:src|href)="page/([^"]+)"', HOME))
    for file in FILES:
        if file.suffix == ".js":
            named |= set(re.findall(r'from "\./([^"]+)"', file.read_text(encoding="utf-8")))
    assert named == set(ASSETS)
    ids = re.findall(r'\bid="([^"]+)"', HOME)
    assert len(ids) == len(set(ids))


def test_every_field_has_a_label() -> None:
    labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', HOME))
    wrapped = set(re.findall(r'<label>[^<]*<input id="([^"]+)"', HOME))
    for field in re.findall(r"<input[^>]*>", HOME):
        name = re.search(r'id="([^"]+)"', field)
        assert name is not None
        assert "aria-label=" in field or name[1] in labelled | wrapped, field


@pytest.mark.parametrize("name", sorted(ASSETS))
async def test_an_unchanged_asset_is_not_sent_again(name: str) -> None:
    async with client() as api:
        first = await api.get(f"/page/{name}")
        again = await api.get(f"/page/{name}", headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
        changed = await api.get(f"/page/{name}", headers={"If-None-Match": '"other"'})
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert first.headers["Content-Type"].split(";")[0] == kinds[name.rpartition(".")[2]]
    assert first.headers["Cache-Control"] == "no-cache"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.content == (FOLDER / name).read_bytes() == changed.content
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


@pytest.mark.parametrize(
    "name", ["nope.js", "index.html", "..%2fpages.py", "%2e%2e/pages.py", ".", "app.js%00", "app.js/"]
)
async def test_no_other_file_is_served(name: str) -> None:
    async with client() as api:
        answer = await api.get(f"/page/{name}")
    assert answer.status_code in {404, 307}
    assert b"import" not in answer.content


async def test_the_page_needs_no_key() -> None:
    assert ASSET_ROUTES <= PUBLIC_ROUTES
    async with client(api_key=SecretStr("secret")) as api:
        for path in ["/", *ASSET_ROUTES]:
            assert (await api.get(path)).status_code == 200, path
        assert (await api.get("/page/nope.js")).status_code == 401


async def test_it_lists_weights_and_routes() -> None:
    async with client() as api:
        page = (await api.get("/")).text
    assert "test/double" in page
    assert "<code>POST /classify</code>" in page
    assert "/page/" not in page.partition("<tbody>")[2]
    assert "<!-- " not in page


async def test_without_any_model_it_says_so() -> None:
    async with client(models=Models({})) as api:
        page = await api.get("/")
    assert page.status_code == 200
    assert "Every model is switched off here." in page.text


async def test_programs_get_json() -> None:
    async with client() as api:
        facts = await api.get("/", headers={"Accept": "application/json"})
    assert set(facts.json()) == {"name", "version", "weights", "docs", "routes"}
    assert facts.headers["Vary"] == "Accept"
