"""Who asks for something by a command, why and when."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import string
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from ...clock import CLOCK, Clock
from ...core.keys import Keys
from ...core.records import CARRIED_OUT, AuditRecord
from ...core.refs import Ref
from ...core.texts import clean
from ...errors import InvalidInput

As = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="Who asks for it, in place of user@host. It is recorded.",
        metavar="NAME",
        show_default=False,
    ),
]
Why = Annotated[
    str | None,
    typer.Option(
        "--why",
        help="The reason, in a sentence or a ticket's number. It is recorded.",
        metavar="TEXT",
        show_default=False,
    ),
]
MOST_RECORDS = 100
"""Resources of one command up to which each gets a record of it. etcd keeps the last few thousand
records, and one command is not to push out all the others."""
_LONGEST_NAME = 200
_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class AskedVerb:
    """What a person asks for by one command. Each resource gets a record of it."""

    id: str
    """The end of the keys of these records."""
    name: str
    """``retry``, ``pause`` …"""
    by: str
    at: str
    why: str = ""
    selector: str = ""

    def record(self) -> AuditRecord:
        """The record, as long as nothing is known of the outcome."""
        return AuditRecord(
            self.id, self.name, self.by, self.at, self.why, self.selector
        )

    def done(
        self, keys: Keys, ref: Ref | None, outcome: str = CARRIED_OUT
    ) -> Mapping[str, str]:
        """The key and value of the record of a verb that is carried out by the very transaction
        that writes it.

        :param ref: the resource; None: it is about no single one.
        """
        record = self.record().with_outcome(outcome, self.at)
        return {keys.audit(ref, self.id): record.to_json()}


def record_of(
    keys: Keys, done: AskedVerb, refs: Sequence[Ref]
) -> Callable[[Ref], Mapping[str, str]]:
    """What is written with each of these resources: a record for each; where there are very many,
    one record that is about no single one."""

    def each(ref: Ref) -> Mapping[str, str]:
        if len(refs) <= MOST_RECORDS:
            return done.done(keys, ref)
        return done.done(keys, None, f"{CARRIED_OUT}, {len(refs)} resources")

    return each


def verb(
    name: str,
    by: str | None,
    why: str | None,
    selector: str = "",
    clock: Clock = CLOCK,
) -> AskedVerb:
    """The verb of this command.

    :param by: what ``--as`` says; None: the user of this process, and this machine.
    :raises InvalidInput: nobody can have such a name.
    """
    at = clock.stamp()
    compact = "".join(letter for letter in at if letter.isalnum())
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(5))
    return AskedVerb(
        f"{compact}-{suffix}",
        name,
        _author(by),
        at,
        clean(why or ""),
        selector,
    )


def _author(by: str | None) -> str:
    name = _user() if by is None else by.strip()
    if not name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise InvalidInput(
            f"--as: a name of 1 to {_LONGEST_NAME} printable characters is needed"
        )
    return name


def _user() -> str:
    """``alice@host``. Behind sudo, the person who called it."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def ask(question: str, yes: bool) -> None:
    """Ask a person whether to go on.

    :param yes: the command line says so already.
    :raises InvalidInput: there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("there is no terminal to ask on; say --yes")
    typer.confirm(question, abort=True, err=True)
