"""Folders and files at any URL that fsspec supports: a path, `s3://bucket/prefix`, `memory://…`."""

import re
from typing import Any

import fsspec

from deployments.wire.foreign import foreign
from jobs.runtime.errors import JobRefused

USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")
QUERY = re.compile(r"(?<=\?)\S*")


def open_url(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the absolute path in it without a trailing slash.

    S3 is configured by the usual `AWS_…` variables, including `AWS_ENDPOINT_URL`.

    Raises:
        JobRefused: no library for this URL is installed, or it is malformed.
    """
    if not url.strip():
        raise JobRefused("A folder or URL is empty: name one, such as data/photos or s3://bucket/prefix.")
    try:
        files, path = fsspec.core.url_to_fs(url)
    except Exception as error:  # each file system has its own ways to refuse a URL
        raise refused(url, "cannot be used", error) from error
    return files, str(path).rstrip("/") or "/"


def refused(url: str, what: str, error: Exception) -> JobRefused:
    """The error for a URL that failed. `what` completes the sentence "<URL> …", such as "cannot be used"."""
    return JobRefused(f"{public_url(url)} {what} ({type(error).__name__}: {foreign(error)}): check the URL and access.")


def public_url(text: str) -> str:
    """A URL, or a text with URLs in it, without their user names, passwords and queries."""
    return QUERY.sub("…", USER_INFO.sub("", text)) if "://" in text else text
