"""The HTTP client with which OpenAI and servers with its API are asked: it makes their answers what LiteLLM can read.

LiteLLM fails, with a stack trace as its message, on a content in parts, and on answers that are no chat completion.
"""

import json
from typing import Any

import httpx

NO_COMPLETION = {"error": {"message": "its answer is no chat completion", "type": "invalid_answer", "code": None}}


class CompletionClient(httpx.AsyncClient):
    """Gets chat completions as `readable` makes them, and everything else unchanged."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request and return the answer once it is complete."""
        response = await super().send(request, **options)
        if not (response.is_success and request.url.path.endswith("/chat/completions")):
            return response
        await response.aread()
        answer = readable(response.content)
        # Without the headers of the body that is replaced: its length, encoding and type.
        kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        if answer is None:
            return httpx.Response(502, headers=kept, json=NO_COMPLETION, request=response.request)
        return httpx.Response(response.status_code, headers=kept, json=answer, request=response.request)


def readable(body: bytes) -> dict[str, Any] | None:
    """The chat completion in a body, each content as one text or None; None if the body is no completion."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices:
        return None
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            return None
        message = choice["message"]
        message["content"] = _text(message.get("content"))
        if not isinstance(message.get("refusal"), str | None):
            message["refusal"] = None
    return {**answer, "choices": choices}


def _text(content: Any) -> str | None:
    """The texts of a content that comes in parts, joined; None for one that is neither a text nor has any."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    said = (part if isinstance(part, str) else _part(part) for part in content)
    return "".join(said) or None


def _part(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") in {"text", "output_text"} else ""
    return text if isinstance(text, str) else ""
