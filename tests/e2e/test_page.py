"""The page for people in a real Chromium: upload → processed → searched → opened → deleted, whatever files are called."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import ExifTags, Image
from pydantic import SecretStr

from serve_app.clients.models import Models
from testbed.paths import shared
from testbed.pictures.images import GREEN, RED, encoded, heic, two_halves
from tests.e2e.browsing import Page
from tests.e2e.served import Captions, serving

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ATTACK = "<img src=x onerror=alert(1)>"
HOSTILE_NAMES = [
    f"{ATTACK}.png",
    "\"'><script>window.hacked=1<x.png",
    "javascript:alert(1).png",
    "\u202egnp.exe\u202c \u0627\u0644\u0639.png",
    "x" * 296 + ".png",
    "{{7*7}}${window.hacked=1}.png",
    "../../etc/passwd.png",
    "\u0000\u0007\r\nX-Evil: 1.png",
    "猫 🐈 ü.png",
]


def picture(colour: str, kind: str = "PNG", exif: Image.Exif | None = None) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (400, 300), colour).save(file, kind, **({"exif": exif} if exif else {}))
    return file.getvalue()


@pytest.fixture
def page(chromium: "Chrome", folder: Path) -> Iterator[Page]:
    with serving(folder) as served:
        yield Page(chromium, served).open()


def test_a_picture_from_upload_to_deletion(page: Page, tmp_path: Path) -> None:
    page.until(lambda: "No pictures yet" in page.text("#empty"))
    page.served.hold()
    for name in ("red", "blue"):
        (tmp_path / f"{name}.png").write_bytes(picture(name))
    page.type("#files", f"{tmp_path / 'red.png'}\n{tmp_path / 'blue.png'}")
    page.until(lambda: page.text("#uploads-list").count("Processing") == 2)
    assert page.count("li[data-status=processing]") == 2
    page.served.release()
    page.until(lambda: page.text("#uploads-list").count("Done") == 2)
    page.processed(2)
    page.until(lambda: "2 of 2 pictures finished" in page.run("return document.querySelector('#live').textContent"))
    page.until(lambda: page.text("#stats") == "2 pictures")
    assert "a cup on a table" in page.text("#grid")

    page.type("#words", "two cups on a table\n")
    page.until(lambda: page.count(".score") == 2)
    assert page.text("#gallery-title") == "Pictures for “two cups on a table”"
    page.processed(2)

    page.click(".card")
    page.until(lambda: page.text("#viewer-title") in {"red.png", "blue.png"})
    page.until(lambda: page.run("return document.querySelector('#viewer-image').naturalWidth") == 400)
    name = page.text("#viewer-title")
    assert page.text("#viewer-caption") == "a cup on a table"
    assert page.text("#viewer-tags").split("\n") == ["cup 75 %", "table 25 %"]
    assert "400 × 300 pixels" in page.text("#viewer-facts")
    assert page.run("return document.querySelector('#viewer-original').href").endswith("/file?as=original")
    page.click("#viewer-analyse")
    page.until(lambda: "happy" in page.text("#viewer-analyses"))
    assert "Sharpness" in page.text("#viewer-analyses")
    assert page.focused() == "viewer-analyse"

    page.click("#viewer-delete")
    page.click("#viewer-yes")
    page.until(lambda: page.count(".card") == 1)
    page.click("#show-all")
    page.processed(1)
    assert page.count(".card") == 1
    assert name not in page.text("#grid")
    page.assert_nothing_executed()


def test_search_by_a_picture(page: Page, tmp_path: Path) -> None:
    page.drop(("red.png", picture("red")), ("blue.png", picture("blue")))
    page.processed(2)
    (tmp_path / "like.png").write_bytes(picture("#ee1111"))
    page.type("#like", str(tmp_path / "like.png"))
    page.until(lambda: page.count(".score") == 2)
    assert page.text(".card .filename") == "red.png"
    page.click(".grid li:nth-child(2) .card")
    page.until(lambda: page.text("#viewer-title") == "blue.png")
    page.click("#viewer-like")
    page.until(lambda: page.text(".card .filename") == "blue.png")


def test_refused_files_say_why(page: Page) -> None:
    page.drop(("words.png", b"this is text"), ("good.png", picture("red")))
    page.until(lambda: "Only JPEG and PNG files are allowed." in page.text("#uploads-list"))
    page.until(lambda: "1 failed" in page.text("#uploads-summary"))
    page.processed(1)
    page.click("#uploads-clear")
    assert page.text("#uploads") == ""


def test_of_a_folder_only_the_pictures_are_taken(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    (folder / "beach").mkdir(parents=True)
    (folder / "red.png").write_bytes(picture("red"))
    (folder / "beach" / "blue.JPG").write_bytes(picture("blue", "JPEG"))
    (folder / "beach" / "green.HEIC").write_bytes(heic(Image.new("RGB", (400, 300), "green")))
    (folder / "notes.txt").write_text("sunny")
    page.type("#folder", str(folder))
    page.until(lambda: "1 file in the folder has another format and stayed out." in page.text("#uploads-list"))
    page.processed(3)


# What an <img> holds: its size, and the mean colour of a half of its pixels.
SHOWN = """
const [image, done] = [document.querySelector(arguments[0]), arguments[arguments.length - 1]];
image.decode().then(() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const mean = (left) => {
    const { data } = context.getImageData(left, 0, canvas.width / 3, canvas.height);
    return [0, 1, 2].map((channel) => {
      let sum = 0;
      for (let at = channel; at < data.length; at += 4) sum += data[at];
      return Math.round(sum / (data.length / 4));
    });
  };
  done({ size: [canvas.width, canvas.height], left: mean(0), right: mean(Math.ceil(canvas.width * 2 / 3)) });
}, (error) => done({ error: String(error) }));
"""


@pytest.mark.parametrize("key", ["", "secret"])
@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_a_phone_s_picture_is_shown(chromium: "Chrome", folder: Path, key: str, kind: str) -> None:
    """With and without a key, because the pictures are fetched by script where there is one."""
    upright = two_halves().resize((600, 400), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 8, "Phones & Co"
    stored = upright.transpose(Image.Transpose.ROTATE_270)
    data = heic(stored, exif=exif.tobytes()) if kind == "HEIC" else encoded(stored, "AVIF", exif=exif)
    with serving(folder, api_key=SecretStr(key)) as served:
        page = Page(chromium, served).open()
        if key:
            page.until(lambda: page.focused() == "key-field")
            page.type("#key-field", f"{key}\n")
        page.until(lambda: "No pictures yet" in page.text("#empty"))
        page.drop((f"IMG_0001.{kind}", data), media_type="")
        page.processed(1)
        assert_halves(page, ".card img", [300, 200])
        page.click(".card")
        page.until(lambda: page.text("#viewer-title") == f"IMG_0001.{kind}")
        assert_halves(page, "#viewer-image", [600, 400])
        assert "600 × 400 pixels" in page.text("#viewer-facts")
        assert f"{kind}, " in page.text("#viewer-facts")
        page.click("#viewer-exif summary")
        page.until(lambda: "Phones & Co" in page.text("#viewer-exif-list"))
        assert page.run("return document.querySelector('#viewer-original').href").endswith("/file?as=original")
        page.click("#viewer-analyse")
        page.until(lambda: "happy" in page.text("#viewer-analyses"))
        page.click("#viewer-like")
        page.until(lambda: page.count(".score") == 1)
        page.assert_nothing_executed()
        page.run("sessionStorage.clear()")


def assert_halves(page: Page, selector: str, size: list[int]) -> None:
    """The picture is there, upright: its left half is red, its right half green."""
    page.until(lambda: page.run("return document.querySelector(arguments[0])?.complete", selector))
    page.until(lambda: "error" not in page.browser.execute_async_script(SHOWN, selector))
    shown = page.browser.execute_async_script(SHOWN, selector)
    assert shown["size"] == size
    for side, colour in (("left", RED), ("right", GREEN)):
        assert shown[side] == pytest.approx(colour, abs=8)


def test_a_heic_of_the_cases_is_shown(page: Page) -> None:
    page.drop(("house.heic", shared("cases/images/house.heic").read_bytes()), media_type="")
    page.processed(1)
    page.until(lambda: page.run("return document.querySelector('.card img').naturalWidth") == 275)
    page.click(".card")
    page.until(lambda: page.run("return document.querySelector('#viewer-image').naturalWidth") == 275)
    assert "HEIC, 12.5 kB" in page.text("#viewer-facts")


def test_a_failed_picture_says_why(chromium: "Chrome", folder: Path) -> None:
    eyes = Captions("a cup on a table")
    eyes.outcomes = [ValueError("no eyes")] * 5
    with serving(folder, eyes) as served:
        page = Page(chromium, served).open()
        page.drop(("red.png", picture("red")))
        page.until(lambda: page.count("li[data-status=failed]") == 1)
        page.until(lambda: "Failed" in page.text("#uploads-list"))
        page.click(".card")
        page.until(lambda: "Processing failed:" in page.text("#viewer-problem"))


def test_more_pictures_are_loaded_when_asked_for(page: Page) -> None:
    page.drop(*((f"{number:02}.png", picture(f"#{number:02}aa88")) for number in range(30)))
    page.until(lambda: "30 of 30 pictures finished" in page.text("#uploads-summary"))
    page.open()
    page.processed(24)
    assert page.count(".card") == 24
    page.click("#more")
    page.processed(30)
    page.until(lambda: not page.text("#more"))
    assert page.run("return new Set([...document.querySelectorAll('.filename')].map(e => e.textContent)).size") == 30
    assert page.text(".filename") in {f"{number:02}.png" for number in range(25, 30)}  # the newest first


def test_code_in_a_file_name_is_never_run(chromium: "Chrome", folder: Path) -> None:
    with serving(folder, Captions(ATTACK)) as served:
        page = Page(chromium, served).open()
        page.width(360)
        page.drop(*((name, picture("green")) for name in HOSTILE_NAMES))
        page.processed(len(HOSTILE_NAMES))
        page.until(lambda: page.text("#uploads-list").count("Done") == len(HOSTILE_NAMES))
        assert page.overflow() == []
        assert ATTACK in page.text("#grid")
        page.open()
        page.processed(len(HOSTILE_NAMES))
        page.type("#words", f"{ATTACK}\n")
        page.until(lambda: page.count(".score") == len(HOSTILE_NAMES))
        assert ATTACK in page.text("#gallery-title")
        page.click(".card")
        for _ in HOSTILE_NAMES:
            page.until(lambda: page.text("#viewer-title") not in {"", "…"})
            assert page.text("#viewer-caption") == ATTACK
            assert page.overflow() == []
            page.press("\ue014")
        page.assert_nothing_executed()


def test_code_in_exif_is_never_run(page: Page) -> None:
    exif = Image.Exif()
    texts = [ATTACK, "\"'><script>window.hacked=1</script>", "javascript:window.hacked=1"]
    for tag, text in zip(
        (ExifTags.Base.ImageDescription, ExifTags.Base.Artist, ExifTags.Base.Make), texts, strict=True
    ):
        exif[tag] = text
    page.drop(("exif.jpg", picture("red", "JPEG", exif)))
    page.processed(1)
    page.click(".card")
    page.until(lambda: page.text("#viewer-title") == "exif.jpg")
    page.click("#viewer-exif summary")
    page.until(lambda: all(text in page.text("#viewer-exif-list") for text in texts))
    page.assert_nothing_executed()


def test_a_keyboard_is_enough(page: Page) -> None:
    enter, escape, right, left = "\ue007", "\ue00c", "\ue014", "\ue012"
    page.drop(*((f"{number}.png", picture(f"#{number}0{number}0{number}0")) for number in range(3)))
    page.until(lambda: "3 of 3 pictures finished" in page.text("#uploads-summary"))
    page.open()
    page.processed(3)
    page.press("\ue004")
    assert page.focused() == "skip"
    passed = page.tab_to("words")
    assert passed.index("choose-files") < passed.index("choose-folder") < passed.index("words")
    outline = page.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"

    page.press("cup", enter)
    page.until(lambda: page.count(".score") == 3)
    page.press(escape)
    page.until(lambda: page.count(".score") == 0)
    page.processed(3)
    page.tab_to("card")
    names = page.run("return [...document.querySelectorAll('.filename')].map(e => e.textContent)")
    page.press(right, right, left)
    page.press(enter)
    page.until(lambda: page.text("#viewer-title") == names[1])
    assert page.run("return document.querySelector('dialog').contains(document.activeElement)")
    page.press(right)
    page.until(lambda: page.text("#viewer-title") == names[2])
    page.press(right)  # there is none, and the keys still work
    page.press(left)
    page.until(lambda: page.text("#viewer-title") == names[1])
    page.press(escape)
    page.until(lambda: page.count("dialog[open]") == 0)
    page.until(lambda: page.focused() == "card")
    assert page.run("return document.activeElement.querySelector('.filename').textContent") == names[1]

    page.press(enter)
    page.until(lambda: page.text("#viewer-title") == names[1])
    page.press("\ue017")  # Delete
    assert page.focused() == "viewer-no"
    page.press(escape)  # keeps it, and the dialog stays
    assert (page.text("#viewer-confirm"), page.count("dialog[open]"), page.focused()) == ("", 1, "viewer-delete")
    page.press(enter)
    page.press_shift_tab()
    assert page.focused() == "viewer-yes"
    page.press(enter)
    page.until(lambda: page.count(".card") == 2)
    page.until(lambda: page.focused() == "card")
    assert page.run("return document.activeElement.querySelector('.filename').textContent") == names[2]
    page.until(lambda: page.run("return document.querySelector('#live').textContent") == "The picture is deleted.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_360_pixels(page: Page, scheme: str) -> None:
    page.width(360, scheme)
    page.until(lambda: "No pictures yet" in page.text("#empty"))
    assert page.overflow() == []
    page.click("#about summary")
    assert page.overflow() == []
    page.drop(("a" * 200 + ".png", picture("red")))
    page.processed(1)
    assert page.overflow() == []
    page.click(".card")
    page.until(lambda: "a" * 200 in page.text("#viewer-title"))
    assert page.overflow() == []
    background = page.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")


def test_a_server_that_wants_a_key(chromium: "Chrome", folder: Path) -> None:
    with serving(folder, api_key=SecretStr("secret")) as served:
        page = Page(chromium, served).open()
        page.until(lambda: page.focused() == "key-field")
        page.type("#key-field", "wrong\n")
        page.until(lambda: "does not know this key" in page.text("#key"))
        page.type("#key-field", "secret\n")
        page.until(lambda: "No pictures yet" in page.text("#empty"))
        assert page.text("#key") == ""
        page.drop(("red.png", picture("red")))
        page.processed(1)
        assert page.run("return document.querySelector('.card img').src").startswith("blob:")
        page.click(".card")
        page.until(lambda: page.run("return document.querySelector('#viewer-image').naturalWidth") == 400)
        page.assert_nothing_executed()
        assert page.run("return [sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
        page.run("sessionStorage.clear()")


def test_a_rate_limited_page_says_so(chromium: "Chrome", folder: Path) -> None:
    with serving(folder, rate_limit_enabled=True, rate_limit_burst=2) as served:
        page = Page(chromium, served).open()
        page.drop(*((f"{number}.png", picture("red")) for number in range(5)))
        page.until(lambda: page.text("#uploads-list").count("Done") == 5)


def test_without_the_catalogue_it_says_so(chromium: "Chrome", folder: Path, tmp_path: Path) -> None:
    models = Models({})
    with serving(folder, models=models) as served:
        page = Page(chromium, served).open()
        page.until(lambda: "The catalogue is switched off on this server" in page.text("#notice"))
        assert page.text("#catalogue") == ""
        assert "POST /classify" in page.text("#about")
        (tmp_path / "red.png").write_bytes(picture("red"))
        page.type("#classify-file", str(tmp_path / "red.png"))
        page.click("#classify button")
        page.until(lambda: "switched off" in page.text("#classify-result"))
