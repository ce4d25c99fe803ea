"""Every format that is read, on every route that takes images."""

import io

import pytest
from PIL import Image

from testbed.pictures.images import in_every_format
from tests.unit.serving.api import Doubles, client
from tests.unit.serving.sending import ROUTES, problem

TEAL = (0, 128, 128)
FILES = in_every_format(Image.new("RGB", (80, 60), TEAL))


@pytest.mark.parametrize("name", FILES)
async def test_every_route_reads_it(name: str) -> None:
    models = Doubles()
    async with client(models=models) as api:
        for route, send in ROUTES.items():
            answer = await send(api, FILES[name])
            assert (answer.status_code < 300, problem(answer)) == (True, None), (route, answer.text)
        tags = (await ROUTES["/v1/tags"](api, FILES[name])).json()
        [embedded] = (await ROUTES["/v1/embeddings"](api, FILES[name])).json()["data"]
    assert (tags["width_px"], tags["height_px"]) == (80, 60)
    red, green, blue = (value / embedded["embedding"][3] - 1 for value in embedded["embedding"][:3])
    assert (red, green, blue) == pytest.approx(TEAL, abs=4)
    assert {len(shape) for shape in models.tagger.seen} == {3}, "/process takes it for a film"
    [question] = models.llm.questions
    with Image.open(io.BytesIO(question.jpeg)) as sent:
        assert (sent.format, sent.size) == ("JPEG", (80, 60))
