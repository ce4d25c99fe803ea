"""Family B over HTTP: each image's category, each category's image."""

import json

import httpx
import pytest

from configs.prompts import load_prompts
from testbed.accuracy.outcomes import png
from training.clip.evaluation import labelled_scenes

SCENES = [
    (scene.label, png(scene.image))
    for scene in labelled_scenes(12, seed=4_321)
    if scene.label in {"a street map", "a page of text", "a house"}
]


def files(categories: bytes | None = None, name: str = "c.json") -> list[tuple[str, tuple[str, bytes]]]:
    images = [("files", (f"{label}.PNG", data)) for label, data in SCENES]
    return images if categories is None else [*images, ("categories", (name, categories))]


@pytest.mark.parametrize(
    ("name", "categories"),
    [
        ("c.json", json.dumps({"categories": ["a street map", "a page of text", "a house"]}).encode()),
        ("c.JSON", json.dumps(["a house", " a street map ", "", "a page of text", "a house"]).encode()),
        ("c.csv", b"a house,a street map\na page of text\n"),
    ],
)
def test_each_image_gets_its_category(api: httpx.Client, name: str, categories: bytes) -> None:
    answer = api.post("/categorize", files=files(categories, name))
    assert answer.status_code == 201
    assert answer.json() == {f"{label}.PNG": label for label, _ in SCENES}


def test_without_categories_the_default_list_is_used(api: httpx.Client) -> None:
    answer = api.post("/categorize", files=files())
    assert answer.status_code == 201
    assert set(answer.json().values()) <= set(load_prompts().categories)
    assert answer.json() == {f"{label}.PNG": label for label, _ in SCENES}


def test_each_category_gets_its_image(api: httpx.Client) -> None:
    categories = ["a page of text", "a house", "a street map"]
    answer = api.post("/image", files=files(json.dumps(categories).encode()))
    assert answer.status_code == 201
    assert answer.json() == {category: f"{category}.PNG" for category in categories}
