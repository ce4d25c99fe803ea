"""The errors that deployments raise through their handles. `serve_app/http/errors.py` defines those that clients get.

ModelError
├── PromptTooLong        a text does not fit the text tower
├── InvalidClustering    a request to cluster is not valid
├── VideoBroken          a file is not a video or cannot be decoded
├── VideoTooLong         a video lasts longer than is accepted
├── VideoTooLarge        the frames of a video are too large, or take too much CPU time
├── ReaderFailed         the reader of videos has a fault of its own
├── NoFrames             a file has no video stream, or an empty one
├── WeightsNotFound      a checkpoint is neither cached nor reachable
├── ModelFailed          a pass failed; the replica ends if its test pass fails too
├── LlmModelUnknown      no known provider has this language model
├── LlmKeyMissing        there is no API key for the provider of the language model
├── LlmProviderFailed    no provider answered, fallbacks included
└── LlmAnswerInvalid     a language model did not answer in the requested form, even when asked again
"""

from typing import Any

Problem = dict[str, Any]


class ModelError(Exception):
    """Base of all errors that a model reports to its caller."""


class PromptTooLong(ModelError):
    """A text has more tokens than the model reads; `text` is its beginning, `limit` the largest number of tokens."""

    def __init__(self, text: str, limit: int) -> None:
        super().__init__(text, limit)
        self.text, self.limit = text, limit

    def __str__(self) -> str:
        return f"{self.text!r}… is too long: the model reads at most {self.limit} tokens, shorten it"


class InvalidClustering(ModelError):
    """A request is not valid. `problems` lists at most 10 problems as FastAPI does: `loc`, `msg`, `type`."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return str(self.problems[0]["msg"])


class VideoBroken(ModelError):
    """The file is not a video, or none of its frames can be decoded; the message says what to send instead."""


class VideoTooLong(ModelError):
    """The video lasts longer than is accepted; nothing was decoded."""


class VideoTooLarge(ModelError):
    """Frames of the video have more pixels than are accepted, or decoding them takes more CPU time than it may."""


class ReaderFailed(ModelError):
    """The reader of videos ended by an error of its own code, whatever the video is; the log says by which."""


class NoFrames(ModelError):
    """The file has no video stream, or an empty one."""


class WeightsNotFound(ModelError):
    """The configured checkpoint cannot be loaded; the message says how to get it."""


class ModelFailed(ModelError):
    """A forward pass failed or returned values that are not finite.

    A caller gets it only for an input with which the model fails although it works: a replica whose model or device is
    broken ends without an answer.
    """


class LlmModelUnknown(ModelError):
    """The name of a language model is malformed or of no known provider; the message names the providers."""


class LlmKeyMissing(ModelError):
    """There is no API key for the provider of the language model; the message names the variable to set."""


class LlmProviderFailed(ModelError):
    """A provider refused, failed or took too long. `retry_after_s`: the seconds it asks to wait, or None."""

    def __init__(self, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message, retry_after_s)
        self.message, self.retry_after_s = message, retry_after_s

    def __str__(self) -> str:
        return self.message


class LlmAnswerInvalid(ModelError):
    """The answer of the language model does not have the requested form; `problems` says why."""

    def __init__(self, problems: str) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return f"LLM response parsing failed: {self.problems}"
