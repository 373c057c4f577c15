"""The HTTP of a scripted Heat: requests taken apart, answers put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from orchestrator.core.refs import Json

from .odd_answers import OddAnswer
from .serving import Answer, LocalServer, QuietHandler

Query = Mapping[str, list[str]]


class Answering(Protocol):
    """Who answers."""

    def without_token(self, path: str, token: str | None) -> Answer | None:
        """The answer to a token that is no good."""

    def odd_answer(self, method: str, path: str, query: Query, body: Json) -> OddAnswer | None:
        """What is sent in the place of an answer."""

    def answer(self, method: str, path: str, query: Query, body: Json) -> Answer:
        """The answer."""


class ScriptedServer(LocalServer):
    """The server of a scripted Heat."""

    def __init__(self, heat: Answering, port: int) -> None:
        super().__init__(ScriptedHandler, port)
        self.heat = heat


class ScriptedHandler(QuietHandler):
    """Takes requests apart, and has them answered."""

    server: ScriptedServer

    def _answer(self) -> None:
        heat, body = self.server.heat, self.body()
        parts = urlsplit(self.path)
        asked = (self.command, unquote(parts.path), parse_qs(parts.query))
        if odd := heat.odd_answer(*asked, body):
            if odd.after:
                heat.answer(*asked, body)
            self.close_connection = True
            odd.send(self.connection)
            return
        token = self.headers.get("X-Auth-Token")
        self.send_document(heat.without_token(asked[1], token) or heat.answer(*asked, body))

    # The base class calls them so.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815
