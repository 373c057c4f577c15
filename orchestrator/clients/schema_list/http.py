"""An API server's schema list over HTTP: one request, and a sentence for all that is not a list."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

import requests

from ...core.documents import parse_json
from ...core.refs import Json
from ...core.schema_list import LARGEST
from ...errors import InvalidInput, SchemasDenied, TemporaryError
from .access import KEYSTONE, SchemaAccess
from .keystone import Keystone

_CONNECT, _READ, _WHOLE = 5.0, 10.0, 30.0
"""Seconds to connect, to wait for the next part of the answer, and for all of it."""
_BLOCK = 64 * 1024
_LATER = frozenset({408, 425, 429})
"""Statuses besides 5xx that say that the server cannot answer at the moment."""
_ROLE = "its role needs a policy that allows read on the schema list and on every type"

_Authentication: TypeAlias = (
    tuple[str, str]
    | Callable[[requests.PreparedRequest], requests.PreparedRequest]
)
"""What requests takes: user and password, or who puts them into a request."""


class Server:
    """The API server that has the list."""

    def __init__(self, access: SchemaAccess, name: str) -> None:
        """:param name: the address as people may see it."""
        self._access, self._name = access, name
        self._keystone: Keystone | None = None
        if access.authentication == KEYSTONE:
            self._keystone = Keystone(access.cloud)

    def get(self) -> Json:
        """The document that the server answers with.

        :raises SchemasDenied: 401 or 403.
        :raises InvalidInput: it answers with something else than a JSON document.
        :raises TemporaryError: it does not answer, or says that it cannot at the moment.
        """
        status, body = self._request(self._token())
        if status == 401 and self._keystone is not None:
            # A token that was made a while ago may have been revoked since.
            self._keystone.forget()
            status, body = self._request(self._token())
        if status in (401, 403):
            raise SchemasDenied(self._told(self._denial(status)))
        try:
            return parse_json(body)
        except (ValueError, RecursionError) as error:
            raise self._invalid(_no_json(body)) from error

    def _request(self, token: str) -> tuple[int, bytes]:
        """The status, which is 200, 401 or 403, and the body."""
        errors = requests.exceptions
        try:
            return self._exchange(token)
        except errors.SSLError as error:
            told = f"{_inner(error)}; name its CA in ORCHESTRATOR_SCHEMAS_CA"
            raise self._invalid(told) from error
        except errors.ChunkedEncodingError as error:
            told = "the answer ends in the middle; is there a proxy that cuts it off?"
            raise self._invalid(told) from error
        except (errors.InvalidURL, errors.InvalidHeader) as error:
            raise self._invalid(
                "the address or the token cannot be part of a request"
            ) from error
        except (requests.RequestException, OSError) as error:
            raise self._later(
                f"the API server does not answer: {_inner(error)}"
            ) from error

    def _exchange(self, token: str) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        if token:
            headers["X-Auth-Token"] = token
        with requests.Session() as session:
            session.auth = _credentials(self._access.source)
            reply = session.get(
                self._access.source,
                headers=headers,
                timeout=(_CONNECT, _READ),
                allow_redirects=False,  # A token is for the server that was named.
                verify=self._access.ca or True,
                stream=True,
            )
            self._check_status(reply.status_code)
            return reply.status_code, self._body(reply)

    def _check_status(self, status: int) -> None:
        """
        :raises InvalidInput: it is none that a schema list can come with.
        :raises TemporaryError: the server cannot answer now.
        """
        if status in (200, 401, 403):
            return
        if status in _LATER or status >= 500:
            raise self._later(f"the API server answers {status}")
        if 300 <= status < 400:
            raise self._invalid(
                f"the API server redirects to another address ({status}); "
                "name the address of the list itself"
            )
        raise self._invalid(
            f"the API server answers {status}; expected 200; is the path"
            " …/gohan/v0.1/schemas?"
        )

    def _body(self, reply: requests.Response) -> bytes:
        end = time.monotonic() + _WHOLE
        body = bytearray()
        for block in reply.iter_content(_BLOCK):
            body += block
            if len(body) > LARGEST:
                raise self._invalid(
                    f"the answer is larger than {LARGEST} bytes"
                )
            if time.monotonic() > end:
                raise self._later(
                    f"the API server has not sent all of it within {_WHOLE:.0f} s"
                )
        return bytes(body)

    def _token(self) -> str:
        """
        :raises InvalidInput: the token's file cannot be read.
        """
        if self._keystone is not None:
            return self._keystone.token()
        file = self._access.token_file
        if not file:
            return self._access.token
        try:
            return Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"ORCHESTRATOR_SCHEMAS_TOKEN_FILE {file}: {error}"
            ) from error

    # What is told -----------------------------------------------------------------------------

    def _denial(self, status: int) -> str:
        access = self._access
        if self._keystone is not None:
            whose = "the OS_* variables"
            if access.cloud:
                whose = "ORCHESTRATOR_SCHEMAS_OS_CLOUD"
            return (
                f"the API server does not let the user of {whose} read the list"
                f" ({status}); {_ROLE}"
            )
        if not access.token and not access.token_file:
            return (
                f"the API server asks for a token ({status}); set"
                " ORCHESTRATOR_SCHEMAS_TOKEN or ORCHESTRATOR_SCHEMAS_TOKEN_FILE, or"
                " ORCHESTRATOR_SCHEMAS_AUTH=keystone where it uses Keystone"
            )
        where = "ORCHESTRATOR_SCHEMAS_TOKEN"
        if access.token_file:
            where += "_FILE"
        return (
            f"the API server refuses the token of {where} ({status}): it is unknown or"
            f" over, or its role is too small; {_ROLE}"
        )

    def _invalid(self, what: str) -> InvalidInput:
        return InvalidInput(self._told(what))

    def _later(self, what: str) -> TemporaryError:
        return TemporaryError(self._told(what))

    def _told(self, what: str) -> str:
        return f"ORCHESTRATOR_SCHEMAS {self._name}: {what}"


def _no_json(body: bytes) -> str:
    if not body.strip():
        return "the answer is empty"
    if body.lstrip()[:1] == b"<":
        return (
            "the answer is a page, not JSON; is this the address of the API server's"
            " schema list, and no proxy or login page?"
        )
    return "the answer is not JSON, or ends in the middle"


def _credentials(address: str) -> _Authentication:
    """What the address itself holds; no ``.netrc``."""
    parts = urlsplit(address)
    if parts.username is None:
        return _as_it_is
    return unquote(parts.username), unquote(parts.password or "")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _inner(error: BaseException) -> str:
    """The reason at the bottom of an error of requests, without the address, which may hold a
    password."""
    while isinstance(inner := _cause(error), BaseException):
        error = inner
    text = str(error)
    if text.startswith(
        "<"
    ):  # urllib3's own begin with the connection, "<…>: ".
        text = text.partition(": ")[2]
    return text or type(error).__name__


def _cause(error: BaseException) -> object:
    return getattr(error, "reason", None) or next(iter(error.args), None)
