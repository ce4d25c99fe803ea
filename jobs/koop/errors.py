"""What the client of KOOP raises.

KoopError
├── FetchFailed        an address gave no usable answer in every try
│   ├── NotFound       the server says that nothing is there
│   ├── StatusRefused  the server refuses for good
│   ├── HostRefused    the address, or one that it redirects to, is of a host that is not asked
│   ├── RedirectLoop   the address redirects to itself or too often
│   └── BodyTooLarge   the body passes the limit
├── QueryRefused       the search service refuses a query, with its diagnostics
└── InvalidXml         bytes that are not the XML they should be
"""


class KoopError(Exception):
    """Base of everything that the client reports to its caller."""


class FetchFailed(KoopError):
    """An address that could not be fetched: `url`, the number of `tries` (0: it was not asked), the last `reason`."""

    def __init__(self, url: str, tries: int, reason: str) -> None:
        times = "once" if tries == 1 else f"{tries} times"
        super().__init__(f"{url} failed, tried {times}: {reason}")
        self.url, self.tries, self.reason = url, tries, reason

    def __reduce__(self) -> tuple[type["FetchFailed"], tuple[str, int, str]]:
        return type(self), (self.url, self.tries, self.reason)


class NotFound(FetchFailed):
    """404 or 410: nothing is there, and asking again would not help."""


class StatusRefused(FetchFailed):
    """A status that another try would not change, such as 403."""


class HostRefused(FetchFailed):
    """The host is neither KOOP's nor one of the configured endpoints': nothing was sent to it."""


class RedirectLoop(FetchFailed):
    """What KOOP answers for a variant of an attachment that does not exist."""


class BodyTooLarge(FetchFailed):
    """The body was cut at the limit and thrown away."""


class QueryRefused(KoopError):
    """The search service answered a query with diagnostics instead of records; `codes` are their URIs."""

    def __init__(self, message: str, codes: tuple[str, ...] = ()) -> None:
        super().__init__(f"The search service refuses the query: {message}")
        self.message, self.codes = message, codes

    def __reduce__(self) -> tuple[type["QueryRefused"], tuple[str, tuple[str, ...]]]:
        return type(self), (self.message, self.codes)


class InvalidXml(KoopError):
    """The bytes are not well-formed, declare entities, or are an HTML page."""
