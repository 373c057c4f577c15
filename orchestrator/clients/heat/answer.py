"""An HTTP answer, and Heat's own error document in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ...core.documents import parse_json
from ...core.refs import Json
from ...core.texts import LONGEST_WORDS, cut

QUOTED = 200
"""Characters that a reason quotes of an answer that is none of Heat's."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: *headers* by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def without(self, secrets: Iterable[str]) -> Answer:
        """The same without some texts, should the other side quote them."""
        body = self.body
        for secret in secrets:
            if len(secret) >= 4:  # else "1" would hide the answer itself
                body = body.replace(secret.encode(), b"***")
        return replace(self, body=body)

    def json(self) -> Json:
        """The document; None where there is none (as for ``null``, and for ``NaN`` in it)."""
        try:
            return parse_json(self.body)
        except (ValueError, RecursionError):
            return None

    def __str__(self) -> str:
        kind = (
            self.headers.get("content-type", "").partition(";")[0]
            or "no content type"
        )
        place = (
            f" to {plain(self.headers.get('location', ''), 80)}"
            if 300 <= self.status < 400
            else ""
        )
        return f"{self.status}{place}, {plain(kind, 60)}: {self.words}"

    @property
    def words(self) -> str:
        """The first words of the body."""
        return (
            plain(self.body[: 4 * QUOTED].decode("utf-8", "replace"), QUOTED)
            or "nothing"
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """Heat's own error document."""

    status: int
    kind: str
    reason: str
    message: str
    """What the error itself says; empty where Heat does not pass it on."""


def plain(text: str, most: int) -> str:
    """A text that fits into a line of a log: no control characters, no more than *most*
    characters."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def fault_of(answer: Answer) -> Fault | None:
    """Heat's error document, None when the answer is none."""
    document = answer.json()
    if not isinstance(document, dict):
        return None
    code, inner = document.get("code"), document.get("error")
    if (
        isinstance(code, bool)
        or code != answer.status
        or not isinstance(document.get("title"), str)
    ):
        return None
    if (
        not isinstance(inner, dict)
        or not isinstance(inner.get("type"), str)
        or not inner["type"]
    ):
        return None
    message = inner.get("message")
    message = message.strip() if isinstance(message, str) else ""
    explanation = document.get("explanation")
    reason = (
        message
        or (explanation.strip() if isinstance(explanation, str) else "")
        or "no reason given"
    )
    # An error of validation may quote a whole template.
    reason = cut(plain(reason, len(reason)), LONGEST_WORDS)
    return Fault(answer.status, plain(inner["type"], 80), reason, message)
