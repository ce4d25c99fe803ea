"""What a deployment raises through its handle. The ingress renders each in `serve_app/http/errors.py`.

ModelError
├── PromptTooLong        a text that does not fit the text tower
├── InvalidClustering    a request to cluster that is not valid
├── VideoBroken          not a video that can be decoded
├── VideoTooLong         a video that lasts longer than is accepted
├── NoFrames             a file without a picture that moves
├── WeightsNotFound      a checkpoint that is neither cached nor reachable
├── ModelFailed          the model or its device broke; the replica fails its health check
├── LlmModelUnknown      a language model that belongs to no provider which can be asked
├── LlmKeyMissing        the provider of a language model has no key here
├── LlmProviderFailed    no provider answered, fallbacks included
└── LlmAnswerInvalid     a language model answered, twice, something else than was asked
"""

from typing import Any

Problem = dict[str, Any]


class ModelError(Exception):
    """Base of everything that a model reports to its caller."""


class PromptTooLong(ModelError):
    """A text has more tokens than the model reads; `text` is its beginning, `limit` the most tokens."""

    def __init__(self, text: str, limit: int) -> None:
        super().__init__(text, limit)
        self.text, self.limit = text, limit

    def __str__(self) -> str:
        return f"{self.text!r}… is too long: the model reads at most {self.limit} tokens, shorten it"


class InvalidClustering(ModelError):
    """A request that is not valid; `problems` as FastAPI lists them: `loc`, `msg`, `type`, at most 20."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return str(self.problems[0]["msg"])


class VideoBroken(ModelError):
    """Not a video, or one of which no frame can be decoded; the message says what to send instead."""


class VideoTooLong(ModelError):
    """The video lasts longer than is accepted; nothing was decoded."""


class NoFrames(ModelError):
    """A file without a video stream, or with an empty one."""


class WeightsNotFound(ModelError):
    """The checkpoint that the configuration asks for cannot be loaded; the message says how to get it."""


class ModelFailed(ModelError):
    """A forward pass failed or gave values that are not finite."""


class LlmModelUnknown(ModelError):
    """The name of a language model is malformed or of no known provider; the message names the providers."""


class LlmKeyMissing(ModelError):
    """The provider of the language model has no key; the message names the variable that holds it."""


class LlmProviderFailed(ModelError):
    """A provider refused, broke or took too long. `retry_after_s`: how long it asks to wait, None if it did not say."""

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message, retry_after_s)
        self.message, self.retry_after_s = message, retry_after_s

    def __str__(self) -> str:
        return self.message


class LlmAnswerInvalid(ModelError):
    """What the language model answered is not what was asked for; `problems` says why."""

    def __init__(self, problems: str) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return f"LLM response parsing failed: {self.problems}"
