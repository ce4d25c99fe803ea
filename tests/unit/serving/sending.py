"""Sends one image file to every route that takes images."""

import base64
from collections.abc import Awaitable, Callable

import httpx

Send = Callable[[httpx.AsyncClient, bytes], Awaitable[httpx.Response]]

CATEGORIES = ("categories.json", b'["a cup", "a cat"]', "application/json")


def _form(path: str, field: str, *, categories: bool = False) -> Send:
    async def send(api: httpx.AsyncClient, data: bytes) -> httpx.Response:
        files = [(field, ("picture.jpg", data, "image/jpeg"))]
        return await api.post(path, files=[*files, ("categories", CATEGORIES)] if categories else files)

    return send


def _json(path: str, body: Callable[[str], object]) -> Send:
    async def send(api: httpx.AsyncClient, data: bytes) -> httpx.Response:
        return await api.post(path, json=body(base64.b64encode(data).decode()))

    return send


def _image(text: str) -> dict[str, str]:
    return {"data": text}


ROUTES: dict[str, Send] = {
    "/classify": _form("/classify", "file"),
    "/categorize": _form("/categorize", "files", categories=True),
    "/image": _form("/image", "files", categories=True),
    "/v1/analyze": _json("/v1/analyze", lambda text: {"image": _image(text), "run_classification": True}),
    "/v1/analyze/batch": _json("/v1/analyze/batch", lambda text: {"images": [_image(text)]}),
    "/v1/analyze/llm": _json("/v1/analyze/llm", lambda text: {"image": text}),
    "/v1/classify": _json("/v1/classify", lambda text: {"image": _image(text), "labels": ["a cup", "a cat"]}),
    "/v1/caption": _json("/v1/caption", lambda text: {"image": _image(text)}),
    "/v1/tags": _json("/v1/tags", lambda text: {"image": _image(text)}),
    "/v1/objects": _json("/v1/objects", lambda text: {"image": _image(text)}),
    "/v1/text": _json("/v1/text", lambda text: {"image": _image(text)}),
    "/v1/embeddings": _json(
        "/v1/embeddings",
        lambda text: {"model": "test/double", "modality": "image", "input": [f"data:image/jpeg;base64,{text}"]},
    ),
    "/process": _json(
        "/process", lambda text: {"documents": [{"id": "1", "source": {"content": text, "file_type": "jpg"}}]}
    ),
}


def problem(answer: httpx.Response) -> str | None:
    """What a route said was wrong with the image, also inside an answer of status 200; None if it was looked at."""
    assert answer.status_code < 500
    if answer.status_code >= 300:
        return answer.text
    body = answer.json()
    results = [body.get("result"), *body.get("results", ())] if isinstance(body, dict) else []
    refused = body.get("list_id_not_treated") if isinstance(body, dict) else None
    return next((one["error"] for one in results if one and one["error"]), None) or (str(refused) if refused else None)
