"""What a deployment raises through its handle. The ingress renders each in `serve_app/errors.py`.

ModelError
├── PromptTooLong        a text that does not fit the text tower
├── WeightsNotFound      a checkpoint that is neither cached nor reachable
└── ModelFailed          the model or its device broke; the replica fails its health check
"""


class ModelError(Exception):
    """Base of everything that a model reports to its caller."""


class PromptTooLong(ModelError):
    """A text has more tokens than the model reads; `text` is its beginning, `limit` the most tokens."""

    def __init__(self, text: str, limit: int) -> None:
        super().__init__(text, limit)
        self.text, self.limit = text, limit

    def __str__(self) -> str:
        return f"{self.text!r}… is too long: the model reads at most {self.limit} tokens, shorten it"


class WeightsNotFound(ModelError):
    """The checkpoint that the configuration asks for cannot be loaded; the message says how to get it."""


class ModelFailed(ModelError):
    """A forward pass failed or gave values that are not finite."""
