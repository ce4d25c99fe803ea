"""A server of language models in OpenAI's wire format, whose behaviour follows from the name of the model."""

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.doubles.loopback import LoopbackServer, QuietHandler

if TYPE_CHECKING:
    from collections.abc import Callable

ANALYSIS: dict[str, Any] = {
    "overall_score": 8.5,
    "discard_reason": None,
    "best_in_group": True,
    "composition": "rule of thirds",
    "pose_quality": None,
    "background_quality": "soft, not distracting",
    "highlights": ["good light", "sharp subject"],
    "issues": [],
    "summary": "A calm landscape in evening light.",
}
WRONG = ANALYSIS | {"overall_score": "very good", "highlights": "the light"}
TOKENS = 120  # that every answer reports
RETRY_AFTER_S = 17
COMPLETION = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1795234239, "model": "double"}
HALF = len(json.dumps(ANALYSIS)) // 2
# What some models answer instead of one text.
CONTENTS: dict[str, Any] = {
    "parts": [
        {"type": "thinking", "thinking": "I look at it."},
        {"type": "text", "text": json.dumps(ANALYSIS)[:HALF]},
        {"type": "text", "text": json.dumps(ANALYSIS)[HALF:]},
    ],
    "odd-parts": [7, None, {"type": "text"}, {"type": "text", "text": 8}],
    "null": None,
    "object": {"analysis": ANALYSIS},
    "refusing": None,
}
SAID = {
    "broken": "something went wrong",
    "spilling": 'cannot open /srv/gateway/keys.env\nTraceback (most recent call last):\n  File "/srv/gateway/app.py"',
}
MESSAGES: dict[str, dict[str, Any]] = {"refusing": {"refusal": "I cannot look at people."}}


@dataclass(frozen=True)
class LlmRequest:
    """A request to the server: its headers, with names in lower case, and the JSON of its body."""

    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """The text of the first message."""
        return "".join(part["text"] for part in self.body["messages"][0]["content"] if part["type"] == "text")

    @property
    def image(self) -> bytes:
        """The image of the first message, which must be a JPEG as a data URI."""
        (part,) = [part for part in self.body["messages"][0]["content"] if part["type"] == "image_url"]
        head, _, data = part["image_url"]["url"].partition(",")
        assert head == "data:image/jpeg;base64"
        return base64.b64decode(data, validate=True)


class _Handler(QuietHandler):
    server: "LlmServer"

    def do_POST(self) -> None:  # noqa: N802 (the name that http.server calls)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(LlmRequest(headers, body))
        repairing, analysis = len(body["messages"]) > 1, json.dumps(ANALYSIS)
        texts = {
            "fenced": f"```json\n{json.dumps(ANALYSIS, indent=2)}\n```",
            "prose": f"I looked at {{everything}}. My verdict: {analysis} I hope that this helps.",
            "repairable": analysis if repairing else json.dumps(WRONG),
            "hopeless": json.dumps(WRONG),
            "mute": "",
            "cut-off": analysis[:40],
            "repair-broken": json.dumps(WRONG),
        }
        deeds: dict[str, Callable[[], None]] = {
            "silent": self._hang,
            "slow": self._drip,
            "garbled": lambda: self._send(200, ["not", "a", "completion"]),
            "choiceless": lambda: self._send(200, COMPLETION | {"choices": []}),
            "page": lambda: self._send_bytes(200, b"<html>/srv/gateway/app.py: no upstream</html>", "text/html"),
            "torn": lambda: self._send_bytes(200, b'{"choices": [{"index"', "application/json"),
        }
        statuses = {"limited": 429, "broken": 500, "leaky": 500, "spilling": 500, "forbidden": 401, "unknown": 404}
        name = body["model"]
        if name in deeds:
            deeds[name]()
        elif name in statuses or (name == "repair-broken" and repairing):
            self._refuse(statuses.get(name, 500), name)
        else:
            self._answer(name, CONTENTS.get(name, texts.get(name, analysis)))

    def _answer(self, name: str, content: Any) -> None:
        message = {"role": "assistant", "content": content} | MESSAGES.get(name, {})
        choice = {"index": 0, "message": message, "finish_reason": "length" if name == "cut-off" else "stop"}
        usage = {"prompt_tokens": TOKENS - 20, "completion_tokens": 20, "total_tokens": TOKENS}
        self._send(200, COMPLETION | {"model": f"{name}-2026-01-31", "choices": [choice], "usage": usage})

    def _refuse(self, status: int, name: str) -> None:
        """An error; for the models `leaky` and `forbidden` its message repeats the key."""
        said = self.headers.get("Authorization") if name in {"leaky", "forbidden"} else SAID.get(name, SAID["broken"])
        headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 429 else {}
        self._send(status, {"error": {"message": f"The server says: {said}", "type": "error", "code": None}}, headers)

    def _send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(answer).encode(), "application/json", headers)

    def _send_bytes(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": kind} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _hang(self) -> None:
        self.server.stop.wait(20)

    def _drip(self) -> None:
        """An answer whose bytes keep coming without end."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        deadline = time.monotonic() + 20
        try:
            while time.monotonic() < deadline and not self.server.stop.wait(0.05):
                self.wfile.write(b" " * 64)
        except OSError:
            self.server.cut.set()


class LlmServer(LoopbackServer):
    """Answers with ANALYSIS, except for these models:

    - `fenced`, `prose`: the JSON is wrapped in a code block or in sentences
    - `repairable`, `hopeless`: values have wrong types, in the first answer or in every answer
    - `mute`, `cut-off`: the text is empty, or ends too early
    - `silent`, `slow`, `garbled`: no answer, an endless one, or JSON that is no completion
    - `parts`: the text comes in parts; `odd-parts`, `null`, `object`: there is no text; `refusing`: a refusal
    - `choiceless`, `page`, `torn`: an answer without choices, in HTML, or that ends within its JSON
    - `limited` (429 with Retry-After), `broken` (500), `unknown` (404), `repair-broken` (500 to the repair only)
    - `leaky` (500), `forbidden` (401): the message repeats the key; `spilling` (500): it has a path and a stack trace

    Attributes:
        requests: everything that it was sent.
        cut: set when a client closed the connection of a slow answer.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host, _Handler)
        self.url = f"{self.address}/v1"
        self.requests: list[LlmRequest] = []
