"""The record of the last login of all workers with one account."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from ..refs import Json


class LoginState(StrEnum):
    """How the last login with some credentials went."""

    ACCEPTED = "accepted"
    TRYING = "trying"
    """A worker tries it; the others wait for what comes of it."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Login:
    """The last login of all workers with one account and password:
    ``orchestrator/logins/<account>``.

    Keystone may lock an account after a few wrong passwords. So the workers try one at a time, and
    rarely. Times are seconds since the epoch by the worker's clock.
    """

    state: LoginState
    """How the login went."""
    who: str
    """The account, for people."""
    at: float
    """When the record was written."""
    until: float = 0.0
    """When the next try may be made; of a login under way, when it counts as given up."""
    refusals: int = 0
    """Refusals in a row."""
    reason: str = ""
    """Keystone's reason for the refusal, for people."""

    def to_json(self) -> str:
        record: dict[str, Json] = {
            "state": self.state.value,
            "who": self.who,
            "at": self.at,
        }
        for name in ("until", "refusals", "reason"):
            if value := getattr(self, name):
                record[name] = value
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> Login:
        record = json.loads(text)
        # A newer release may write more: what this one does not know, it leaves alone.
        known = {
            name: record[name]
            for name in ("until", "refusals", "reason")
            if name in record
        }
        return cls(
            LoginState(record["state"]), record["who"], record["at"], **known
        )
