"""Errors of ``requests`` and ``urllib3`` in our words: who did not answer, and how."""

from __future__ import annotations

import re
from http.client import HTTPException
from urllib.parse import urlsplit

import requests
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from ...errors import EnvironmentUnusable, HeatUnavailable
from .answer import QUOTED, plain

CONNECT = 10.0
"""Seconds to connect to one address."""
_USERINFO = re.compile(r"//[^/@\s]+@")


FOREIGN = (
    requests.RequestException,
    HTTPError,
    HTTPException,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)
"""What the libraries below raise when an answer is broken, or an address is none."""


_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)
_NO_CONNECTION_IN_TIME = (requests.ConnectTimeout, ConnectTimeoutError)
_TOO_LATE = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)


def unavailable(
    error: BaseException, url: str
) -> HeatUnavailable | EnvironmentUnusable:
    """An error of the libraries in our words: who did not answer, and how."""
    wrong = _unusable(error, url)
    if wrong is not None:
        return EnvironmentUnusable(wrong)
    return HeatUnavailable(_no_answer(error, host(url)))


def _unusable(error: BaseException, url: str) -> str | None:
    """What is wrong with our own settings, None when nothing is."""
    if isinstance(error, _NO_ADDRESS):
        return (
            f"{without_userinfo(url)!r} is no address: http:// or https://, a host, a"
            " port"
        )
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return (
            "the address of the proxy cannot be used; check http_proxy, https_proxy and"
            " no_proxy"
        )
    if isinstance(error, OSError):
        words = str(error)
        if "TLS" in words and "invalid path" in words:
            return (
                f"{plain(words, QUOTED)}; check OS_CACERT, OS_CERT and OS_KEY of the"
                " workers"
            )
    return None


def _no_answer(error: BaseException, place: str) -> str:
    """How *place* failed to answer."""
    cause = _cause(error)
    words = plain(without_userinfo(str(cause)), QUOTED)

    def is_one(kinds: tuple[type[BaseException], ...]) -> bool:
        return isinstance(error, kinds) or isinstance(cause, kinds)

    if isinstance(cause, NewConnectionError):  # a kind of ConnectTimeoutError
        return f"{place} does not answer: {words.rpartition(': ')[2]}"
    if is_one(_NO_CONNECTION_IN_TIME):
        return f"{place} does not answer: no connection within {CONNECT:.0f} s"
    if is_one(_TOO_LATE) or "timed out" in words:
        return f"{place} does not answer: no complete answer in time"
    if is_one((requests.exceptions.ProxyError, ProxyError)):
        return (
            f"the proxy before {place} does not answer: {words}; check http_proxy,"
            " https_proxy and no_proxy"
        )
    if is_one((requests.exceptions.SSLError, SSLError)):
        return (
            f"no TLS connection to {place}: {words}; check OS_CACERT and the server's"
            " certificate"
        )
    return f"{place} gives no complete answer: {words or type(cause).__name__}"


def host(url: str) -> str:
    """``http://host:port`` of an address, for people."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return without_userinfo(url)


def without_userinfo(text: str) -> str:
    """Addresses without the user and the password in them."""
    return _USERINFO.sub("//***@", text)


def _cause(error: BaseException) -> BaseException:
    """What is inside of what ``requests`` and ``urllib3`` wrap around each other."""
    for _ in range(6):
        inner = getattr(error, "reason", None)
        first = error.args[0] if error.args else None
        found = inner if isinstance(inner, BaseException) else first
        if not isinstance(found, BaseException):
            return error
        error = found
    return error
