"""The errors of the client of KOOP.

KoopError
├── FetchFailed        an address gave no usable answer in any try
│   ├── NotFound       the server says that nothing is there
│   ├── StatusRefused  the server refuses permanently
│   ├── HostRefused    the address, or one that it redirects to, has a host that must not be asked
│   ├── RedirectLoop   the address redirects to itself or too often
│   └── BodyTooLarge   the body exceeds the limit
├── QueryRefused       the search service refuses a query, with its diagnostics
└── InvalidXml         the bytes are not the expected XML
"""


class KoopError(Exception):
    """Base of all errors that the client reports to its caller."""


class FetchFailed(KoopError):
    """An address could not be fetched: its `url`, the number of `tries` (0 if it was not asked), the last `reason`."""

    def __init__(self, url: str, tries: int, reason: str) -> None:
        times = "once" if tries == 1 else f"{tries} times"
        super().__init__(f"{url} failed, tried {times}: {reason}")
        self.url, self.tries, self.reason = url, tries, reason

    def __reduce__(self) -> tuple[type["FetchFailed"], tuple[str, int, str]]:
        return type(self), (self.url, self.tries, self.reason)


class NotFound(FetchFailed):
    """404 or 410: nothing is there, and asking again would not help."""


class StatusRefused(FetchFailed):
    """The server answered with a status that another try would not change, such as 403."""


class HostRefused(FetchFailed):
    """The host belongs neither to KOOP nor to a configured endpoint; nothing was sent to it."""


class RedirectLoop(FetchFailed):
    """The address redirects to itself or too often. KOOP answers so for variants of an attachment that do not exist."""


class BodyTooLarge(FetchFailed):
    """The body exceeds the limit and was discarded."""


class QueryRefused(KoopError):
    """The search service answered a query with diagnostics instead of records; `codes` are their URIs."""

    def __init__(self, message: str, codes: tuple[str, ...] = ()) -> None:
        super().__init__(f"The search service refuses the query: {message}")
        self.message, self.codes = message, codes

    def __reduce__(self) -> tuple[type["QueryRefused"], tuple[str, tuple[str, ...]]]:
        return type(self), (self.message, self.codes)


class InvalidXml(KoopError):
    """The bytes are not well-formed, declare entities, or are an HTML page."""
