"""What python-heatclient's managers send their requests through, in place of its own HTTP client.

heatclient knows the paths and bodies of Heat's API. Its HTTP client is not used, for what it does
when things go wrong: it follows redirects to whatever address, has no deadline for a whole request,
and takes any document for an answer (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import urlencode

from ...clock import Clock
from .answer import Answer
from .keystone import Access, Token

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as heatclient reads it."""

    answer: Answer

    @property
    def content(self) -> bytes:
        return self.answer.body

    @property
    def headers(self) -> Mapping[str, str]:
        return self.answer.headers

    def json(self) -> Any:
        return self.answer.json()


@dataclass(slots=True)
class Wire(Generic[T]):
    """One request, and what its answer says.

    :param exchange: ``exchange(method, path, body)``.
    :param judge: raises where the answer is none, so that heatclient sees answers only.
    """

    exchange: Callable[[str, str, Any], Answer]
    judge: Callable[[Answer], T]
    _results: list[T] = field(default_factory=list)

    @property
    def result(self) -> T:
        """What the last answer said."""
        return self._results[-1]

    def credentials_headers(self) -> dict[str, str]:
        """heatclient adds these to requests that change something: the token is in all of ours."""
        return {}

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, **_: Any
    ) -> Reply:
        return self._send(
            "GET", f"{path}?{urlencode(params)}" if params else path
        )

    def post(self, path: str, data: Any = None, **_: Any) -> Reply:
        return self._send("POST", path, data)

    def put(self, path: str, data: Any = None, **_: Any) -> Reply:
        return self._send("PUT", path, data)

    def delete(self, path: str, **_: Any) -> Reply:
        return self._send("DELETE", path)

    def _send(self, method: str, path: str, body: Any = None) -> Reply:
        answer = self.exchange(method, path, body)
        self._results.append(self.judge(answer))
        return Reply(answer)


Exchange: TypeAlias = Callable[..., Answer]
"""Makes one request; its first argument is the method."""
RequestObserver: TypeAlias = Callable[[str, int, float], None]
"""Told of each request: method, status (0: no answer), seconds."""


def observed(
    exchange: Exchange, clock: Clock, observe: RequestObserver | None
) -> Exchange:
    """The same, with somebody told how long each request took."""
    if observe is None:
        return exchange
    tell = observe

    def send(method: str, *rest: Any) -> Answer:
        begun, status = clock.monotonic(), 0
        try:
            answer = exchange(method, *rest)
            status = answer.status
            return answer
        finally:
            tell(method, status, clock.monotonic() - begun)

    return send


@dataclass(frozen=True, slots=True)
class Line:
    """What a request to Heat needs: whose login, its token, and Heat's address for the project."""

    access: Access
    token: Token
    url: str
